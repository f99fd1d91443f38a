"""The app on a real Slurm: a search that hands its trials over, and workers that join one."""

import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from doctune.study.storage import open_storage
from doctune.study.study import was_interrupted
from tests.conftest import REPOSITORY, TINY, Run
from tests.doctune.slurm.cluster import jobs
from tests.doctune.slurm.cluster import slurm as slurm
from tests.test_worker import study as study
from tests.waiting import wait_until


@pytest.mark.thorough
def test_sizes_are_of_the_profile_and_the_card_is_looked_for_by_the_job(
    run: Run, slurm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_CONF", slurm)
    done = run(
        *("src.train", "-m", "hparams_search=fast", *TINY[1:], "gpu=rtx4090", "optuna.n_trials=1"),
        *("hydra/launcher=submitit_slurm", "optuna.n_jobs=1", "optuna.study_name=there"),
        # The node of the tests has none to give, and is given for an hour.
        *("hydra.launcher.gpus_per_node=0", "hydra.launcher.timeout_min=30"),
        "optuna.storage=sqlite:///study.db",
        code=1,
    )
    assert "gpu=rtx4090: this machine has no CUDA device" in done.stdout + done.stderr
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    (trial,) = optuna.load_study(study_name="there", storage=storage).trials
    # It was the job that said so.
    assert "no CUDA device" in trial.user_attrs["error"]
    assert trial.user_attrs["runner"]["pid"] != trial.user_attrs["owner"]["pid"]
    # Of the profile of the card, which this machine has none of, as far as so few pages go.
    assert vars(trial.distributions["data.batch_size"])["choices"] == (48, 64)


@pytest.mark.thorough
def test_workers_of_an_array_join_a_search(
    study: optuna.Study, slurm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/machines.md has it typed."""
    monkeypatch.setenv("SLURM_CONF", slurm)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    storage = f"sqlite:///{tmp_path / 'multirun' / 'optuna.db'}"
    worker = f"{sys.executable} -m src.worker study=joined optuna.storage={storage}"
    asked = subprocess.run(
        [
            *("sbatch", "--parsable", "--array=1-2", "--time=10:00", "--signal=B:TERM@60"),
            *("--output=worker-%a.out", "--wrap", f"exec {worker} optuna.n_trials=4"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert asked.stdout.strip().isdecimal()
    wait_until(lambda: not jobs("PENDING") and not jobs("RUNNING"))
    said = [(tmp_path / f"worker-{number}.out").read_text() for number in (1, 2)]
    # Of two that are begun in the same moment near the end one is given up.
    begun = [trial for trial in study.trials if not was_interrupted(trial)]
    assert [trial.state for trial in begun] == [TrialState.COMPLETE] * 4, said
    assert len({trial.user_attrs["owner"]["pid"] for trial in begun}) == 2
    assert not any("Traceback" in words for words in said)
