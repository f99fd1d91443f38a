"""Files of every kind, written here, to pixels; and whole sources of them, streamed."""

import io
import subprocess
import sys
import threading
import tracemalloc
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from doctune.errors import UserError
from src.data import stream
from src.data.decode import (
    Pixels,
    UnreadableImageError,
    decode,
    decode_sized,
    page_names,
    split_page,
)
from src.data.files import image_files, path_inside
from src.data.stream import stream_images
from src.data.threads import AHEAD
from tests.conftest import REPOSITORY


def picture(width: int = 64, height: int = 64) -> Image.Image:
    """Return a picture that is red at the top left, green right of it, blue and grey below."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2] = (200, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 200, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 200)
    pixels[height // 2 :, width // 2 :] = (90, 90, 90)
    return Image.fromarray(pixels)


def corners(pixels: Pixels) -> list[tuple[int, ...]]:
    """Return the colours in the middle of the four quarters."""
    quarter = len(pixels) // 4
    return [
        tuple(pixels[y, x].tolist()) for y in (quarter, 3 * quarter) for x in (quarter, 3 * quarter)
    ]


COLOURS = [(200, 0, 0), (0, 200, 0), (0, 0, 200), (90, 90, 90)]


def assert_close(found: Sequence[tuple[int, ...]], wanted: Sequence[tuple[int, ...]]) -> None:
    np.testing.assert_allclose(np.array(found), np.array(wanted), atol=6)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "bmp", "gif", "jp2"])
@pytest.mark.parametrize("size", [16, 100])
def test_formats(tmp_path: Path, suffix: str, size: int) -> None:
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True} if suffix == "webp" else {"quality": 95} if suffix == "jpg" else {}
    picture().save(path, **options)
    pixels = decode(path, size)
    assert pixels.shape == (size, size, 3)
    assert pixels.dtype == np.uint8
    assert_close(corners(pixels), COLOURS)


def cmyk(path: Path) -> None:
    picture().convert("CMYK").save(path.with_suffix(".jpg"), quality=95)


def palette(path: Path) -> None:
    picture().quantize(8).save(path.with_suffix(".png"))


def alpha(path: Path) -> None:
    image = picture().convert("RGBA")
    image.paste((7, 7, 7, 0), (32, 32, 64, 64))
    image.save(path.with_suffix(".png"))


def transparent_palette(path: Path) -> None:
    image = picture().quantize(8)
    grey = image.getpixel((60, 60))
    image.save(path.with_suffix(".png"), transparency=grey)


@pytest.mark.parametrize(
    ("write", "last"),
    [(cmyk, 90), (palette, 90), (alpha, 255), (transparent_palette, 255)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_colour_modes(tmp_path: Path, write: Callable[[Path], None], last: int) -> None:
    write(tmp_path / "a.x")
    pixels = decode(next(tmp_path.iterdir()), 32)
    assert_close(corners(pixels), [*COLOURS[:3], (last, last, last)])


GREY = np.repeat(np.repeat(np.array([[0, 255], [64, 191]]), 8, 0), 8, 1)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("eight.png", GREY.astype(np.uint8)),
        ("sixteen.png", (GREY * 257).astype(np.uint16)),
        ("sixteen.tif", (GREY * 257).astype(np.uint16)),
        ("thirty-two.tif", (GREY * 257).astype(np.int32)),
        ("small-numbers.tif", GREY.astype(np.int32)),
        ("share.tif", (GREY / 255).astype(np.float32)),
        ("float.tif", GREY.astype(np.float32)),
    ],
)
def test_grey_levels_of_any_depth(tmp_path: Path, name: str, values: Pixels) -> None:
    Image.fromarray(values).save(tmp_path / name)
    found = decode(tmp_path / name, 16)
    assert_close(corners(found), [(0,) * 3, (255,) * 3, (64,) * 3, (191,) * 3])


def test_black_and_white(tmp_path: Path) -> None:
    Image.fromarray(GREY > 100).save(tmp_path / "fax.tif", compression="group4")
    found = decode(tmp_path / "fax.tif", 16)
    assert_close(corners(found), [(0,) * 3, (255,) * 3, (0,) * 3, (255,) * 3])


def test_reading_side_by_side_leaves_warnings_as_they_were(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture().save(path := tmp_path / "a.png")
    both, left, opened = threading.Barrier(2), threading.Event(), Image.open

    def side_by_side(file: Any) -> Image.Image:
        # The one that came last is done first.
        if both.wait(20):
            left.wait(20)
        return opened(file)

    def read(_: int) -> None:
        decode(path, 16)
        left.set()

    monkeypatch.setattr(Image, "open", side_by_side)
    before = list(warnings.filters)
    with ThreadPoolExecutor(2) as pool:
        assert len(list(pool.map(read, range(2)))) == 2
    assert list(warnings.filters) == before


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotation(tmp_path: Path, orientation: int) -> None:
    """What a viewer shows is the upright picture, whichever way the camera was held."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    image = picture(96, 64)
    if orientation in undo:
        image = image.transpose(undo[orientation])
    exif = Image.Exif()
    exif[0x0112] = orientation
    image.save(tmp_path / "a.jpg", quality=95, exif=exif)
    assert_close(corners(decode(tmp_path / "a.jpg", 32, fit="stretch")), COLOURS)


def test_broken_exif_data_are_not_told(tmp_path: Path) -> None:
    # Of five entries that are announced none is there.
    broken = b"Exif\0\0II*\0\x08\0\0\0\x05\0"
    picture().save(tmp_path / "a.jpg", exif=broken)
    with pytest.warns(UserWarning, match="EXIF"):
        Image.open(tmp_path / "a.jpg").getexif()
    # As a program of its own: pytest forgets what was set while it looked for tests.
    code = "import sys, pathlib, src.data.decode as d; d.decode(pathlib.Path(sys.argv[1]), 8)"
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code, str(tmp_path / "a.jpg")],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr


def test_pad_keeps_the_shape_on_white_and_stretch_fills(tmp_path: Path) -> None:
    picture(80, 40).save(tmp_path / "a.png")
    padded = decode(tmp_path / "a.png", 40)
    assert (padded[:9] == 255).all()
    assert (padded[31:] == 255).all()
    assert (padded[13:17, 3:15] == (200, 0, 0)).all()
    assert_close(corners(decode(tmp_path / "a.png", 40, fit="stretch")), COLOURS)


def pdf(path: Path, *images: Image.Image) -> Path:
    """Write the images as the pages of a file."""
    images[0].save(path, save_all=True, append_images=images[1:])
    return path


def test_pages_of_a_pdf_and_a_tiff(tmp_path: Path) -> None:
    for name in ("a.pdf", "a.tiff"):
        blue, black = (Image.new("RGB", (64, 64), colour) for colour in ((0, 0, 200), (0, 0, 0)))
        path = pdf(tmp_path / name, picture(), blue, black)
        names = page_names(path, f"in/{name}")
        assert names == [f"in/{name}#page={number}" for number in (1, 2, 3)]
        assert split_page(names[1]) == (f"in/{name}", 1)
        assert_close(corners(decode(path, 32, page=0)), COLOURS)
        assert_close(corners(decode(path, 32, page=1)), [(0, 0, 200)] * 4)
        with pytest.raises(UnreadableImageError):
            decode(path, 32, page=3)
    assert page_names(pdf(tmp_path / "one.pdf", picture()), "one.pdf") == ["one.pdf#page=1"]
    assert page_names(pdf(tmp_path / "one.tif", picture()), "one.tif") == ["one.tif"]


def broken_files(folder: Path) -> list[str]:
    """Write files that cannot be read, and return their names."""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 90, 3), dtype=np.uint8))
    for suffix in ("jpg", "png", "tif", "webp", "bmp"):
        whole = io.BytesIO()
        noise.save(whole, {"jpg": "jpeg", "tif": "tiff"}.get(suffix, suffix))
        (folder / f"cut.{suffix}").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    (folder / "text.jpg").write_text("no image")
    (folder / "empty.png").touch()
    (folder / "text.pdf").write_text("%PDF-1.7 nothing")
    return sorted(path.name for path in folder.iterdir())


def test_broken_files_are_told_with_their_name(tmp_path: Path) -> None:
    for name in [*broken_files(tmp_path), "missing.jpg"]:
        with pytest.raises(UnreadableImageError) as caught:
            decode(tmp_path / name, 32, name=f"x/{name}")
        assert caught.value.name == f"x/{name}"
        assert str(caught.value).startswith(f"x/{name}: ")
        assert caught.value.reason
    with pytest.raises(UnreadableImageError, match="no such file"):
        decode(tmp_path / "missing.jpg", 32)


def test_a_folder_is_streamed_in_order_with_its_errors(tmp_path: Path) -> None:
    broken = broken_files(tmp_path)
    (tmp_path / "sub").mkdir()
    picture().save(tmp_path / "sub" / "good.PNG")
    pdf(tmp_path / "two.pdf", picture(), picture())
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / ".hidden.png").touch()
    found = list(stream_images(tmp_path, 24, threads=2))
    good = [name for name, pixels in found if not isinstance(pixels, UnreadableImageError)]
    assert good == ["sub/good.PNG", "two.pdf#page=1", "two.pdf#page=2"]
    assert [name for name, _ in found if name not in good] == broken
    assert image_files(tmp_path) == sorted([*broken, "sub/good.PNG", "two.pdf"])


def test_linked_folders_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    picture().save(tmp_path / "elsewhere" / "a.png")
    root = tmp_path / "root"
    root.mkdir()
    (root / "linked").symlink_to(tmp_path / "elsewhere")
    (root / "circle").symlink_to(root)
    (root / ".ipynb_checkpoints").mkdir()
    picture().save(root / ".ipynb_checkpoints" / "b.png")
    assert image_files(root) == ["linked/a.png"]


def test_a_csv_a_list_and_a_file_are_streamed(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    picture().save(tmp_path / "images" / "a.jpg")
    pdf(tmp_path / "images" / "b.pdf", picture(), picture())
    table = tmp_path / "test.csv"
    table.write_text("target,ID\n0,a.jpg\n0,b.pdf#page=2\n0,gone.png\n")
    found = list(stream_images(table, 24, folder=tmp_path / "images", column="ID"))
    assert [name for name, _ in found] == ["a.jpg", "b.pdf#page=2", "gone.png"]
    assert isinstance(found[2][1], UnreadableImageError)
    table.write_text("ID\nb\na\n")
    found = list(stream_images(table, 24, folder=tmp_path / "images"))
    assert [name for name, _ in found] == ["b#page=1", "b#page=2", "a"]
    assert not any(isinstance(pixels, UnreadableImageError) for _, pixels in found)
    picture().save(tmp_path / "images" / "a.png")
    with pytest.raises(UserError, match=r"'a' may be a\.jpg or a\.png; write it with its suffix"):
        stream_images(table, 24, folder=tmp_path / "images")
    paths = [tmp_path / "images" / name for name in ("b.pdf", "a.jpg")]
    assert len(list(stream_images(paths, 24))) == 3
    assert [name for name, _ in stream_images(paths[0], 24)] == ["b.pdf#page=1", "b.pdf#page=2"]


@pytest.mark.parametrize("name", ["../secret.png", "/etc/passwd", "a/../../b.png", "..\\b.png"])
def test_names_stay_inside_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="leads out of"):
        path_inside(tmp_path, name)
    (tmp_path / "a.csv").write_text(f"ID\n{name}\n")
    with pytest.raises(UserError, match="leads out of"):
        stream_images(tmp_path / "a.csv", 24)
    assert path_inside(tmp_path, "sub/a..b.png") == tmp_path / "sub" / "a..b.png"


def test_sources_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("ID,target\n")
    (tmp_path / "b.csv").write_text("ID;target\na.png;1\n")
    for source, told in [
        (tmp_path / "gone", "no such file or folder"),
        (tmp_path / "a.csv", "no rows"),
    ]:
        with pytest.raises(UserError, match=told):
            stream_images(source, 24)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="no images"):
        stream_images(tmp_path / "empty", 24)
    with pytest.raises(UserError, match="no column 'name', only ID, target"):
        stream_images(tmp_path / "a.csv", 24, column="name")
    with pytest.raises(UserError, match=r"did you mean data\.id_column=target"):
        stream_images(tmp_path / "b.csv", 24, column="targets")


def test_a_stream_runs_a_few_images_ahead_and_no_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(100):
        picture().save(tmp_path / f"{i:03}.bmp")
    started = []

    def counted(path: Path, size: int, **keys: object) -> tuple[Pixels, tuple[int, int]]:
        started.append(path)
        return decode_sized(path, size, **keys)  # type: ignore[arg-type]

    monkeypatch.setattr(stream, "decode_sized", counted)
    tracemalloc.start()
    images = stream_images(tmp_path, 200, threads=2)
    for number, (name, pixels) in enumerate(images):
        assert name == f"{number:03}.bmp"
        assert not isinstance(pixels, UnreadableImageError)
        assert len(started) <= number + 2 * AHEAD
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert number == 99
    assert peak < 40 * 200 * 200 * 3, "more than a few images were in memory"
    # Who stops early leaves no thread behind.
    images = stream_images(tmp_path, 24, threads=2)
    next(images)
    del images
    assert not [thread for thread in threading.enumerate() if "map-ahead" in thread.name]
