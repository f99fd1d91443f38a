"""The trainings of a confirmation; each is kept, so that a stopped one goes on."""

import contextlib
import functools
import json
import logging
import tempfile
from collections.abc import Callable, Generator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from pebble import ProcessExpired
from rich.console import Console

from doctune.errors import UserError
from doctune.launcher.workers.pinned import call_pinned
from src.data.folds import stratified_folds
from src.data.load import load_splits
from src.data.progress import counting
from src.hardware.profile import devices
from src.results.confirmation.plan import Run

FILE = "confirm_runs.jsonl"
# The objective that runs are scored by.
SCORE = "f1"

Job = tuple[Run, DictConfig]


class Runs:
    """Scores by run, in memory and in `confirm_runs.jsonl` of the study's folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE
        self._scores: dict[str, float] = {}
        if self._path.exists():
            text = self._path.read_text(encoding="utf-8")
            if not text.endswith("\n"):
                # A process that was killed has left half a line.
                self._append("")
            for line in text.splitlines():
                with contextlib.suppress(json.JSONDecodeError):
                    kept = json.loads(line)
                    self._scores[kept["key"]] = kept["macro_f1"]

    def score(self, run: Run) -> float:
        """Return the macro-F1 of a run that was made."""
        return self._scores[run.key]

    def has(self, runs: Sequence[Run]) -> bool:
        """Tell whether all of these were made."""
        return all(run.key in self._scores for run in runs)

    def make(
        self,
        runs: Sequence[Run],
        configs: dict[int, DictConfig],
        what: str,
        console: Console,
        is_enough: Callable[[], bool] = lambda: False,
    ) -> None:
        """Make the runs that are missing, as many at a time as trials, and show how far they are.

        Args:
            runs: in the order in which they begin.
            configs: of their trials.
            what: they are, in words.
            console: where to.
            is_enough: asked before the first and after each; those that run then are ended.

        Raises:
            UserError: a process died; what has run is kept.
        """
        missing = [(run, configs[run.trial]) for run in runs if run.key not in self._scores]
        if not missing or is_enough():
            return
        scored = _scored(missing)
        with contextlib.closing(scored), counting(what, len(missing), console) as advance:
            for run, score in scored:
                self._keep(run, score)
                advance(1)
                if is_enough():
                    return

    def _keep(self, run: Run, score: float) -> None:
        self._scores[run.key] = score
        self._append(json.dumps({"key": run.key, **asdict(run), "macro_f1": score}))

    def _append(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def _scored(jobs: Sequence[Job]) -> Generator[tuple[Run, float]]:
    """Yield the runs as they end, with their scores."""
    cfg = jobs[0][1] if jobs else None
    if cfg is None or len(jobs) == 1 or cfg.optuna.n_jobs == 1:
        for job in jobs:
            yield job[0], _train(job)
        return
    # Decoded here, once, for all processes to find.
    for config in {id(config): config for _, config in jobs}.values():
        load_splits(config.data)
    places = devices(cfg.trainer.accelerator)
    try:
        for (run, _), score in call_pinned(_train, jobs, cfg.optuna.n_jobs, places):
            yield run, score
    except (ProcessExpired, BrokenProcessPool) as error:
        raise UserError(
            f"a process that trained has died ({error}); what has run is kept, and the same "
            "command goes on; n_jobs=1 trains one at a time"
        ) from error


def _train(job: Job) -> float:
    """Return macro-F1 on the held-out fold, or on the test split after a full training."""
    # Imported here, as they bring torch along.
    from src.data.wear import as_scored, as_tested
    from src.training.evaluate import evaluate
    from src.training.fit import fit
    from src.trial.out_of_memory import Fitting

    run, cfg = job
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    splits = load_splits(cfg.data)
    fitting = Fitting(cfg, len(splits.train.classes))
    common: dict[str, Any] = {"max_epochs": run.epochs, "seed": run.seed}
    if run.kind == "folds":
        data = splits.train
        folds = stratified_folds(data.labels, run.folds, run.cut_seed, data.groups)
        train, val = folds[run.fold]
        parts = data.subset(train), as_scored(cfg, data.subset(val))
        common["decided_after"] = (run.epochs,)
        return fitting.fit(lambda fitted: fit(fitted, *parts, output_dir=None, **common)).f1
    with tempfile.TemporaryDirectory() as folder:
        parts, place = (splits.train, as_scored(cfg, splits.val)), Path(folder)
        result = fitting.fit(lambda fitted: fit(fitted, *parts, output_dir=place, **common))
        return fitting.run(functools.partial(evaluate, result, as_tested(cfg, splits.test))).f1
