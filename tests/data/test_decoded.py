"""Pixels that are put into the cache while files are read for the first time."""

import shutil
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from doctune.errors import UserError
from src.data import decoded, inspection, processes
from src.data.decode import Pixels, decode, open_at, open_image, split_page
from src.data.load import load_splits
from src.data.splits import Splits
from tests.data.forms import write_form, write_text
from tests.data.pictures import page, write


def assert_as_decoded_alone(splits: Splits, root: Path, fit: str = "pad") -> None:
    for part in (splits.train, splits.val, splits.test):
        for name, pixels in zip(part.names, part.images, strict=True):
            file, index = split_page(name)
            alone = decode(root / file, pixels.shape[0], fit=fit, page=index)
            np.testing.assert_array_equal(pixels, alone, name)


def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(path: Path, *_: Any, **__: Any) -> Pixels:
        pytest.fail(f"{path} is decoded again")

    monkeypatch.setattr(decoded, "decode", decode)


def leftovers(cache: Path) -> list[str]:
    return [path.name for path in cache.iterdir() if path.suffix == ".part"]


def add_pages(root: Path) -> None:
    """Add files of several pages, and a copy of one."""
    for number in range(3):
        sheets = [page(100 + 10 * number + i) for i in range(5)]
        sheets[0].save(root / "letter" / f"{number}.tif", save_all=True, append_images=sheets[1:])
        sheets[0].save(root / "note" / f"{number}.pdf", save_all=True, append_images=sheets[1:])
    shutil.copy(root / "note" / "0.pdf", root / "note" / "copy.pdf")


@pytest.mark.parametrize("fit", ["pad", "stretch"])
def test_new_images_are_read_once(
    tmp_path: Path, data: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, fit: str
) -> None:
    root = write(tmp_path / "images")
    add_pages(root)
    monkeypatch.setattr(inspection, "TOGETHER", 2)
    with pytest.MonkeyPatch.context() as patch:
        no_decoding(patch)
        splits = load_splits(data(fit=fit, near_duplicates=False))
    assert_as_decoded_alone(splits, root, fit)
    assert leftovers(tmp_path / "cache") == []


def test_other_sizes_fits_and_images_are_decoded_by_themselves(
    tmp_path: Path, data: Callable[..., Any]
) -> None:
    root = write(tmp_path / "images")
    load_splits(data())
    for fit, size in (("stretch", 24), ("pad", 32), ("stretch", 32)):
        splits = load_splits(data(fit=fit, img_size=size))
        assert splits.train.pixels.shape[1:] == (size, size, 3)
        assert_as_decoded_alone(splits, root, fit)
    for number in range(3):
        page(200 + number).save(root / "note" / f"new-{number}.png")
    (root / "letter" / "02.png").unlink()
    splits = load_splits(data())
    assert sum(map(len, (splits.train, splits.val, splits.test))) == 32
    assert_as_decoded_alone(splits, root)


def test_what_cannot_be_read_leaves_no_gap(
    tmp_path: Path, data: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path / "images")
    add_pages(root)
    (root / "invoice" / "03.jpg").write_text("no image")
    (root / "letter" / "1.tif").write_bytes((root / "letter" / "1.tif").read_bytes()[:-3000])
    (root / "note" / "1.pdf").write_text("%PDF-1.7 nothing")
    with pytest.raises(UserError, match="cannot be read"):
        load_splits(data(near_duplicates=False))
    assert leftovers(tmp_path / "cache") == []
    shutil.rmtree(tmp_path / "cache")
    with pytest.MonkeyPatch.context() as patch:
        no_decoding(patch)
        splits = load_splits(data(on_bad_image="skip", near_duplicates=False))
    assert_as_decoded_alone(splits, root)
    assert sum(map(len, (splits.train, splits.val, splits.test))) >= 30 - 1 + 2 * 5 + 5 + 5


def test_a_file_that_grows_meanwhile_is_decoded_as_it_is_then(
    tmp_path: Path, data: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path / "images")
    add_pages(root)
    counted = inspection._count_pages

    def one_less(*args: Any) -> dict[str, int]:
        return {name: max(1, count - 1) for name, count in counted(*args).items()}

    monkeypatch.setattr(inspection, "_count_pages", one_less)
    assert_as_decoded_alone(load_splits(data(near_duplicates=False)), root)


def test_half_a_file_of_a_killed_process_is_overwritten(
    tmp_path: Path, data: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cache = write(tmp_path / "images"), tmp_path / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inspection, "_read", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        patch.setattr(Path, "unlink", lambda *_, **__: None)
        with pytest.raises(KeyboardInterrupt):
            load_splits(data())
    assert len(leftovers(cache)) == 1
    assert_as_decoded_alone(load_splits(data()), root)
    assert leftovers(cache) == []


def test_a_table_of_some_pages_in_any_order(tmp_path: Path, data: Callable[..., Any]) -> None:
    root = tmp_path / "images"
    folder = write(root / "train").parent / "train"
    add_pages(folder)
    names = [path.relative_to(folder).as_posix() for path in sorted(folder.glob("*/*"))]
    names = [name for name in names if name.endswith(("jpg", "png"))][::-1]
    names += [f"note/{number}.pdf#page={index}" for number in (2, 0, 1) for index in (5, 2)]
    rows = [f"{name},{name.partition('/')[0]}" for name in names]
    (root / "train.csv").write_text("\n".join(["ID,target", *rows]) + "\n")
    splits = load_splits(data(source="csv", near_duplicates=False))
    assert_as_decoded_alone(splits, folder)
    assert sum(map(len, (splits.train, splits.val, splits.test))) == 36


def written(folder: Path) -> list[Path]:
    """Write pictures of all kinds that are read in ways of their own."""
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 255, (70, 50, 3), np.uint8)).resize((250, 350))
    grey = colour.convert("L")
    exif = Image.Exif()
    exif[274] = 6
    colour.save(folder / "a.jpg", exif=exif)
    grey.save(folder / "b.jpg")
    colour.save(folder / "c.png")
    grey.convert("P").save(folder / "d.gif")
    colour.convert("RGBA").save(folder / "e.webp", lossless=True)
    grey.convert("1").save(folder / "f.tif", compression="group4")
    colour.save(folder / "g.tif", compression="jpeg")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(folder / "h.png")
    Image.fromarray(np.asarray(grey).astype(np.float32) / 255).save(folder / "i.tif")
    colour.save(folder / "j.jp2")
    colour.save(folder / "k.pdf")
    write_text(folder / "l.pdf", [["one line", "another"]])
    write_form(folder / "m.pdf", field=b"1 0 0 rg 0 0 120 40 re f")
    return sorted(folder.iterdir())


def test_several_sizes_of_an_image_are_those_of_each_alone(tmp_path: Path) -> None:
    for path in written(tmp_path):
        for sizes in ((8, 64), (64, 32, 32, 150)):
            together = open_at(path, sizes)
            for size, picture in zip(sizes, together, strict=True):
                alone = open_image(path, size)
                where = f"{path.name} at {size} of {sizes}"
                assert (picture.size, picture.words) == (alone.size, alone.words), where
                assert picture.image.mode == alone.image.mode, where
                assert picture.image.tobytes() == alone.image.tobytes(), where


def test_large_pages_are_read_in_parts_for_each_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in ("levels", "png", "tiff_strips"):
        monkeypatch.setattr(f"src.data.{room}.LARGE", 1000)
        monkeypatch.setattr(f"src.data.{room}.STRIP", 5000)
    test_several_sizes_of_an_image_are_those_of_each_alone(tmp_path)


def described(root: Path, cache: Path) -> dict[str, Any]:
    """Return what is known of each page, and what it looks like instead of the place of that."""
    names = [path.relative_to(root).as_posix() for path in root.rglob("*.*")]
    facts = inspection.inspect_files(root, names, str(cache))
    seen = inspection.seen_file(root, str(cache)).all()
    return {
        f"{name}{suffix}": (replace(page, place=0), seen[page.place].tobytes())
        for name in names
        for suffix, page in facts[name].pages.items()
    }


def test_other_processes_read_what_one_alone_would(
    tmp_path: Path, data: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "images"
    for part, name in ((p, n) for p in ("train", "val", "test") for n in ("form", "text")):
        (root / part / name).mkdir(parents=True)
        if name == "form":
            write_form(root / part / name / "a.pdf", pages=20 if part == "train" else 1)
        else:
            lines = [[f"{part} {page} {line}" for line in range(30)] for page in range(3)]
            write_text(root / part / name / "a.pdf", lines)
    alone = load_splits(data(near_duplicates=False))
    known = described(root, tmp_path / "cache")
    shutil.rmtree(tmp_path / "cache")
    # They are started for as many pages as these.
    monkeypatch.setattr(processes, "PAGE", processes.ALONE / 30)
    monkeypatch.setattr(processes, "cores", lambda: 2)
    monkeypatch.setattr(inspection, "TOGETHER", 4)
    sent: list[str] = []

    class Pool(ProcessPoolExecutor):
        def submit(self, function: Any, /, *args: Any, **keys: Any) -> Any:
            sent.append(function.__name__)
            done = super().submit(function, *args, **keys)
            done.result()
            return done

    monkeypatch.setattr(processes, "ProcessPoolExecutor", Pool)
    splits = load_splits(data(near_duplicates=False))
    assert sent[0] == "int"
    assert "read_pages" in sent
    for ours, theirs in ((splits.train, alone.train), (splits.test, alone.test)):
        np.testing.assert_array_equal(ours.images, theirs.images)
    assert described(root, tmp_path / "cache") == known
