"""The small pictures of all pages beside the index."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.data import inspection
from src.data.image_files import find_images
from src.data.small_pages import BYTES, SmallPages
from src.data.spectrum import SIDE
from tests.data.pictures import page, write


def ink(level: int) -> Any:
    return np.full((SIDE, SIDE), level, np.uint8)


def test_pictures_come_back_by_their_places(tmp_path: Path) -> None:
    small = SmallPages(tmp_path / "a.small")
    assert (len(small), len(small.all())) == (0, 0)
    assert [small.add(ink(level)) for level in (3, 5)] == [0, 1]
    assert SmallPages(tmp_path / "a.small").all()[:, 4, 4].tolist() == [3, 5]
    small.clear()
    assert len(small) == 0


def test_half_a_picture_of_a_killed_process_is_passed_over(tmp_path: Path) -> None:
    small = SmallPages(tmp_path / "a.small")
    small.add(ink(3))
    with (tmp_path / "a.small").open("ab") as file:
        file.write(b"x" * (BYTES // 2))
    place = small.add(ink(5))
    assert small.all()[place].tolist() == ink(5).tolist()
    assert small.all()[0].tolist() == ink(3).tolist()


@pytest.mark.parametrize("lost", ["all", "some", "index"])
def test_files_are_read_again_where_one_of_both_is_lost(
    tmp_path: Path, data: Callable[..., Any], lost: str
) -> None:
    root, cache = write(tmp_path / "images"), tmp_path / "cache"
    page(0).save(root / "note" / "copy.bmp")
    first = find_images(data())
    small, index = next(cache.glob("*.small")), next(cache.glob("index-*.json"))
    if lost == "index":
        index.unlink()
    else:
        small.write_bytes(small.read_bytes()[: 0 if lost == "all" else -1])
    for known in cache.glob("same-*.npy"):
        known.unlink()
    again = find_images(data())
    assert again.same.tolist() == first.same.tolist()
    assert len(set(first.same.tolist())) == len(first.names) - 1
    pictures = inspection.small_pages(root, str(cache)).all()
    assert len(pictures) == len(first.names)
    assert sorted(each.small for each in again.pages) == list(range(len(first.names)))
