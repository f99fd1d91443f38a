"""What Slurm's commands say, as Slurm 22.05 with accounts said it, told as a job's state."""

from pathlib import Path

import pytest

from doctune.launcher.slurm.states import FORGOTTEN, UNKNOWN, SlurmStates


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of commands that are found before all others."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    return tmp_path


def says(folder: Path, command: str, text: str, code: int = 0, error: str = "") -> None:
    path = folder / command
    path.write_text(
        f'#!/bin/sh\necho "$@" >>{folder}/{command}.calls\n'
        f"printf '{text}'\nprintf '{error}' >&2\nexit {code}\n"
    )
    path.chmod(0o755)


def states(*job_ids: str) -> SlurmStates:
    made = SlurmStates()
    for job_id in job_ids:
        made.add(job_id)
    return made


def test_one_question_tells_of_all_jobs(commands: Path) -> None:
    says(commands, "squeue", "7|RUNNING|None\\n8|PENDING|Resources\\n9|PENDING|BadConstraints\\n")
    asked = states("7", "8", "9")
    assert [asked.state(job) for job in ("7", "8", "9")] == ["RUNNING", "PENDING", "PENDING"]
    assert [asked.why_never(job) for job in ("8", "9")] == [None, "BadConstraints"]
    assert len((commands / "squeue.calls").read_text().splitlines()) == 1


def test_a_job_that_is_over_is_asked_for_no_more(commands: Path) -> None:
    says(commands, "squeue", "7|CANCELLED|None\\n8|RUNNING|None\\n")
    asked = states("7", "8")
    for _ in range(2):
        assert [asked.state(job, now=job == "7") for job in ("7", "8")] == ["CANCELLED", "RUNNING"]
    calls = (commands / "squeue.calls").read_text().splitlines()
    assert [call.rpartition("=")[2] for call in calls] == ["7,8", "8"]


@pytest.mark.parametrize(
    ("accounts", "expected"),
    [
        ("CANCELLED by 0\\n", "CANCELLED"),
        ("FAILED\\n", "FAILED"),
        ("COMPLETED\\n", "COMPLETED"),
        ("", FORGOTTEN),
    ],
)
# A job that it has forgotten is an error where it was the only one that was asked for.
@pytest.mark.parametrize(
    ("code", "error"), [(0, ""), (1, "slurm_load_jobs error: Invalid job id specified")]
)
def test_accounts_tell_of_what_the_queue_has_forgotten(
    commands: Path, accounts: str, expected: str, code: int, error: str
) -> None:
    says(commands, "squeue", "", code, error)
    says(commands, "sacct", accounts)
    asked = states("7")
    assert asked.state("7") == expected
    # It does not change any more.
    says(commands, "sacct", "RUNNING\\n")
    assert asked.state("7", now=True) == expected


def test_without_accounts_a_forgotten_job_is_told_as_such(commands: Path) -> None:
    says(commands, "squeue", "")
    says(commands, "sacct", "", 1, "Slurm accounting storage is disabled")
    assert states("7").state("7") == FORGOTTEN


def test_a_silent_queue_tells_nothing(commands: Path, caplog: pytest.LogCaptureFixture) -> None:
    says(commands, "squeue", "", 1, "Unable to contact slurm controller (connect failure)")
    asked = states("7")
    assert [asked.state("7", now=True) for _ in range(2)] == [UNKNOWN] * 2
    # Once, not at every look.
    assert len(caplog.records) == 1
