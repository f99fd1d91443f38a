"""Folds and batches."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from doctune.errors import UserError
from src.data.folds import MOST_GROUPED, check_enough, notes_on_folds, stratified_folds
from src.data.image_set import ImageSet
from src.data.loader import BatchLoader


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


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(1, 12))
def test_what_is_refused_by_counts_alone_could_not_be_cut(sizes: list[int], folds: int) -> None:
    try:
        check_enough({str(number): size for number, size in enumerate(sizes)}, folds)
    except UserError:
        with pytest.raises(UserError, match=rf"folds={folds}"):
            stratified_folds(np.repeat(np.arange(len(sizes)), sizes), folds, 0)


def test_too_few_images_for_the_folds() -> None:
    with pytest.raises(UserError, match="only 2 images"):
        stratified_folds(np.repeat([0, 1], [10, 2]), 3, 0)
    with pytest.raises(UserError, match=r"folds=1: .* only 4 images .* a fifth; take 4 folds"):
        stratified_folds(np.repeat([0, 1], [10, 4]), 1, 0)
    with pytest.raises(UserError, match=r"quick_validation\.folds=0"):
        stratified_folds(np.repeat([0, 1], [10, 10]), 0, 0)


@pytest.mark.parametrize("grouped", [False, True])
def test_a_single_split_holds_out_a_fifth_of_each_class(grouped: bool) -> None:
    labels = np.repeat([0, 1, 2], [100, 50, 25])
    # Pairs of a class.
    groups = np.arange(175) // 2 if grouped else None
    cut = (labels, 1, 3, groups)
    ((train, val),) = stratified_folds(*cut)
    assert sorted([*train, *val]) == list(range(175))
    assert np.bincount(labels[val]) == pytest.approx([20, 10, 5], abs=2 * grouped)
    assert groups is None or not set(groups[train]) & set(groups[val])
    assert notes_on_folds([(train, val)], *cut) == []


@given(st.integers(2, 5), st.integers(0, 99), st.booleans())
@settings(max_examples=20)
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


def test_batches_gathered_ahead_are_the_same() -> None:
    def batches(ahead: bool) -> list[list[int]]:
        loader = BatchLoader(numbered(50), 4, shuffle=True, seed=3, ahead=ahead)
        return [labels.tolist() for _ in range(2) for _, labels in loader]

    assert batches(True) == batches(False)
    first = next(iter(BatchLoader(numbered(50), 4, shuffle=False, ahead=True)))
    assert first[1].tolist() == [0, 1, 2, 3]
    assert not [thread for thread in threading.enumerate() if "map-ahead" in thread.name]


def test_epochs_differ_but_a_seed_repeats_them() -> None:
    def orders(seed: int) -> list[list[int]]:
        loader = BatchLoader(numbered(20), 20, shuffle=True, seed=seed)
        return [next(iter(loader))[1].tolist() for _ in range(2)]

    first, second = orders(1)
    assert first != second
    assert orders(1) == [first, second]
    assert orders(2)[0] != first


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.integers(0, 9))
def test_balanced_epochs_hold_every_class_equally_often(sizes: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    images = ImageSet(np.zeros((len(labels), 1, 1, 3), np.uint8), labels, tuple("abcde"))
    loader = BatchLoader(images, 7, shuffle=True, balanced=True, seed=seed)
    for _ in range(2):
        seen = torch.cat([batch for _, batch in loader])
        assert len(seen) == len(labels)
        counts = np.bincount(seen, minlength=len(sizes))
        assert counts.max() - counts.min() <= 1


def test_balanced_epochs_repeat_no_image_before_all_of_its_class_were_there() -> None:
    labels = np.repeat([0, 1], [15, 5])
    pixels = np.arange(20, dtype=np.uint8)[:, None, None, None].repeat(3, 3)
    loader = BatchLoader(ImageSet(pixels, labels, ("a", "b")), 20, shuffle=True, balanced=True)
    images, _ = next(iter(loader))
    counts = np.bincount(images[:, 0, 0, 0], minlength=20)
    assert sorted(counts[:15]) == [0] * 5 + [1] * 10
    assert counts[15:].tolist() == [2] * 5


def test_a_subset_of_a_subset() -> None:
    part = numbered(10).subset(np.array([5, 6, 7])).subset(np.array([2, 0]))
    assert part.labels.tolist() == [7, 5]
    assert part.images[:, 0, 0, 0].tolist() == [7, 5]
    with pytest.raises(ValueError, match="empty"):
        part.subset(np.array([], dtype=np.int64))


@pytest.mark.parametrize("count", [50, 33, 9, 3])
@pytest.mark.parametrize("shuffle", [True, False])
def test_parts_hold_every_image_of_a_batch_once(count: int, shuffle: bool) -> None:
    parts = [
        list(BatchLoader(numbered(count), 8, shuffle=shuffle, drop_last=shuffle, part=(k, 2)))
        for k in range(2)
    ]
    whole = list(BatchLoader(numbered(count), 8, shuffle=shuffle, drop_last=shuffle))
    assert [len(part) for part in parts] == [len(whole)] * 2
    together = [sorted(torch.cat([a[1], b[1]]).tolist()) for a, b in zip(*parts, strict=True)]
    if not shuffle:
        assert [label for batch in together for label in batch] == list(range(count))
        assert all(len(labels) for part in parts for _, labels in part)
    elif count >= 8:
        assert together == [sorted(labels.tolist()) for _, labels in whole]
    else:
        assert [len(labels) for part in parts for _, labels in part] == [1, 1]


def told_of(labels: list[int], groups: list[int]) -> list[str]:
    cut = (np.array(labels), 3, 0, np.array(groups), ("letter", "note"))
    return notes_on_folds(stratified_folds(*cut), *cut)


def test_folds_that_large_groups_make_uneven_are_told_or_refused() -> None:
    # Even, though groups hold several images.
    assert told_of([0, 1] * 30, [row // 4 for row in range(60)]) == []
    # 20 letters that belong together, 20 notes, and 12 single pages.
    labels, groups = [0] * 20 + [1] * 20 + [0, 1] * 6, [0] * 20 + [1] * 20 + list(range(2, 14))
    assert told_of(labels, groups) == [
        "the folds hold 23, 23, 6 images, as those that belong together stay together; each counts "
        "as much as any other in a trial's score"
    ]
    # Two groups of both classes and 8 single pages, of which 3 are a fold.
    labels, groups = [0, 1] * 24, [0] * 20 + [1] * 20 + list(range(2, 10))
    with pytest.raises(UserError, match=r"folds=3: .* has 3 of 48 images.*take .*folds=2"):
        told_of(labels, groups)


def test_a_fold_without_images_of_a_class_is_refused() -> None:
    labels = np.repeat([0, 1], [20, 4])
    rows = np.arange(24)
    folds = [(rows[12:], rows[:12]), (rows[:12], rows[12:])]
    with pytest.raises(UserError, match="fold 1 has no image of class note to validate on"):
        notes_on_folds(folds, labels, 2, 0, None, ("letter", "note"))
