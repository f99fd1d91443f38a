"""Train once, or search with `-m`:

python -m src.train
python -m src.train -m hparams_search=fast gpu=rtx4090
"""

from omegaconf import DictConfig

from src.command_line.door import door
from src.errors import told_in_one_line
from src.hardware import profile as profile  # registers the resolvers of conf/gpu/auto.yaml
from src.sweep.config import is_trial
from src.trial import config as config  # registers the schema of conf/train.yaml
from src.trial.earlier_search import in_full

# All that a config may name for execution; a file from somebody else can call nothing more.
CALLABLE = (
    "optuna.pruners.*",
    "optuna.samplers.*",
    "src.sweep.grid_then_random.*",
    "src.trial.run",
    "src.trial.preflight.check_search",
    "src.results.finish.finish",
    "src.command_line.untrusted_config.LogFile",
    "logging.StreamHandler",
)


@door("train", CALLABLE, in_full=in_full)
def main(cfg: DictConfig) -> float | list[float]:
    """Run one job: a training run, or a trial of a search."""
    from src.trial.preflight import check_first, check_model

    # Before what trains is imported, so that a mistake is told at once.
    if not is_trial():
        with told_in_one_line():
            check_first(cfg)
            check_model(cfg)
    from src.trial.run import run

    return run(cfg)


if __name__ == "__main__":
    main()
