"""A Hydra app that knows nothing of images: the sweeper serves any."""

import math
import os
import signal
import time
from pathlib import Path

import hydra
import optuna
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from doctune.trial import current_trial


@hydra.main(config_path=None, config_name=None)
def main(cfg: DictConfig) -> float | tuple[float, float]:
    x, seconds = float(cfg.get("x", 0.0)), float(cfg.get("seconds", 0.0))
    happens(str(cfg.get("fault")))
    if cfg.get("fail") and x > cfg.get("fail"):
        raise RuntimeError("x is too large")
    if cfg.get("once"):
        # Raises where a trial has run in this folder before.
        (Path(HydraConfig.get().runtime.output_dir) / "ran").open("x").close()
    trial = current_trial()
    steps = cfg.get("steps", 1)
    for step in range(steps):
        if cfg.get("gate") and step >= cfg.get("gate_at", 0):
            wait_for(Path(cfg.gate))
        time.sleep(seconds / steps)
        if trial is not None and steps > 1:
            trial.report(-((x - 1) ** 2), step, f"step {step + 1}/{steps}")
            trial.raise_if_over()
    if cfg.get("fault") == "no_number":
        return math.nan
    if cfg.get("two"):
        return x**2, (x - 1) ** 2
    return -((x - 1) ** 2) - float(cfg.get("y", 0.0))


def happens(fault: str) -> None:
    """Let something go wrong."""
    if fault == "exception":
        raise RuntimeError("something is wrong\nand this is the second line of it")
    if fault == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "disk":
        # The kernel's own disk that is always full.
        with open("/dev/full", "w") as file:
            file.write("a checkpoint")
    while fault == "hang":
        time.sleep(0.1)


def wait_for(gate: Path) -> None:
    """Hold the trial until a test lets it go on."""
    while not gate.exists():
        time.sleep(0.05)


def extend(cfg: DictConfig, trial: optuna.Trial) -> None:
    """Add a parameter whose range depends on another one (`custom_search_space`)."""
    trial.suggest_float("+y", 0.0, abs(trial.params["+x"]))


def take_long_to_start(cfg: DictConfig, jobs: list[DictConfig]) -> None:
    """Do as an app does that looks through its data before the first trial (`on_start`)."""
    Path("starting").touch()
    happens("hang")


def write_results(study: optuna.Study, folder: Path, cfg: DictConfig) -> None:
    """Do what an app does when its search ends (`on_end`)."""
    (folder / "results").write_text(f"{len(study.trials)} trials")


if __name__ == "__main__":
    main()
