"""Which images of a data set show the same, and what is told of them."""

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from src.data.cache import cached_array
from src.data.decode import DECODING_VERSION
from src.data.decoded import short_hash
from src.data.duplicates import Indices, group_same
from src.data.labels import NOWHERE
from src.data.near_duplicates import VERSION, same_sheets
from src.data.processes import pdfs_in_processes
from src.data.reading import Page
from src.data.seen_file import Seen
from src.data.seen_pages import Small


def equal_images(contents: Sequence[str], cache_dir: str) -> Indices:
    """Number the images, those of equal content alike, int64 [N]; kept, as every trial asks.

    Args:
        contents: what tells each from any other.
        cache_dir: where the numbers are kept.
    """
    return _kept(contents, False, lambda: None, cache_dir)


def same_images(
    contents: Sequence[str],
    pages: Sequence[Page],
    seen: Callable[[], Seen],
    open_page: Callable[[int], Image.Image],
    cache_dir: str,
) -> Indices:
    """Number the images, those alike that show the same sheet, int64 [N]; kept likewise.

    Args:
        contents: what tells each from any other.
        pages: what is known of each.
        seen: returns what all pages of the files look like.
        open_page: opens an image, in the size in which pages are compared.
        cache_dir: where the numbers are kept.

    Raises:
        UnreadableImageError: an image was changed meanwhile.
    """

    def pairs() -> Indices:
        # Of equal files one is enough.
        firsts = np.unique(np.array(contents), return_index=True)[1]
        chosen, all_seen = firsts.tolist(), seen()
        places = [pages[i].place for i in chosen]

        def small(index: int) -> Small:
            return all_seen["ink"][places[index]], pages[chosen[index]].size

        with pdfs_in_processes():
            near = same_sheets(
                all_seen["look"][places],
                all_seen["waves"][places],
                small,
                lambda index: open_page(chosen[index]),
            )
        found: Indices = firsts[near]
        return found

    return _kept(contents, True, pairs, cache_dir)


def _kept(
    contents: Sequence[str], near: bool, pairs: Callable[[], Indices | None], cache_dir: str
) -> Indices:
    def fill(out: Indices) -> None:
        out[:] = group_same([contents], pairs())

    name = f"same-{short_hash([contents, near, VERSION, DECODING_VERSION])}"
    return np.asarray(cached_array(cache_dir, name, (len(contents),), fill, np.int64))


def describe_same(
    same: Indices,
    labels: Indices,
    names: Sequence[str],
    classes: Sequence[str],
    splits: Sequence[str],
) -> list[str]:
    """Say which images are there several times, and where that does harm.

    Args:
        same: as of `same_images`.
        labels: class of each, int64 [N]; `NOWHERE` of those that are left out.
        names: of all.
        classes: their names.
        splits: of each, where they are given.
    """
    members = defaultdict(list)
    for row, number in enumerate(same.tolist()):
        members[number].append(row)
    several = [rows for rows in members.values() if len(rows) > 1]
    if not several:
        return []
    notes = [
        f"{sum(map(len, several))} images are {len(several)} in truth, the others being copies "
        f"or scans of the same sheet ({_examples(several, names)}); they stay in one fold "
        "(data.near_duplicates=false keeps together only what is equal byte for byte)"
    ]
    torn = [rows for rows in several if len({int(labels[row]) for row in rows} - {NOWHERE}) > 1]
    if torn:
        labelled = [f"{n} ({classes[t]})" for n, t in zip(names, labels, strict=True)]
        notes.append(f"{len(torn)} of them have several classes: {_examples(torn, labelled)}")
    leaking = [rows for rows in several if splits and len({splits[row] for row in rows}) > 1]
    if leaking:
        notes.append(
            f"{len(leaking)} of them are in several of the splits that the folders make, so scores "
            f"on validation and test look better than they are: {_examples(leaking, names)}"
        )
    return notes


def _examples(groups: Sequence[Sequence[int]], names: Sequence[str], most: int = 3) -> str:
    told = [" = ".join(names[row] for row in rows[:3]) for rows in groups[:most]]
    return "; ".join(told) + ("; ..." if len(groups) > most else "")
