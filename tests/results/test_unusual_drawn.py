"""Unusual studies in a real browser and on paper: nothing is dropped, cut or drawn over."""

import base64
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pypdfium2
import pytest
from selenium.webdriver.support.ui import WebDriverWait

from tests.browser import BROWSER, DRIVER, assert_laid_out_on_paper, browser, resize
from tests.results import unusual_studies as unusual
from tests.results.example_study import make_study

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="no chromium with chromedriver here"),
]

LONG = [f"{i}: an agreement between a landlord and many tenants" for i in range(100)]
DRAWN = "return wanted.every(place => place.dataset.drawn === 'done')"
# Texts beside an axis of a plot, with where they lie.
TICKS = """
return [...document.querySelectorAll(`#${arguments[0]} .${arguments[1]}tick text`)].map(text => {
  const box = text.getBoundingClientRect(), plot = document.getElementById(arguments[0]);
  const all = plot.getBoundingClientRect();
  return [text.textContent, box.left - all.left, box.top - all.top, all.right - box.right];
})
"""
NAMED = """
return [...document.querySelectorAll("main text, main th, main .params span")]
  .filter(each => each.textContent.includes(arguments[0])).length
"""


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with browser("dark") as opened:
        yield opened


def show(driver: Any, page: str, file: Path, plots: Sequence[str] = ()) -> None:
    """Open a page and draw these plots, or all; those that are on the screen draw themselves."""
    file.write_text(page, encoding="utf-8")
    driver.get(file.as_uri())
    chosen = "places.filter(p => !arguments[0].length || arguments[0].includes(p.id))"
    driver.execute_script(f"globalThis.wanted = {chosen}; wanted.forEach(draw)", plots)
    WebDriverWait(driver, 60).until(lambda at: at.execute_script(DRAWN))


def texts(driver: Any, plot: str, axis: str) -> Sequence[tuple[str, float, float, float]]:
    found: Sequence[tuple[str, float, float, float]] = driver.execute_script(TICKS, plot, axis)
    return found


# As test_unusual_studies has it of names, parameters and models, without a browser.
@pytest.mark.thorough
def test_classes_called_by_numbers_over_several_models(driver: Any, tmp_path: Path) -> None:
    classes = [str(i) for i in range(12)]
    resize(driver, 1200, 900)
    page = unusual.page_of(unusual.several_models(), tmp_path, classes)
    own = [f"parallel-{model}" for model in (1, 2, 3)]
    show(driver, page, tmp_path / "a.html", ["confusion", "slice-1", *own])
    for axis in "xy":
        assert [text for text, *_ in texts(driver, "confusion", axis)] == classes
    hovers = driver.execute_script("return document.getElementById('confusion').data[0].hovertext")
    assert hovers[11][0] == "11<br>taken for 0: 8 (66.7 %)"
    # Each model has its own lines, over all that was searched for it.
    for plot in own:
        axes = {text for text, *_ in texts(driver, plot, "x")}
        assert axes == {"lr", "batch_size", "drop_rate"}
    assert {text for text, *_ in texts(driver, "slice-1", "x")} == set(unusual.MODELS)
    assert driver.get_log("browser") == []


# As test_unusual_studies has it without a browser.
@pytest.mark.thorough
def test_a_hundred_long_names_and_a_search_over_days(driver: Any, tmp_path: Path) -> None:
    page = unusual.page_of(unusual.resumed_over_days(), tmp_path, LONG)
    file = tmp_path / "b.html"
    resize(driver, 1200, 900)
    show(driver, page, file, ["confusion", "timeline"])
    shown = texts(driver, "confusion", "y")
    assert [text for text, *_ in shown] == [text for text, *_ in texts(driver, "confusion", "x")]
    assert len({text for text, *_ in shown}) == 100
    assert all(left >= 0 for _, left, _, _ in shown)
    tops = sorted(top for _, _, top, _ in shown)
    assert min(b - a for a, b in itertools.pairwise(tops)) > 11
    # The worst ones are told with their whole names.
    body = driver.execute_script("return document.getElementById('mistakes').innerText")
    assert f"{LONG[99]} taken for {LONG[0]}" in " ".join(body.split())
    # The workers' bars fill the plot.
    widths = driver.execute_script(
        "return [...document.querySelectorAll('#timeline .points path')]"
        ".map(bar => bar.getBoundingClientRect().width)"
    )
    assert len(widths) == 13
    assert min(widths) > 20
    assert driver.get_log("browser") == []
    resize(driver, 390, 800)
    overflow = "return document.documentElement.scrollWidth - window.innerWidth"
    WebDriverWait(driver, 20).until(lambda at: at.execute_script(overflow) <= 0)


# As test_report has it of fewer names, but for what is in the PDF.
@pytest.mark.thorough
def test_a_page_that_prints(driver: Any, tmp_path: Path) -> None:
    keys = " ".join(f"search_space.x{i}.low=1" for i in range(30))
    page = unusual.page_of(make_study(complete=9, pruned=3), tmp_path, LONG[:12])
    page = page.replace(">python -m src.train<", f">python -m src.train {keys} last=1<")
    # A wide screen, on which plots are drawn wider than paper.
    resize(driver, 1600, 900)
    show(driver, page, tmp_path / "c.html")
    # Or its head would stand again on a second page; and whether a canvas becomes a picture or
    # text, a browser decides anew each time.
    driver.execute_script("limit = 3; rows(); table.style.breakInside = 'avoid'")
    driver.execute_script("document.getElementById('parallel-box').remove()")
    # What would be cut is left out of a PDF: two headers, a list and two plots name this one.
    named = driver.execute_script(NAMED, "batch_size")
    assert named == 5
    data = driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"]
    pdf = pypdfium2.PdfDocument(base64.b64decode(data))
    printed = " ".join(part.get_textpage().get_text_range() for part in pdf)
    assert printed.count("batch_size") == named
    assert LONG[11][:30] in printed
    assert "last=1" in printed
    assert_laid_out_on_paper(driver)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "screen"})
    driver.execute_script("window.dispatchEvent(new Event('afterprint'))")
    resize(driver, 1200, 900)
    wide = "return document.querySelector('#history .main-svg').getBoundingClientRect().width"
    WebDriverWait(driver, 20).until(lambda at: at.execute_script(wide) > 800)
    assert driver.get_log("browser") == []
