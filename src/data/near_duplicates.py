"""Which pages of a data set show the same sheet, copied or scanned again.

Pages whose hashes or spectra are near are looked at closer, two and two (`same_page.py`); a second
scan that lies askew is far by its hash and near by its spectrum (`spectrum.py`). Of a template that
hundreds of pages share each is near to all: there every page is laid on one of them, and those are
compared whose fillings are alike (`fillings.py`). So the work grows with the pages, not with their
square: each is read and laid on another once, and compared with a few. Spectra and fillings alone
are held all against all, in less than a hundredth of the time for 10,000 pages.
"""

from collections.abc import Callable

import numpy as np
from PIL import Image

from src.data.duplicates import Indices, Words, apart, components, first_of_each, near, words
from src.data.fillings import alike, find_fields, may_be_alike, read_fillings
from src.data.phash import Look
from src.data.seen_pages import SeenPages, Small
from src.data.spectrum import Numbers, nearest

# Raised whenever other pages would be called the same.
VERSION = 6
# From so many pages that are near to each other on, they are taken for fillings of a template.
CROWD = 6
# Pages with which each is compared, at most: the nearest by hash, or by filling.
MOST = 4
# Others with which each is compared because its waves are most like theirs.
NEIGHBOURS = 3
# Bits by which the hash of a filling that was scanned badly may differ from that of the page which
# stands for the template.
FAR = 360
# Pages that stand for no template, one after the other, after which the rest is taken for mixed;
# and templates that each page is tried with.
TRIES, TEMPLATES = 5, 12


def same_sheets(
    looks: Look,
    spectra: Numbers,
    small: Callable[[int], Small],
    open_page: Callable[[int], Image.Image],
) -> Indices:
    """Find the pages that show the same sheet.

    Args:
        looks: perceptual hashes, uint8 [N, 128].
        spectra: what `spectrum.py` says of each, int8 [N, 256].
        small: returns the small picture of a page by its index.
        open_page: opens a page by its index, in `same_page.SIDE` pixels or more.

    Returns:
        int64 [pairs, 2].
    """
    if len(looks) < 2:
        return np.empty((0, 2), np.int64)
    pages, hashes = SeenPages(open_page, small), words(looks)
    pairs, distances = near(hashes)
    count = len(hashes)
    labels = components(pairs, count)
    crowded = np.bincount(labels, minlength=count)[labels] >= CROWD
    of = labels[pairs[:, 0]]
    alone = ~crowded[pairs[:, 0]]
    chosen, waves = [_nearest(pairs[alone], distances[alone])], nearest(spectra, NEIGHBOURS)
    for label in np.unique(labels[crowded]):
        members, inside = np.flatnonzero(labels == label), of == label
        near_ones = pairs[inside], distances[inside]
        candidates, waves = _in_crowd(members, hashes, near_ones, waves, pages)
        chosen.append(candidates)
    return pages.compare(np.unique(np.concatenate([*chosen, waves]), axis=0))


def _nearest(pairs: Indices, distances: Indices) -> Indices:
    """Keep the `MOST` nearest pairs of each page."""
    both = np.concatenate([pairs, pairs[:, ::-1]])
    nearest = first_of_each(both[:, 0], np.tile(distances, 2), MOST)
    return np.unique(np.sort(both[nearest], axis=1), axis=0)


def _in_crowd(
    members: Indices,
    hashes: Words,
    near_ones: tuple[Indices, Indices],
    waves: Indices,
    pages: SeenPages,
) -> tuple[Indices, Indices]:
    """Choose pairs among fillings of a template, or of several that are near to each other.

    The page with the most near ones stands for its template; pages near to it that do not lie on it
    are tried with the next.

    Args:
        members: the pages.
        hashes: of all pages.
        near_ones: pairs of members that are near by their hashes, and how far apart they are.
        waves: pairs of all pages that are near by their spectra.
        pages: all.

    Returns:
        The pairs, and of `waves` what is left: not those whose fillings are seen to be others.
    """
    pairs, distances = near_ones
    chosen: list[Indices] = []
    failed, tried = 0, np.zeros(len(hashes), int)
    left, apart_by = pairs, distances
    while len(members) >= CROWD and failed < TRIES:
        inside = np.isin(left, members).all(1)
        left, apart_by = left[inside], apart_by[inside]
        degree = np.bincount(left.ravel(), minlength=members.max() + 1)
        first = int(members[degree[members].argmax()])
        around = (left == first).any(1)
        nearest = left[around][apart_by[around].argsort(kind="stable")]
        fields = find_fields(first, nearest[nearest != first], pages)
        close = members[apart(hashes, np.full_like(members, first), members) <= FAR]
        fillings = read_fillings(first, close, fields, pages)
        failed = failed + 1 if len(fillings.pages) == 1 else 0
        if fields.any():
            chosen.append(alike(fillings, MOST))
            waves = waves[may_be_alike(fillings, waves)]
        else:
            others = fillings.pages[fillings.pages != first]
            chosen.append(np.stack([np.full_like(others, first), others], 1))
        tried[close] += 1
        members = np.setdiff1d(members, fillings.pages)
        members = members[tried[members] < TEMPLATES]
    rest = np.isin(pairs, members).any(1)
    chosen.append(_nearest(pairs[rest], distances[rest]))
    return np.unique(np.sort(np.concatenate(chosen), axis=1), axis=0), waves
