"""A study that an earlier version has begun goes on with this one.

`stored/fast_study.journal` was written by the version whose sweeper was the package `src.sweep`,
with three trials of the command below; names of the machine are replaced.
"""

import re
from pathlib import Path

from doctune.study.study import load_study
from src.before.comparable import code_version
from tests.conftest import Door

STORED = Path(__file__).parent / "stored" / "fast_study.journal"
COMMAND = (
    *("src.train", "-m", "hparams_search=fast", "gpu=cpu", "data.n_images=480"),
    *("data.img_size=32", "quick_validation.epochs=1", "quick_validation.folds=2"),
    *("optuna.n_jobs=1", "optuna.storage=journal:///study.log", "optuna.study_name=stored"),
    *("logger=none", "optuna.in_full=0"),
)


def test_a_study_of_an_earlier_version_goes_on(door: Door, tmp_path: Path) -> None:
    text = STORED.read_text(encoding="utf-8")
    # What scores a trial may have changed since, and is refused then, as it should be; all else
    # that the study holds has to be understood.
    version = re.search(r'"code":"([^"]+)"', text)
    assert version is not None
    (tmp_path / "study.log").write_text(text.replace(version[1], code_version()), encoding="utf-8")
    before = load_study(f"journal:///{tmp_path}/study.log", "stored").trials
    # It was searched by workers; who runs a trial is nothing that a study holds.
    said = door(*COMMAND, "optuna.n_trials=4", "hydra/launcher=basic")
    assert "goes on: 3 of 4 trials are finished" in said
    trials = load_study(f"journal:///{tmp_path}/study.log", "stored").trials
    assert [trial.values for trial in trials[:3]] == [trial.values for trial in before]
    assert len(trials) == 4
    assert trials[3].state.name in ("COMPLETE", "PRUNED")
