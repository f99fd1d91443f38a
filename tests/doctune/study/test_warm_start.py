"""Warm start: good parameters of an earlier study, or of a file, are tried first."""

from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from doctune.errors import UserError
from doctune.study.storage import open_storage
from doctune.study.study import load_study
from doctune.study.warm_start import fit_into, warm_start
from tests.conftest import TINY, Door
from tests.doctune.conftest import sqlite

SPACE = {
    "lr": FloatDistribution(1e-4, 1e-2, log=True),
    "batch": CategoricalDistribution([16, 32]),
    "epochs": IntDistribution(1, 5),
}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Return where the study is: what is tested here asks nothing of a storage but attributes."""
    return sqlite(tmp_path)


@pytest.fixture
def study(url: str) -> optuna.Study:
    return optuna.create_study(study_name="new", storage=open_storage(url), direction="maximize")


def make_earlier(url: str, directions: list[str]) -> None:
    earlier = optuna.create_study(
        study_name="earlier",
        storage=open_storage(url),
        directions=directions,  # type: ignore[arg-type]
    )
    for i in range(6):
        trial = earlier.ask(SPACE)
        earlier.tell(trial, [float(i), -float(i)][: len(directions)])


def queued(study: optuna.Study) -> list[dict[str, object]]:
    return [trial.system_attrs["fixed_params"] for trial in study.trials]


def test_the_best_of_an_earlier_study_come_first(study: optuna.Study, url: str) -> None:
    make_earlier(url, ["maximize"])
    assert warm_start(study, SPACE, "earlier", 2, url) == 2
    earlier = optuna.load_study(study_name="earlier", storage=open_storage(url))
    assert queued(study) == [earlier.trials[5].params, earlier.trials[4].params]
    assert study.trials[0].user_attrs["from_study"] == "earlier, trial 5"
    assert study.ask(SPACE).params == earlier.trials[5].params


def test_the_pareto_front_comes_first(study: optuna.Study, url: str) -> None:
    make_earlier(url, ["maximize", "maximize"])
    assert warm_start(study, SPACE, "earlier", 3, url) == 3


def test_a_file_holds_one_set_or_a_list(study: optuna.Study, url: str, tmp_path: Path) -> None:
    one, several = tmp_path / "one.yaml", tmp_path / "several.yaml"
    one.write_text("lr: 1e-3\nbatch: 16\n")
    several.write_text("- {lr: 1e-3}\n- {lr: 0.5}\n- {lr: 7}\n")
    assert warm_start(study, SPACE, str(one), 5, url) == 1
    # 0.5 and 7 end at the same end of the range.
    assert warm_start(study, SPACE, str(several), 5, url) == 2
    assert queued(study) == [{"lr": 1e-3, "batch": 16}, {"lr": 1e-3}, {"lr": 1e-2}]


def test_parameters_are_fitted_into_the_space() -> None:
    earlier = {"lr": 0.1, "batch": 64, "epochs": 9, "gone": 1}
    assert fit_into(SPACE, earlier) == {"lr": 1e-2, "epochs": 5}


def test_mistakes_are_told(study: optuna.Study, url: str, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text("dropout: 0.5\n")
    (tmp_path / "words.yaml").write_text("- lr\n- 3\n")
    (tmp_path / "broken.yaml").write_text("lr: [1,\n")
    optuna.create_study(study_name="empty", storage=open_storage(url))
    for source, told in (
        (
            "none",
            "optuna.from_study=none: study 'none' is not in the storage; known are empty, new",
        ),
        ("empty", "no complete trial yet"),
        (f"{tmp_path}/no.yaml", "no such file"),
        (f"{tmp_path}/other.yaml", "none of its parameters is searched here; these are: lr, batch"),
        (f"{tmp_path}/words.yaml", "key: value"),
        (f"{tmp_path}/broken.yaml", "cannot be read"),
    ):
        with pytest.raises(UserError, match=told):
            warm_start(study, SPACE, source, 5, url)
    assert not study.trials


def test_a_mistake_in_it_takes_nothing_from_the_study(door: Door, tmp_path: Path) -> None:
    # No time for any trial: what is queued can be seen.
    search = (
        "src.train",
        "-m",
        "hparams_search=fast",
        *TINY,
        "optuna.timeout=0",
        "hydra/launcher=basic",
    )
    name = "optuna.from_study=best.yaml"
    assert "no such file" in door(*search, name, code=1)
    (tmp_path / "best.yaml").write_text("optimizer.lr: 2e-3\n")
    assert "the best 1 of best.yaml run first" in door(*search, name)
    url = f"sqlite:///{tmp_path / 'multirun' / 'optuna.db'}"
    study = load_study(url, "fast-tiny-documents")
    assert [sorted(trial.user_attrs) for trial in study.trials] == [["defaults"], ["from_study"]]
    begun = optuna.create_study(study_name="begun", storage=study._storage, direction="maximize")
    begun.tell(begun.ask(), 0.5)
    told = door(*search, name, "optuna.study_name=begun")
    assert f"{name} is left out: study begun has begun without it" in told
