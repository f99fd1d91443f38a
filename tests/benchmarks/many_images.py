"""What a data set of many images takes before its first training step, by their number:

python -m tests.benchmarks.many_images [IMAGES ...]

Draws so many small JPEGs, all different, in folders of ten classes, and looks through them as a
search does: lists them, reads each (hash, spectrum, faults), finds the same ones, cuts the
splits and decodes them into the cache. Then the same command a second time, in a new process.
Milliseconds of processor time an image, which should not grow with their number, and the peak of
memory. A line a number of images; each in a folder of its own, which goes at once.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hydra import compose, initialize_config_dir
from PIL import Image

from src.before import config as config
from src.data.image_files import file_of, find_images, list_images
from src.data.inspection import inspect_files
from src.data.load import load_splits
from src.hardware import profile as profile
from tests.conftest import CONF, REPOSITORY

IMAGES = (1_000, 4_000, 16_000)
CLASSES, SIDE = 10, 128
STAGES = ("listed", "read", "compared", "cut, decoded")


def draw(folder: Path, count: int) -> None:
    """Draw JPEGs of lines of words, as small pages, no two alike, a folder a class."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"class-{number % CLASSES}" / f"{number:06d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        page = np.full((SIDE, int(SIDE * rng.uniform(0.6, 0.9))), 250, np.uint8)
        row, pitch = int(rng.integers(4, 20)), int(rng.integers(4, 10))
        while row < SIDE - pitch:
            begin = int(rng.integers(3, 20))
            while begin < page.shape[1] - 8:
                end = begin + int(rng.integers(2, 14))
                page[row : row + pitch // 2, begin:end] = rng.integers(0, 120)
                begin = end + int(rng.integers(2, 8))
            # A paragraph, now and then.
            row += pitch * int(rng.choice([1, 1, 1, 3]))
        Image.fromarray(page).save(path, quality=70)


def stages(root: Path, cache: Path) -> list[float]:
    """Return seconds of processor time of each stage; a later one finds what those before kept."""
    with initialize_config_dir(CONF):
        words = ["data=image_folder", f"data.root={root}", f"data.cache_dir={cache}", "gpu=cpu"]
        cfg = compose("train", [*words, "data.img_size=64", "logger=none"]).data

    def read() -> None:
        listing = list_images(cfg)
        files = [file_of(listing.root, name)[0] for name in listing.names]
        inspect_files(listing.root, files, cfg.cache_dir)

    def seconds(call: Callable[[], object]) -> float:
        began = time.process_time()
        call()
        return time.process_time() - began

    listed = seconds(lambda: list_images(cfg))
    inspected = seconds(read)
    found = seconds(lambda: find_images(cfg))
    loaded = seconds(lambda: load_splits(cfg))
    # Each of them does again what those before have done, from what was kept.
    again = seconds(lambda: find_images(cfg))
    return [listed, inspected - listed, found - again, loaded - again, again]


def main(*counts: int) -> None:
    """Print a line for each number of images."""
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}; CPU ms an image")
    header = "".join(f"{name:>14}" for name in (*STAGES, "in all", "second start"))
    print(f"{'images':>8}{header}{'s, again':>10}{'peak MB':>9}")
    for count in counts or IMAGES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            draw(folder / "images", count)
            first, second = (measured(folder) for _ in range(2))
        *parts, _ = first[:-1]
        again = sum(second[1:4]) + second[0]
        row = "".join(f"{1000 * each / count:14.3f}" for each in (*parts, sum(parts), again))
        print(f"{count:8}{row}{again:10.1f}{first[-1]:9.0f}", flush=True)


def measured(folder: Path) -> list[float]:
    """Return the stages of a new process, and its peak of memory in MB."""
    command = [sys.executable, "-m", "tests.benchmarks.many_images", "in", str(folder)]
    told = subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.PIPE, text=True)
    return [float(word) for word in told.stdout.split()]


if __name__ == "__main__":
    if sys.argv[1:2] == ["in"]:
        inside = Path(sys.argv[2])
        taken = stages(inside / "images", inside / "cache")
        print(*taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    else:
        main(*(int(word) for word in sys.argv[1:]))
