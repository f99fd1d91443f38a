"""What our reader shows beside what viewers show, file by file.

    python -m tests.benchmarks.viewers FOLDER [FOLDER ...]

Every image and PDF in the folders and below is drawn by us, PDFs by poppler (`pdftoppm`) and images
by ImageMagick (`convert`), and those that differ are listed: in shape, in grey, or in whether they
can be read at all. Small differences of colour and of fonts are no news; a page that is turned,
negative, scrambled or without its fields is. A file that we do not get done with in time, or that
ends the process, is listed too.

Files of known test sets that differ for a reason are in `viewers.yaml`, counted and not listed.
"""

import io
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import TimeoutError as TooLong
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import numpy.typing as npt
import yaml
from pebble import ProcessExpired, ProcessPool
from PIL import Image

from src.data.decode import UnreadableImageError, open_image, page_names
from src.data.files import image_files
from src.data.formats import is_pdf

# Side at which they are compared, and the mean and the largest difference of a block of 8 x 8 grey
# levels (of 255) up to which two are the same.
SIDE, MEAN, BLOCK = 64, 8.0, 60.0
# Pages of a file that are compared; seconds for a viewer.
PAGES, PATIENCE = 3, 60
EXPLAINED = Path(__file__).with_suffix(".yaml")
# Sides may differ by rounding.
SHAPE = 0.03


Ours = list[tuple[int, Image.Image | str]]


class Failed(str):
    """What is said of a file that hangs or ends the process that reads it."""


def main(folders: list[str]) -> None:
    """List the differences."""
    for program in ("pdftoppm", "convert"):
        if not shutil.which(program):
            print(f"{program} is not installed; its files are not compared")
    explained = yaml.safe_load(EXPLAINED.read_text(encoding="utf-8"))
    known = [name for kind in explained for name in kind["files"]]
    counts: Counter[str] = Counter()
    for folder in map(Path, folders):
        for name in image_files(folder):
            for page, ours, theirs in both(folder / name):
                told = compare(ours, theirs)
                counts["compared"] += told is not None
                if not told:
                    continue
                if any(f"/{name}".endswith(f"/{end}") for end in known):
                    counts["explained"] += 1
                else:
                    counts["unexplained"] += 1
                    print(
                        f"{folder / name}{f' page {page + 1}' if page else ''}: {told}", flush=True
                    )
    print(", ".join(f"{counts[word]} {word}" for word in ("compared", "explained", "unexplained")))


def both(path: Path) -> Iterator[tuple[int, Image.Image | str, Image.Image | str | None]]:
    """Yield pages as we draw them and as a viewer does; a text says why there is none."""
    for page, ours in drawn_in_time(path):
        yield page, ours, viewed(path, page)


def drawn_in_time(path: Path) -> Ours:
    """Draw the first pages of a file in another process, so that none hangs or ends this one."""
    global _pool
    if _pool is None:
        _pool = ProcessPool(1, context=get_context("spawn"))
    try:
        found: Ours = _pool.schedule(drawn, args=(path,), timeout=PATIENCE).result()
    except TooLong:
        return [(0, Failed(f"we took more than {PATIENCE} s"))]
    except ProcessExpired as error:
        return [(0, Failed(f"our process ended: {error}"))]
    return found


_pool: ProcessPool | None = None


def drawn(path: Path) -> Ours:
    """Draw the first pages of a file."""
    try:
        count = len(page_names(path, path.name))
    except UnreadableImageError as error:
        return [(0, error.reason)]
    pages: Ours = []
    for page in range(min(count, PAGES)):
        try:
            pages.append((page, open_image(path, 4 * SIDE, page).image.convert("RGB")))
        except UnreadableImageError as error:
            pages.append((page, error.reason))
    return pages


def viewed(path: Path, page: int) -> Image.Image | str | None:
    """Draw a page with a viewer; None where it is not installed."""
    if is_pdf(path):
        number = str(page + 1)
        command = ["pdftoppm", "-cropbox", "-f", number, "-l", number, "-scale-to", str(8 * SIDE)]
    else:
        command = ["convert", f"{path}[{page}]", "-auto-orient", "-background", "white"]
        command += ["-alpha", "remove", "-colorspace", "sRGB", "-depth", "8", "ppm:-"]
    if not shutil.which(command[0]):
        return None
    command += [str(path)] if is_pdf(path) else []
    try:
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        return Image.open(io.BytesIO(done.stdout)).convert("RGB")
    except subprocess.TimeoutExpired:
        return f"{command[0]} took more than {PATIENCE} s"
    except OSError:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        return f"{command[0]}: {lines[0] if lines else 'nothing was drawn'}"


def compare(ours: Image.Image | str, theirs: Image.Image | str | None) -> str | None:
    """Say how they differ; "" where they do not, None where there is nothing to compare."""
    if isinstance(ours, Failed):
        return str(ours)
    if theirs is None or (isinstance(ours, str) and isinstance(theirs, str)):
        return None
    if isinstance(ours, str):
        return f"only the viewer reads it; we say: {ours}"
    if isinstance(theirs, str):
        return f"only we read it; {theirs}"
    shapes = [image.height / image.width for image in (ours, theirs)]
    if abs(np.log(shapes[0] / shapes[1])) > SHAPE + 2 / min(*ours.size, *theirs.size):
        return f"shape {ours.width} x {ours.height}, viewer {theirs.width} x {theirs.height}"
    apart = np.abs(grey(ours) - grey(theirs))
    block = float(apart.reshape(SIDE // 8, 8, SIDE // 8, 8).mean((1, 3)).max())
    if apart.mean() > MEAN or block > BLOCK:
        means = [float(grey(image).mean()) for image in (ours, theirs)]
        return (
            f"grey differs by {apart.mean():.0f}, in a block by {block:.0f}; on the whole it is "
            f"{means[0]:.0f}, viewer {means[1]:.0f}"
        )
    return ""


def grey(image: Image.Image) -> npt.NDArray[np.float64]:
    """Return grey levels, [SIDE, SIDE]."""
    small = image.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    return np.asarray(small, np.float64)


if __name__ == "__main__":
    main(sys.argv[1:])
