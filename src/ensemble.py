"""Combine the best configurations of a study, trained in full:

python -m src.ensemble study=NAME
"""

from src.before import starting as starting  # isort: skip  # takes Ctrl-C

from typing import Any

from omegaconf import DictConfig, OmegaConf

from doctune.errors import told_in_one_line
from src.before.door import door
from src.before.untrusted_config import check_environment
from src.results.ensemble import config as config  # registers the schema of conf/ensemble.yaml


# This door runs nothing that a config names.
@door("ensemble", subject="study", in_full=config.in_full)
def main(cfg: DictConfig) -> None:
    """Select, train what is not trained yet, score, and say how to predict."""
    from rich.console import Console

    from src.results.stored_study import open_study

    with told_in_one_line():
        check_environment()
        wishes: Any = OmegaConf.to_object(cfg)
        open_study(wishes)
        # Imported now, as it brings torch along: a mistake is told at once.
        from src.results.ensemble.build import build_ensemble

        try:
            build_ensemble(wishes, Console())
        except KeyboardInterrupt:
            starting.stop("stopped; members that are trained stay, and the same command goes on")


if __name__ == "__main__":
    main()
