"""Show the results of a study again, and write its files anew; also while its search runs:

python -m src.report study=NAME
python -m src.report 'study=[A,B]'    # two or more beside one another
"""

from src.before import starting as starting  # isort: skip  # takes Ctrl-C

from omegaconf import DictConfig

from doctune.errors import told_in_one_line
from src.before.door import door
from src.before.untrusted_config import check_environment
from src.results import config as config  # registers the schema of conf/report.yaml


# This door runs nothing that a config names.
@door("report", subject="study")
def main(cfg: DictConfig) -> None:
    """Write and show the results of `study`, or of several beside one another."""
    from src.results.stored_study import open_studies

    with told_in_one_line():
        check_environment()
        studies = open_studies(cfg)
        # Imported now, as they bring torch along: a mistake is told at once.
        from src.results.beside.page import show_beside
        from src.results.finish import show_results

        if len(studies) > 1:
            show_beside(studies)
        else:
            show_results(studies[0], cfg.examples)


if __name__ == "__main__":
    main()
