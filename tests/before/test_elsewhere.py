"""What a search on other machines is told, and where its packages are missing."""

import pytest
from hydra import compose, initialize_config_dir

from src.before.elsewhere import is_elsewhere, not_installed, notes_on_machines
from tests.conftest import CONF, Compose

SLURM = {"hydra/launcher": "submitit_slurm", "gpu": "a100"}


@pytest.mark.parametrize(
    ("words", "gpu", "typed", "told"),
    [
        ((), "auto", ["optuna.n_jobs"], ["gpu=auto", "SQLite"]),
        (("optuna.storage=journal:///study",), "a100", [], ["optuna.n_jobs="]),
        (("optuna.storage=postgresql://h/d",), "a100", ["optuna.n_jobs"], []),
    ],
)
def test_what_other_machines_need(
    cfg: Compose, words: tuple[str, ...], gpu: str, typed: list[str], told: list[str]
) -> None:
    config = cfg("optuna.study_name=s", "optuna.n_jobs=1", *words)
    notes = list(notes_on_machines(config, {**SLURM, "gpu": gpu}, typed))
    assert len(notes) == len(told)
    assert all(word in note for word, note in zip(told, notes, strict=True))
    assert all("hydra/launcher=submitit_slurm" in note for note in notes)


@pytest.mark.parametrize(
    ("launcher", "expected"), [("submitit_slurm", True), ("ray", True), ("local_workers", False)]
)
def test_where_trials_run(launcher: str, expected: bool) -> None:
    with initialize_config_dir(CONF):
        words = ["gpu=rtx4090", "hparams_search=fast", f"hydra/launcher={launcher}"]
        found = compose("train", words, return_hydra_config=True)
    assert is_elsewhere(found.hydra) is expected
    if launcher == "submitit_slurm":
        # Of the profile, not of this machine.
        assert found.hydra.launcher.gpus_per_node == 1


def test_a_launcher_whose_package_is_missing_is_told_with_it() -> None:
    assert not_installed("hydra/launcher/submitit_slurm_schema") == (
        "hydra/launcher=submitit_slurm: its package is not installed; pip install 'doctune[slurm]'"
    )
    assert not_installed("hydra/launcher/slurm") is None
