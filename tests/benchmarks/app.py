"""A Hydra app whose trials take unequal times, known beforehand by their number."""

import json
import time
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

# Seconds of the trials 0, 1, 2, ...: short and long ones, mixed as pruning mixes them.
SECONDS = [0.4, 4.0, 0.4, 0.4, 4.0, 2.0, 0.4, 4.0, 4.0, 0.4] * 2


@hydra.main(config_path=None, config_name=None)
def main(cfg: DictConfig) -> float:
    """Sleep as long as the trial's number says; `+seconds=[...]` gives others, over and over."""
    started = time.time()
    job = HydraConfig.get()
    seconds = cfg.get("seconds", SECONDS)
    time.sleep(seconds[job.job.num % len(seconds)])
    times = Path(job.runtime.output_dir) / "times.json"
    times.write_text(json.dumps({"started": started, "ended": time.time()}))
    return float(cfg.x) ** 2


if __name__ == "__main__":
    main()
