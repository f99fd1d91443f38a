"""Train once, or search with `-m`:

python -m src.train
python -m src.train -m hparams_search=fast gpu=rtx4090
"""

import sys

import hydra
from omegaconf import DictConfig

from src.command_line.mistakes import hydra_in_short
from src.hardware import profile as profile  # registers the resolvers of conf/gpu/auto.yaml
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


@hydra.main(config_path="../conf", config_name="train", execution_whitelist=CALLABLE)
def main(cfg: DictConfig) -> float | list[float]:
    """Run one job: a training run, or a trial of a search."""
    from src.trial.run import run

    return run(cfg)


if __name__ == "__main__":
    sys.argv[1:] = in_full(sys.argv[1:])
    with hydra_in_short():
        main()
