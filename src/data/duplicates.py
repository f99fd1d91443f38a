"""Images that are the same: equal in content, or alike to the eye.

Alike is judged by a perceptual hash (the signs of an image's lowest frequencies, ImageHash's
`phash`). The usual 8 x 8 bits do not do for documents, which share their layout: measured on
720 built-in pages, freshly drawn and scanned, and on 100 copies of one form filled in with other
words, they give some different pages the same hash. With 32 x 32 bits, of these differ at least

    pages of other content           162 (drawn), 344 (scanned)
    the same form, other words        42

and an image from its own copy at most 40 in 85 to 100 % of the cases: saved as JPEG of quality
75, at half the size, blurred, in grey, brighter or with less contrast. Of copies at 70 % of the
size and JPEG quality 60, half of the noisy scans and 99 % of the clean pages are found; cropped
copies are not. So at most 40 is alike: no two different pages were called the same.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

Indices = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

# Bits of 1,024 in which two pictures of the same page may differ.
ALIKE = 40
# How many of its neighbours an image is compared with where very many share a band.
NEIGHBOURS = 32


def group_same(keys: Sequence[Sequence[str]], looks: Sequence[str] | None = None) -> Indices:
    """Number the groups of images that belong together.

    Args:
        keys: for each kind of key (content, file, customer) one of every image; images that
            share any key belong together, except for empty keys.
        looks: perceptual hashes in hexadecimal; None compares no looks.

    Returns:
        int64 [N], from 0, in the order of the first image of each group.
    """
    count = len(keys[0])
    pairs = [_same_key(column) for column in keys]
    if looks is not None and count > 1:
        pairs.append(alike(_words(looks)))
    first, second = np.concatenate(pairs).T
    links = coo_array((np.ones(len(first), bool), (first, second)), shape=(count, count))
    labels = connected_components(links, directed=False)[1]
    # Numbered by their first image, so that the numbers do not depend on the order of the pairs.
    _, firsts, inverse = np.unique(labels, return_index=True, return_inverse=True)
    numbers: Indices = np.argsort(np.argsort(firsts))[inverse].astype(np.int64)
    return numbers


def alike(hashes: Words) -> Indices:
    """Find the pairs of hashes that differ in at most `ALIKE` bits.

    Cut into `ALIKE` + 1 bands, two such hashes are equal in at least one of them (the pigeonhole
    principle), so only images that share a band are compared: 100,000 pages take seconds where
    comparing all with all takes minutes.

    Args:
        hashes: uint64 [N, W], 64 bits a word.

    Returns:
        int64 [pairs, 2]. Where more than `NEIGHBOURS` images share a band each is compared with
        its next ones in the order of the hashes alone; those of a group still find each other.
    """
    distinct, position = np.unique(hashes, axis=0, return_inverse=True)
    order = np.argsort(position, kind="stable")
    repeated = np.flatnonzero(np.diff(position[order]) == 0)
    found = [np.stack([order[repeated], order[repeated + 1]], 1)]
    firsts = order[np.searchsorted(position[order], np.arange(len(distinct)))]
    for band in _bands(distinct):
        by_band = np.argsort(band, kind="stable")
        values = band[by_band]
        for step in range(1, NEIGHBOURS + 1):
            shared = np.flatnonzero(values[step:] == values[:-step])
            if not len(shared):
                break
            a, b = by_band[shared], by_band[shared + step]
            near = _distance(distinct, a, b) <= ALIKE
            found.append(np.stack([firsts[a[near]], firsts[b[near]]], 1))
    return np.unique(np.concatenate(found), axis=0)


def _same_key(keys: Sequence[str]) -> Indices:
    """Link every image to the first one of the same key."""
    first: dict[str, int] = {}
    links = [(first.setdefault(key, row), row) for row, key in enumerate(keys) if key]
    return np.array(links, dtype=np.int64).reshape(-1, 2)


def _words(looks: Sequence[str]) -> Words:
    raw = b"".join(bytes.fromhex(look) for look in looks)
    return np.frombuffer(raw, np.uint64).reshape(len(looks), -1)


def _bands(hashes: Words) -> list[Words]:
    """Cut the bits into bands of up to 25, spread over all frequencies."""
    bits = np.unpackbits(hashes.view(np.uint8), axis=1)
    spread = np.random.default_rng(0).permutation(bits.shape[1])
    bands = []
    for part in np.array_split(spread, ALIKE + 1):
        packed = np.packbits(bits[:, part], axis=1)
        padded = np.zeros((len(hashes), 8), np.uint8)
        padded[:, : packed.shape[1]] = packed
        bands.append(padded.view(np.uint64)[:, 0])
    return bands


def _distance(hashes: Words, a: Indices, b: Indices) -> npt.NDArray[np.int64]:
    """Count the bits in which the rows `a` differ from the rows `b`, in pieces that fit memory."""
    piece = 1 << 16
    counts = [
        np.bitwise_count(hashes[a[i : i + piece]] ^ hashes[b[i : i + piece]]).sum(1, dtype=np.int64)
        for i in range(0, len(a), piece)
    ]
    return np.concatenate(counts) if counts else np.empty(0, np.int64)
