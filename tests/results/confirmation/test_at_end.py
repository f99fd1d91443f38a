"""Full trainings when a search has ended: which are made, and what the study says then."""

from pathlib import Path

import optuna
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from src.results.confirmation import runs
from src.results.confirmation.at_end import train_in_full
from src.results.confirmation.full_length import ATTRIBUTE
from src.results.confirmation.plan import Run
from src.results.stored_study import StoredStudy
from src.results.summary import EPOCHS_IN_FULL
from src.results.write import write_results
from tests.conftest import CONF, TINY, Door
from tests.results.confirmation.small_study import study as study

# What the defaults, trial 0, and the best, trial 3, are made to score, by fold.
Scores = dict[int, tuple[float, ...]]
BETTER: Scores = {0: (0.50, 0.52), 3: (0.60, 0.61)}
CAUGHT_UP: Scores = {0: (0.60, 0.52), 3: (0.59, 0.61)}


@pytest.fixture
def search(cache_dir: Path, study: optuna.Study) -> DictConfig:
    """Return the config of the search of `study`."""
    study.set_user_attr(EPOCHS_IN_FULL, 15)
    with initialize_config_dir(CONF):
        words = ["hparams_search=fast", *TINY, f"data.cache_dir={cache_dir}", "optuna.n_jobs=1"]
        config = compose("train", [*words, "optuna.in_full=2"], return_hydra_config=True)
    OmegaConf.set_struct(config, False)
    return config


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "multirun" / "small"


def nobody_trains(monkeypatch: pytest.MonkeyPatch, scores: Scores) -> list[Run]:
    """Let trainings have these scores; return the list that they will be noted in."""
    made: list[Run] = []

    def train(job: tuple[Run, DictConfig]) -> float:
        made.append(job[0])
        return scores[job[0].trial][job[0].fold]

    monkeypatch.setattr(runs, "_train", train)
    return made


@pytest.mark.parametrize(
    ("scores", "folds", "said", "trained_with"),
    [
        (
            BETTER,
            2,
            "trial 3 has 0.6050 and the defaults 0.5100 (+0.0950; ahead on 2 of 2, 95 % interval",
            4e-3,
        ),
        # The best of two would be luck.
        (CAUGHT_UP, 1, "Better after 2 epochs alone. Trained in full", 1e-5),
    ],
    ids=["better", "caught up"],
)
def test_no_more_folds_are_trained_once_the_best_is_not_ahead(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    study: optuna.Study,
    search: DictConfig,
    folder: Path,
    scores: Scores,
    folds: int,
    said: str,
    trained_with: float,
) -> None:
    made = nobody_trains(monkeypatch, scores)
    unsure = "say nothing about how sure the gain is"
    assert unsure in " ".join(write_results(StoredStudy(study, folder)).advice)
    train_in_full(study, folder, search, None)
    assert unsure not in " ".join(write_results(StoredStudy(study, folder)).advice)
    told = capsys.readouterr().out
    # Both take 2 s an epoch, one after the other.
    assert "on 2 folds of the search: 15 epochs each, about 2 min" in told
    assert said in told
    pairs = [(fold, trial) for fold in range(folds) for trial in (3, 0)]
    assert [(run.fold, run.trial) for run in made] == pairs
    assert {(run.epochs, run.folds, run.kind) for run in made} == {(15, 2, "folds")}
    assert "Trained in full (15 epochs)" in (folder / "optuna_study_report.html").read_text()
    (config,) = folder.glob("train_optimized_*.yaml")
    assert OmegaConf.load(config).optimizer.lr == trained_with
    # Nothing is left to be learnt.
    train_in_full(study, folder, search, None)
    assert len(made) == 2 * folds
    assert not capsys.readouterr().out


def test_what_was_stopped_goes_on_where_it_was(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    study: optuna.Study,
    search: DictConfig,
    folder: Path,
) -> None:
    made = nobody_trains(monkeypatch, BETTER)
    trained = runs._train

    def stopped(job: tuple[Run, DictConfig]) -> float:
        if job[0].fold == 1:
            raise KeyboardInterrupt
        return trained(job)

    monkeypatch.setattr(runs, "_train", stopped)
    with pytest.raises(SystemExit):
        train_in_full(study, folder, search, None)
    assert "the search's results stand, and the same command goes on" in capsys.readouterr().err
    assert ATTRIBUTE not in study.user_attrs
    monkeypatch.setattr(runs, "_train", trained)
    train_in_full(study, folder, search, None)
    assert [(run.fold, run.trial) for run in made] == [(0, 3), (0, 0), (1, 3), (1, 0)]
    assert len(study.user_attrs[ATTRIBUTE]["best_scores"]) == 2


@pytest.mark.parametrize(
    "words",
    [
        ("optuna.in_full=0",),
        # As long as trials have trained.
        ("trainer.max_epochs=2",),
        ("hydra.launcher._target_=hydra_plugins.hydra_submitit_launcher.SlurmLauncher",),
    ],
    ids=lambda words: words[0].split("=")[0],
)
def test_nothing_is_trained_that_says_nothing_new_or_has_no_place(
    monkeypatch: pytest.MonkeyPatch,
    study: optuna.Study,
    search: DictConfig,
    folder: Path,
    words: tuple[str, ...],
) -> None:
    made = nobody_trains(monkeypatch, BETTER)
    for word in words:
        key, _, value = word.partition("=")
        OmegaConf.update(search, key, int(value) if value.isdigit() else value)
    train_in_full(study, folder, search, None)
    assert not made


def test_no_more_is_trained_than_there_is_time_for(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    study: optuna.Study,
    search: DictConfig,
    folder: Path,
) -> None:
    made = nobody_trains(monkeypatch, BETTER)
    # At the pace of their trials a fold of both takes 60 s.
    for left in (0.0, 59.0):
        train_in_full(study, folder, search, left)
        assert not made
    assert not capsys.readouterr().out
    now = iter(range(0, 1000, 30))
    monkeypatch.setattr("src.results.confirmation.at_end.time.monotonic", lambda: next(now))
    train_in_full(study, folder, search, 130.0)
    assert [run.fold for run in made] == [0, 0]
    assert "on the first of the same folds, trial 3 has 0.6000" in capsys.readouterr().out


def test_what_goes_wrong_takes_nothing_from_the_search(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    study: optuna.Study,
    search: DictConfig,
    folder: Path,
) -> None:
    made = nobody_trains(monkeypatch, BETTER)
    # As of a trial that another machine has run.
    (folder / "3" / ".hydra" / "config.yaml").unlink()
    train_in_full(study, folder, search, None)
    assert not made
    assert capsys.readouterr().out.startswith("Not trained in full: ")
    assert ATTRIBUTE not in study.user_attrs


def test_a_fold_is_trained_as_a_trial_trains_it(door: Door, tmp_path: Path) -> None:
    words = ("hparams_search=fast", *TINY, "hydra/launcher=basic", "optuna.study_name=one")
    door("src.train", "-m", *words, "optuna.n_trials=1", "quick_validation.epochs=1")
    study = optuna.load_study(
        study_name="one", storage=f"sqlite:///{tmp_path / 'multirun' / 'optuna.db'}"
    )
    config = StoredStudy(study, tmp_path / "multirun" / "one").trial_config(0)
    second = Run(0, "folds", 0, 1, config.data.seed, config.seed + 1, 2, 1, "")
    score = runs._train((second, config))
    assert score == pytest.approx(study.trials[0].user_attrs["folds"][1], abs=1e-6)
