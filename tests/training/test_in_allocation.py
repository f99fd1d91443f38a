"""A training on one card inside a real allocation of Slurm, however that was made."""

import subprocess
import warnings
from pathlib import Path

import pytest
from lightning_utilities.core.rank_zero import rank_zero_only

from src.training.card_rules import is_first, train_alone
from src.training.fit import make_trainer
from tests.conftest import Compose
from tests.doctune.launcher.test_submitted import slurm as slurm
from tests.waiting import wait_until


def test_one_card_takes_no_part_in_the_tasks_of_an_sbatch(
    cfg: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slurm: str
) -> None:
    monkeypatch.setenv("SLURM_CONF", slurm)
    written, whole = tmp_path / "environment", tmp_path / "whole"
    dump = f"env -0 >{written}; touch {whole}"
    header = ["--job-name=search", "--ntasks=2", "--cpus-per-task=1", "--output=/dev/null"]
    subprocess.run(["sbatch", *header, "--wrap", dump], check=True, capture_output=True)
    wait_until(whole.exists)
    of_job = dict(line.split("=", 1) for line in written.read_text().split("\0") if line)
    given = {name: value for name, value in of_job.items() if name.startswith("SLURM_")}
    assert given["SLURM_NTASKS"] == "2"
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rank_zero_only, "rank", int(given.get("SLURM_PROCID", 0)))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        train_alone(cfg())
        trainer = make_trainer(cfg(), max_epochs=1)
    assert (trainer.world_size, trainer.global_rank) == (1, 0)
    assert is_first()
    assert not [str(one.message) for one in warned if "srun" in str(one.message)]
