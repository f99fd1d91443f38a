"""Files are replaced whole: readers see the old one or the new one, and nothing is left beside."""

from pathlib import Path

import pytest

from doctune.files import replacing, write_text


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    write_text(path, "old ä\n")
    with replacing(path) as part:
        part.write_text("half of the n", encoding="utf-8")
        assert path.read_bytes() == "old ä\n".encode()
    assert path.read_text(encoding="utf-8") == "half of the n"
    assert [found.name for found in tmp_path.iterdir()] == ["table.csv"]


@pytest.mark.parametrize("ended_by", [OSError, KeyboardInterrupt])
def test_what_ends_early_changes_nothing(tmp_path: Path, ended_by: type[BaseException]) -> None:
    path = tmp_path / "table.csv"
    write_text(path, "old")
    with pytest.raises(ended_by), replacing(path) as part:  # noqa: PT012
        part.write_text("half", encoding="utf-8")
        raise ended_by
    assert {found.name: found.read_text() for found in tmp_path.iterdir()} == {"table.csv": "old"}


def test_two_that_write_the_same_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with replacing(path) as first:
        first.write_text("first")
        with replacing(path) as second:
            second.write_text("second")
        assert path.read_text() == "second"
    assert path.read_text() == "first"


def test_under_a_lock_half_a_file_of_a_killed_process_goes(tmp_path: Path) -> None:
    path = tmp_path / "pixels.npy"
    with replacing(path, alone=True) as left:
        # Opened to be created: what a killed process has left is not written on.
        left.open("x").close()
        killed = left
    killed.write_text("half")
    with replacing(path, alone=True) as part:
        assert part == killed
        part.open("x").close()
