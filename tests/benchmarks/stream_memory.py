"""How much memory `src.predict` takes for 20 times the images.

    python -m tests.benchmarks.stream_memory [FEW] [MANY]

Peak resident memory of the whole process, pages of 1000 x 1414 pixels as JPEG.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from tests.conftest import REPOSITORY
from tests.trained_run import train_run

FEW, MANY = 200, 4000
DIFFERENT = 20


def main() -> None:
    """Print the peak of both, and their ratio."""
    few, many = [*map(int, sys.argv[1:]), FEW, MANY][:2]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = train_run(folder / "run")
        pages = draw_pages(folder)
        peaks = [peak(run, linked(pages, folder / str(count), count)) for count in (few, many)]
    for count, megabytes in zip((few, many), peaks, strict=True):
        print(f"{count:6} images  {megabytes:6.0f} MB")
    print(f"ratio {peaks[1] / peaks[0]:.2f}")


def draw_pages(folder: Path) -> list[Path]:
    """Write some noisy pages."""
    rng = np.random.default_rng(0)
    pages = []
    for i in range(DIFFERENT):
        grain = rng.integers(120, 255, (354, 250, 3), dtype=np.uint8)
        pages.append(folder / f"page{i}.jpg")
        Image.fromarray(grain).resize((1000, 1414)).save(pages[-1])
    return pages


def linked(pages: list[Path], folder: Path, count: int) -> Path:
    """Return a folder with so many images, which take no room of their own."""
    folder.mkdir()
    for i in range(count):
        os.link(pages[i % len(pages)], folder / f"{i:06d}.jpg")
    return folder


def peak(run: Path, images: Path) -> float:
    """Predict, and return the peak resident memory in MB."""
    words = (f"run={run}", f"data={images}", f"output={images}.csv", "accelerator=cpu")
    process = subprocess.Popen(
        [sys.executable, "-m", "src.predict", *words], cwd=REPOSITORY, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"src.predict ended with status {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss / 1024


if __name__ == "__main__":
    main()
