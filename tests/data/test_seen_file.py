"""What pages look like, beside the index."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.data import inspection
from src.data.image_files import find_images
from src.data.seen_file import SEEN, SeenFile
from tests.data.pictures import page, write


def seen(level: int) -> Any:
    page = np.zeros((), SEEN)
    page["look"], page["waves"], page["ink"] = level, -level, 2 * level
    return page


def test_pages_come_back_by_their_places(tmp_path: Path) -> None:
    file = SeenFile(tmp_path / "a.seen")
    assert (len(file), len(file.all())) == (0, 0)
    assert [file.add(seen(level)) for level in (3, 5)] == [0, 1]
    kept = SeenFile(tmp_path / "a.seen").all()
    assert [page.tobytes() for page in kept] == [seen(3).tobytes(), seen(5).tobytes()]
    file.clear()
    assert len(file) == 0


def test_half_a_page_of_a_killed_process_is_passed_over(tmp_path: Path) -> None:
    file = SeenFile(tmp_path / "a.seen")
    file.add(seen(3))
    with (tmp_path / "a.seen").open("ab") as half:
        half.write(b"x" * (SEEN.itemsize // 2))
    place = file.add(seen(5))
    assert file.all()[place].tobytes() == seen(5).tobytes()
    assert file.all()[0].tobytes() == seen(3).tobytes()


@pytest.mark.parametrize("lost", ["all", "some", "index"])
def test_files_are_read_again_where_one_of_both_is_lost(
    tmp_path: Path, data: Callable[..., Any], lost: str
) -> None:
    root, cache = write(tmp_path / "images"), tmp_path / "cache"
    page(0).save(root / "note" / "copy.bmp")
    first = find_images(data())
    file, index = next(cache.glob("*.seen")), next(cache.glob("index-*.json"))
    if lost == "index":
        index.unlink()
    else:
        file.write_bytes(file.read_bytes()[: 0 if lost == "all" else -1])
    for known in cache.glob("same-*.npy"):
        known.unlink()
    again = find_images(data())
    assert again.same.tolist() == first.same.tolist()
    assert len(set(first.same.tolist())) == len(first.names) - 1
    assert len(inspection.seen_file(root, str(cache))) == len(first.names)
    assert sorted(each.place for each in again.pages) == list(range(len(first.names)))
