"""The page's table of all trials, each in full, and the axes to brush, in a real browser."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from omegaconf import OmegaConf
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState
from sklearn.metrics import f1_score

from src.results.beside.page import show_beside
from src.results.in_full import in_full
from src.results.stored_study import StoredStudy
from src.results.summary import summarize
from src.results.write import write_results
from src.trial.out_of_fold import OutOfFold
from tests.benchmarks.report_size import make_study
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
from tests.conftest import PAGES, Compose
from tests.results.test_escaping import hostile_study

TRIALS = 60

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="no chromium with chromedriver here"),
]


def stored_study(folder: Path, trials: int, cache: Path) -> StoredStudy:
    # Of pages that other tests draw as well: wrong labels are looked for among them.
    pages = (PAGES, "data.img_size=32", f"data.cache_dir={cache}")
    storage = InMemoryStorage()
    name = make_study(folder, trials, *pages, storage=storage)
    study = optuna.load_study(study_name=name, storage=storage)
    return StoredStudy(study, folder / "multirun" / name)


@dataclass
class Page:
    """A report that is open, and the study that it tells of."""

    driver: Any
    stored: StoredStudy

    @property
    def trials(self) -> list[FrozenTrial]:
        return self.stored.study.get_trials(deepcopy=False)

    def run(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def click(self, selector: str) -> None:
        self.run("document.querySelector(arguments[0]).click()", selector)

    def until(self, script: str) -> None:
        from selenium.webdriver.support.ui import WebDriverWait

        WebDriverWait(self.driver, 60).until(lambda driver: driver.execute_script(script))

    def column(self, name: str) -> list[str]:
        """Return the cells of a column, as they are shown."""
        found: list[str] = self.run(
            "const heads = [...table.tHead.rows[0].cells].map(head => head.innerText);"
            "const at = heads.indexOf(arguments[0]);"
            "return [...table.tBodies[0].rows].map(row => row.cells[at].innerText)",
            name,
        )
        return found

    def filter(self, words: str) -> set[int]:
        """Type into the filter; return the trials that are left."""
        from selenium.webdriver.common.keys import Keys

        field = self.driver.find_element("id", "filter")
        field.send_keys(Keys.CONTROL, "a")
        field.send_keys(words or Keys.DELETE)
        return set(self.run("return kept.map(i => all.number[i])"))

    def open(self, number: int) -> str:
        """Open a trial; return all that is shown of it."""
        self.run("openTrial(arguments[0])", number)
        self.until(f"return dialog.open && dialog.innerText.includes('Trial {number} ')")
        shown: str = self.run("return dialog.innerText")
        return shown


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Iterator[Page]:
    stored = stored_study(tmp_path_factory.mktemp("search"), TRIALS, cache_dir)
    report = write_results(stored, examples=0).report
    with browser("light") as driver:
        driver.get(report.absolute().as_uri())
        # A place that still moves cannot be clicked.
        driver.execute_script("document.documentElement.style.scrollBehavior = 'auto'")
        yield Page(driver, stored)
        assert driver.get_log("browser") == []


def test_the_table_has_all_trials_the_best_first(page: Page) -> None:
    ranked = summarize(page.stored.study).ranked
    assert page.column("trial")[0].split()[0] == str(ranked[0].number)
    shown = [int(cell.split()[0]) for cell in page.column("trial")]
    assert shown == [trial.number for trial in ranked][: len(shown)]
    assert page.column("f1")[0] == f"{ranked[0].values[0]:.4f}"
    assert page.column("folds")[0] == f"± {statistics.stdev(ranked[0].user_attrs['folds']):.4f}"
    page.click("#more")
    assert len(page.column("trial")) == TRIALS
    pruned = [t for t in page.trials if t.state is TrialState.PRUNED]
    estimates = sorted(t.intermediate_values[max(t.intermediate_values)] for t in pruned)
    at = page.column("state").index("pruned")
    assert page.column("f1")[at] == f"({estimates[-1]:.4f})"


def test_a_click_on_a_head_sorts_both_ways_and_back(page: Page) -> None:
    rates = [trial.params["optimizer.lr"] for trial in page.trials]
    first = page.column("trial")

    def click() -> list[str]:
        head = page.driver.find_element("xpath", "//table[@id='trials-table']//button[.='lr']")
        page.run("arguments[0].click()", head)
        return page.column("lr")

    assert click()[0] == f"{min(rates):.3g}"
    assert click()[0] == f"{max(rates):.3g}"
    click()
    assert page.column("trial") == first


def test_words_filter_the_rows(page: Page) -> None:
    def where(holds: Any) -> set[int]:
        return {trial.number for trial in page.trials if holds(trial)}

    pruned = where(lambda t: t.state is TrialState.PRUNED)
    assert page.filter("pruned") == pruned
    both = where(lambda t: t.params["optimizer.lr"] > 1e-3 and t.params["data.batch_size"] == 32)
    assert page.filter("lr>1e-3 batch_size=32") == both
    assert 0 < len(both) < TRIALS
    high = where(lambda t: t.value is not None and t.value >= 0.75)
    assert page.filter("optimizer.lr>0 f1>=0.75") == high
    assert page.filter("17") == {17}
    assert (
        page.run("return document.getElementById('count').textContent") == f"1 of {TRIALS} trials"
    )
    assert page.filter("lrr>1") == set(range(TRIALS))
    assert page.run("return document.getElementById('count').textContent") == "no column lrr"
    assert page.filter("") == set(range(TRIALS))


def test_dragging_along_the_axis_of_the_score_keeps_the_trials_in_that_range(page: Page) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    canvas = page.driver.find_element("id", "parallel-axes")
    page.run("arguments[0].scrollIntoView({block: 'center'})", canvas)
    width, height = canvas.size["width"], canvas.size["height"]
    scores = {t.number: t.value for t in page.trials if t.value is not None}
    low, high = min(scores.values()), max(scores.values())
    # The last axis is the score's, 62 px from the right; it goes from 44 px below the top to 14 px
    # above the bottom.
    top, length = 44, height - 44 - 14
    across = width - 62 - width / 2
    middle = top + length // 2
    ActionChains(page.driver).move_to_element_with_offset(
        canvas, int(across), int(2 - height / 2)
    ).click_and_hold().move_by_offset(0, middle - 2).release().perform()
    limit = low + (high - low) * (1 - (middle - top) / length)
    page.until(f"return kept.length < {TRIALS}")
    kept = set(page.run("return kept.map(i => all.number[i])"))
    # A pixel's worth of scores to each side may fall either way.
    pixel = 1.5 * (high - low) / length
    assert {n for n, score in scores.items() if score > limit + pixel} <= kept
    assert kept <= {n for n, score in scores.items() if score > limit - pixel}
    page.click("#clear")
    assert page.run("return kept.length") == TRIALS


def test_a_trial_in_full(page: Page) -> None:
    from selenium.webdriver.common.keys import Keys

    best = summarize(page.stored.study).ranked[0]
    page.click(f"tr[data-trial='{best.number}'] td:last-child")
    page.until("return dialog.open")
    shown = page.run("return dialog.innerText")
    lr = best.params["optimizer.lr"]
    for told in (f"{best.value:.4f}", f"{lr:.3g}", "--config-name=train_optimized_", "RTX 4090"):
        assert told in shown
    # Three folds and their mean, of the score and of both losses.
    paths = "return [...dialog.querySelectorAll('svg')].map(s => s.querySelectorAll('path').length)"
    assert page.run(paths) == [4, 8]
    kept = OutOfFold.load(page.stored.folder / str(best.number))
    guessed = kept.probabilities.argmax(1)
    wanted = dict(zip(kept.classes, f1_score(kept.labels, guessed, average=None), strict=True))
    rows = (
        "return [...dialog.querySelectorAll('.f1 tr')].slice(1).map(r => r.innerText.split('\\t'))"
    )
    f1 = {row[0]: float(row[-2]) for row in page.run(rows)}
    assert f1 == pytest.approx(wanted, abs=6e-4)
    assert list(f1.values()) == sorted(f1.values())
    cells = "return [...dialog.querySelectorAll('.matrix td')].map(c => +c.innerText)"
    np.testing.assert_array_equal(page.run(cells), kept.confusion().ravel())
    assert "fold 3 of 3" in shown
    config = page.run("return dialog.querySelector('details pre').textContent")
    assert OmegaConf.create(config).optimizer.lr == pytest.approx(lr)
    # The next one, a link to it, and away.
    page.click("dialog nav button:nth-child(2)")
    second = summarize(page.stored.study).ranked[1].number
    page.until(f"return location.hash === '#trial-{second}'")
    page.driver.find_element("css selector", "dialog h2").send_keys(Keys.ESCAPE)
    page.until("return !dialog.open && !location.hash")


def test_a_trial_that_failed_says_why(page: Page) -> None:
    failed = next(t for t in page.trials if t.state is TrialState.FAIL)
    assert "CUDA error: an illegal memory access" in page.open(failed.number)
    page.run("dialog.close()")


def test_a_point_of_a_plot_opens_its_trial(page: Page) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    page.run("document.getElementById('history').scrollIntoView({block: 'center'})")
    page.until("return document.getElementById('history').dataset.drawn === 'done'")
    point = page.driver.find_elements("css selector", "#history .points path")[-1]
    ActionChains(page.driver).move_to_element(point).pause(0.3).click().perform()
    page.until("return dialog.open && location.hash.startsWith('#trial-')")
    page.run("dialog.close()")


def test_nothing_is_cut_off_on_a_phone(page: Page) -> None:
    resize(page.driver, 390, 800)
    page.open(summarize(page.stored.study).ranked[0].number)
    wide = "return [...arguments].some(e => e.scrollWidth > e.clientWidth + 1)"
    dialog = page.driver.find_element("id", "trial")
    root = page.driver.find_element("css selector", "html")
    assert not page.run(wide, dialog, root)
    page.run("dialog.close()")
    resize(page.driver, 1200, 900)


def test_every_plot_is_drawn_and_fits_on_paper(page: Page) -> None:
    """And the page is dark for whom that is dearer."""
    # Or plots would be drawn once more for paper.
    resize(page.driver, PAPER, 900)
    drawn = draw_all(page.driver)
    plots = {"folds", "history", "curves", "importances", "contour", "confusion", "timeline"}
    assert drawn == plots | {f"slice-{i}" for i in range(1, 5)}
    targets = "return [...document.querySelectorAll('nav a')].map(a => a.hash.slice(1))"
    links = page.run(targets)
    assert len(links) >= 8
    assert page.run("return [...arguments].every(id => document.getElementById(id))", *links)
    assert redness_of_paper(page.driver) > 200
    prefer(page.driver, "dark")
    assert redness_of_paper(page.driver) < 100
    assert_laid_out_on_paper(page.driver)
    page.run("window.dispatchEvent(new Event('afterprint'))")
    prefer(page.driver, "light")
    resize(page.driver, 1200, 900)


@pytest.mark.thorough
def test_what_a_study_holds_is_text_in_every_part(page: Page, tmp_path: Path) -> None:
    report = write_results(StoredStudy(hostile_study(), tmp_path)).report
    before = page.driver.current_url
    page.driver.get(report.absolute().as_uri())
    page.until("return !!window.Plotly")
    page.run("places.forEach(draw)")
    page.until("return places.every(p => p.dataset.drawn === 'done')")
    for number in (0, 5):
        assert "<img src=x" in page.open(number)
    assert page.run("return document.images.length") == 0
    page.driver.get(before)


# What the page says is held in test_beside; the plots of one study are drawn above.
@pytest.mark.thorough
def test_two_studies_beside_one_another(
    page: Page, cache_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = stored_study(page.stored.folder.parents[1], 20, cache_dir)
    show_beside([page.stored, other])
    assert f"of-{TRIALS}" in capsys.readouterr().out
    before = page.driver.current_url
    written = page.stored.folder.parent / f"of-{TRIALS}_and_of-20.html"
    page.driver.get(written.absolute().as_uri())
    page.until("return !!window.Plotly")
    page.run("places.forEach(draw)")
    page.until("return places.every(p => p.dataset.drawn === 'done')")
    names = {"progress", "scores", "importances", *(f"parameter-{i}" for i in range(1, 5))}
    assert set(page.run("return places.map(p => p.id)")) == names
    bests = [summarize(each.study).ranked[0].values[0] for each in (page.stored, other)]
    shown = page.run("return document.body.innerText")
    for best in bests:
        assert f"{best:.4f}" in shown
    leader = f"of-{TRIALS}" if bests[0] > bests[1] else "of-20"
    assert page.run("return document.querySelector('h1').innerText").startswith(leader)
    links = page.run("return [...document.querySelectorAll('th a')].map(a => a.href)")
    assert links == [before.split("#")[0]]
    page.driver.get(before)


PRESETS = ("prototype", "convnext", "precise")


@pytest.mark.parametrize("preset", PRESETS)
def test_the_command_of_a_trial_composes_to_what_it_was_trained_with(
    cfg: Compose, tmp_path: Path, preset: str
) -> None:
    given = [f"hparams_search={preset}", "augment=light", "optuna.n_trials=3"]
    set_by_trial = {"optimizer.lr": 3e-4, "model.drop_rate": 0.07}
    trained = cfg(*given, *(f"{key}={value}" for key, value in set_by_trial.items()))
    study = optuna.create_study()
    model = {"prototype": "tiny", "convnext": "convnext_base", "precise": "tiny"}[preset]
    study.set_user_attr("overrides", given)
    study.set_user_attr("choices", {"model": model})
    sizes = {"batch_size": trained.data.batch_size, "img_size": trained.data.img_size}
    study.add_trial(
        optuna.trial.create_trial(
            value=0.5,
            params=set_by_trial,
            distributions={
                key: optuna.distributions.FloatDistribution(0, 1) for key in set_by_trial
            },
            user_attrs={"workload": sizes},
        )
    )
    stored = StoredStudy(study, tmp_path)
    told = in_full(stored, summarize(study), None, None)["trials"][0]["command"]
    words = told.removeprefix("python -m src.train ").split()
    again = cfg(*words)
    for part in ("model", "data", "augment", "optimizer", "scheduler", "loss", "trainer"):
        ours, theirs = (
            OmegaConf.to_container(each[part], resolve=True) for each in (again, trained)
        )
        assert ours == theirs, part
