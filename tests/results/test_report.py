"""The report: what it says, that it is safe and small, and that a real browser shows all of it."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from plotly.offline import get_plotlyjs

from src.data.load import load_splits
from src.results.html import with_code
from src.results.stored_study import StoredStudy
from src.results.summary import summarize
from src.results.write import write_results
from src.trial.out_of_fold import OutOfFold, log_of
from tests.browser import (
    BROWSER,
    DRIVER,
    PAPER,
    assert_laid_out_on_paper,
    browser,
    draw_all,
    prefer,
    redness_of_paper,
    resize,
)
from tests.results.example_study import make_study, written


def test_nothing_that_is_shown_can_run_and_nothing_is_fetched(
    tmp_path: Path, search_config: Any
) -> None:
    _, page = written(make_study(9, 2, 2), tmp_path, search_config)
    assert "<script>alert(1)" not in page
    assert "<b>name</b>" not in page
    outside = page.split("<script>")[0] + page.split("</script>")[-1]
    assert not re.search(r'(src|href)="(?!data:|#)', outside)


def test_keys_and_commands_in_a_text_are_set_as_code() -> None:
    text = "Set search_space.lr.high=0.03, <b>or</b> 'python -m src.x study=s' more. See 0.5."
    assert with_code(text) == (
        "Set <code>search_space.lr.high=0.03</code>, &lt;b&gt;or&lt;/b&gt; "
        "<code>python -m src.x study=s</code> more. See 0.5."
    )
    named = "Run 'python -m src.x \"study='my study'\"', don't wait."
    assert with_code(named) == (
        "Run <code>python -m src.x &#34;study=&#39;my study&#39;&#34;</code>, don&#39;t wait."
    )


def test_the_defaults_may_be_the_best(tmp_path: Path, search_config: Any) -> None:
    study = make_study(complete=1)
    _, page = written(study, tmp_path, search_config)
    assert "Nothing beats the defaults so far" in page


def test_a_study_that_still_runs_says_so(tmp_path: Path, search_config: Any) -> None:
    _, page = written(make_study(complete=9, running=2), tmp_path, search_config)
    assert "still running</b>, 2 trials in flight" in page


def test_two_thousand_trials_stay_small_on_disk(tmp_path: Path) -> None:
    study = make_study(complete=1200, pruned=800)
    files = write_results(StoredStudy(study, tmp_path))
    plotly_itself = len(get_plotlyjs())
    assert files.report.stat().st_size - plotly_itself < 2_000_000


# Plots, schemes and paper are looked at in test_all_trials, where a page is open already.
@pytest.mark.thorough
@pytest.mark.browser
@pytest.mark.skipif(not (BROWSER and DRIVER), reason="no chromium with chromedriver here")
def test_the_report_in_a_browser(tmp_path: Path, cache_dir: Path, search_config: Any) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    study = make_study(9, 3, 1)
    search_config.data.cache_dir = str(cache_dir)
    best = tmp_path / str(summarize(study).ranked[0].number)
    best.mkdir()
    predictions_with_mistakes(search_config.data).save(best)
    files, _ = written(study, tmp_path, search_config)
    with browser("light") as driver:
        # Or plots would be drawn once more for paper.
        resize(driver, PAPER, 900)
        driver.get(files.report.absolute().as_uri())
        assert not driver.execute_script("return places.every(p => p.dataset.drawn)")
        assert draw_all(driver) == {
            *("folds", "history", "curves", "importances", "contour", "confusion", "timeline"),
            *("slice-1", "slice-2", "slice-3"),
        }
        loaded = "return [...document.images].every(i => i.complete && i.naturalWidth > 0)"
        assert driver.execute_script("return document.images.length") > 0
        assert driver.execute_script(loaded)
        links = driver.find_elements("css selector", "nav a")
        assert len(links) >= 8
        for link in links:
            target = link.get_attribute("href").split("#")[1]
            assert driver.execute_script("return !!document.getElementById(arguments[0])", target)
        driver.execute_script("arguments[0].click()", links[-1])
        moved = "return window.scrollY > 1000"
        WebDriverWait(driver, 20).until(lambda page: page.execute_script(moved))
        assert driver.get_log("browser") == []
        assert redness_of_paper(driver) > 200
        assert_laid_out_on_paper(driver)
        driver.execute_script("window.dispatchEvent(new Event('afterprint'))")
        prefer(driver, "light")
        resize(driver, 390, 800)
        overflow = "return document.documentElement.scrollWidth - window.innerWidth"
        WebDriverWait(driver, 20).until(lambda page: page.execute_script(overflow) <= 0)
        prefer(driver, "dark")
        assert redness_of_paper(driver) < 100
        assert driver.get_log("browser") == []


def predictions_with_mistakes(data: Any) -> OutOfFold:
    """Return predictions for all images that are trained on, a few of them wrong."""
    images = load_splits(data).train
    guessed = np.where(np.arange(len(images)) % 24 == 0, 1, images.labels)
    probabilities = np.eye(len(images.classes), dtype=np.float16)[guessed]
    folds = np.arange(len(images)) % 2
    return OutOfFold(images.rows, images.labels, folds, log_of(probabilities), images.classes)
