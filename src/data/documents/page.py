"""A page to draw on: text, lines, tables and pictures, all from one random generator.

Lengths are shares of the page's width, so that a page looks the same at every size.
"""

import functools
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Box = tuple[float, float, float, float]
Colour = tuple[int, int, int]

WORDS = np.array(
    """
account amount annual answer area article balance basic between board branch budget
building chapter city client company contract country current customer date delivery
department direct district document during estimate event export factor family figure
final following foreign general group growth health history house import income index
industry interest issue journal known labour letter level local machine market measure
method million minister month motion nature network notice number office online order
owner parcel payment people percent period plan policy power present price product
project public quality quarter question rate record region report result sample school
season section service shipping signal sound source state station street studio subject
supply survey system table target team theory total trade travel unit value version
water
""".split()  # noqa: SIM905
)


class Page:
    """A blank page of `width` x `height` pixels and the pens to fill it."""

    def __init__(self, width: int, height: int, rng: np.random.Generator, paper: Colour) -> None:
        self.width = width
        self.rng = rng
        self.image = Image.new("RGB", (width, height), paper)
        self.draw = ImageDraw.Draw(self.image)
        shade = int(rng.integers(15, 70))
        self.ink: Colour = (shade, shade, shade)
        # Height of the page in widths.
        self.bottom = height / width

    def px(self, share: float) -> int:
        """Turn a share of the width into pixels."""
        return round(share * self.width)

    def words(self, count: int, title: bool = False) -> str:
        """Return `count` random words."""
        chosen = " ".join(self.rng.choice(WORDS, count).tolist())
        return chosen.title() if title else chosen

    def number(self, low: float = 1, high: float = 2000) -> str:
        """Return a random amount with two decimals."""
        return f"{self.rng.uniform(low, high):,.2f}"

    def text(
        self, x: float, y: float, text: str, size: float = 0.035, ink: Colour | None = None
    ) -> None:
        """Write one line with its top left corner at (x, y)."""
        height = max(4, self.px(size))
        left, top = self.px(x), self.px(y)
        # Word by word: most words come again, and drawing their glyphs is what takes time.
        for word in text.split(" "):
            mask, (shift, drop), advance = load_word(word, height)
            if mask is not None:
                self.image.paste(ink or self.ink, (left + shift, top + drop), mask)
            left += advance + load_word(" ", height)[2]

    def lines(self, box: Box, size: float = 0.032, spacing: float = 1.35) -> float:
        """Fill a box with running text; return where it ends."""
        left, top, right, bottom = box
        y = top
        while y + size <= bottom:
            is_last = y + 2 * size * spacing > bottom or self.rng.random() < 0.12
            share = self.rng.uniform(0.35, 0.8) if is_last else 1.0
            width = (right - left) * share
            self.text(left, y, self.words(int(width / size / 3) + 1)[: int(width / size * 2)], size)
            y += size * spacing
        return y

    def rule(self, x0: float, y0: float, x1: float, y1: float, width: float = 0.004) -> None:
        """Draw a straight line."""
        ends = [self.px(value) for value in (x0, y0, x1, y1)]
        self.draw.line(ends, fill=self.ink, width=max(1, self.px(width)))

    def box(self, box: Box, fill: Colour | None = None, outline: bool = True) -> None:
        """Draw a rectangle."""
        corners = [self.px(value) for value in box]
        self.draw.rectangle(corners, fill=fill, outline=self.ink if outline else None)

    def table(
        self, box: Box, rows: int, shares: Sequence[float], grid: bool, head: Colour | None = None
    ) -> None:
        """Draw a table: words in the first column, numbers in the others."""
        left, top, right, bottom = box
        height = (bottom - top) / rows
        edges = left + np.concatenate(([0], np.cumsum(shares))) / sum(shares) * (right - left)
        if head is not None:
            self.box((left, top, right, top + height), fill=head, outline=False)
        for row in range(rows):
            y = top + row * height
            if grid or row in (0, 1):
                self.rule(left, y, right, y)
            for column, x in enumerate(edges[:-1]):
                numeric = column > 0 and row > 0
                content = self.number() if numeric else self.words(1 if row == 0 else 2)
                room = int((edges[column + 1] - x) / 0.03 * 2)
                self.text(x + 0.008, y + height * 0.15, content[:room], min(0.03, height * 0.7))
        self.rule(left, bottom, right, bottom)
        if grid:
            for x in edges:
                self.rule(float(x), top, float(x), bottom)

    def picture(self, box: Box) -> None:
        """Draw something photographic: a smooth random field."""
        left, top, right, bottom = (self.px(value) for value in box)
        size = (max(1, right - left), max(1, bottom - top))
        coarse = self.rng.integers(40, 215, (4, 4), dtype=np.uint8)
        field = Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).convert("RGB")
        self.image.paste(field, (left, top))

    def portrait(self, box: Box) -> None:
        """Draw a passport photograph: head and shoulders."""
        left, top, right, bottom = box
        self.box(box, fill=self.tint(170, 225))
        middle, width, height = (left + right) / 2, right - left, bottom - top
        skin, dress = self.tint(90, 190), self.tint(30, 130)
        shoulders = (left + 0.12 * width, bottom - 0.36 * height)
        self._ellipse((*shoulders, right - 0.12 * width, bottom + 0.3 * height), dress, bottom)
        head = (middle - 0.2 * width, top + 0.16 * height)
        self._ellipse((*head, middle + 0.2 * width, top + 0.66 * height), skin, bottom)

    def _ellipse(self, box: Box, fill: Colour, cut: float) -> None:
        left, top, right, bottom = (self.px(value) for value in box)
        points = np.linspace(0, 2 * np.pi, 24)
        x = (left + right) / 2 + (right - left) / 2 * np.cos(points)
        y = np.minimum((top + bottom) / 2 + (bottom - top) / 2 * np.sin(points), self.px(cut) - 1)
        self.draw.polygon(list(zip(x.tolist(), y.tolist(), strict=True)), fill=fill)

    def scribble(self, x: float, y: float, width: float, height: float) -> None:
        """Draw a stroke of handwriting, a signature for instance."""
        count = max(4, int(width / height * 3))
        xs = np.linspace(x, x + width, count) + self.rng.normal(0, height * 0.15, count)
        ys = y + height * (0.5 + 0.5 * np.sin(np.arange(count) * 2.1 + self.rng.uniform(0, 6)))
        ys = ys + self.rng.normal(0, height * 0.15, count)
        points = [(self.px(a), self.px(b)) for a, b in zip(xs, ys, strict=True)]
        self.draw.line(points, fill=self.ink, width=1, joint="curve")

    def barcode(self, box: Box) -> None:
        """Draw the bars of a bar code."""
        left, top, right, bottom = (self.px(value) for value in box)
        for x in range(left, right):
            if self.rng.random() < 0.5:
                self.draw.line((x, top, x, bottom), fill=(20, 20, 20))

    def tint(self, low: int, high: int) -> Colour:
        """Return a random colour with channels in the range."""
        red, green, blue = (int(value) for value in self.rng.integers(low, high, 3))
        return red, green, blue


@functools.lru_cache(maxsize=64)
def load_font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font that Pillow ships, so that pages are the same on every machine."""
    return ImageFont.load_default(size)


@functools.lru_cache(maxsize=16384)
def load_word(word: str, size: int) -> tuple[Image.Image | None, tuple[int, int], int]:
    """Return a word's mask, its shift from the pen's position, and the way the pen goes on.

    The mask is None where there is no ink; all in pixels. There is no kerning across a space,
    so words side by side are the whole line, to one grey level where glyphs touch.
    """
    font = load_font(size)
    left, top, right, bottom = (round(value) for value in font.getbbox(word))
    advance = round(font.getlength(word))
    if not word.strip():
        return None, (0, 0), advance
    mask = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(mask).text((-left, -top), word, fill=255, font=font)
    return mask, (left, top), advance
