"""The `data` group for images in the test's own folder."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from src.data.config import DataConfig


@pytest.fixture
def data(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that makes the `data` group for `tmp_path/images`."""

    def make(**keys: Any) -> Any:
        values = {
            "source": "image_folder",
            "root": str(tmp_path / "images"),
            "img_size": 24,
            "cache_dir": str(tmp_path / "cache"),
            **keys,
        }
        return OmegaConf.structured(DataConfig(**values))

    return make
