"""Pages as people send them: training pages from a flat scanner, test pages from anywhere.

For `data.wear_test`, to try what a search is worth where the pages to come are worse than those to
train on. Done with Pillow and NumPy to the drawn page, by other means than training's own
augmentation (`src/data/augment.py`): pages are bent, folded, stained, badly inked, cut off,
smeared by a moving hand, lit by a lamp and stored as poor JPEG files. So a model is not tested on
the very operations that it was trained or scored with.
"""

import io
import itertools
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Pixels = npt.NDArray[np.uint8]
Rng = np.random.Generator

# Cells along a side of the mesh that bends a page.
CELLS = 8
RADIUS_OF_SMEAR = 5


@dataclass(frozen=True)
class Handling:
    """How pages are handled; sizes are at most, chances are of each page.

    Args:
        turn: standard deviation of the angle in degrees.
        quarters: chances of 0, 1, 2 and 3 quarter turns.
        mirror: chance of a page seen through its back.
        crop: share of a side that is cut off, of each of the four.
        bend: share of the side by which a page is bent.
        smear: length of a moving hand's smear, share of the side.
        lamp: how much darker the far corners are than the middle of the light, share.
        gamma: how far mid-greys are moved, as an exponent of 1 + this or its inverse.
        toner: chance of ink that has spread or worn off.
        behind: how strongly the back of the page shines through, share.
        folds: chance of a fold.
        stain: chance of a stain.
        cover: chance of something lying on the page.
        specks: share of pixels that are black or white by dust.
        quality: the worst of JPEG, 1 to 95.
    """

    turn: float
    quarters: tuple[float, float, float, float]
    mirror: float
    crop: float
    bend: float
    smear: float
    lamp: float
    gamma: float
    toner: float
    behind: float
    folds: float
    stain: float
    cover: float
    specks: float
    quality: int


# name -> what happens to the test pages; `none` leaves all pages alike, as they have always been.
HANDLINGS = {
    # Copied, then fed through an office's scanner.
    "office": Handling(
        turn=2.5,
        quarters=(0.94, 0.0, 0.06, 0.0),
        mirror=0.0,
        crop=0.04,
        bend=0.01,
        smear=0.006,
        lamp=0.1,
        gamma=0.3,
        toner=0.4,
        behind=0.12,
        folds=0.2,
        stain=0.1,
        cover=0.0,
        specks=0.004,
        quality=40,
    ),
    # Photographed on a table.
    "phone": Handling(
        turn=9.0,
        quarters=(0.82, 0.07, 0.04, 0.07),
        mirror=0.0,
        crop=0.1,
        bend=0.035,
        smear=0.02,
        lamp=0.5,
        gamma=0.5,
        toner=0.15,
        behind=0.08,
        folds=0.35,
        stain=0.15,
        cover=0.15,
        specks=0.002,
        quality=25,
    ),
    # From anywhere, any way up, as in many competitions.
    "rough": Handling(
        turn=30.0,
        quarters=(0.4, 0.2, 0.2, 0.2),
        mirror=0.35,
        crop=0.18,
        bend=0.05,
        smear=0.03,
        lamp=0.65,
        gamma=0.8,
        toner=0.3,
        behind=0.2,
        folds=0.5,
        stain=0.3,
        cover=0.4,
        specks=0.01,
        quality=15,
    ),
}


def flat(page: Image.Image, size: int, rng: Rng) -> Pixels:
    """Scan a page as it lies on the glass: whole, upright, evenly lit.

    Args:
        page: the drawn page.
        size: side of the square picture in pixels.
        rng: the page's own random generator.

    Returns:
        uint8 [size, size, 3].
    """
    placed = _onto_square(page, size, rng.uniform(0.92, 1.0), rng.normal(0, 0.4), 255)
    grain = rng.normal(0, rng.uniform(0, 3), (size, size))[..., None]
    return np.clip(np.asarray(placed, np.float32) + grain, 0, 255).astype(np.uint8)


def handled(page: Image.Image, size: int, rng: Rng, how: Handling) -> Pixels:
    """Send a page through people's hands; arguments as for `flat`."""
    if rng.random() < how.toner:
        # Wholly worn off, thin strokes would be gone.
        spread = ImageFilter.MinFilter(3) if rng.random() < 0.5 else ImageFilter.MaxFilter(3)
        page = Image.blend(page, page.filter(spread), rng.uniform(0.2, 0.7))
    back = page.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    back = back.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    shining = Image.blend(Image.new("RGB", page.size, "white"), back, rng.uniform(0, how.behind))
    page = ImageChops.multiply(page, shining)
    for chance, mark in ((how.folds, _fold), (how.stain, _stain)):
        if rng.random() < chance:
            page = mark(page, rng)
    page = _bend(page, rng, how.bend)
    page = _crop(page, rng, how.crop)
    if rng.random() < how.mirror:
        page = page.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    angle = rng.normal(0, how.turn) + 90 * rng.choice(4, p=how.quarters)
    table = int(rng.integers(20, 245))
    picture = _onto_square(page, size, rng.uniform(0.9, 1.15), angle, table)
    if rng.random() < how.cover:
        picture = _cover(picture, rng)
    picture = _smear(picture, rng, how.smear * size)
    light = np.asarray(picture, np.float32) / 255
    exponent = (1 + rng.uniform(0, how.gamma)) ** rng.choice([-1, 1])
    light = light**exponent * _lamp(size, rng, how.lamp)
    dust = rng.random((size, size)) < rng.uniform(0, how.specks)
    light[dust] = rng.integers(0, 2, (int(dust.sum()), 1))
    found = Image.fromarray(np.clip(255 * light, 0, 255).astype(np.uint8))
    return _stored(found, int(rng.integers(how.quality, 90)))


def _onto_square(
    page: Image.Image, size: int, share: float, angle: float, table: int
) -> Image.Image:
    """Turn a page and lay it in the middle of a square, its longer side as a share of that."""
    turned = page.convert("RGBA").rotate(angle, Image.Resampling.BICUBIC, expand=True)
    scale = size * share / max(page.size)
    width, height = (max(1, round(side * scale)) for side in turned.size)
    turned = turned.resize((width, height), Image.Resampling.LANCZOS)
    square = Image.new("RGB", (size, size), (table, table, table))
    square.paste(turned, ((size - width) // 2, (size - height) // 2), turned)
    return square


def _crop(page: Image.Image, rng: Rng, most: float) -> Image.Image:
    left, top, right, bottom = rng.uniform(0, most, 4)
    width, height = page.size
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    return page.crop(tuple(round(edge) for edge in box))  # type: ignore[arg-type]


def _bend(page: Image.Image, rng: Rng, most: float) -> Image.Image:
    """Bend a page along a wave, as paper that does not lie flat."""
    width, height = page.size
    depth = rng.uniform(0, most) * max(width, height)
    phase, waves = rng.uniform(0, 2 * np.pi), rng.uniform(0.5, 1.5)
    xs, ys = np.linspace(0, width, CELLS + 1), np.linspace(0, height, CELLS + 1)

    def source(x: float, y: float) -> tuple[float, float]:
        lift = np.sin(2 * np.pi * waves * x / width + phase)
        sway = np.cos(2 * np.pi * waves * y / height + phase)
        return float(x + depth / 2 * sway), float(y + depth * lift)

    mesh = []
    for left, right in itertools.pairwise(xs):
        for top, bottom in itertools.pairwise(ys):
            corners = ((left, top), (left, bottom), (right, bottom), (right, top))
            quad = tuple(value for corner in corners for value in source(*corner))
            mesh.append((tuple(int(v) for v in (left, top, right, bottom)), quad))
    return page.transform(
        page.size,
        Image.Transform.MESH,
        mesh,  # type: ignore[arg-type]
        Image.Resampling.BILINEAR,
        fillcolor=page.getpixel((1, 1)),  # type: ignore[arg-type]
    )


def _fold(page: Image.Image, rng: Rng) -> Image.Image:
    """Draw the dark and the light side of a fold across the page."""
    width, height = page.size
    page, thick = page.copy(), max(1, width // 120)
    pen = ImageDraw.Draw(page, "RGBA")
    across = rng.random() < 0.5
    place, slope = rng.uniform(0.25, 0.75), rng.normal(0, 0.02)
    for shift, grey in ((0, 0), (thick, 255)):
        start, end = place - slope, place + slope
        ends = (
            (0, start * height + shift, width, end * height + shift)
            if across
            else (start * width + shift, 0, end * width + shift, height)
        )
        pen.line(ends, fill=(grey, grey, grey, 110), width=thick)
    return page


def _stain(page: Image.Image, rng: Rng) -> Image.Image:
    width, height = page.size
    stain = Image.new("RGB", page.size, "white")
    x, y = rng.uniform(0, width), rng.uniform(0, height)
    radius = rng.uniform(0.1, 0.25) * width
    brown = tuple(int(value) for value in rng.uniform((150, 110, 60), (225, 200, 160)))
    pen = ImageDraw.Draw(stain)
    pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=brown)
    inner = radius * rng.uniform(0.7, 0.95)
    paler = tuple((value + 255) // 2 for value in brown)
    pen.ellipse((x - inner, y - inner, x + inner, y + inner), fill=paler)
    return ImageChops.multiply(page, stain.filter(ImageFilter.BoxBlur(width / 60)))


def _cover(picture: Image.Image, rng: Rng) -> Image.Image:
    """Lay a thumb, a note or a pen over an edge."""
    size = picture.size[0]
    picture = picture.copy()
    colour = tuple(int(value) for value in rng.integers(30, 230, 3))
    angle, out = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.5) * size
    x, y = size / 2 + out * np.cos(angle), size / 2 + out * np.sin(angle)
    wide, high = rng.uniform(0.06, 0.2, 2) * size
    box = (x - wide, y - high, x + wide, y + high)
    pen = ImageDraw.Draw(picture)
    if rng.random() < 0.5:
        pen.ellipse(box, fill=colour)
    else:
        pen.rectangle(box, fill=colour)
    return picture


def _smear(picture: Image.Image, rng: Rng, most: float) -> Image.Image:
    """Average the picture along a line, as a hand that moves while the shutter is open."""
    length, angle = rng.uniform(0, most), rng.uniform(0, np.pi)
    pixels = np.asarray(picture, np.float32)
    total = np.zeros_like(pixels)
    steps = np.linspace(-0.5, 0.5, RADIUS_OF_SMEAR)
    for step in steps:
        x, y = step * length * np.cos(angle), step * length * np.sin(angle)
        moved = picture.transform(
            picture.size, Image.Transform.AFFINE, (1, 0, x, 0, 1, y), Image.Resampling.BILINEAR
        )
        # What comes in from outside is no picture.
        inside = picture.getchannel(0).point(lambda _: 255)
        inside = inside.transform(
            picture.size, Image.Transform.AFFINE, (1, 0, x, 0, 1, y), Image.Resampling.BILINEAR
        )
        there = np.asarray(inside, np.float32)[..., None] / 255
        total += np.asarray(moved, np.float32) * there + pixels * (1 - there)
    return Image.fromarray((total / len(steps)).astype(np.uint8))


def _lamp(size: int, rng: Rng, most: float) -> npt.NDArray[np.float32]:
    """Return the light of one lamp over the picture, [size, size, 1]."""
    axis = np.linspace(-1, 1, size, dtype=np.float32)
    x, y = rng.uniform(-0.8, 0.8, 2)
    distance = (axis[None, :] - x) ** 2 + (axis[:, None] - y) ** 2
    light: npt.NDArray[np.float32] = 1 - rng.uniform(0, most) * distance / distance.max()
    return light[..., None].astype(np.float32)


def _stored(picture: Image.Image, quality: int) -> Pixels:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    with Image.open(file) as found:
        return np.asarray(found.convert("RGB"))
