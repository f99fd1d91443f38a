"""The files of a study: what stands in them, and the report in a real browser."""

import copy
import csv
import datetime
import io
import math
import re
import shutil
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.samplers import RandomSampler
from optuna.trial import TrialState, create_trial
from plotly.offline import get_plotlyjs
from rich.console import Console

from src.data.load import load_splits
from src.errors import UserError
from src.results.advice import advice
from src.results.confirmation.judge import Confirmation, Contender
from src.results.report import with_code
from src.results.stored_study import StoredStudy
from src.results.summary import summarize
from src.results.tables import print_summary
from src.results.verdict import trial_to_train, verdict
from src.results.write import ResultFiles, write_results
from src.trial import config as config
from src.trial.out_of_fold import OutOfFold
from tests.browser import BROWSER, DRIVER, browser, resize
from tests.conftest import CONF


@pytest.fixture
def search_config() -> Any:
    """Return the config of a search as the sweeper has it."""
    with initialize_config_dir(CONF):
        found = compose(
            "train",
            [
                "hparams_search=fast",
                "model=resnet50",
                "gpu=cpu",
                "data.n_images=480",
                "data.img_size=32",
            ],
            return_hydra_config=True,
        )
    OmegaConf.set_struct(found, False)
    OmegaConf.set_readonly(found.hydra, False)
    return found


DISTRIBUTIONS = {
    "optimizer.lr": FloatDistribution(1e-5, 1e-2, log=True),
    "data.batch_size": CategoricalDistribution([64, 16, 32]),
    "model.drop_rate": FloatDistribution(0, 0.3),
}


def make_study(
    complete: int,
    pruned: int = 0,
    failed: int = 0,
    running: int = 0,
    noise: float = 0.01,
    pruner: str | None = None,
    late: bool = False,
) -> optuna.Study:
    """Return a study in which higher learning rates are better, on three folds."""
    study = optuna.create_study(study_name="<b>name</b>", direction="maximize")
    states = [TrialState.COMPLETE] * complete + [TrialState.PRUNED] * pruned
    states += [TrialState.FAIL] * failed + [TrialState.RUNNING] * running
    rng = np.random.default_rng(1)
    start = datetime.datetime(2026, 1, 1)
    trials = []
    for i, state in enumerate(states):
        lr = float(10 ** rng.uniform(-5, -2)) if i else 1e-5
        score = 0.5 + 0.1 * math.log10(lr / 1e-5)
        folds = [score + noise, score - noise * (i > 0), score]
        attrs: dict[str, Any] = {"worker": f"cpu {i % 2}", "environment": {"torch": "9.9"}}
        if i == 0:
            attrs["defaults"] = True
        if late and state is TrialState.PRUNED:
            attrs["stopped"] = "timeout"
        if pruner:
            attrs["workload"] = {"pruning": {"pruner": pruner, "patience": 3}}
        if state is TrialState.COMPLETE:
            attrs["folds"] = folds
        if state is TrialState.FAIL:
            attrs["error"] = "RuntimeError: <script>alert(1)</script> at sql://me:secret@host"
        steps = 1 if state is TrialState.PRUNED else 4
        trial = create_trial(
            state=state,
            value=sum(folds) / 3 if state is TrialState.COMPLETE else None,
            params={
                "optimizer.lr": lr,
                "data.batch_size": int(rng.choice([16, 32, 64])),
                "model.drop_rate": float(rng.uniform(0, 0.3)),
            },
            distributions=DISTRIBUTIONS,
            intermediate_values={step: score * (step + 1) / 4 for step in range(steps)},
            user_attrs=attrs,
        )
        trial.datetime_start = start + datetime.timedelta(seconds=i)
        ended = state is not TrialState.RUNNING
        trial.datetime_complete = start + datetime.timedelta(seconds=i + 2) if ended else None
        trials.append(trial)
    study.add_trials(trials)
    return study


def written(study: optuna.Study, folder: Path, cfg: Any) -> tuple[ResultFiles, str]:
    """Write the results of a study whose trials have left the records that Hydra leaves."""
    for trial in study.trials:
        record = folder / str(trial.number) / ".hydra"
        record.mkdir(parents=True, exist_ok=True)
        job = copy.deepcopy(cfg)
        for key, value in trial.params.items():
            OmegaConf.update(job, key, value)
            job.hydra.overrides.task.append(f"{key}={value}")
        OmegaConf.save(OmegaConf.create({"hydra": job.pop("hydra")}), record / "hydra.yaml")
        OmegaConf.save(job, record / "config.yaml")
    files = write_results(StoredStudy(study, folder))
    return files, files.report.read_text()


def test_everything_about_a_study(tmp_path: Path, search_config: Any) -> None:
    study = make_study(complete=9, pruned=3, failed=1)
    files, page = written(study, tmp_path, search_config)
    assert files.best_params is not None
    assert files.train_config is not None
    best: Any = OmegaConf.load(files.best_params)
    assert best["optimizer.lr"] == study.best_params["optimizer.lr"]
    rows = list(csv.DictReader(io.StringIO(files.trials.read_text())))
    assert [row["state"] for row in rows] == ["COMPLETE"] * 9 + ["PRUNED"] * 3 + ["FAIL"]
    assert float(rows[0]["value"]) == study.trials[0].value
    assert f"{study.best_value:.4f}" in page
    assert "9.9" in page
    found = summarize(study)
    assert found.epochs == 9 * 4 + 3
    assert found.saved_share == pytest.approx(9 / 48)
    assert set(found.importances) == set(study.best_params)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_what_makes_trials_good_is_important_not_what_makes_them_bad(
    direction: Literal["minimize", "maximize"],
) -> None:
    sampler = optuna.samplers.RandomSampler(seed=1)
    study = optuna.create_study(direction=direction, sampler=sampler)
    sign = 1 if direction == "maximize" else -1
    for _ in range(200):
        trial = study.ask()
        helps, harms = (trial.suggest_float(name, 0, 1) for name in ("helps", "harms"))
        study.tell(trial, sign * (helps - 10 * (harms > 0.9)))
    shares = summarize(study).importances
    assert shares["helps"] > 2 * shares["harms"]


def test_the_train_config_is_complete_and_takes_overrides(
    tmp_path: Path, search_config: Any
) -> None:
    study = make_study(complete=3)
    files, _ = written(study, tmp_path, search_config)
    assert files.train_config is not None
    assert files.command is not None
    text = files.train_config.read_text()
    assert files.command in text
    assert "hparams_search" not in text
    assert re.search(r"lr: [\d.e-]+  # searched: 1e-05 to 0.01, log scale", text)
    assert "n_images: 480  # given on the command line" in text

    def trains(*overrides: str) -> Any:
        with initialize_config_dir(str(tmp_path)):
            directory = f"hydra.searchpath=[file://{CONF}]"
            return compose(files.train_config.stem, [directory, *overrides])  # type: ignore[union-attr]

    found, plain = (
        trains(),
        compose_plain("model=resnet50", "gpu=cpu", "data.n_images=480", "data.img_size=32"),
    )
    for key, value in study.best_params.items():
        assert OmegaConf.select(found, key) == value
        OmegaConf.update(plain, key, value)
    for section in (
        "model",
        "data",
        "augment",
        "optimizer",
        "scheduler",
        "loss",
        "trainer",
        "seed",
    ):
        assert found[section] == plain[section], section
    assert trains("model=convnext_tiny").model.name == "convnext_tiny"
    assert trains("optimizer.lr=1").optimizer.lr == 1
    assert trains("gpu=rtx3070").trainer.precision == compose_plain("gpu=rtx3070").trainer.precision


def compose_plain(*overrides: str) -> Any:
    with initialize_config_dir(CONF):
        return compose("train", list(overrides))


def test_a_trials_config_is_typed_and_searches_no_more(tmp_path: Path, search_config: Any) -> None:
    study = make_study(complete=3)
    search_config.optuna.storage = "postgresql://me:secret@host/db"
    written(study, tmp_path, search_config)
    config = StoredStudy(study, tmp_path).trial_config(2)
    assert config.optimizer.lr == study.trials[2].params["optimizer.lr"]
    assert config.quick_validation.folds == 3
    assert not config.optuna.enabled
    assert not config.search_space
    assert "secret" not in OmegaConf.to_yaml(config, resolve=True)
    with pytest.raises(UserError, match="no trial 3"):
        StoredStudy(study, tmp_path).trial_config(3)
    shutil.rmtree(tmp_path / "1")
    with pytest.raises(UserError, match="multirun_dir"):
        StoredStudy(study, tmp_path).trial_config(1)
    # One that was not trained again, as its like had been, ran where that one did.
    study.add_trial(study.trials[2])
    assert StoredStudy(study, tmp_path).trial_folder(3) == tmp_path / "2"


@pytest.mark.parametrize("counts", [(0, 0, 0), (0, 3, 0), (0, 0, 2), (1, 0, 0)])
def test_studies_with_little_in_them(
    tmp_path: Path, search_config: Any, counts: tuple[int, int, int]
) -> None:
    files, page = written(make_study(*counts), tmp_path, search_config)
    assert ("No result yet" in page) == (counts[0] == 0)
    assert (files.train_config is None) == (counts[0] == 0)
    console = Console(file=io.StringIO(), width=200)
    print_summary(files, console)
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert ("nothing to train with" in shown) == (counts[0] == 0)


def test_two_objectives(tmp_path: Path, search_config: Any) -> None:
    study = optuna.create_study(directions=["maximize", "minimize"])
    for tenths in range(10):
        study.enqueue_trial({"optimizer.lr": tenths / 10})
        trial = study.ask()
        lr = trial.suggest_float("optimizer.lr", 0, 1)
        study.tell(trial, [lr, lr])
    files, _ = written(study, tmp_path, search_config)
    assert files.best_params is not None
    found: Any = OmegaConf.load(files.best_params)
    assert found["optimizer.lr"] == max(t.params["optimizer.lr"] for t in study.trials)


def test_nothing_that_is_shown_can_run_and_nothing_is_fetched(
    tmp_path: Path, search_config: Any
) -> None:
    _, page = written(make_study(9, 2, 2), tmp_path, search_config)
    assert "<script>alert(1)" not in page
    assert "<b>name</b>" not in page
    outside = page.split("<script>")[0] + page.split("</script>")[-1]
    assert not re.search(r'(src|href)="(?!data:|#)', outside)


def advice_of(study: optuna.Study) -> str:
    entries = {"optimizer.lr": "search_space.learning_rate"}
    return " ".join(advice(summarize(study), entries, confirmed=False))


def test_advice_says_which_key_to_change() -> None:
    many = advice_of(make_study(complete=3, pruned=9))
    assert "pruning.patience" in many
    assert "half of them within 1 epoch" in many
    assert "optuna.n_trials" in many
    pressed = advice_of(make_study(complete=60, pruned=2))
    assert "Widen optimizer.lr upwards" in pressed
    assert "hparams_search=focus optuna.from_study=" in pressed
    assert "hparams_search=focus" not in many
    assert re.search(r"search_space\.learning_rate\.high=0\.0[2-9]", pressed)
    assert "pruning.patience" not in pressed
    assert "optuna.n_trials" not in pressed
    assert "quick_validation.folds" in advice_of(make_study(complete=12, noise=0.4))
    assert "quick_validation.folds" not in advice_of(make_study(complete=12, noise=1e-4))


def test_trials_that_ran_out_of_time_were_not_pruned_too_early() -> None:
    assert "pruning.patience" in advice_of(make_study(complete=12, pruned=24))
    assert "pruning.patience" not in advice_of(make_study(complete=12, pruned=24, late=True))


def test_a_patience_that_saves_nothing_is_told() -> None:
    assert "Pruning saved" not in advice_of(make_study(complete=20, noise=1e-4))
    told = advice_of(make_study(complete=20, noise=1e-4, pruner="patient"))
    assert "Pruning saved 0% of the epochs" in told
    assert "is given 4 without a gain" in told
    assert "hydra/sweeper/pruner=median" in told
    assert "Pruning saved" not in advice_of(make_study(complete=20, noise=1e-4, pruner="median"))


@pytest.mark.parametrize(
    ("choices", "best", "told"),
    [
        ([16, 32, 64], 64, "the largest of its choices. Add a larger one"),
        ([16, 32, 64], 16, "the smallest of its choices. Add a smaller one"),
        ([0, 1, 2], 0, None),
        ([16, 32, 64], 32, None),
        ([16, 32], 32, None),
        (["avg", "max", "both"], "avg", None),
    ],
)
def test_choices_at_whose_end_the_best_are(choices: list[Any], best: Any, told: str | None) -> None:
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=1))
    for _ in range(40):
        trial = study.ask()
        study.tell(trial, float(trial.suggest_categorical("x", choices) == best))
    said = advice_of(study)
    assert told in said if told else said == ""


def test_a_range_that_holds_the_best_is_left_alone() -> None:
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=1))
    for _ in range(60):
        trial = study.ask()
        study.tell(trial, -((trial.suggest_float("x", 0, 1) - 0.5) ** 2))
    assert advice_of(study) == ""


@pytest.mark.parametrize(
    ("noise", "headline"),
    [(1e-4, "Better than the defaults by 0."), (0.4, "Perhaps better than the defaults")],
)
def test_the_verdict_weighs_the_gain_against_the_folds(noise: float, headline: str) -> None:
    found = summarize(make_study(complete=12, noise=noise))
    assert found.gain is not None
    assert found.gain.low < found.gain.mean < found.gain.high
    assert verdict(found).headline.startswith(headline)


def test_two_folds_say_nothing_about_how_sure_a_gain_is() -> None:
    study = make_study(complete=12, noise=0.4)
    few = optuna.create_study(study_name="few", direction="maximize")
    for trial in study.trials:
        trial.user_attrs["folds"] = trial.user_attrs["folds"][:2]
        few.add_trial(trial)
    found = summarize(few)
    assert found.gain is None
    assert "over the defaults" in verdict(found).headline
    assert "src.confirm study=few" in verdict(found).method
    said = advice_of(few)
    assert "2 folds say nothing about how sure the gain is" in said
    assert "quick_validation.folds=3" in said


@pytest.mark.parametrize(("gains", "number"), [([0.2, -0.1], 4), ([-0.2, -0.1], 0), ([], None)])
def test_what_is_trained_with_follows_the_fresh_runs(
    gains: list[float], number: int | None
) -> None:
    found = summarize(make_study(complete=12))
    best = found.ranked[0].number
    assert best not in (0, 4)
    fresh = []
    if gains:
        contenders = [
            Contender(trial, {}, 0.5 + gain, gain, gain - 0.3, gain + 0.3, 0.5)
            for trial, gain in zip((4, best), gains, strict=True)
        ]
        fresh = [Confirmation("s", "abc", False, 9, 3, 3, 0, 0.5, contenders)]
    chosen = trial_to_train(found, fresh)
    assert chosen is not None
    assert chosen.number == (best if number is None else number)


def test_the_time_of_a_search_is_without_its_pauses() -> None:
    study = make_study(complete=3)
    later = study.trials[0]
    later.datetime_start = datetime.datetime(2026, 1, 3)
    later.datetime_complete = later.datetime_start + datetime.timedelta(seconds=5)
    study.add_trial(later)
    found = summarize(study)
    # Trials of 2 s, started a second apart on two workers, and one of 5 s two days later.
    assert found.seconds == 4 + 5
    assert found.trial_seconds == 3 * 2 + 5


def test_keys_and_commands_in_a_text_are_set_as_code() -> None:
    text = "Set search_space.lr.high=0.03, <b>or</b> 'python -m src.x study=s' more. See 0.5."
    assert with_code(text) == (
        "Set <code>search_space.lr.high=0.03</code>, &lt;b&gt;or&lt;/b&gt; "
        "<code>python -m src.x study=s</code> more. See 0.5."
    )


def test_the_defaults_may_be_the_best(tmp_path: Path, search_config: Any) -> None:
    study = make_study(complete=1)
    _, page = written(study, tmp_path, search_config)
    assert "Nothing beats the defaults so far" in page


def test_a_study_that_still_runs_says_so(tmp_path: Path, search_config: Any) -> None:
    _, page = written(make_study(complete=9, running=2), tmp_path, search_config)
    assert "still running</b>, 2 trials in flight" in page


def test_passwords_stay_out_of_everything(tmp_path: Path, search_config: Any) -> None:
    study = make_study(complete=9, failed=1)
    study.set_user_attr("command", "python -m src.train optuna.storage=sql://me:secret@host/db")
    files, page = written(study, tmp_path, search_config)
    assert "sql://me:***@host/db" in page
    assert files.train_config is not None
    for path in (files.report, files.trials, files.train_config):
        assert "secret" not in path.read_text(), path


def test_two_thousand_trials_stay_small_on_disk(tmp_path: Path) -> None:
    study = make_study(complete=1200, pruned=800)
    files = write_results(StoredStudy(study, tmp_path))
    plotly_itself = len(get_plotlyjs())
    assert files.report.stat().st_size - plotly_itself < 2_000_000


@pytest.mark.browser
@pytest.mark.skipif(not (BROWSER and DRIVER), reason="no chromium with chromedriver here")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_report_in_a_browser(
    tmp_path: Path, cache_dir: Path, search_config: Any, scheme: str
) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    study = make_study(9, 3, 1)
    search_config.data.cache_dir = str(cache_dir)
    best = tmp_path / str(summarize(study).ranked[0].number)
    best.mkdir()
    predictions_with_mistakes(search_config.data).save(best)
    files, _ = written(study, tmp_path, search_config)
    with browser(scheme) as driver:
        driver.get(files.report.absolute().as_uri())
        assert not driver.execute_script("return places.every(p => p.dataset.drawn)")
        driver.execute_script("places.forEach(draw)")
        done = "return places.every(p => p.dataset.drawn === 'done' && p.querySelector(MARKS))"
        marks = "'.points path, path.js-line, .heatmaplayer image, .contourfill path'"
        script = done.replace("MARKS", marks)
        WebDriverWait(driver, 60).until(lambda page: page.execute_script(script))
        assert set(driver.execute_script("return places.map(p => p.id)")) == {
            *("history", "curves", "importances", "contour", "parallel", "confusion", "timeline"),
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
        paper = driver.execute_script("return getComputedStyle(document.body).backgroundColor")
        red = int(re.findall(r"\d+", paper)[0])
        assert (red > 200) == (scheme == "light")
        resize(driver, 390, 800)
        overflow = "return document.documentElement.scrollWidth - window.innerWidth"
        WebDriverWait(driver, 20).until(lambda page: page.execute_script(overflow) <= 0)


def predictions_with_mistakes(data: Any) -> OutOfFold:
    """Return predictions for all images that are trained on, a few of them wrong."""
    images = load_splits(data).train
    guessed = np.where(np.arange(len(images)) % 24 == 0, 1, images.labels)
    probabilities = np.eye(len(images.classes), dtype=np.float16)[guessed]
    folds = np.arange(len(images)) % 2
    return OutOfFold(images.rows, images.labels, folds, probabilities, images.classes)
