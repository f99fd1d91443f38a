"""Large TIFFs that are read some strips or tiles at a time, beside the same read as a whole."""

import io
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from src.data import levels, one_strip, tiff_strips
from src.data.decode import UnreadableImageError, open_image

# Width, height: whole blocks of 5 x 5, also turned, but of no strip or tile.
SIZE = (300, 410)


def drawing(mode: str) -> Image.Image:
    rng = np.random.default_rng(0)
    noise = np.cumsum(rng.integers(-3, 4, (SIZE[1], SIZE[0], 4)), 0)
    values = (noise + np.arange(SIZE[0])[:, None] / 2).astype(np.uint8)
    if mode == "1":
        return Image.fromarray(values[..., 0]).point(lambda level: 255 * (level > 128)).convert("1")
    if mode == "P":
        return Image.fromarray(values[..., :3]).quantize(200)
    if mode == "CMYK":
        return Image.merge("CMYK", [Image.fromarray(values[..., each]) for each in range(4)])
    return Image.fromarray(values).convert(mode)


def compare(path: Path, monkeypatch: pytest.MonkeyPatch, parts: int = 8) -> None:
    """Read it whole, then in strips."""
    whole = open_image(path, 30)
    read: list[int] = []
    small = tiff_strips._small

    def counted(*args: Any) -> Image.Image:
        read.append(1)
        return small(*args)

    with monkeypatch.context() as patch:
        patch.setattr(tiff_strips, "_small", counted)
        patch.setattr(tiff_strips, "LARGE", 1000)
        patch.setattr(levels, "STRIP", 5000)
        patch.setattr(tiff_strips, "STRIP", 5000)
        in_strips = open_image(path, 30)
    assert len(read) >= parts
    assert (in_strips.size, in_strips.words) == (whole.size, whole.words)
    apart = np.asarray(in_strips.image, float) - np.asarray(whole.image, float)
    assert np.abs(apart).max() <= 1


@pytest.mark.parametrize(
    ("mode", "compression"),
    [
        *[("RGB", kind) for kind in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")],
        *[("1", "group4"), ("1", "group3"), ("1", None), ("L", "jpeg"), ("P", "tiff_lzw")],
        *[("RGBA", None), ("RGBA", "tiff_lzw"), ("CMYK", "jpeg"), ("CMYK", None), ("LA", None)],
    ],
)
def test_strips_are_read_as_the_whole(
    tmp_path: Path, mode: str, compression: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every packing, and turned: the strips are of the page as it lies in the file."""
    exif = Image.Exif()
    exif[274] = 6
    options: dict[str, Any] = {"exif": exif} | ({"strip_size": 6000} if compression else {})
    if mode == "1":
        exif[278] = 16
    drawing(mode).save(tmp_path / "a.tif", compression=compression, **options)
    compare(tmp_path / "a.tif", monkeypatch)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "jpeg"])
def test_tiles_are_read_as_the_whole(
    tmp_path: Path, compression: str | None, byteorder: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if compression not in (None, "zlib"):
        pytest.importorskip("imagecodecs")
    values = np.asarray(drawing("RGB"))
    options: dict[str, Any] = {"predictor": True} if compression in ("zlib", "lzw") else {}
    tifffile.imwrite(
        tmp_path / "a.tif",
        values,
        byteorder=byteorder,
        photometric="rgb",
        tile=(48, 64),
        compression=compression,
        **options,
    )
    compare(tmp_path / "a.tif", monkeypatch)


@pytest.mark.parametrize(("byteorder", "large"), [("<", True), (">", False)])
def test_deep_colours_and_large_files(
    tmp_path: Path, byteorder: Any, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """16 bits a sample in either order, and offsets of 64 bits."""
    values = np.asarray(drawing("RGB")).astype(np.uint16) * 257
    tifffile.imwrite(
        tmp_path / "a.tif",
        values,
        byteorder=byteorder,
        photometric="rgb",
        rowsperstrip=17,
        bigtiff=large,
    )
    compare(tmp_path / "a.tif", monkeypatch)


def test_a_plain_page_in_one_strip_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.asarray(drawing("RGB"))
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", rowsperstrip=SIZE[1])
    compare(tmp_path / "a.tif", monkeypatch)


def noise(mode: str) -> Image.Image:
    """Return what is packed to more than it was."""
    values = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
    return Image.fromarray(values).convert(mode)


def paper(mode: str) -> Image.Image:
    """Return what is packed to next to nothing: codes stand for ever more."""
    return Image.new(mode, SIZE, (200, 210, 220) if mode == "RGB" else 200)


@pytest.mark.parametrize("of", [drawing, noise, paper])
@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1"])
@pytest.mark.parametrize(
    ("compression", "predictor"),
    [("tiff_lzw", 1), ("tiff_lzw", 2), ("tiff_adobe_deflate", 2), ("tiff_deflate", 1)],
)
def test_one_strip_is_unpacked_in_pieces(
    tmp_path: Path,
    of: Callable[[str], Image.Image],
    mode: str,
    compression: str,
    predictor: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tags = {317: predictor, 274: 6, 278: SIZE[1]}
    if mode in ("P", "1"):
        tags[317] = 1
    page = of("L" if mode == "1" else mode)
    page = page.point(lambda level: 255 * (level > 128)).convert("1") if mode == "1" else page
    page.save(tmp_path / "a.tif", compression=compression, tiffinfo=tags, strip_size=10**9)
    with Image.open(tmp_path / "a.tif") as image:
        assert len(image.tag_v2[273]) == 1  # type: ignore[attr-defined]
    monkeypatch.setattr(one_strip, "PIECE", 3000)
    compare(tmp_path / "a.tif", monkeypatch)


def test_one_strip_of_deep_colours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.asarray(drawing("RGB")).astype(np.uint16) * 257
    tifffile.imwrite(
        tmp_path / "a.tif",
        values,
        byteorder=">",
        photometric="rgb",
        rowsperstrip=SIZE[1],
        compression="zlib",
        predictor=True,
    )
    monkeypatch.setattr(one_strip, "PIECE", 3000)
    compare(tmp_path / "a.tif", monkeypatch)


def lzw(codes: Sequence[tuple[int, int]]) -> bytes:
    """Pack codes of so many bits."""
    bits = "".join(f"{code:0{width}b}" for code, width in codes)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8)


CLEAR, END = (256, 9), (257, 9)


def test_codes_are_cut_where_the_table_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    """258 repeats the first two bytes; a code may repeat itself."""
    monkeypatch.setattr(one_strip, "PIECE", 1)
    codes = [CLEAR, (65, 9), (66, 9), (258, 9), CLEAR, CLEAR, (67, 9), (258, 9), (259, 9), END]
    packed = b"head" + lzw(codes)
    found = list(one_strip.unpacked(io.BytesIO(packed), 4, len(packed) - 4, one_strip.LZW))
    assert found == [b"ABAB", b"CCCCCC"]


@pytest.mark.parametrize(
    "codes",
    [[(65, 9), (66, 9), END], [CLEAR, (65, 9), (260, 9), END], [CLEAR, *[(65, 9)] * 5000]],
    ids=["not cleared at first", "repeats what is not there", "not cleared in time"],
)
def test_codes_that_are_none_are_left_to_the_reader_of_the_whole(
    codes: list[tuple[int, int]],
) -> None:
    packed = lzw(codes)
    with pytest.raises(one_strip.CannotBeCutError):
        list(one_strip.unpacked(io.BytesIO(packed), 0, len(packed), one_strip.LZW))


def test_a_page_that_cannot_be_cut_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing("RGB").save(tmp_path / "a.tif", compression="tiff_lzw", strip_size=10**9)
    whole = open_image(tmp_path / "a.tif", 30)
    monkeypatch.setattr(tiff_strips, "LARGE", 1000)
    monkeypatch.setattr(one_strip, "MOST", 1)
    monkeypatch.setattr(one_strip, "_BITS", one_strip._BITS[:1])
    monkeypatch.setattr(one_strip, "_STARTS", one_strip._STARTS[:1])
    assert open_image(tmp_path / "a.tif", 30).image.tobytes() == whole.image.tobytes()


def test_one_strip_that_is_cut_off_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for compression in ("tiff_lzw", "tiff_adobe_deflate"):
        path = tmp_path / f"{compression}.tif"
        drawing("RGB").save(path, compression=compression, strip_size=10**9)
        with Image.open(path) as image:
            tags: Any = image.tag_v2  # type: ignore[attr-defined]
            count = tags[279][0]
        stored = path.read_bytes()
        entry = struct.pack("<HHL", 279, 4, 1)
        assert entry + struct.pack("<L", count) in stored
        cut = entry + struct.pack("<L", count // 2)
        path.write_bytes(stored.replace(entry + struct.pack("<L", count), cut))
        monkeypatch.setattr(tiff_strips, "LARGE", 1000)
        with pytest.raises(UnreadableImageError):
            open_image(path, 30)


@pytest.mark.parametrize("mode", ["L", "RGB", "YCbCr"])
def test_one_jpeg_is_read_smaller(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As scanners pack colour pages; its tables stand apart from it."""
    exif = Image.Exif()
    exif[274] = 6
    smooth = Image.fromarray(np.asarray(drawing("RGB").reduce(20))).resize(SIZE).convert(mode)
    smooth.save(tmp_path / "a.tif", compression="jpeg", quality=90, strip_size=10**9, exif=exif)
    whole = open_image(tmp_path / "a.tif", 30)
    monkeypatch.setattr(tiff_strips, "LARGE", 1000)
    loaded: list[tuple[int, int]] = []

    def counted(image: Image.Image, wanted: int) -> Image.Image:
        loaded.append(image.size)
        return levels.to_grey_or_rgb(image, wanted)

    monkeypatch.setattr(tiff_strips, "to_grey_or_rgb", counted)
    small = open_image(tmp_path / "a.tif", 30)
    assert len(loaded) == 1
    assert loaded[0][0] < SIZE[0]
    assert (small.size, small.words) == (whole.size, ("turned",))
    same = whole.image.resize(small.image.size)
    assert np.abs(np.asarray(small.image, float) - np.asarray(same, float)).mean() < 3


def test_a_page_of_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = drawing("RGB"), drawing("RGB").transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second], compression="tiff_lzw")
    monkeypatch.setattr(tiff_strips, "LARGE", 1000)
    monkeypatch.setattr(tiff_strips, "STRIP", 5000)
    for page, image in enumerate((first, second)):
        found = np.asarray(open_image(tmp_path / "a.tif", 30, page).image, float)
        factor = SIZE[0] // 60
        np.testing.assert_allclose(found, np.asarray(image.reduce(factor), float), atol=1)


def test_a_truncated_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff_strips, "LARGE", 1000)
    drawing("RGB").save(tmp_path / "a.tif", compression="tiff_lzw", strip_size=6000)
    data = (tmp_path / "a.tif").read_bytes()
    # The directory stands at the end of what libtiff writes; what was cut is what lies before.
    (tmp_path / "cut.tif").write_bytes(
        data[:8] + bytes(len(data) // 2) + data[8 + len(data) // 2 :]
    )
    with pytest.raises(UnreadableImageError):
        open_image(tmp_path / "cut.tif", 30)
