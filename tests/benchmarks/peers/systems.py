"""How each system is started, and how its trials are read."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna

from tests.benchmarks.peers.best_so_far import Told
from tests.benchmarks.peers.pages import OURS
from tests.conftest import REPOSITORY

# Seconds that a system is given to end after its time is over.
ENDING = 20.0
PACKAGE = "tests.benchmarks.peers"


@dataclass(frozen=True)
class Budget:
    """What every system gets."""

    seconds: float
    trials: int
    epochs: int
    seed: int


def run(system: str, pages: Path, out: Path, budget: Budget) -> list[Told]:
    """Run a system with two workers and nothing prepared; return its trials in their order."""
    out.mkdir(parents=True, exist_ok=True)
    name, _, quality = system.partition("-")
    environment = {
        **os.environ,
        **{"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "RAY_USAGE_STATS_ENABLED": "0"},
        # Ray would wait for memory that other processes hold, and write a token to the home folder.
        "RAY_AUTH_MODE": "disabled",
        **{"RAY_memory_monitor_refresh_ms": "0", "PYTHONPATH": str(REPOSITORY)},
        **{"PEER_OUT": str(out), "PEER_DATA": str(pages / "peers"), "PEER_QUALITY": quality},
        **{"PEER_TRIALS": str(budget.trials), "PEER_EPOCHS": str(budget.epochs)},
        "PEER_SEED": str(budget.seed),
        # Short, as there are sockets below it.
        "PEER_RAY": tempfile.mkdtemp(prefix="ray"),
    }
    began = time.time()
    with (out / "log").open("w") as log:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=out,
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            for command in _commands(name, pages, out, budget)
        ]
        for process in processes:
            _wait(process, began + budget.seconds - time.time())
    shutil.rmtree(environment["PEER_RAY"], ignore_errors=True)
    found = _ours(out) if name == "ours" else _peers(out)
    told = [
        Told(
            trial["end"] - began,
            trial["value"],
            trial["state"] == "COMPLETE",
            trial["epochs"],
            trial["params"],
        )
        for trial in found
        if trial["value"] is not None and trial["end"] - began <= budget.seconds
    ]
    return sorted(told, key=lambda trial: trial.at)


def _commands(name: str, pages: Path, out: Path, budget: Budget) -> list[list[str]]:
    if name == "stock":
        return [[f"{PACKAGE}.stock", "-m"]]
    if name == "optuna":
        return [[f"{PACKAGE}.optuna_alone", str(worker)] for worker in range(2)]
    if name == "ray":
        return [[f"{PACKAGE}.ray_tune"]]
    words = (
        *("src.train", "-m", "hparams_search=fast", "gpu=cpu", "model=tiny", "logger=none"),
        *(*OURS, f"data.root={pages / 'ours'}", f"data.cache_dir={out / 'cache'}"),
        *("quick_validation.folds=1", f"quick_validation.epochs={budget.epochs}"),
        *(f"seed={budget.seed}", f"optuna.n_trials={budget.trials}", "optuna.n_jobs=2"),
        *("optuna.study_name=ours", f"paths.multirun_dir={out}"),
    )
    return [list(words)]


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    for number, patience in ((None, seconds), (signal.SIGINT, ENDING), (signal.SIGKILL, ENDING)):
        if number is not None:
            os.killpg(process.pid, number)
        try:
            process.wait(max(0.1, patience))
            return
        except subprocess.TimeoutExpired:
            continue


def _ours(out: Path) -> list[dict[str, Any]]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(study_name="ours", storage=f"sqlite:///{out / 'optuna.db'}")
    found = []
    for trial in study.get_trials(deepcopy=False):
        curve = [value for _, value in sorted(trial.intermediate_values.items())]
        if trial.datetime_complete is None or not curve:
            continue
        complete = trial.state is optuna.trial.TrialState.COMPLETE
        found.append(
            {
                "end": trial.datetime_complete.timestamp(),
                "value": trial.value if complete else curve[-1],
                "state": trial.state.name,
                "epochs": len(curve),
                "params": {key.rpartition(".")[2]: value for key, value in trial.params.items()},
            }
        )
    return found


def _peers(out: Path) -> list[dict[str, Any]]:
    path = out / "trials.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
