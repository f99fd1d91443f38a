"""The door of one more worker."""

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from doctune.study.storage import open_storage
from src.before.joining import as_its_search
from tests.conftest import Door, Run

# What belongs to the machine of the search, and is another here.
ELSEWHERE = ("hydra/launcher=submitit_slurm", "optuna.n_jobs=7", "paths.multirun_dir=/there")
OVERRIDES = (
    *("hparams_search=fast", "gpu=cpu", "data.n_images=480", "data.img_size=32"),
    *("quick_validation.epochs=1", "quick_validation.folds=2", "optuna.n_trials=1"),
    *ELSEWHERE,
)


@pytest.fixture
def study(tmp_path: Path) -> optuna.Study:
    """Return a study as a search on another machine has just made it."""
    storage = open_storage(f"sqlite:///{tmp_path / 'multirun' / 'optuna.db'}")
    made = optuna.create_study(study_name="joined", storage=storage, direction="maximize")
    made.set_user_attr("overrides", list(OVERRIDES))
    made.set_user_attr("folder", "/there/joined")
    made.set_user_attr("command", "python -m src.train -m hparams_search=fast")
    made.set_user_attr("settings", {"seed": 42, "data.n_images": 480})
    moved = optuna.create_study(study_name="moved", storage=storage, direction="maximize")
    words = ["hparams_search=fast", "gpu=cpu", "data=image_folder", "data.root=/there/images"]
    moved.set_user_attr("overrides", words)
    return made


def test_a_worker_serves_the_study_with_its_own_config(
    study: optuna.Study, run: Run, tmp_path: Path
) -> None:
    before = dict(study.user_attrs)
    said = run("src.worker", "study=joined", "optuna.n_jobs=1").stdout
    assert "1/1 finished" in said
    (trial,) = study.trials
    assert trial.state is TrialState.COMPLETE
    assert trial.user_attrs["workload"]["img_size"] == 32
    # They stay those of the search, which writes the results.
    assert {name: study.user_attrs[name] for name in before if name != "settings"} == {
        name: value for name, value in before.items() if name != "settings"
    }
    assert not list((tmp_path / "multirun" / "joined").glob("*.html"))
    # It may come again, and has nothing to do.
    words = as_its_search(["study=joined", f"paths.multirun_dir={tmp_path / 'multirun'}"])
    assert "hydra/launcher=submitit_slurm" not in words
    assert "optuna.n_jobs=7" not in words
    assert "data.n_images=480" in words


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), ("study=NAME is missing", "there are: joined, moved")),
        (("study='joind'",), ("study=joind: there is none of that name", "did you mean joined?")),
        (("study=joined", "seed=43"), ("seed was 42, now 43", "not be comparable")),
        (("study=joined", "data.n_images=600"), ("data.n_images was 480, now 600",)),
        (("study=moved",), ("data.root=/there/images",)),
        (("study=x", "optuna.storage=sqlite:///none.db"), ("none.db", "it has none yet")),
        (
            ("study=x", "optuna.storage='postgresql://me@127.0.0.1:1/d'"),
            ("optuna.storage=postgresql://me@127.0.0.1:1/d", "cannot be opened"),
        ),
    ],
    ids=str,
)
def test_mistakes_are_told_in_a_line(
    door: Door, tmp_path: Path, words: tuple[str, ...], told: tuple[str, ...]
) -> None:
    said = door("src.worker", *words, code=1)
    for word in told:
        assert word in said
    assert "Traceback" not in said
    assert not (tmp_path / "none.db").exists()
