"""Cuts of a data set, kept beside its decoded images.

scikit-learn makes them; to import it and SciPy's statistics takes more than a second, and some
memory, of every worker and of every command that goes on with what was cut before.
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np

from src.data.cache import cached_array
from src.data.image_set import Indices


def kept_cut(
    cache_dir: str | None,
    what: str,
    depends_on: Sequence[object],
    size: int,
    make: Callable[[], Indices],
) -> Indices:
    """Return a cut that was made before, or make it now.

    Args:
        cache_dir: of the decoded images; None: nothing is kept.
        what: kind of the cut, for the name of its file.
        depends_on: all that decides about the cut, arrays as int64.
        size: of what is returned.
        make: returns int64 [size].

    Raises:
        UserError: there is no room for it on the disk, or the folder cannot be written to.
    """
    if cache_dir is None:
        return make()
    facts = hashlib.sha256()
    for each in depends_on:
        facts.update(each.tobytes() if isinstance(each, np.ndarray) else repr(each).encode())
        facts.update(b"|")

    def fill(out: Indices) -> None:
        out[:] = make()

    name = f"{what}-{facts.hexdigest()[:12]}"
    return np.array(cached_array(cache_dir, name, (size,), fill, np.int64))
