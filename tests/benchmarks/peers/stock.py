"""The stock sweeper with joblib: two trials at a time, no pruning."""

from typing import Any

import hydra
from omegaconf import DictConfig, OmegaConf


class NeverRaisedError(Exception):
    """The stock sweeper does not prune."""


@hydra.main(version_base="1.3", config_path="conf", config_name="stock")
def main(cfg: DictConfig) -> float:
    """Train one trial."""
    # In the workers, as with the template.
    from tests.benchmarks.peers.training import noted

    params: Any = OmegaConf.to_container(cfg.params)
    return noted(params, [], NeverRaisedError)


if __name__ == "__main__":
    main()
