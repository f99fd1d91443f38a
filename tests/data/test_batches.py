"""Folds, batches, normalisation and augmentation."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from src.data.augment import Augment, Normalize
from src.data.config import AugmentConfig
from src.data.folds import MOST_GROUPED, stratified_folds
from src.data.image_set import ImageSet
from src.data.loader import BatchLoader
from src.errors import UserError


@given(st.integers(2, 5), st.integers(0, 99))
def test_folds_cover_everything_once_and_keep_the_classes(n_folds: int, seed: int) -> None:
    labels = np.repeat([0, 1, 2], [40, 20, 10])
    folds = stratified_folds(labels, n_folds, seed)
    assert sorted(np.concatenate([val for _, val in folds]).tolist()) == list(range(70))
    for train, val in folds:
        assert not set(train) & set(val)
        assert abs((labels[val] == 0).mean() - 40 / 70) < 0.06
    again = stratified_folds(labels, n_folds, seed)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(folds, again, strict=True))


def test_too_few_images_for_the_folds() -> None:
    with pytest.raises(UserError, match="only 2 images"):
        stratified_folds(np.repeat([0, 1], [10, 2]), 3, 0)
    with pytest.raises(UserError, match=r"quick_validation\.folds=1"):
        stratified_folds(np.repeat([0, 1], [10, 10]), 1, 0)


@given(st.integers(2, 5), st.integers(0, 99), st.booleans())
@settings(max_examples=20, deadline=None)
def test_groups_stay_in_one_fold(n_folds: int, seed: int, many: bool) -> None:
    rng = np.random.default_rng(seed)
    count = MOST_GROUPED + 200 if many else 200
    labels = rng.integers(0, 3, count)
    groups = np.arange(count)
    for row in range(0, 90, 3):
        # Of three images, at times of several classes.
        groups[row : row + 3] = row
    folds = stratified_folds(labels, n_folds, seed, groups)
    assert sorted(np.concatenate([val for _, val in folds]).tolist()) == list(range(count))
    for train, val in folds:
        assert not set(groups[train]) & set(groups[val])
        assert abs((labels[val] == 0).mean() - (labels == 0).mean()) < 0.08
        assert abs(len(val) - count / n_folds) < 8
    again = stratified_folds(labels, n_folds, seed, groups)
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(folds, again, strict=True))


def test_groups_of_one_change_nothing() -> None:
    labels = np.repeat([0, 1, 2], [40, 20, 10])
    plain = stratified_folds(labels, 3, 0)
    grouped = stratified_folds(labels, 3, 0, np.arange(70)[::-1])
    assert all(np.array_equal(a[1], b[1]) for a, b in zip(plain, grouped, strict=True))


def test_copies_do_not_count_for_the_folds() -> None:
    labels, groups = np.repeat([0, 1], [10, 6]), np.arange(16)
    groups[10:] = [10, 10, 10, 11, 11, 11]
    with pytest.raises(UserError, match="class note has only 2 different images"):
        stratified_folds(labels, 3, 0, groups, ("letter", "note"))


def numbered(count: int) -> ImageSet:
    """Return images that hold their own number."""
    images = (
        np.zeros((count, 4, 4, 3), np.uint8) + np.arange(count, dtype=np.uint8)[:, None, None, None]
    )
    return ImageSet(images, np.arange(count), tuple(map(str, range(count))))


@given(st.integers(1, 40), st.integers(1, 50), st.booleans(), st.booleans())
def test_an_epoch_holds_each_image_once(count: int, size: int, shuffle: bool, drop: bool) -> None:
    loader = BatchLoader(numbered(count), size, shuffle=shuffle, drop_last=drop)
    batches = list(loader)
    assert len(batches) == len(loader) >= 1
    seen = torch.cat([labels for _, labels in batches])
    assert len(set(seen.tolist())) == len(seen)
    assert len(seen) == (count // size * size if drop and count >= size else count)
    for images, labels in batches:
        assert images.shape[1:] == (3, 4, 4)
        assert torch.equal(images[:, 0, 0, 0].long(), labels)


def test_epochs_differ_but_a_seed_repeats_them() -> None:
    def orders(seed: int) -> list[list[int]]:
        loader = BatchLoader(numbered(20), 20, shuffle=True, seed=seed)
        return [next(iter(loader))[1].tolist() for _ in range(2)]

    first, second = orders(1)
    assert first != second
    assert orders(1) == [first, second]
    assert orders(2)[0] != first


def test_a_subset_of_a_subset() -> None:
    part = numbered(10).subset(np.array([5, 6, 7])).subset(np.array([2, 0]))
    assert part.labels.tolist() == [7, 5]
    assert part.images[:, 0, 0, 0].tolist() == [7, 5]
    with pytest.raises(ValueError, match="empty"):
        part.subset(np.array([], dtype=np.int64))


def test_normalize_is_the_plain_formula() -> None:
    images = torch.randint(0, 256, (2, 3, 5, 5), dtype=torch.uint8)
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
    plain = (images / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(Normalize(mean, std)(images), plain)


def test_augmentation_of_no_strength_changes_nothing() -> None:
    images = torch.rand(3, 3, 8, 8)
    assert torch.equal(Augment(AugmentConfig())(images), images)


@pytest.mark.parametrize(
    "keys", [{"shift": 0.2}, {"rotate": 30.0}, {"contrast": 0.5}], ids=lambda keys: next(iter(keys))
)
def test_every_image_has_its_own_draw(keys: dict[str, Any]) -> None:
    torch.manual_seed(0)
    same = torch.rand(1, 3, 16, 16).expand(4, -1, -1, -1)
    changed = Augment(AugmentConfig(**keys))(same)
    assert changed.shape == same.shape
    for i in range(4):
        assert not torch.allclose(changed[i], changed[(i + 1) % 4])


def test_half_turn_and_mirror_are_exact() -> None:
    images = torch.rand(2, 3, 8, 8)
    turned = Augment(AugmentConfig(half_turn=1.0))(images)
    torch.testing.assert_close(turned, images.flip(2, 3), atol=1e-5, rtol=0)
    mirrored = Augment(AugmentConfig(hflip=1.0))(images)
    torch.testing.assert_close(mirrored, images.flip(3), atol=1e-5, rtol=0)
