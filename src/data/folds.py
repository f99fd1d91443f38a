"""Stratified folds, the same for every trial."""

import numpy as np
import numpy.typing as npt
from sklearn.model_selection import StratifiedKFold

from src.errors import UserError

Indices = npt.NDArray[np.int64]


def stratified_folds(labels: Indices, n_folds: int, seed: int) -> list[tuple[Indices, Indices]]:
    """Cut a set into folds that hold the classes in equal shares.

    Args:
        labels: int64 [N].
        n_folds: at least 2.
        seed: the folds depend on it and on the labels alone.

    Returns:
        For each fold the indices to train and to validate on.

    Raises:
        UserError: fewer than 2 folds, or a class has fewer images than folds.
    """
    if n_folds < 2:
        raise UserError(f"quick_validation.folds={n_folds}: cross-validation needs 2 or more")
    rarest = int(np.bincount(labels)[np.unique(labels)].min())
    if rarest < n_folds:
        raise UserError(
            f"quick_validation.folds={n_folds}: the rarest class has only {rarest} images to "
            f"train on; take {max(2, rarest)} folds or add images"
        )
    splitter = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    return [(train, val) for train, val in splitter.split(np.zeros(len(labels)), labels)]
