"""Which files are images, by their names, and which of them need an extra to be read."""

import importlib.util
from pathlib import Path

TIFF = (".tif", ".tiff")
# These may hold several pages.
PAGED = (".pdf", *TIFF)
# Pictures of most phones; read where pillow-heif is installed.
HEIF = (".heic", ".heif", ".hif")
HEIF_EXTRA = "pip install 'doctune[heif]'"
HAS_HEIF = importlib.util.find_spec("pillow_heif") is not None

# What counts as an image in a folder.
SUFFIXES = (
    *PAGED,
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".avif", ".gif"),
    *(".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx"),
    *(".bmp", ".dib", ".tga", ".pcx", ".ppm", ".pgm", ".pbm", ".pnm"),
    *(HEIF if HAS_HEIF else ()),
)


def is_pdf(path: Path) -> bool:
    """Whether a file is a PDF, by its name."""
    return path.suffix.lower() == ".pdf"


def is_tiff(path: Path) -> bool:
    """Whether a file is a TIFF, by its first bytes: some are called .jpg.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(4)
    return start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
