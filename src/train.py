"""Train once, or search with `-m`:

python -m src.train
python -m src.train -m hparams_search=fast gpu=rtx4090
"""

from src.before import starting as starting  # isort: skip  # takes Ctrl-C
from src.before import workers_ahead as workers_ahead  # isort: skip  # starts what takes longest

from omegaconf import DictConfig

from doctune import is_trial
from doctune.errors import told_in_one_line
from src.before import config as config  # registers the schema of conf/train.yaml
from src.before.door import door
from src.before.earlier_search import in_full
from src.hardware import profile as profile  # registers the resolvers of conf/gpu/auto.yaml

# All that a config may name for execution; a file from somebody else can call nothing more.
CALLABLE = (
    "optuna.pruners.*",
    "optuna.samplers.*",
    "doctune.space.grid.*",
    "src.trial.run",
    "src.before.checks.check_at_once",
    "src.before.checks.check_search",
    "src.results.finish.finish",
    "src.results.confirmation.at_end.train_in_full",
    "src.before.untrusted_config.LogFile",
    "logging.StreamHandler",
)


@door("train", CALLABLE, in_full=in_full)
def main(cfg: DictConfig) -> float | list[float]:
    """Run one job: a training run, or a trial of a search."""
    from src.before.checks import check_first, check_model

    # Before what trains is imported, so that a mistake is told at once.
    if not is_trial():
        with told_in_one_line():
            check_first(cfg)
            check_model(cfg)
    from src.trial.run import run

    return run(cfg)


if __name__ == "__main__":
    main()
