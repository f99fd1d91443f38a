"""An app as its authors wrote it for `hydra/sweeper: optuna`; it knows nothing of us."""

from typing import Any

import hydra
from omegaconf import DictConfig
from optuna import Trial


@hydra.main(config_path="stock_conf", config_name="config")
def main(cfg: DictConfig) -> Any:
    if cfg.fails_above is not None and cfg.x > cfg.fails_above:
        raise RuntimeError("x is too large")
    if cfg.two:
        return cfg.x**2, (cfg.x - 1) ** 2 + cfg.y**2
    return float(cfg.x**2 + cfg.y**2 + cfg.z + cfg.w)


def configure(cfg: DictConfig, trial: Trial) -> None:
    """Add a parameter whose range depends on others."""
    trial.suggest_float("z", 0.0, 1.0 + abs(trial.params["x"]))
    trial.suggest_float("+more", cfg.w, cfg.w + trial.params["y"] ** 2)


if __name__ == "__main__":
    main()
