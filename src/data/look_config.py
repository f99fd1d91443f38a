"""The keys of `python -m src.look`."""

from dataclasses import dataclass, field

from hydra.core.config_store import ConfigStore

from src.data.config import DataConfig
from src.hardware.config import GpuConfig


@dataclass
class LookConfig:
    """The root of `conf/look.yaml`."""

    # As in training; images that cannot be read are named and left out, whatever `on_bad_image` is.
    data: DataConfig = field(default_factory=DataConfig)
    # Gives `data.img_size`.
    gpu: GpuConfig = field(default_factory=GpuConfig)
    # The sheet, one file that opens in any browser.
    output: str = "look.html"
    # Images of each class, and of each oddity, at most.
    most: int = 24


ConfigStore.instance().store(name="look_schema", node=LookConfig)
