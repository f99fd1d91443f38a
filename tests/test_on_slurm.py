"""A search that hands its trials to a real Slurm, from a machine without a card."""

from pathlib import Path

import optuna
import pytest

from doctune.study.storage import open_storage
from tests.conftest import TINY, Run
from tests.doctune.launcher.test_submitted import slurm as slurm


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
