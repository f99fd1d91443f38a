"""Sweeps of the small app inside the tests' own process: no start of Python for each."""

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest

from doctune import shown_keys
from doctune.study.storage import open_storage
from tests.conftest import REPOSITORY
from tests.doctune import app
from tests.doctune.conftest import load_study, sqlite

# Names of all trials' folders begin with nothing else.
OURS = ("hydra/sweeper=optuna_async", "hydra.sweeper.direction=maximize", "hydra.sweep.dir=sweep")


@dataclass
class Searched:
    """What a sweep has said and left."""

    code: int
    said: str
    folder: Path

    @property
    def study(self) -> optuna.Study:
        return load_study(sqlite(self.folder))

    @property
    def log(self) -> str:
        return (self.folder / "sweep" / "search.log").read_text()


class Searches:
    """Runs sweeps in a folder, one after the other."""

    def __init__(
        self,
        folder: Path,
        monkeypatch: pytest.MonkeyPatch,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        monkeypatch.chdir(folder)
        # For launchers that start Python anew.
        monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
        self._folder = folder
        self._monkeypatch = monkeypatch
        self._capfd = capfd

    def __call__(
        self,
        *words: str,
        sweeper: tuple[str, ...] = OURS,
        main: Callable[[], Any] = app.main,
        folder: Path | None = None,
    ) -> Searched:
        """Run a sweep as from the command line.

        Args:
            words: of the command line.
            sweeper: the words that come first.
            main: of the app, this folder's own by default.
            folder: where it is typed, the test's own by default.
        """
        self._monkeypatch.chdir(folder or self._folder)
        self._monkeypatch.setattr(sys, "argv", ["app", "-m", *sweeper, *words])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        said = self._capfd.readouterr()
        return Searched(code, said.out + said.err, folder or self._folder)


@pytest.fixture
def search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Iterator[Searches]:
    """Return a function that runs a sweep in an empty folder."""
    monkeypatch.setattr(shown_keys, "_names", {})
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    with warnings.catch_warnings():
        yield Searches(tmp_path, monkeypatch, capfd)
    root.handlers[:] = handlers
    root.setLevel(level)
    open_storage.cache_clear()
