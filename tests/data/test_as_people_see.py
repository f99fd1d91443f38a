"""Files of every kind, and how a person sees each of them: paper, ink, orientation, pages.

Every file is one page with the same drawing: white paper, black in its upper left quarter, dark
grey (64 of 255) in its lower right one.
"""

import io
import itertools
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from src.data import jpeg2000, pdf, picture, png
from src.data import levels as room
from src.data.decode import UnreadableImageError, decode, open_image, page_names
from tests.data.forms import write_form
from tests.data.pictures import png_of

SIDE = 32
PAPER, INK, GREY = 255, 0, 64


def sheet(white: float = 255, width: int = 40, height: int = 56) -> Any:
    """Return the drawing as float levels up to `white`, [height, width]."""
    levels = np.full((height, width), white, np.float64)
    levels[: height // 2, : width // 2] = 0
    levels[height // 2 :, width // 2 :] = white * GREY / 255
    return levels


def seen(path: Path, page: int = 0) -> list[int]:
    """Return the grey of the four quarters, row by row."""
    pixels = decode(path, SIDE, fit="stretch", page=page)
    assert np.ptp(pixels.astype(int), axis=-1).max() <= 8, "it has a colour"
    return [int(pixels[y, x].mean()) for y in (8, 24) for x in (8, 24)]


def assert_seen(path: Path, page: int = 0, name: str = "") -> None:
    np.testing.assert_allclose(seen(path, page), [INK, PAPER, PAPER, GREY], atol=3, err_msg=name)


def levels(kind: str) -> Any:
    """Return the drawing in a numpy type, up to what is white in it."""
    dtype = np.dtype(kind)
    white = 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)
    return sheet(white).astype(dtype), white


@pytest.mark.parametrize(
    "kind", ["u1", "u2", "u4", "i1", "i2", "i4", "f2", "f4", "f8", ">u2", ">i2", ">f4"]
)
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_levels_of_tiffs(tmp_path: Path, kind: str, compression: str | None) -> None:
    """Any type of number, white or black as zero, in colour, its planes mixed or apart."""
    grey, white = levels(kind)
    colour = np.stack([grey] * 3, -1)
    options: dict[str, Any] = {"compression": compression}
    if kind[0] == ">":
        options["byteorder"] = ">"
    negative = (white - grey.astype(np.float64)).astype(grey.dtype)
    for name, values, more in (
        ("grey", grey, {"photometric": "minisblack"}),
        ("negative", negative, {"photometric": "miniswhite"}),
        ("colour", colour, {"photometric": "rgb"}),
        ("planes", np.moveaxis(colour, -1, 0), {"photometric": "rgb", "planarconfig": "separate"}),
        ("strips", grey, {"photometric": "minisblack", "rowsperstrip": 16}),
    ):
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, values, **options, **more)
        assert_seen(path, name=name)


@pytest.mark.parametrize("kind", ["u1", "i1"])
def test_a_tiff_whose_pages_go_round_in_a_circle(tmp_path: Path, kind: str) -> None:
    """Its pages are counted once, by Pillow and where Pillow does not know the pixels."""
    values, _ = levels(kind)
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(3):
            writer.write(values, photometric="minisblack")
    with tifffile.TiffFile(path) as file:
        starts = [page.offset for page in file.pages]
    data = bytearray(path.read_bytes())
    entries = int.from_bytes(data[starts[2] : starts[2] + 2], "little")
    after = starts[2] + 2 + 12 * entries
    assert data[after : after + 4] == bytes(4)
    data[after : after + 4] = starts[1].to_bytes(4, "little")
    path.write_bytes(data)
    assert len(page_names(path, "a.tif")) == 3
    assert_seen(path, 2)


def test_numbers_below_zero_are_darker_than_zero(tmp_path: Path) -> None:
    values = np.where(sheet() == 255, 32767, np.where(sheet() == 0, -32768, -16384))
    tifffile.imwrite(tmp_path / "a.tif", values.astype(np.int16), photometric="minisblack")
    assert_seen(tmp_path / "a.tif")


TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize(
    ("mode", "compression"),
    [
        *itertools.product(["1", "L", "P", "CMYK", "RGB", "RGBA", "I;16"], ["raw", "tiff_lzw"]),
        # Written by tifffile, which has no LZW of its own.
        ("i2", "raw"),
    ],
)
def test_turned_tiffs(tmp_path: Path, orientation: int, mode: str, compression: str) -> None:
    drawing = Image.fromarray(sheet().astype(np.uint8))
    if mode == "1":
        # No grey: black instead, and that is what is asked for below.
        drawing = drawing.point(lambda level: 255 * (level > 128))
    turn = TURNS[orientation]
    turned = drawing if turn is None else drawing.transpose(turn)
    path = tmp_path / "a.tif"
    if mode == "i2":
        values = (np.asarray(turned).astype(np.float64) / 255 * 32767).astype(np.int16)
        tag = (274, 3, 1, orientation, True)
        tifffile.imwrite(path, values, photometric="minisblack", extratags=[tag])
    else:
        if mode == "I;16":
            turned = Image.fromarray(np.asarray(turned).astype(np.uint16) * 257)
        else:
            turned = turned.convert(mode)
        turned.save(path, compression=compression, tiffinfo={274: orientation})
    wanted = [INK, PAPER, PAPER, INK if mode == "1" else GREY]
    np.testing.assert_allclose(seen(path), wanted, atol=3)
    found = open_image(path, SIDE)
    assert found.size == (40, 56)
    assert ("turned" in found.words) == (orientation > 1)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif"])
def test_what_xmp_says_of_a_turn_is_for_other_programs(tmp_path: Path, suffix: str) -> None:
    """As viewers do it; Pillow's `exif_transpose` turns these."""
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    drawing = Image.fromarray(sheet().astype(np.uint8)).convert("RGB")
    path = tmp_path / f"a.{suffix}"
    if suffix == "png":
        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", xmp.decode())
        drawing.save(path, pnginfo=info)
    else:
        drawing.save(path, quality=95, xmp=xmp)
    with Image.open(path) as image:
        assert image.getexif()[274] == 3
    assert_seen(path)
    assert open_image(path, SIDE).words == ()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif", "tif"])
def test_what_was_turned_is_told(tmp_path: Path, suffix: str) -> None:
    exif = Image.Exif()
    exif[274] = 6
    drawing = Image.fromarray(sheet().astype(np.uint8)).convert("RGB")
    of_suffix: dict[str, dict[str, Any]] = {"jpg": {"quality": 95}, "webp": {"lossless": True}}
    options = of_suffix.get(suffix, {})
    drawing.transpose(Image.Transpose.ROTATE_90).save(
        tmp_path / f"a.{suffix}", exif=exif, **options
    )
    found = open_image(tmp_path / f"a.{suffix}", SIDE)
    assert_seen(tmp_path / f"a.{suffix}")
    assert found.size == (40, 56)
    if suffix != "avif":  # Its reader has turned it before anybody asks.
        assert found.words == ("turned",)


def test_thumbnails_levels_and_masks_are_no_pages(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    page, small = sheet().astype(np.uint8), sheet(255, 20, 28).astype(np.uint8)
    kinds = {"thumbnail": (small, 1), "page": (page, 2), "mask": (small > 0, 4), "plain": (page, 0)}
    for order, count in (
        (("page", "thumbnail") * 3, 3),
        (("thumbnail", "page"), 1),
        (("plain", "thumbnail", "thumbnail"), 1),
        (("plain", "mask", "plain", "mask"), 2),
        # Nothing else is there: whoever wrote it meant pages.
        (("thumbnail", "thumbnail"), 2),
    ):
        with tifffile.TiffWriter(path) as file:
            for kind in order:
                file.write(kinds[kind][0], subfiletype=kinds[kind][1], photometric="minisblack")
        names = page_names(path, "a.tif")
        assert len(names) == count, order
        assert names[0] == ("a.tif" if count == 1 else "a.tif#page=1")
        for index in range(count):
            assert_seen(path, index)
        if "page" in order:
            assert open_image(path, SIDE).size == (40, 56)
            assert "smaller copies" in open_image(path, SIDE).words
        with pytest.raises(UnreadableImageError, match=f"has only {count} pages"):
            open_image(path, SIDE, count)


def test_every_page_of_a_long_tiff_is_its_own(tmp_path: Path) -> None:
    """In any order, while the file is open, and after it was written anew."""
    path = tmp_path / "a.tif"
    for first in (0, 100):
        greys = [Image.new("L", (30, 40), first + number) for number in range(50)]
        greys[0].save(path, save_all=True, append_images=greys[1:])
        for number in (3, 49, 0, 20, 20, 1):
            pixels = decode(path, 16, fit="stretch", page=number)
            assert abs(int(pixels.mean()) - first - number) <= 1


def test_a_tiff_under_another_name(tmp_path: Path) -> None:
    grey, _ = levels("i2")
    tifffile.imwrite(tmp_path / "a.jpg", grey, photometric="minisblack")
    assert_seen(tmp_path / "a.jpg")
    Image.fromarray(sheet().astype(np.uint8)).save(tmp_path / "b.tif", "JPEG", quality=95)
    assert page_names(tmp_path / "b.tif", "b.tif") == ["b.tif"]
    assert_seen(tmp_path / "b.tif")


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_odd_numbers_of_bits_are_read_or_refused(tmp_path: Path, bits: int) -> None:
    """Tifffile needs imagecodecs to write and read them; without it they are refused."""
    path = tmp_path / "a.tif"
    try:
        import imagecodecs  # noqa: F401
    except ImportError:
        Image.new("I;16", (8, 8)).save(path)
        data = bytearray(path.read_bytes())
        at = data.find(struct.pack("<HHI", 258, 3, 1))
        data[at + 8] = bits
        path.write_bytes(data)
        with pytest.raises(UnreadableImageError, match=f"{bits} bits.*doctune.deep.*8 bits"):
            open_image(path, SIDE)
        return
    values = sheet(2**bits - 1).astype(np.uint16)
    tifffile.imwrite(path, values, bitspersample=bits, photometric="minisblack")
    assert_seen(path)


def jpeg_2000(bits: int, channels: int) -> bytes:
    imagecodecs = pytest.importorskip("imagecodecs")
    values = sheet(2**bits - 1).astype(np.uint8 if bits == 8 else np.uint16)
    if channels > 1:
        opaque = np.full_like(values, 2**bits - 1)
        colours = [values] * (1 if channels == 2 else 3)
        values = np.stack([*colours, *[opaque] * (channels % 2 == 0)], -1)
    coded: bytes = imagecodecs.jpeg2k_encode(values, level=0, bitspersample=bits, reversible=True)
    return coded


@pytest.mark.parametrize("bits", [8, 10, 12, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_deep_jpeg_2000(
    tmp_path: Path, bits: int, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jp2").write_bytes(jpeg_2000(bits, channels))
    assert jpeg2000.bits_of(tmp_path / "a.jp2") == bits
    assert_seen(tmp_path / "a.jp2")
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    if bits == 8 or channels == 1:
        assert_seen(tmp_path / "a.jp2")
    else:
        with pytest.raises(UnreadableImageError, match=f"{bits} bits a sample, which needs pip"):
            open_image(tmp_path / "a.jp2", SIDE)


def test_a_deep_jpeg_2000_is_never_shown_wrong(tmp_path: Path) -> None:
    """Also where nothing is installed that could write one: its depth is edited."""
    whole = io.BytesIO()
    Image.fromarray(np.stack([sheet().astype(np.uint8)] * 3, -1)).save(whole, "JPEG2000")
    data = bytearray(whole.getvalue())
    start = data.find(jpeg2000.START) + jpeg2000.FIRST
    for component in range(3):
        data[start + 3 * component] = 12 - 1
    (tmp_path / "a.jp2").write_bytes(data)
    assert jpeg2000.bits_of(tmp_path / "a.jp2") == 12
    try:
        import imagecodecs  # noqa: F401
    except ImportError:
        with pytest.raises(UnreadableImageError, match="12 bits a sample"):
            open_image(tmp_path / "a.jp2", SIDE)


@pytest.mark.parametrize("suffix", ["avif", "j2k", "tga", "jpx", "pcx", "dib", "heic"])
def test_what_else_is_read(tmp_path: Path, suffix: str) -> None:
    drawing = Image.fromarray(sheet().astype(np.uint8)).convert("RGB")
    if suffix == "heic":
        heif = pytest.importorskip("pillow_heif")
        heif.from_pillow(drawing).save(tmp_path / "a.heic", quality=-1)
    else:
        options: dict[str, Any] = {"quality": 100} if suffix == "avif" else {}
        drawing.save(tmp_path / f"a.{suffix}", {"jpx": "JPEG2000"}.get(suffix), **options)
    assert_seen(tmp_path / f"a.{suffix}")


def test_deep_colours_on_a_png(tmp_path: Path) -> None:
    """PNG of 16 bits in colour, which Pillow does not write."""
    values = np.stack([sheet(65535)] * 3, -1).astype(">u2")
    rows = (b"\0" + row.tobytes() for row in values)
    data = png_of(values.shape[1::-1], 16, 2, rows)
    (tmp_path / "a.png").write_bytes(data)
    assert_seen(tmp_path / "a.png")


@pytest.mark.parametrize("form", ["whole", "split off", "fields not listed"])
def test_forms_are_drawn_with_their_fields(tmp_path: Path, form: str) -> None:
    """The field is black where the page is white; each of the two pages has its own."""
    path = write_form(tmp_path / "a.pdf", form, pages=2)
    for page in (0, 1):
        for _ in range(2):
            pixels = decode(path, 100, page=page)
            assert pixels[60, 50].max() < 10, "the field is not drawn"
            assert pixels[60, 10].min() > 250


@pytest.mark.skipif(not shutil.which("pdftoppm"), reason="poppler is not installed")
@pytest.mark.parametrize("form", ["whole", "split off", "fields not listed"])
def test_forms_are_drawn_as_by_poppler(tmp_path: Path, form: str) -> None:
    path = write_form(tmp_path / "a.pdf", form)
    command = ["pdftoppm", "-r", "72", "-gray", "-singlefile", str(path)]
    drawn = subprocess.run(command, capture_output=True, check=True).stdout
    theirs = np.asarray(Image.open(io.BytesIO(drawn)).resize((100, 100)))
    assert np.abs(theirs - decode(path, 100).mean(-1)).mean() < 2


def fax(path: Path, width: int, height: int) -> None:
    """Write a white sheet with a black quarter, a strip at a time."""
    drawing = Image.new("1", (width, height), 1)
    drawing.paste(0, (0, 0, width // 2, height // 2))
    drawing.save(path, compression="group4")


def test_a_sheet_of_the_largest_size_is_read(tmp_path: Path) -> None:
    """More pixels than Pillow allows, 13,300 x 18,800: A0 in 400 dpi."""
    fax(tmp_path / "a0.tif", 13_300, 18_800)
    assert (tmp_path / "a0.tif").stat().st_size < 20_000
    found = open_image(tmp_path / "a0.tif", SIDE)
    assert found.size == (13_300, 18_800)
    assert max(found.image.size) < 200
    assert seen(tmp_path / "a0.tif") == [INK, PAPER, PAPER, PAPER]


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_what_is_too_large_is_refused_by_its_size(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picture, "MOST_PIXELS", 1_000_000)
    Image.new("L", (2000, 600)).save(tmp_path / f"a.{suffix}")
    with pytest.raises(UnreadableImageError, match="2000 x 600 pixels are more than the 1 million"):
        open_image(tmp_path / f"a.{suffix}", SIDE)


@pytest.mark.parametrize("place", [(0, 0), (69, 4), (33, 2)])
@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("unused", [0, 255])
def test_a_drawn_page_is_grey_only_where_no_pixel_has_a_colour(
    place: tuple[int, int], channel: int, unused: int
) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (70, 5, 1), dtype=np.uint8)
    drawn = np.concatenate([*[levels] * 3, np.full_like(levels, unused)], -1)
    grey = pdf._in_grey(drawn)
    assert grey is not None
    np.testing.assert_array_equal(np.asarray(grey), levels[..., 0])
    drawn[*place, channel] ^= 1
    assert pdf._in_grey(drawn) is None


def test_colours_on_a_pdf_are_seen_and_grey_pages_take_no_room_for_them(tmp_path: Path) -> None:
    black = write_form(tmp_path / "a.pdf")
    red = write_form(tmp_path / "b.pdf", field=b"1 0 0 rg 0 0 120 40 re f")
    assert open_image(black, 50).image.mode == "L"
    assert open_image(red, 50).image.mode == "RGB"
    for path, colour in ((black, (0, 0, 0)), (red, (255, 0, 0))):
        pixels = decode(path, 50)
        assert pixels.shape == (50, 50, 3)
        # The middle of the field, which lies at 40, 60 from the lower left of 200 x 200 points.
        np.testing.assert_allclose(pixels[30, 25], colour, atol=3)


MODES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "1": lambda image: image.point(lambda level: 255 * (level > 128)).convert("1"),
    "L": lambda image: image,
    "LA": lambda image: image.convert("LA"),
    "P": lambda image: image.convert("RGB").quantize(4),
    "RGB": lambda image: image.convert("RGB"),
    "RGBA": lambda image: image.convert("RGBA"),
    "I;16": lambda image: Image.fromarray(np.asarray(image).astype(np.uint16) * 257),
    "I": lambda image: Image.fromarray(np.asarray(image).astype(np.int32)),
    "F": lambda image: Image.fromarray((np.asarray(image) / 255).astype(np.float32)),
    "CMYK": lambda image: image.convert("CMYK"),
}


@pytest.mark.parametrize("mode", MODES)
def test_strips_are_reduced_as_the_whole(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Image.fromarray(sheet(255, 301, 411).astype(np.uint8))
    image = MODES[mode](page)
    whole = room.to_grey_or_rgb(image, 411).reduce(5)
    monkeypatch.setattr(room, "STRIP", 5000)
    small = room.to_grey_or_rgb(image, 60)
    assert small.size == whole.size
    np.testing.assert_allclose(np.asarray(small, float), np.asarray(whole, float), atol=2)


def tall_png(kind: str) -> bytes:
    """Write a picture of 301 x 411 pixels."""
    mode = {"clear colour": "RGB", "clear palette": "P"}.get(kind, kind)
    rng = np.random.default_rng(0)
    levels = np.cumsum(rng.integers(-3, 4, (411, 301, 4)), 0)
    if kind.startswith("16 bits"):
        codecs = pytest.importorskip("imagecodecs")
        samples = {"grey": 1, "RGB": 3, "RGBA": 4}[kind.split()[-1]]
        deep = (300 * levels[..., :samples] + 30_000).clip(0, 65535).astype(np.uint16)
        return bytes(codecs.png_encode(deep.squeeze(), level=6))
    pixels = levels.astype(np.uint8)
    image = Image.fromarray(pixels[..., :3]) if mode in ("P", "RGB") else Image.fromarray(pixels)
    image = image.quantize(200) if mode == "P" else image.convert(mode)
    clear = {"clear colour": image.getpixel((5, 5)), "clear palette": 2}.get(kind)
    options: dict[str, Any] = {} if clear is None else {"transparency": clear}
    packed = io.BytesIO()
    image.save(packed, "PNG", **options)
    return packed.getvalue()


def interlace(image: Image.Image) -> bytes:
    """Store a picture in seven passes, which Pillow does not write."""
    values = np.asarray(image)
    if values.dtype == np.uint16:
        values = values.astype(">u2")
    values = values.view(np.uint8).reshape(image.height, image.width, -1)
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
    rows = [
        b"\0" + row.tobytes()
        for left, top, across, down in [*passes, (0, 1, 1, 2)]
        for row in values[top::down, left::across]
        if row.size
    ]
    colours = {"L": 0, "RGB": 2, "LA": 4, "RGBA": 6, "I;16": 0}[image.mode]
    bits = 16 if image.mode == "I;16" else 8
    return png_of(image.size, bits, colours, rows, interlaced=True)


@pytest.mark.parametrize("width", [4, 301])
@pytest.mark.parametrize("mode", ["L", "RGB", "LA", "RGBA", "I;16"])
def test_a_large_interlaced_png_is_added_up_from_its_passes(
    tmp_path: Path, mode: str, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the whole, also where a cell is smaller than a pass's steps, or a pass has no pixels."""
    whole_page = Image.open(io.BytesIO(tall_png("RGBA")))
    page = whole_page.crop((0, 0, width, 411))
    image = page.convert("L" if mode == "I;16" else mode)
    image = MODES["I;16"](image) if mode == "I;16" else image
    (tmp_path / "a.png").write_bytes(interlace(image))
    sizes = (30, 60) if width > 4 else (1,)
    whole = [open_image(tmp_path / "a.png", size) for size in sizes]
    monkeypatch.setattr(png, "LARGE", 1000)
    monkeypatch.setattr(png, "STRIP", 5000)
    added: list[int] = []

    def adding(*args: Any) -> Image.Image:
        added.append(1)
        return add(*args)

    add = room.reduce_scattered
    monkeypatch.setattr(png, "reduce_scattered", adding)
    for size, expected in zip(sizes, whole, strict=True):
        in_passes = open_image(tmp_path / "a.png", size)
        assert (in_passes.size, in_passes.words) == (expected.size, expected.words)
        np.testing.assert_allclose(
            np.asarray(in_passes.image, float), np.asarray(expected.image, float), atol=1
        )
    assert len(added) == len(sizes)


@pytest.mark.parametrize(
    "kind",
    [
        *("L", "LA", "P", "RGB", "RGBA", "clear colour", "clear palette"),
        *("16 bits, grey", "16 bits, RGB", "16 bits, RGBA"),
    ],
)
def test_a_large_png_is_read_in_strips_as_the_whole(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are stored as what differs from the one above; the EXIF data stand behind them."""
    data = tall_png(kind)
    exif = Image.Exif()
    exif[274] = 6
    body = exif.tobytes()[6:]
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body
    chunk += struct.pack(">I", zlib.crc32(chunk[4:]))
    (tmp_path / "a.png").write_bytes(data[:-12] + chunk + data[-12:])
    whole = open_image(tmp_path / "a.png", 30)
    assert whole.words[-1] == "turned"
    read: list[int] = []

    def picture_of(*args: Any) -> Image.Image:
        strip = one_strip(*args)
        read.append(strip.height)
        return strip

    one_strip = png._picture
    monkeypatch.setattr(png, "_picture", picture_of)
    for name, value in (("LARGE", 1000), ("STRIP", 5000), ("PIECE", 300)):
        monkeypatch.setattr(png, name, value)
    in_strips = open_image(tmp_path / "a.png", 30)
    assert len(read) > 20
    assert (in_strips.size, in_strips.words) == (whole.size, whole.words)
    np.testing.assert_allclose(
        np.asarray(in_strips.image, float), np.asarray(whole.image, float), atol=1
    )
    for end, said in ((len(data) // 2, "truncated"), (len(data) - 13, "truncated")):
        (tmp_path / "cut.png").write_bytes(data[:end])
        with pytest.raises(UnreadableImageError, match=said):
            open_image(tmp_path / "cut.png", 30)
