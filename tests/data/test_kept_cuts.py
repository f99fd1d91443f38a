"""Cuts are made once, and are what scikit-learn makes of the same facts."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from src.data.config import DataConfig
from src.data.folds import stratified_folds
from src.data.image_set import ImageSet, Indices
from src.data.splits import Splits, cut

LABELS = np.random.default_rng(0).integers(0, 4, 200)


def images(stored_as: str, group_of: Indices) -> ImageSet:
    classes = ("letter", "form", "note", "slide")
    pixels = np.zeros((len(LABELS), 1, 1, 3), np.uint8)
    return ImageSet(pixels, LABELS, classes, group_of=group_of, stored_as=stored_as)


def rows(splits: Splits) -> list[list[int]]:
    return [part.rows.tolist() for part in (splits.train, splits.val, splits.test)]


@pytest.mark.parametrize(
    "group_of",
    [np.empty(0, np.int64), np.arange(200) // 2, np.where(np.arange(200) < 40, 0, np.arange(200))],
    ids=["alone", "pairs", "mixed"],
)
def test_a_cut_that_is_kept_is_the_same_without_scikit_learn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group_of: Indices
) -> None:
    cfg = DataConfig(cache_dir=str(tmp_path / "cache"))
    unkept, groups = images("", group_of), group_of if len(group_of) else None
    first, folds = rows(cut(unkept, cfg)), stratified_folds(LABELS, 3, 0, groups)
    assert not (tmp_path / "cache").exists()
    kept = replace(unkept, stored_as="pages-64px")
    assert rows(cut(kept, cfg)) == first
    stratified_folds(LABELS, 3, 0, groups, cache_dir=cfg.cache_dir)
    monkeypatch.setitem(sys.modules, "sklearn.model_selection", None)
    assert rows(cut(kept, cfg)) == first
    again = stratified_folds(LABELS, 3, 0, groups, cache_dir=cfg.cache_dir)
    for (train, val), (same_train, same_val) in zip(folds, again, strict=True):
        assert train.tolist() == same_train.tolist()
        assert val.tolist() == same_val.tolist()
    # Other facts are another cut, which has to be made.
    with pytest.raises(ImportError):
        stratified_folds(LABELS, 3, 1, groups, cache_dir=cfg.cache_dir)
    with pytest.raises(ImportError):
        cut(kept, replace(cfg, test_fraction=0.3))
