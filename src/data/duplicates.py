"""Images that belong together, and pages that may be the same by their perceptual hashes.

The hash (the signs of an image's lowest frequencies, ImageHash's `phash`) has 32 x 32 bits. Of
these differ, on pages of tests.benchmarks.near_duplicates and of the built-in documents:

    copies (JPEG, half size, blur, brightness)      0 to 60
    two scans of one page                          54 to 236, more where they lie askew
    the same template, filled differently           6 to 160
    pages of other content                        162 and more

So a hash alone can tell no copy from another filling. It finds pages that are worth a closer look
(`near_duplicates.py`), in time that hardly grows faster than their number; which fillings of a
template there are most of all.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

# Bits of 1,024 in which two pictures of the same page may differ.
REACH = 220
# Orders in which the hashes are sorted, each by other bits, and how many of its next ones in each
# order a page is compared with. Pages that differ in 164 bits meet in 19 of 20 cases at 10,000
# pages, and nearer ones more surely.
ORDERS, NEXT = 48, 4
# Bits by which an order is sorted: as many as a number has.
BITS = 64


def group_same(keys: Sequence[Sequence[str]], pairs: Indices | None = None) -> Indices:
    """Number the groups of images that belong together.

    Args:
        keys: for each kind of key (content, file, customer) one of every image; images that
            share any key belong together, except for empty keys.
        pairs: int64 [pairs, 2], images that belong together beside those.

    Returns:
        int64 [N], from 0, in the order of the first image of each group.
    """
    count = len(keys[0])
    links = [_same_key(column) for column in keys]
    if pairs is not None:
        links.append(pairs)
    numbers: Indices = np.unique(components(np.concatenate(links), count), return_inverse=True)[1]
    return numbers.astype(np.int64)


def components(pairs: Indices, count: int) -> Indices:
    """Return the first of those that pairs connect each of `count` things with, int64 [count].

    The first of two groups that a pair connects becomes that of the other, for all pairs at once,
    until none connects two (Shiloach and Vishkin, An O(log n) parallel connectivity algorithm,
    1982). SciPy, which has the like, takes 0.3 s to be imported.
    """
    firsts = np.arange(count, dtype=np.int64)
    a, b = pairs.T
    while len(a):
        a, b = firsts[a], firsts[b]
        apart = a != b
        a, b = a[apart], b[apart]
        np.minimum.at(firsts, np.maximum(a, b), np.minimum(a, b))
        while not np.array_equal(firsts, nearer := firsts[firsts]):
            firsts = nearer
    return firsts


def near(hashes: Words) -> tuple[Indices, Indices]:
    """Find pairs of hashes that differ in no more bits than `REACH`.

    Two near ones agree in most bits, so in some order that is sorted by bits drawn at random they
    stand close together (locality-sensitive hashing).

    Args:
        hashes: uint64 [N, W], 64 bits a word.

    Returns:
        int64 [pairs, 2], the smaller index first, and how far they are apart, int64 [pairs].
    """
    bits = np.unpackbits(hashes.view(np.uint8), axis=1)
    rng = np.random.default_rng(0)
    found: list[Indices] = []
    for _ in range(ORDERS):
        chosen = rng.permutation(bits.shape[1])[:BITS]
        order = np.argsort(_key(bits[:, chosen]), kind="stable")
        for step in range(1, min(NEXT, len(order) - 1) + 1):
            pair = np.sort(np.stack([order[:-step], order[step:]], 1), axis=1)
            found.append(pair[apart(hashes, *pair.T) <= REACH])
    pairs = np.unique(np.concatenate(found), axis=0) if found else np.empty((0, 2), np.int64)
    return pairs, apart(hashes, *pairs.T)


def first_of_each(row: Indices, order: npt.NDArray[Any], most: int) -> Indices:
    """Return which entries are among the `most` of their row that are least in `order`."""
    at: Indices = np.lexsort((order, row))
    ordered = row[at]
    first: Indices = at[np.arange(len(at)) - np.searchsorted(ordered, ordered) < most]
    return first


def words(looks: npt.NDArray[np.uint8]) -> Words:
    """Return hashes, uint8 [N, 8 W], as uint64 [N, W]."""
    return np.ascontiguousarray(looks).view(np.uint64)


def _key(bits: npt.NDArray[np.uint8]) -> Words:
    # Columns that were chosen by their numbers, and what is packed of them, lie column by column.
    packed = np.ascontiguousarray(np.packbits(bits, axis=1))
    # The first bits count most.
    key: Words = packed.view(">u8")[:, 0].astype(np.uint64)
    return key


def _same_key(keys: Sequence[str]) -> Indices:
    """Link every image to the first one of the same key."""
    first: dict[str, int] = {}
    links = [(first.setdefault(key, row), row) for row, key in enumerate(keys) if key]
    return np.array(links, dtype=np.int64).reshape(-1, 2)


def apart(hashes: Words, a: Indices, b: Indices) -> npt.NDArray[np.int64]:
    """Count the bits in which the rows `a` differ from the rows `b`, in pieces that fit memory."""
    piece = 1 << 16
    counts = [
        np.bitwise_count(hashes[a[i : i + piece]] ^ hashes[b[i : i + piece]]).sum(1, dtype=np.int64)
        for i in range(0, len(a), piece)
    ]
    return np.concatenate(counts) if counts else np.empty(0, np.int64)
