"""One more worker for a search that runs, on any machine that reaches its storage:

python -m src.worker study=NAME optuna.storage=postgresql://HOST/DATABASE
python -m src.worker study=NAME data.root=PATH optuna.n_jobs=2    # what is different here
"""

from src.before import starting as starting  # isort: skip  # takes Ctrl-C

from omegaconf import DictConfig

from src.before import config as config  # registers the schema of conf/train.yaml
from src.before.door import door
from src.before.joining import as_its_search
from src.hardware import profile as profile  # registers the resolvers of conf/gpu/auto.yaml
from src.train import CALLABLE


@door("train", CALLABLE, in_full=as_its_search, subject="study")
def main(cfg: DictConfig) -> float | list[float]:
    """Run one trial of the search that is joined."""
    from src.trial.run import run

    return run(cfg)


if __name__ == "__main__":
    main()
