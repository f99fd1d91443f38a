"""JPEG 2000 of more than 8 bits, which Pillow reads rightly in grey alone.

In colour its lightest levels wrap around to black (Pillow 13.0), so these are left to imagecodecs.
"""

import mmap
from pathlib import Path

from PIL import Image

from src.data.levels import scaled

# Start of the codestream and of its size segment.
START = b"\xff\x4f\xff\x51"
# From there to the number of components, and to the first of their three bytes.
COMPONENTS, FIRST = 40, 42


def bits_of(path: Path) -> int:
    """Return the bits a sample of the deepest component; 8 where no codestream is found."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(START)
        if start < 0:
            return 8
        count = int.from_bytes(data[start + COMPONENTS : start + FIRST], "big")
        depths = data[start + FIRST : start + FIRST + 3 * count : 3]
    return max(((depth & 0x7F) + 1 for depth in depths), default=8)


def read_deep(path: Path, bits: int) -> Image.Image:
    """Read a picture in colour, or with transparency, of more than 8 bits.

    Raises:
        ValueError: imagecodecs is not there, or does not know such colours.
    """
    try:
        import imagecodecs
    except ImportError as error:
        raise ValueError(
            f"a JPEG 2000 of {bits} bits a sample, which needs pip install 'doctune[deep]'; or "
            "save it with 8 bits"
        ) from error
    values = imagecodecs.jpeg2k_decode(path.read_bytes())
    if values.ndim != 3 or not 2 <= values.shape[-1] <= 4:
        raise ValueError(f"a JPEG 2000 of {bits} bits a sample in unknown colours")
    return Image.fromarray(scaled(values, 2.0**bits - 1))
