"""A contact sheet of what the model will see, odd ones first, and what was left out:

python -m src.look data=image_folder data.root=PATH
"""

from src.before import starting as starting  # isort: skip  # takes Ctrl-C

from typing import Any

from omegaconf import DictConfig, OmegaConf

from doctune.errors import told_in_one_line
from src.before import sizes as sizes  # registers the resolvers of conf/data
from src.before.door import door
from src.before.untrusted_config import check_environment
from src.data import look_config as look_config  # registers the schema of conf/look.yaml
from src.hardware import profile as profile  # registers the resolvers of conf/gpu/auto.yaml


# This door runs nothing that a config names.
@door("look")
def main(cfg: DictConfig) -> None:
    """Write the sheet and say what is on it."""
    from rich.console import Console

    from src.data.look import write_sheet

    with told_in_one_line():
        check_environment()
        wishes: Any = OmegaConf.to_object(cfg)
        write_sheet(wishes, Console())


if __name__ == "__main__":
    main()
