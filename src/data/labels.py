"""`data.labels=FILE`: what a person has decided about labels that are probably wrong.

FILE is a table such as a search leaves, `suspect_labels.csv`, after a person has gone through it.
Its column `accept` says what becomes of an image:

    relabel     it is of the class in the column `suggested`, which may be overwritten
    leave out   it takes part in nothing
    keep        its label is right, so no search lists it again
    (empty)     nothing was decided, so its label stays

Images stay in the split that they were in, so that scores before and after are over the same ones.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from doctune.errors import UserError
from doctune.words import counted, did_you_mean
from src.data.csv_table import read_table
from src.data.files import SPLITS
from src.data.image_set import ImageSet, Indices
from src.data.splits import Splits

RELABEL, LEAVE_OUT, KEEP = "relabel", "leave out", "keep"
# What a person may write for them.
WORDS = {
    **dict.fromkeys((RELABEL, "relabeled", "relabelled"), RELABEL),
    **dict.fromkeys((LEAVE_OUT, "leave_out", "leave-out", "left out", "leaveout"), LEAVE_OUT),
    KEEP: KEEP,
}
# The class of an image that takes part in nothing.
NOWHERE = -1


@dataclass(frozen=True)
class Decision:
    """A line of the table on which something was decided.

    Args:
        image: what it is called: its path below the folder of the images.
        label: its class in the data, by name.
        suggested: the class that it may be of.
        accept: `relabel`, `leave out` or `keep`.
        line: its number in the file; the header is line 1.
    """

    image: str
    label: str
    suggested: str
    accept: str
    line: int


def read_decisions(path: Path) -> list[Decision]:
    """Read the lines of a table on which a person has decided.

    Raises:
        UserError: there is no such table, it lacks a column, or a decision has no meaning.
    """
    columns = {name: name for name in ("image", "label", "suggested", "accept")}
    if not path.is_file():
        raise UserError(f"data.labels={path}: there is no such file")
    try:
        _, rows = read_table(path, columns, section="")
    except UserError as error:
        raise UserError(f"data.labels: {error}") from error
    found: list[Decision] = []
    for line, row in enumerate(rows, 2):
        word = row["accept"].lower()
        if not word:
            continue
        if word not in WORDS:
            raise UserError(
                f"data.labels={path}: line {line}: accept={row['accept']}: write {RELABEL}, "
                f"{LEAVE_OUT}, {KEEP}, or nothing{_near(word)}"
            )
        found.append(Decision(row["image"], row["label"], row["suggested"], WORDS[word], line))
    twice: dict[str, Decision] = {}
    for one in found:
        before = twice.setdefault(one.image, one)
        if (before.accept, before.suggested) != (one.accept, one.suggested):
            raise UserError(
                f"data.labels={path}: lines {before.line} and {one.line} decide differently about "
                f"{one.image}"
            )
    return found


def _near(word: str) -> str:
    hint = did_you_mean(word, (RELABEL, LEAVE_OUT, KEEP))
    return hint if hint.endswith("?") else ""


def decided(
    path: str | None,
    names: Sequence[str],
    targets: Indices,
    classes: Sequence[str],
    codes: Sequence[str] = (),
    unreadable: Sequence[str] = (),
) -> Indices:
    """Return the classes after what a person has decided.

    Args:
        path: `data.labels`; None changes nothing.
        names: of all images.
        targets: int64 [N], their classes in the data.
        classes: names.
        codes: what the data call the classes, where that is not their name.
        unreadable: images that are left out already.

    Returns:
        int64 [N]; `NOWHERE` for images that are left out.

    Raises:
        UserError: a line names an image or a class that is not there, or another label than the
            data have, so that it was decided about other data.
    """
    if path is None:
        return targets
    file = Path(os.path.expanduser(path))
    found = targets.copy()
    rows = {name: row for row, name in enumerate(names)}
    by_name = {**{code: i for i, code in enumerate(codes)}, **{c: i for i, c in enumerate(classes)}}
    gone = set(unreadable)
    for one in read_decisions(file):
        where = f"data.labels={path}: line {one.line}"
        if one.image in gone:
            continue
        row = rows.get(one.image)
        if row is None:
            raise UserError(f"{where}: there is no image {one.image} in these data")
        for column in ("label", "suggested"):
            name = getattr(one, column)
            # Nobody needs a suggestion for an image that is left out.
            if name not in by_name and (column == "label" or one.accept == RELABEL):
                raise UserError(
                    f"{where}: {column}={name} is no class of these data"
                    f"{did_you_mean(name, list(classes))}"
                )
        is_now = int(targets[row])
        wanted = by_name[one.suggested] if one.accept == RELABEL else None
        if is_now not in (by_name[one.label], wanted):
            raise UserError(
                f"{where}: {one.image} is {classes[is_now]} in these data, not {one.label}; the "
                "line is about other data, so take it out"
            )
        if wanted is not None:
            found[row] = wanted
        elif one.accept == LEAVE_OUT:
            found[row] = NOWHERE
    return found


def changes(targets: Indices, corrected: Indices) -> list[list[int]]:
    """Return [row, class] of the images whose class is no longer that of the data."""
    rows = np.flatnonzero(targets != corrected)
    return [[int(row), int(corrected[row])] for row in rows]


def with_decisions(splits: Splits, corrected: Indices, path: str | None) -> Splits:
    """Return splits with the classes after what was decided, without the images left out.

    Args:
        splits: cut by the labels in the data.
        corrected: int64 [M], a class for each row of the pixels, or `NOWHERE`.
        path: `data.labels`.

    Raises:
        UserError: nothing is left of a split, or of a class to train on.
    """
    before = splits.train.targets
    if path is None:
        return splits
    parts = {split: _part(getattr(splits, split), corrected, split, path) for split in SPLITS}
    lost = np.setdiff1d(splits.train.labels, parts["train"].labels)
    if len(lost):
        name = splits.train.classes[lost[0]]
        raise UserError(f"data.labels={path}: no image of {name} is left to train on")
    train, val, test = (parts[split] for split in SPLITS)
    told = describe_changes(before, corrected, path)
    return replace(splits, train=train, val=val, test=test, notes=(*splits.notes, told))


def describe_changes(targets: Indices, corrected: Indices, path: str) -> str:
    """Say what `data.labels` changes; arguments as above."""
    left = int((corrected == NOWHERE).sum())
    moved = len(changes(targets, corrected)) - left
    if not moved and not left:
        return f"data.labels={path}: no line says relabel or leave out, so nothing changes"
    return f"data.labels: another class for {counted(moved, 'image')}, and {left} left out"


def _part(images: ImageSet, corrected: Indices, split: str, path: str) -> ImageSet:
    kept = images.rows[corrected[images.rows] != NOWHERE]
    if not len(kept):
        raise UserError(f"data.labels={path}: leaves no image for {split}")
    return replace(images, targets=corrected, rows=kept)
