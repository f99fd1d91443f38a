"""The journal file of `journal:///path`: Optuna's, which can be read again after any crash."""

import os
from typing import Any

from optuna.storages.journal import JournalFileBackend
from optuna.storages.journal._file import get_lock_file

from src.sweep.studies.study_lock import JournalLock


class MendingJournal(JournalFileBackend):
    """Optuna's journal file, with a lock that dies with its process, and with whole lines only.

    A process that is killed, or meets a full disk, while it writes leaves half a line. Optuna
    would append to it, and nobody could read the file any more; here the next writer cuts it off.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path, JournalLock(path))

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append the lines of an operation."""
        with get_lock_file(self._lock):
            _cut_half_a_line(self._file_path)
            super().append_logs(logs)


def _cut_half_a_line(path: str) -> None:
    with open(path, "rb+") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
