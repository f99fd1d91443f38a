"""The perceptual hash of a page: the signs of its lowest frequencies.

That of ImageHash's `phash` (Zauner, Implementation and benchmarking of perceptual image hash
functions, 2010): of the cosine transform only a quarter counts, which is a product of small
matrices. The page is made smaller without rounding; waves that nearly are the median fall to the
other side of it for that, 2 to 4 of 100 bits of a clean page.
"""

import numpy as np
import numpy.typing as npt
from PIL import Image

from src.data.resample import resample

Look = npt.NDArray[np.uint8]

# The hash has SIDE x SIDE bits (`duplicates.py` says why so many) and looks at a square of twice
# that side.
SIDE = 32
SQUARE = 2 * SIDE
# Less is what is left of nothing: on an empty page, or one that is its own mirror image.
NOTHING = 1e-6
# The lower half of the cosine transform of SQUARE numbers, [SIDE, SQUARE].
_turns = np.pi * np.outer(np.arange(SIDE), 2 * np.arange(SQUARE) + 1) / (2 * SQUARE)
_WAVES = 2 * np.cos(_turns)


def phash(grey: Image.Image) -> Look:
    """Return the hash of a page.

    Args:
        grey: in mode L.

    Returns:
        SIDE x SIDE bits, row by row, uint8 [128].
    """
    return bits(resample(grey, (SQUARE, SQUARE), Image.Resampling.LANCZOS))


def bits(square: npt.NDArray[np.uint8 | np.float32]) -> Look:
    """Return the hash of levels [SQUARE, SQUARE]."""
    waves = _WAVES @ square @ _WAVES.T
    # The median, which NumPy's function takes longer to be called for than to find.
    half = waves.size // 2
    middle = np.partition(waves, (half - 1, half), axis=None)[half - 1 : half + 1].mean()
    return np.packbits(waves > middle + NOTHING)
