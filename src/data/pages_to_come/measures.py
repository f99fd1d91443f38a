"""What a page looks like in numbers: how it lies, how it is lit, how sharp it is.

Cheap measures that wear changes and content hardly does, as NumPy and SciPy have them. scikit-image
and OpenCV find a skew more exactly, by Hough's transform, in a hundred times the time; to compare
two heaps of pages the direction of all edges together is enough.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

# Name -> unit, as people read them.
MEASURES = {
    "skew": "degrees",
    "order of edges": "0 none, 1 all along two directions",
    "lines across or down": "above 0: across, as lines of text; below: down",
    "weight to the left": "share of the ink left of the middle",
    "weight to the top": "share of the ink above the middle",
    "left margin": "share of the side",
    "right margin": "share of the side",
    "top margin": "share of the side",
    "bottom margin": "share of the side",
    "frame": "brightness of the outermost pixels, 0 to 1",
    "brightness": "0 to 1",
    "paper": "its brightness, 0 to 1",
    "ink": "its brightness, 0 to 1",
    "contrast": "paper less ink",
    "shade": "how unevenly the paper is lit, 0 to 1",
    "white": "share of pixels that are all white",
    "flat": "share of the page without any detail",
    "sharpness": "fine detail against all, natural logarithm",
    "noise": "grain, share of full range",
    "colour": "difference of the channels, 0 to 1",
    "warmth": "red less blue, -1 to 1",
}
# Of the file, before pages are brought to one size: shown, and told apart by nothing, since a model
# is never shown them either.
SIZES = {"width": "pixels; of a PDF points", "height": "pixels; of a PDF points"}
# Cells a side that light and detail are judged in.
CELLS = 8
# A row or column is ink where it is darker than the paper by so much.
INK = 0.08
# Edges count where the grey changes by so much a pixel; below is noise.
EDGE = 0.03
# Immerkaer, "Fast Noise Variance Estimation", 1996: a difference of two Laplacians sees no edges.
GRAIN = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)


def measure(pages: Sequence[Pixels] | Pixels) -> Floats:
    """Return the measures of pages, float64 [N, len(MEASURES)], in their order.

    Args:
        pages: uint8 [S, S, 3] each, of one size.
    """
    return np.array([_measure(page) for page in pages], np.float64).reshape(-1, len(MEASURES))


def _measure(page: Pixels) -> list[float]:
    colours = page.astype(np.float32) / 255
    grey = colours.mean(2)
    paper, ink = np.percentile(grey, (90, 5))
    smooth = ndimage.gaussian_filter(grey, 0.8)
    angle, order = _edges(smooth)
    dark = np.maximum(paper - INK - smooth, 0)
    total = max(float(dark.sum()), 1e-6)
    height, width = grey.shape
    margins = [
        _first(dark.max(axis)[::step]) / side
        for axis, side in ((0, width), (1, height))
        for step in (1, -1)
    ]
    across, down = (float(np.diff(smooth.mean(axis)).std()) for axis in (1, 0))
    frame = np.concatenate([grey[[0, -1]].ravel(), grey[:, [0, -1]].ravel()])
    cells = _cells(grey)
    deviation = cells.std(1)
    fine = float(ndimage.laplace(grey).std())
    spread = colours.max(2) - colours.min(2)
    return [
        abs(angle),
        order,
        float(np.log((across + 1e-4) / (down + 1e-4))),
        float(dark[:, : width // 2].sum()) / total,
        float(dark[: height // 2].sum()) / total,
        *margins,
        float(frame.mean()),
        float(grey.mean()),
        float(paper),
        float(ink),
        float(paper - ink),
        float(np.percentile(cells, 90, axis=1).std()),
        float((grey > 0.98).mean()),
        float((deviation < 0.01).mean()),
        float(np.log((fine + 1e-3) / (float(grey.std()) + 1e-3))),
        float(np.median(np.abs(ndimage.convolve(grey, GRAIN)))) / 6 / 0.6745,
        float(spread.mean()),
        float((colours[..., 0] - colours[..., 2]).mean()),
    ]


def _edges(grey: npt.NDArray[np.float32]) -> tuple[float, float]:
    """Return by how many degrees, -45..45, the edges of a page lie off the axes, and how surely.

    Edges of text, rules and paper have two directions at right angles; four times an angle makes
    them one, whose mean is that of the vectors (Mardia & Jupp, Directional Statistics, 2000).
    """
    # Sobel's: plain differences turn what lies askew further.
    y, x = (ndimage.sobel(grey, axis) / 8 for axis in (0, 1))
    strength = x**2 + y**2
    strong = strength > EDGE**2
    if not strong.any():
        return 0.0, 0.0
    turned = np.exp(4j * np.arctan2(y[strong], x[strong])) * strength[strong]
    total = turned.sum()
    return float(np.degrees(np.angle(total)) / 4), float(np.abs(total) / strength[strong].sum())


def _first(profile: npt.NDArray[np.float32]) -> int:
    """Return at which place the ink begins."""
    there = np.flatnonzero(profile > 0)
    return int(there[0]) if len(there) else len(profile)


def _cells(grey: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the pixels of each cell of a grid, [CELLS**2, pixels]; the rest is cut off."""
    side = grey.shape[0] // CELLS
    cut = grey[: side * CELLS, : side * CELLS]
    found: npt.NDArray[np.float32] = cut.reshape(CELLS, side, CELLS, side).swapaxes(1, 2)
    return found.reshape(CELLS * CELLS, side * side)
