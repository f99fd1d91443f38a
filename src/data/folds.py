"""Stratified folds, the same for every trial."""

import functools
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from doctune.errors import UserError
from src.data.image_set import Indices
from src.data.kept_cuts import kept_cut

Folds = list[tuple[Indices, Indices]]

# A trial's score is the mean over its folds, whatever their size. A fold that holds less than this
# share of its even part of the images is told, and refused.
TOLD, REFUSED = 1 / 2, 1 / 4

# A single split holds out the first of so many folds: a fifth of the images, as is usual.
ONE_SPLIT = 5

# scikit-learn shares out groups one by one in Python, 0.5 ms each. Above so many images only
# the groups of several go that way, and single images are shared out beside them.
MOST_GROUPED = 4000


def parts_of(n_folds: int) -> int:
    """Return into how many parts images are cut, of which each fold holds out one."""
    return ONE_SPLIT if n_folds == 1 else n_folds


def stratified_folds(
    labels: Indices,
    n_folds: int,
    seed: int,
    groups: Indices | None = None,
    classes: Sequence[str] = (),
    *,
    cache_dir: str | None = None,
) -> Folds:
    """Cut a set into folds that hold the classes in equal shares.

    Args:
        labels: int64 [N].
        n_folds: 1 is a single split, which holds out a fifth.
        seed: the folds depend on it, on the labels and on the groups alone.
        groups: int64 [N]; images of a group stay in one fold. None: each stands for itself.
        classes: names for messages.
        cache_dir: where the cut is kept; None: nowhere.

    Returns:
        For each fold the indices to train and to validate on.

    Raises:
        UserError: no fold, or a class has fewer images than there are parts.
    """
    if n_folds < 1:
        raise UserError(f"quick_validation.folds={n_folds}: must be at least 1")
    parts = parts_of(n_folds)
    if groups is not None and len(np.unique(groups)) == len(groups):
        groups = None
    _check_classes(labels, n_folds, groups, classes)
    depends_on = [labels, parts, seed, *([] if groups is None else [groups])]
    fold_of = kept_cut(
        cache_dir, "folds", depends_on, len(labels), lambda: _fold_of(labels, groups, parts, seed)
    )
    return [(np.flatnonzero(fold_of != k), np.flatnonzero(fold_of == k)) for k in range(n_folds)]


def _fold_of(labels: Indices, groups: Indices | None, parts: int, seed: int) -> Indices:
    """Return the fold in which each image is held out, int64 [N]."""
    if groups is not None:
        return np.frombuffer(_grouped(labels.tobytes(), groups.tobytes(), parts, seed), np.int64)
    # Imported here, as pandas comes along: mistakes on the command line are told before.
    from sklearn.model_selection import StratifiedKFold

    splitter = StratifiedKFold(parts, shuffle=True, random_state=seed)
    fold_of = np.empty(len(labels), np.int64)
    for fold, (_, val) in enumerate(splitter.split(np.zeros(len(labels)), labels)):
        fold_of[val] = fold
    return fold_of


def check_enough(sizes: Mapping[str, int], n_folds: int) -> None:
    """Refuse more folds than the rarest class can have images to train on.

    Args:
        sizes: the most images that each class may have; before the pages are read, as some may
            turn out to be the same.
        n_folds: of the search.

    Raises:
        UserError: names the class.
    """
    if not sizes:
        return
    name, size = min(sizes.items(), key=lambda item: item[1])
    if size < parts_of(n_folds):
        raise UserError(
            f"quick_validation.folds={n_folds}: class {name} has only {size} images, and not all "
            "to train on; take fewer folds, 3 to 5 are usual, or add images"
        )


def notes_on_folds(
    folds: Folds,
    labels: Indices,
    n_folds: int,
    seed: int,
    groups: Indices | None = None,
    classes: Sequence[str] = (),
) -> list[str]:
    """Return what a user should know about folds that large groups have made uneven.

    Args:
        folds: as `stratified_folds` has cut them, from the other arguments.
        labels: int64 [N].
        n_folds: how many.
        seed: of the cut.
        groups: int64 [N], or None.
        classes: names for messages.

    Raises:
        UserError: a fold has no image of a class to validate on or to train on, or far fewer
            images than the others, so that the mean over folds is not worth searching with.
    """
    parts = parts_of(n_folds)
    wrong = _wrong_with(folds, labels, classes, parts)
    if wrong is not None:
        fewer = range(parts - 1, 1, -1)
        better = next((n for n in fewer if _is_even(labels, n, seed, groups)), None)
        advice = (
            f"take quick_validation.folds={better}"
            if better
            else "no number of folds does better, so make the groups smaller"
        )
        raise UserError(
            f"quick_validation.folds={n_folds}: images that belong together are so many that "
            f"{wrong}; {advice}"
        )
    sizes = [len(val) for _, val in folds]
    if min(sizes) < TOLD * len(labels) / parts:
        return [
            f"the folds hold {', '.join(map(str, sizes))} images, as those that belong together "
            "stay together; each counts as much as any other in a trial's score"
        ]
    return []


def _is_even(labels: Indices, n_folds: int, seed: int, groups: Indices | None) -> bool:
    folds = stratified_folds(labels, n_folds, seed, groups)
    return _wrong_with(folds, labels, (), n_folds) is None


def _wrong_with(folds: Folds, labels: Indices, classes: Sequence[str], parts: int) -> str | None:
    """Return what makes folds useless, None where nothing does."""
    present = np.unique(labels)
    even = len(labels) / parts
    for number, (train, val) in enumerate(folds, start=1):
        for part, what in ((val, "validate"), (train, "train")):
            missing = np.setdiff1d(present, labels[part])
            if len(missing):
                name = f"class {classes[missing[0]]}" if len(classes) else f"class {missing[0]}"
                return f"fold {number} has no image of {name} to {what} on"
        if len(val) < REFUSED * even:
            return (
                f"fold {number} has {len(val)} of {len(labels)} images and would count as much as "
                "the others"
            )
    return None


def _check_classes(
    labels: Indices, n_folds: int, groups: Indices | None, classes: Sequence[str]
) -> None:
    pairs = np.stack([labels, np.arange(len(labels)) if groups is None else groups], 1)
    found, sizes = np.unique(np.unique(pairs, axis=0)[:, 0], return_counts=True)
    rarest, size = found[sizes.argmin()], int(sizes.min())
    parts = parts_of(n_folds)
    if size < parts:
        name = f"class {classes[rarest]}" if len(classes) else "the rarest class"
        kind = "images" if groups is None else "different images"
        why = ", too few for a single split, which holds out a fifth" if n_folds == 1 else ""
        raise UserError(
            f"quick_validation.folds={n_folds}: {name} has only {size} {kind} to train on{why}; "
            f"take {max(2, size)} folds or add images"
        )


@functools.lru_cache(maxsize=4)
def _grouped(label_bytes: bytes, group_bytes: bytes, n_folds: int, seed: int) -> bytes:
    """Return the fold of each image as int64; takes and gives bytes, which can be remembered."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    labels = np.frombuffer(label_bytes, np.int64)
    groups = np.frombuffer(group_bytes, np.int64)
    together = np.bincount(groups)[groups] > 1
    # Either half needs a class that reaches all folds.
    smallest_half = min(
        np.bincount(labels[half], minlength=1).max() for half in (together, ~together)
    )
    if len(labels) <= MOST_GROUPED or smallest_half < n_folds:
        together[:] = True
    singles = np.flatnonzero(~together)
    fold_of = np.empty(len(labels), np.int64)
    for rows, splitter in (
        (np.flatnonzero(together), StratifiedGroupKFold),
        (singles, StratifiedKFold),
    ):
        if len(rows):
            cut = splitter(n_folds, shuffle=True, random_state=seed)
            with warnings.catch_warnings():
                # Of classes that are rare among these alone; they are in the other half.
                warnings.simplefilter("ignore", UserWarning)
                for k, (_, val) in enumerate(cut.split(rows, labels[rows], groups[rows])):
                    fold_of[rows[val]] = k
    return fold_of.tobytes()
