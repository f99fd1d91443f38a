"""What makes two data sets the same: the content of images and splits, and nothing else."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from doctune.errors import UserError
from src.before.checks import CONTENT, check_same_data
from src.data.load import data_fingerprint, load_splits
from tests.conftest import CONF
from tests.data.pictures import page, write


def test_the_study_knows_the_content_by_that_name() -> None:
    told = Path(CONF, "hydra/sweeper/optuna_async.yaml").read_text()
    assert f"{CONTENT}: ${{data_fingerprint:}}" in told


def test_the_fingerprint_is_the_content(tmp_path: Path, data: Callable[..., Any]) -> None:
    root = write(tmp_path / "images")
    plain = data_fingerprint(data())
    assert load_splits(data()).fingerprint == plain
    check_same_data(load_splits(data()), {CONTENT: plain})
    assert data_fingerprint(data(img_size=99, batch_size=3, fit="stretch")) == plain
    os.utime(root / "note" / "03.jpg", (1, 1))
    assert data_fingerprint(data()) == plain
    shutil.move(root, tmp_path / "elsewhere")
    assert data_fingerprint(data(root=str(tmp_path / "elsewhere"))) == plain
    shutil.move(tmp_path / "elsewhere", root)
    assert data_fingerprint(data(test_fraction=0.3)) != plain
    assert data_fingerprint(data(seed=1)) != plain
    shutil.move(root / "note" / "03.jpg", root / "letter" / "33.jpg")
    relabelled = data_fingerprint(data())
    assert relabelled != plain
    page(77).save(root / "letter" / "33.jpg")
    assert data_fingerprint(data()) not in (plain, relabelled)
    with pytest.raises(UserError, match="changed during the search"):
        check_same_data(load_splits(data()), {CONTENT: plain})
