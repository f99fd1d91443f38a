"""A real sweep, killed at random moments, ends as if nothing had happened."""

from pathlib import Path

import pytest

from tests.doctune.killing import Victim, kinds


# tests/benchmarks/soak.py kills 200 times on each storage.
@pytest.mark.parametrize(
    ("url", "seed", "kills"),
    [
        # Of the search alone, whose workers end with it.
        ("sqlite", 0, 1),
        # One of each kind; a worker's death is in test_workers, and on the server one process of
        # four is killed in test_many_processes.
        pytest.param("sqlite", 1, 3, marks=pytest.mark.thorough),
        pytest.param("postgresql", 2, 3, marks=pytest.mark.thorough),
    ],
    indirect=["url"],
)
@pytest.mark.timeout(600)
def test_no_kill_loses_or_repeats_anything(tmp_path: Path, url: str, seed: int, kills: int) -> None:
    victim = Victim(tmp_path, url, seed, n_trials=8 if kills > 1 else 6)
    for kind in kinds(seed, kills):
        victim.kill_once(kind)
    assert victim.kills.total() == kills
    victim.finish()
    victim.check_complete()
    # As test_sweeper has it of any study that is complete.
    if kills > 1:
        assert f"has its {victim.n_trials} trials already" in victim.finish()


# On a journal file one process of several is killed in test_many_processes, and half a line is left
# behind in test_storage.
@pytest.mark.thorough
@pytest.mark.timeout(600)
def test_nor_on_a_journal_file(tmp_path: Path) -> None:
    victim = Victim(tmp_path, f"journal:///{tmp_path / 'study'}", seed=4, n_trials=8)
    for kind in kinds(4, 3):
        victim.kill_once(kind)
    victim.finish()
    victim.check_complete()
