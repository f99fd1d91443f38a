"""Image files of a data set: read and decoded once, pages kept together, faults told."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from doctune.errors import UserError
from src.data import decoded as room
from src.data import reading
from src.data.decode import Pixels, decode, open_at
from src.data.load import load_splits
from tests.data.pictures import CLASSES, names, page, write


def test_a_second_load_reads_and_decodes_nothing(
    tmp_path: Path, data: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path / "images")
    first = load_splits(data())
    opened: list[str] = []
    decoded: list[Any] = []

    def note_open(path: Path, *args: Any) -> Any:
        opened.append(path.name)
        return open_at(path, *args)

    def note_decode(path: Path, *args: Any, **keys: Any) -> Pixels:
        decoded.append(path)
        return decode(path, *args, **keys)

    monkeypatch.setattr(reading, "open_at", note_open)
    monkeypatch.setattr(room, "decode", note_decode)
    np.testing.assert_array_equal(load_splits(data()).test.images, first.test.images)
    assert not opened + decoded
    # Another size decodes again, but cuts the same images the same way.
    assert names(load_splits(data(img_size=32))) == names(first)
    assert (opened, len(decoded)) == ([], 30)
    # A file that was touched or moved is read, but is the same; a new content is new.
    decoded.clear()
    os.utime(root / "note" / "03.jpg", (1, 1))
    load_splits(data())
    assert not opened + decoded
    shutil.move(root / "note" / "04.png", root / "letter" / "99.png")
    load_splits(data())
    assert not opened
    decoded.clear()
    page(77).save(root / "note" / "03.jpg")
    load_splits(data())
    assert opened == ["03.jpg"]
    assert len(decoded) == 30


def test_pages_of_a_pdf_stay_together(tmp_path: Path, data: Callable[..., Any]) -> None:
    root = write(tmp_path / "images")
    for name in CLASSES:
        sheets = [page(100 + CLASSES.index(name) * 10 + i) for i in range(4)]
        sheets[0].save(root / name / "long.pdf", save_all=True, append_images=sheets[1:])
    splits = load_splits(data())
    for part in names(splits):
        for name in CLASSES:
            pages = {n for n in part if n.startswith(f"{name}/long.pdf")}
            assert pages in (set(), {f"{name}/long.pdf#page={i}" for i in (1, 2, 3, 4)})
    assert sum(map(len, names(splits))) == 42
    assert splits.notes == ()


def spoil(root: Path) -> None:
    """Break three images of a folder."""
    (root / "note" / "00.png").write_bytes((root / "note" / "00.png").read_bytes()[:200])
    (root / "note" / "01.jpg").write_text("no image")
    (root / "letter" / "02.png").unlink()
    (root / "letter" / "02.png").symlink_to("gone")


def test_bad_images_are_listed_or_skipped(tmp_path: Path, data: Callable[..., Any]) -> None:
    spoil(write(tmp_path / "images"))
    with pytest.raises(UserError) as caught:
        load_splits(data())
    told = str(caught.value)
    assert "3 of 30 images cannot be read" in told
    assert "data.on_bad_image=skip" in told
    for line in ("note/00.png: ", "note/01.jpg: no image", "letter/02.png: there is no such file"):
        assert line in told
    splits = load_splits(data(on_bad_image="skip"))
    assert sum(map(len, names(splits))) == 27
    assert "3 of 30 images are left out" in splits.notes[0]
    assert "note/01.jpg" in (tmp_path / "cache" / "bad_images.txt").read_text()
    # A file that was mended meanwhile is taken.
    page(55).save(tmp_path / "images" / "note" / "01.jpg")
    with pytest.raises(UserError, match="2 of 30"):
        load_splits(data())


def test_long_lists_are_cut(tmp_path: Path, data: Callable[..., Any]) -> None:
    root = write(tmp_path / "images")
    for path in sorted(root.glob("*/*"))[:12]:
        path.write_text("no image")
    with pytest.raises(UserError, match=r"\.\.\. all of them are in .*bad_images\.txt") as caught:
        load_splits(data())
    assert str(caught.value).count("no image that can be read") == 10
    assert len((tmp_path / "cache" / "bad_images.txt").read_text().splitlines()) == 12
