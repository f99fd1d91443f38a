"""A Hydra app that knows nothing of images: the sweeper serves any."""

import math
import os
import time

import hydra
from omegaconf import DictConfig

from src.sweep.running_trial import current_trial


@hydra.main(config_path=None, config_name=None)
def main(cfg: DictConfig) -> float:
    x, seconds = float(cfg.get("x", 0.0)), float(cfg.get("seconds", 0.0))
    if cfg.get("die") and x > cfg.get("die"):
        os._exit(9)
    if cfg.get("fail") and x > cfg.get("fail"):
        raise RuntimeError("x is too large")
    trial = current_trial()
    steps = cfg.get("steps", 1)
    for step in range(steps):
        time.sleep(seconds / steps)
        if trial is not None and steps > 1:
            trial.report(-((x - 1) ** 2), step, f"step {step + 1}/{steps}")
            trial.raise_if_over()
    if cfg.get("nan"):
        return math.nan
    return -((x - 1) ** 2)


if __name__ == "__main__":
    main()
