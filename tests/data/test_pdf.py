"""How PDFs are opened and drawn: once for many pages, in memory that is kept."""

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from src.data import pdf
from src.data.decode import as_square, decode
from src.data.picture import Picture
from src.data.reading import read_pages
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
            drawn = grey(black, 0, large)
            assert drawn[len(drawn) // 2, len(drawn) // 2] == 0
            after = pdf.draw_page(text, page, [side])[0].image
            assert after.tobytes() == alone[number].image.tobytes()
    assert (np.asarray(alone[-1].image) == 255).all()


def test_a_page_in_several_sizes_is_each_alone(tmp_path: Path) -> None:
    sides = (90, 700, 30, pdf.LEAST, 300)
    for path in (write_text(tmp_path / "a.pdf", [["one", "two"]]), write_form(tmp_path / "b.pdf")):
        for side, one in zip(sides, pdf.draw_page(path, 0, sides), strict=True):
            np.testing.assert_array_equal(np.asarray(one.image), grey(path, 0, side))
            assert side <= max(one.image.size) < 2 * side


def test_a_page_is_drawn_once_for_what_it_looks_like_and_for_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it looks like is the same whatever pixels are wanted, or none."""
    drawn: list[int] = []
    draw = pdf._draw

    def note(page: Any, side: int) -> Any:
        drawn.append(side)
        return draw(page, side)

    monkeypatch.setattr(pdf, "_draw", note)
    path = write_text(tmp_path / "a.pdf", [["a line", "and another"]])
    (alone,) = read_pages(path, [0])
    assert alone.seen is not None
    for size in (48, 224, pdf.LEAST // 2, 384):
        drawn.clear()
        (both,) = read_pages(path, [0], (size, "pad"))
        assert sorted(drawn) == [pdf.LEAST, *([2 * size] if 2 * size > pdf.LEAST else [])]
        assert both.seen is not None
        assert both.seen.tobytes() == alone.seen.tobytes()
        assert both.pixels is not None
        np.testing.assert_array_equal(both.pixels, decode(path, size))


@pytest.mark.parametrize(("size", "gain"), [(224, 1.5), (384, -0.1)])
def test_small_text_is_as_sharp_as_from_twice_the_size(
    tmp_path: Path, size: int, gain: float
) -> None:
    """By decibels nearer to a page drawn in eight times the size than Pillow makes one of twice."""
    lines = ["".join(chr(97 + (7 * row + at) % 26) for at in range(0, 90)) for row in range(50)]
    path = write_text(tmp_path / "a.pdf", [lines])
    twice, eight = (pdf.draw_page(path, 0, [by * size])[0].image for by in (2, 8))
    if 2 * size < pdf.LEAST:
        with pdf._PDFIUM, pdf._OPEN.take(path) as document, closing(document.page(0)) as page:
            twice = pdf._draw(page, 2 * size).image
    found = decode(path, size)[..., 0]
    inside = found[:, (found < 255).any(0)].shape[1]
    assert inside > size / 2

    def error(of: np.ndarray[Any, Any]) -> float:
        wide = round(eight.width * size / eight.height)
        right = np.full((size, size), 255.0)
        left = (size - wide) // 2
        right[:, left : left + wide] = eight.resize((wide, size), Image.Resampling.BICUBIC)
        return float(((right - of) ** 2).mean())

    as_before = as_square(Picture(twice.convert("RGB"), (1, 1)), size, "pad")[..., 0]
    assert 10 * np.log10(error(as_before) / error(found)) >= gain


def test_pages_that_are_read_together_are_each_alone(tmp_path: Path) -> None:
    """In their order, and beside one that cannot be read."""
    path = write_text(tmp_path / "a.pdf", [["one"], [], ["three", "lines", "here"]])
    asked = [2, 7, 0, 1]
    found = read_pages(path, asked, (64, "pad"))
    assert [one.page.fault for one in found] == ["", "it has only 3 pages", "", ""]
    assert [one.page.words for one in found] == [(), (), (), ("blank",)]
    for index, one in zip(asked, found, strict=True):
        (alone,) = read_pages(path, [index], (64, "pad"))
        assert alone.page == one.page
        np.testing.assert_array_equal(alone.seen, one.seen)
        np.testing.assert_array_equal(alone.pixels, one.pixels)
