"""What a search on other machines is told, and where its packages are missing."""

import pytest

from src.before.elsewhere import not_installed, notes_on_machines
from tests.conftest import Compose

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


def test_a_launcher_whose_package_is_missing_is_told_with_it() -> None:
    assert not_installed("hydra/launcher/submitit_slurm_schema") == (
        "hydra/launcher=submitit_slurm: its package is not installed; pip install 'doctune[slurm]'"
    )
    assert not_installed("hydra/launcher/slurm") is None
