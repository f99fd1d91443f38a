"""The trainings of a confirmation; each is kept, so that a stopped one goes on."""

import contextlib
import functools
import json
import logging
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig
from rich.console import Console

from src.data.folds import stratified_folds
from src.data.load import load_splits
from src.data.progress import show_progress
from src.results.confirmation.plan import Run

FILE = "confirm_runs.jsonl"


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

    def make(
        self, runs: Sequence[Run], configs: dict[int, DictConfig], what: str, console: Console
    ) -> None:
        """Make the runs that are missing, one after the other, and show how far they are."""
        missing = [run for run in runs if run.key not in self._scores]
        for run in show_progress(missing, what, len(missing), console):
            self._keep(run, _train(run, configs[run.trial]))

    def _keep(self, run: Run, score: float) -> None:
        self._scores[run.key] = score
        self._append(json.dumps({"key": run.key, **asdict(run), "macro_f1": score}))

    def _append(self, line: str) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def _train(run: Run, cfg: DictConfig) -> float:
    """Return macro-F1 on the held-out fold, or on the test split after a full training."""
    # Imported here, as they bring torch along.
    from src.training.evaluate import evaluate
    from src.training.fit import fit
    from src.trial.fitting import Fitting

    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    splits = load_splits(cfg.data)
    fitting = Fitting(cfg, len(splits.train.classes))
    common: dict[str, Any] = {"max_epochs": run.epochs, "seed": run.seed}
    if run.kind == "folds":
        data = splits.train
        folds = stratified_folds(data.labels, run.folds, run.cut_seed, data.groups)
        train, val = folds[run.fold]
        parts = data.subset(train), data.subset(val)
        return fitting.fit(lambda fitted: fit(fitted, *parts, output_dir=None, **common)).f1
    with tempfile.TemporaryDirectory() as folder:
        parts, place = (splits.train, splits.val), Path(folder)
        result = fitting.fit(lambda fitted: fit(fitted, *parts, output_dir=place, **common))
        return fitting.run(functools.partial(evaluate, result, splits.test)).f1
