"""Trials on their way to jobs that serve many, as files in a folder that all machines reach.

Where a scheduler runs jobs there is such a folder already: submitit keeps in it what it hands over.
Renaming a file is one step wherever it lies, so of several jobs that reach for a trial one gets it.
The name of the file says where a trial is:

    7.trial      waits for any job
    7.kept       waits for the job that was submitted for it
    7.of-1234    runs in job 1234
    7.end        is over; what came of it is in the file
"""

import contextlib
import json
import os
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle

from doctune.files import replacing

TRIAL, KEPT, OF, END = "trial", "kept", "of-", "end"


@dataclass(frozen=True)
class Trial:
    """A trial that a job has taken.

    Attributes:
        number: of the trial.
        overrides: of its job.
    """

    number: int
    overrides: list[str]


class Mailbox:
    """The folder, as both sides use it.

    Args:
        folder: its whole path; made by `open`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def open(self) -> None:
        """Make the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def post(self, trial: Trial, *, kept: bool = False) -> None:
        """Offer a trial to all jobs, or keep it for the one that was submitted for it."""
        self.remove(trial.number)
        place = self._path(trial.number, KEPT if kept else TRIAL)
        with replacing(place) as part:
            part.write_text(json.dumps(trial.overrides))

    def places(self) -> dict[int, str]:
        """Return where each trial is: what its file's name ends with."""
        found: dict[int, str] = {}
        for name in self._names():
            number, _, place = name.partition(".")
            # In the middle of a step there may be two files: the end is what counts.
            if number.isdecimal() and found.get(int(number)) != END:
                found[int(number)] = place
        return found

    def withdraw(self, number: int) -> bool:
        """Take a trial back that waits; return whether it did."""
        for kind in (TRIAL, KEPT):
            with contextlib.suppress(FileNotFoundError):
                self._path(number, kind).unlink()
                return True
        return False

    def remove(self, number: int) -> None:
        """Forget a trial, wherever it is."""
        for name in list(self._names()):
            if name.partition(".")[0] == str(number):
                (self.folder / name).unlink(missing_ok=True)

    def read_end(self, number: int) -> tuple[str, Any]:
        """Return the job that a trial has ended in, and what came of it."""
        found: tuple[str, Any] = pickle.loads(self._path(number, END).read_bytes())
        return found

    def take(self, job_id: str) -> Trial | None:
        """Take the first trial that waits for any job; None where there is none."""
        waiting = sorted(number for number, place in self.places().items() if place == TRIAL)
        for number in waiting:
            taken = self._take(number, TRIAL, job_id)
            if taken is not None:
                return taken
        return None

    def take_kept(self, job_id: str, number: int) -> Trial | None:
        """Take the trial that a job was submitted for; None where it is not there any more."""
        return self._take(number, KEPT, job_id)

    def taken_before(self, job_id: str) -> list[Trial]:
        """Return the trials that a job had taken when the scheduler started it anew."""
        mine = [number for number, place in self.places().items() if place == OF + job_id]
        return [self._read(number, job_id) for number in sorted(mine)]

    def end(self, trial: Trial, job_id: str, came: Any) -> None:
        """Say what came of a trial.

        Args:
            trial: that was taken.
            job_id: of the job that ran it.
            came: can be pickled.
        """
        with replacing(self._path(trial.number, END)) as part:
            part.write_bytes(cloudpickle.dumps((job_id, came)))
        self._path(trial.number, OF + job_id).unlink(missing_ok=True)

    def _take(self, number: int, kind: str, job_id: str) -> Trial | None:
        try:
            self._path(number, kind).rename(self._path(number, OF + job_id))
        except FileNotFoundError:
            return None
        return self._read(number, job_id)

    def _read(self, number: int, job_id: str) -> Trial:
        return Trial(number, json.loads(self._path(number, OF + job_id).read_bytes()))

    def _path(self, number: int, place: str) -> Path:
        return self.folder / f"{number}.{place}"

    def _names(self) -> Iterator[str]:
        # Network folders show what is new in one that was touched.
        with contextlib.suppress(OSError):
            self.folder.chmod(self.folder.stat().st_mode)
        with contextlib.suppress(FileNotFoundError):
            yield from (name for name in os.listdir(self.folder) if not name.endswith(".part"))
