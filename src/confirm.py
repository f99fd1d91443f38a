"""Run the best of a study and the defaults again, and say whether the gain holds:

python -m src.confirm study=NAME
"""

from src.before import starting as starting  # isort: skip  # takes Ctrl-C

from omegaconf import DictConfig

from doctune.errors import told_in_one_line
from src.before.door import door
from src.before.untrusted_config import check_environment
from src.results import config as config  # registers the schema of conf/confirm.yaml


# This door runs nothing that a config names.
@door("confirm", subject="study")
def main(cfg: DictConfig) -> None:
    """Confirm `study`."""
    from rich.console import Console

    from src.results.stored_study import open_study

    with told_in_one_line():
        check_environment()
        study = open_study(cfg)
        # Imported now, as it brings torch along: a mistake is told at once.
        from src.results.confirmation.confirm import confirm

        try:
            confirm(study, cfg, Console())
        except KeyboardInterrupt:
            starting.stop("stopped; what has run is kept, and the same command goes on")


if __name__ == "__main__":
    main()
