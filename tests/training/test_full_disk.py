"""A disk that is full ends no training: its scores are worth the hours."""

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from doctune.errors import UserError
from src.data.image_set import ImageSet
from src.training.evaluate import evaluate
from src.training.fit import FitResult, fit
from src.training.loggers import open_run_log
from src.trial.run import told_if_full
from tests.conftest import Compose


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of its own that has no room for a model."""
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(folder)]
    if os.name != "posix" or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("takes root, and a kernel that lets it mount")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_the_best_weights_are_kept_in_memory(cfg: Compose, blobs: ImageSet, small: Path) -> None:
    config = cfg(
        *("data.img_size=32", "data.batch_size=16", "augment=none", "callbacks.progress=false")
    )
    train, val = blobs.subset(np.arange(60)), blobs.subset(np.arange(60, 90))
    # Curves find no room either.
    (small / "filler").write_bytes(b"0" * 4096)

    def fitted(folder: Path) -> FitResult:
        with open_run_log(config, folder) as log_to:
            logger = log_to.part()
            return fit(config, train, val, max_epochs=3, seed=1, output_dir=folder, logger=logger)

    result = fitted(small)
    assert result.checkpoint is None
    assert result.weights is not None
    assert not (small / "best.ckpt").exists()
    found = evaluate(result, val, config)
    # The weights are those that a disk with room keeps.
    roomy = fitted(small.parent)
    assert roomy.weights is None
    assert roomy.checkpoint is not None
    kept = torch.load(roomy.checkpoint, weights_only=True)["state_dict"]
    assert all(torch.equal(kept[name], result.weights[name]) for name in kept)
    assert evaluate(roomy, val, config).f1 == found.f1


def test_results_without_room_are_a_line(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").symlink_to("/dev/full")
    with (
        pytest.raises(UserError, match=r"No space left on device, so the run is not whole") as told,
        told_if_full(tmp_path),
    ):
        (tmp_path / "metrics.json").write_text("{}")
    assert len(str(told.value).splitlines()) == 1
    with pytest.raises(OSError, match="other"), told_if_full(tmp_path):
        raise OSError(errno.EIO, "other")
