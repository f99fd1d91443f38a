"""Say before any training what fits into memory and how long it takes:

python -m src.plan hparams_search=balanced gpu=rtx3080 model=convnext_base
"""

from src.before import starting as starting  # isort: skip  # takes Ctrl-C

import sys
from collections.abc import Sequence

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig
from rich.console import Console

from doctune.commands import task_overrides
from doctune.errors import told_in_one_line
from src.before import config as config  # registers the schema of conf/train.yaml
from src.before.door import typed
from src.before.earlier_search import flags_and_overrides, in_full
from src.before.mistakes import hydra_in_short
from src.before.places import CONF
from src.before.untrusted_config import check_environment
from src.hardware import profile as profile  # registers the resolvers of conf/gpu/auto.yaml

AS_JSON = "--json"
# This door runs nothing that a config names.
CALLABLE: tuple[str, ...] = ("logging.StreamHandler",)
# It leaves no folder behind.
NO_FILES = ("hydra.run.dir=.", "hydra.output_subdir=null", "hydra/job_logging=none")


def main(words: Sequence[str] | None = None) -> None:
    """Plan the search that `python -m src.train -m WORDS` would run.

    Args:
        words: as on the command line, which is read by default; `--json` prints the plan for
            programs.
    """
    with typed("src.plan", words), hydra_in_short([AS_JSON]):
        _plan(in_full(sys.argv[1:]))


def _plan(words: Sequence[str]) -> None:
    as_json = AS_JSON in words
    # A range is no value that one config could have; it is for the search space alone.
    ranges = [word for word in words if _is_range(word)]
    rest = [word for word in words if word not in (AS_JSON, "-m", "--multirun", *ranges)]
    try:
        overrides = [*flags_and_overrides(rest).overrides, *ranges]
    except ValueError:
        # Told by Hydra's door.
        overrides = ranges

    @hydra.main(config_path=CONF, config_name="train", execution_whitelist=CALLABLE)
    def show(cfg: DictConfig) -> None:
        # Imported here, as they bring torch along.
        from src.before.checks import check_references
        from src.before.typed_keys import check_typed_keys
        from src.before.values import check_values
        from src.planning.planner import make_plan
        from src.planning.show import print_plan, to_json

        screen = Console()
        with told_in_one_line():
            check_environment()
            check_references(cfg)
            check_values(cfg)
            for note in check_typed_keys(cfg, task_overrides(HydraConfig.get())):
                print(note, file=sys.stderr)
            with Console(stderr=True).status("reading the config") as status:
                plan = make_plan(cfg, overrides, status.update)
            if as_json:
                screen.print_json(to_json(plan, cfg))
            else:
                print_plan(plan, cfg, screen)

    sys.argv[1:] = [*NO_FILES, *rest]
    show()


def _is_range(word: str) -> bool:
    if word.startswith("-"):
        return False
    try:
        return OverridesParser.create().parse_override(word).is_sweep_override()
    except HydraException:  # which Hydra tells of itself
        return False


if __name__ == "__main__":
    main()
