"""What a data set of many images takes before its first training step, by their number:

python -m tests.benchmarks.many_images [IMAGES ...]

Draws so many small JPEGs, all different, in folders of ten classes, and looks through them as a
search does: lists them, reads each once (hash, spectrum, faults, pixels for the cache), finds the
same ones and cuts the splits. Then the same command a second time, in a new process. Milliseconds
of processor time an image, which should not grow with their number, and the peak of memory. A line
a number of images; each in a folder of its own, which goes at once.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from src.data.config import DataConfig
from src.data.image_files import find_images, list_images
from src.data.load import load_splits

IMAGES = (1_000, 4_000, 16_000)
CLASSES, SIDE = 10, 128
# Not from tests.conftest, which brings torch along, and its memory.
REPOSITORY = Path(__file__).parents[2]
STAGES = ("listed", "read, decoded", "compared", "cut")


def draw(folder: Path, count: int) -> None:
    """Draw JPEGs of lines of words, as small pages, no two alike, a folder a class."""
    rng = np.random.default_rng(0)
    for name in range(CLASSES):
        (folder / f"class-{name}").mkdir(parents=True)
    for number in range(count):
        pitch, width = int(rng.integers(4, 10)), int(SIDE * rng.uniform(0.6, 0.9))
        lines = SIDE // pitch
        # Where words end and begin, in turns.
        ends = rng.integers((3, 2) * 12, (8, 14) * 12, (lines, 24)).cumsum(1)
        words = (np.arange(width) >= ends[:, :, None]).sum(1) % 2 == 1
        # A paragraph, now and then, and margins.
        words[rng.random(lines) < 0.25] = False
        words[:, -8:] = False
        words[[0, -1]] = False
        page = np.full((SIDE, width), 250, np.uint8)
        shown = np.repeat(np.where(words, rng.integers(0, 120, (lines, 1)), 250), pitch // 2, 0)
        for row in range(pitch // 2):
            page[row : lines * pitch : pitch] = shown[row :: pitch // 2]
        path = folder / f"class-{number % CLASSES}" / f"{number:06d}.jpg"
        Image.fromarray(page).save(path, quality=70)


def stages(root: Path, cache: Path) -> list[float]:
    """Return seconds of processor time of each stage; a later one finds what those before kept."""
    cfg = configured(root, cache)
    equal = replace(cfg, near_duplicates=False)

    def seconds(call: Callable[[], object]) -> float:
        began = time.process_time()
        call()
        return time.process_time() - began

    listed = seconds(lambda: list_images(cfg))
    read = seconds(lambda: find_images(equal, decode=True))
    found = seconds(lambda: find_images(cfg))
    loaded = seconds(lambda: load_splits(cfg))
    # Each of them does again what those before have done, from what was kept.
    again = seconds(lambda: find_images(cfg))
    return [listed, read - listed, found - again, loaded - again]


def configured(root: Path, cache: Path) -> DataConfig:
    """Return the `data` group for a folder."""
    return DataConfig("image_folder", str(root), cache_dir=str(cache))


def main(*counts: int) -> None:
    """Print a line for each number of images."""
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}; CPU ms an image")
    header = "".join(f"{name:>15}" for name in (*STAGES, "in all", "second start"))
    print(f"{'images':>8}{header}{'s, again':>10}{'peak MB':>9}{'again':>7}")
    for count in counts or IMAGES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            draw(folder / "images", count)
            first, second = measured("first", folder), measured("again", folder)
        *parts, peak = first
        again, peak_again = second
        each = (*parts, sum(parts), again)
        row = "".join(f"{1000 * seconds / count:15.3f}" for seconds in each)
        print(f"{count:8}{row}{again:10.1f}{peak:9.0f}{peak_again:7.0f}", flush=True)


def measured(how: str, folder: Path) -> list[float]:
    """Return the stages of a new process, or of the second start, and its peak of memory in MB."""
    command = [sys.executable, "-m", "tests.benchmarks.many_images", how, str(folder)]
    told = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True)
    return [float(word) for word in told.stdout.split()]


if __name__ == "__main__":
    if sys.argv[1:2] in (["first"], ["again"]):
        images, cache = Path(sys.argv[2]) / "images", Path(sys.argv[2]) / "cache"
        if sys.argv[1] == "first":
            taken = stages(images, cache)
        else:
            began = time.process_time()
            load_splits(configured(images, cache))
            taken = [time.process_time() - began]
        print(*taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    else:
        main(*(int(word) for word in sys.argv[1:]))
