"""A Hydra app that knows nothing of images: the sweeper serves any."""

import contextlib
import logging
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import hydra
import numpy as np
import optuna
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from doctune.errors import UserError
from doctune.trial import current_trial
from tests.waiting import wait_until


@hydra.main(config_path=None, config_name=None)
def main(cfg: DictConfig) -> float | tuple[float, float]:
    x, seconds = float(cfg.get("x") or 0.0), float(cfg.get("seconds", 0.0))
    happens(str(cfg.get("fault")))
    if cfg.get("fault") == "killed_once":
        killed_once(x)
    if cfg.get("fail") and x > cfg.get("fail"):
        raise RuntimeError("x is too large")
    if cfg.get("once"):
        # Raises where a trial has run in this folder before.
        (Path(HydraConfig.get().runtime.output_dir) / "ran").open("x").close()
    trial = current_trial()
    if cfg.get("fault") == "storage_away":
        Path("mounted").rename("away")
    steps = cfg.get("steps", 1)
    for step in range(steps):
        if cfg.get("gate") and step >= cfg.get("gate_at", 0):
            wait_for(Path(cfg.gate))
        time.sleep(seconds / steps)
        if trial is not None and steps > 1:
            number = np.float32 if cfg.get("numpy") else float
            index = np.int64(step) if cfg.get("numpy") else step
            trial.report(number(-((x - 1) ** 2)), index, f"step {step + 1}/{steps}")  # type: ignore[arg-type]
            trial.raise_if_over()
        if cfg.get("fails_at") == x:
            wait_for(Path("fails"))
            raise RuntimeError("as it was told to")
    if str(cfg.get("fault")) in RETURNS:
        return RETURNS[str(cfg.get("fault"))]  # type: ignore[no-any-return]
    if cfg.get("two"):
        return x**2, (x - 1) ** 2
    return -((x - 1) ** 2) - float(cfg.get("y", 0.0))


class TwoPartError(Exception):
    """As libraries have them: it can be pickled, and not be made again from that."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")


class NoError(BaseException):
    """As asyncio's and trio's for what is cancelled, no `Exception`."""


# What a job may return that is no number, by the name of the fault.
RETURNS: dict[str, Any] = {
    "no_number": math.nan,
    "nothing": None,
    "text": "0.5 or so",
    "infinite": math.inf,
    "mapping": {"f1": 0.5},
    "lambda": lambda: 0,
    "tensor": np.array(-0.5),
    "text_number": "-0.25",
    "list": [-0.5],
    "boolean": True,
}


def happens(fault: str) -> None:
    """Let something go wrong."""
    if fault == "exit":
        sys.exit(3)
    if fault == "exit_with_words":
        sys.exit("the data are gone")
    if fault == "interrupt":
        raise KeyboardInterrupt
    if fault == "cancelled":
        raise NoError("by somebody")
    if fault == "two_parts":
        raise TwoPartError(3, "cannot be made again")
    if fault == "logging":
        logging.basicConfig(level=logging.ERROR, force=True)
    if fault == "children":
        # One that this process is known to have started, and one that has left its session.
        for own_session in (False, True):
            child = subprocess.Popen(["sleep", "600"], start_new_session=own_session)
            with open("children", "a") as file:
                file.write(f"{child.pid}\n")
        return
    if fault == "hanging_children":
        happens("children")
        happens("hang")
    if fault == "exception":
        raise RuntimeError("something is wrong\nand this is the second line of it")
    if fault == "killed":
        with (Path(HydraConfig.get().runtime.output_dir) / "killed").open("a") as file:
            file.write("once\n")
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "disk":
        # The kernel's own disk that is always full.
        with open("/dev/full", "w") as file:
            file.write("a checkpoint")
    if fault == "hang":
        # Longer than any test takes.
        time.sleep(3600)


def killed_once(x: float) -> None:
    """End this process as the kernel does, unless a trial of that `x` has had that before."""
    with contextlib.suppress(FileExistsError):
        Path(f"killed at {x:g}").open("x").close()
        os.kill(os.getpid(), signal.SIGKILL)


def wait_for(gate: Path) -> None:
    """Hold the trial until a test lets it go on."""
    wait_until(gate.exists)


def extend(cfg: DictConfig, trial: optuna.Trial) -> None:
    """Add a parameter whose range depends on another one (`custom_search_space`)."""
    trial.suggest_float("+y", 0.0, abs(trial.params["+x"]))


def take_long_to_start(cfg: DictConfig, jobs: list[DictConfig]) -> None:
    """Do as an app does that looks through its data before the first trial (`on_start`)."""
    Path("starting").touch()
    happens("hang")


def refuse(cfg: DictConfig, jobs: list[DictConfig]) -> None:
    """Do as an app does that finds a mistake, when workers have started (`on_start`)."""
    wait_until(lambda: bool(list(Path("sweep").glob("worker-*.log"))))
    raise UserError("x: makes no sense")


def write_results(study: optuna.Study, folder: Path, cfg: DictConfig) -> None:
    """Do what an app does when its search ends (`on_end`)."""
    (folder / "results").write_text(f"{len(study.trials)} trials")


def note_the_end(
    study: optuna.Study, folder: Path, cfg: DictConfig, seconds_left: float | None
) -> None:
    """Do what an app does when its search has ended by itself (`on_complete`)."""
    (folder / "complete").write_text(f"{len(study.trials)} trials, {seconds_left}")


if __name__ == "__main__":
    main()
