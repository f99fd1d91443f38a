"""How PDFs are opened and drawn: once for many pages, in memory that is kept."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.data import pdf
from tests.data.forms import write_form, write_text


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of files as they are opened."""
    names: list[str] = []
    start = pdf._Document.__init__

    def note(document: Any, path: Path) -> None:
        names.append(path.name)
        start(document, path)

    monkeypatch.setattr(pdf._Document, "__init__", note)
    return names


def grey(path: Path, page: int, side: int) -> np.ndarray[Any, Any]:
    return np.asarray(pdf.draw_page(path, page, [side])[0].image)


def test_a_file_is_opened_once_for_all_its_pages(tmp_path: Path, opened: list[str]) -> None:
    long, short = write_form(tmp_path / "long.pdf", pages=30), write_form(tmp_path / "short.pdf")
    for path, count in ((long, 30), (short, 1)):
        assert pdf.count_pages(path) == count
        for page in range(count):
            assert len(pdf.draw_page(path, page, [40, 80])) == 2
    assert opened == ["long.pdf", "short.pdf"]


def test_it_is_opened_again_when_much_of_it_was_read(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_form(tmp_path / "a.pdf", pages=30)
    first = [grey(path, page, 40) for page in range(30)]
    monkeypatch.setattr(pdf, "BYTES_AN_OPENING", path.stat().st_size // 6)
    opened.clear()
    pdf.close_files()
    for page in range(30):
        np.testing.assert_array_equal(grey(path, page, 40), first[page])
    assert len(opened) == 6


def test_nothing_of_a_page_is_left_for_the_next(tmp_path: Path) -> None:
    black = write_form(tmp_path / "a.pdf", field=b"0 0 0 rg -40 -60 200 200 re f")
    text = write_text(tmp_path / "b.pdf", [["a line"], []])
    alone = [pdf.draw_page(text, page, [side])[0] for page in (0, 1) for side in (50, 300)]
    for number, (page, side) in enumerate((page, side) for page in (0, 1) for side in (50, 300)):
        for large in (60, 400):
            assert grey(black, 0, large)[large // 2, large // 2] == 0
            after = pdf.draw_page(text, page, [side])[0].image
            assert after.tobytes() == alone[number].image.tobytes()
    assert (np.asarray(alone[-1].image) == 255).all()


def test_a_page_in_several_sizes_is_each_alone(tmp_path: Path) -> None:
    for path in (write_text(tmp_path / "a.pdf", [["one", "two"]]), write_form(tmp_path / "b.pdf")):
        for size, both in zip((90, 30), pdf.draw_page(path, 0, [90, 30]), strict=True):
            np.testing.assert_array_equal(np.asarray(both.image), grey(path, 0, size))
            assert max(both.image.size) == size
