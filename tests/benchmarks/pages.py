"""What reading pages costs, beside the plain way.

That is Pillow's `open`, `exif_transpose` and `convert`, and a PDF that is opened for every page.

    python -m tests.benchmarks.pages

Peak memory of a process over that of one that reads a small page, for pages of 100 megapixels; time
of the CPU for ordinary pages and for a PDF of 2,000 pages. All are ratios of one run.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
from PIL import Image, ImageOps

from src.data.decode import REDUCING_GAP, decode, open_image
from tests.conftest import REPOSITORY
from tests.data.forms import write_form
from tests.data.templates import fill_in, scan

SIZE, LARGE, PAGES, TURNS = 224, 10_000, 2000, 5

Way = Callable[[Path, int], object]


def plainly(path: Path, size: int) -> object:
    """Read an image the plain way."""
    Image.MAX_IMAGE_PIXELS = None
    with Image.open(path) as image:
        wanted = round(size * REDUCING_GAP)
        image.draft("RGB", (wanted, wanted))
        whole = ImageOps.exif_transpose(image).convert("RGB")
    scale = size / max(whole.size)
    sides = (round(whole.width * scale), round(whole.height * scale))
    small = whole.resize(sides, Image.Resampling.BICUBIC, reducing_gap=REDUCING_GAP)
    square = Image.new("RGB", (size, size), "white")
    square.paste(small, ((size - sides[0]) // 2, (size - sides[1]) // 2))
    return np.asarray(square)


WAYS: dict[str, Way] = {"ours": lambda path, size: decode(path, size), "plain": plainly}


def main() -> None:
    """Print the ratios."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        memory(folder)
        ordinary(folder)
        long_pdf(folder)


def memory(folder: Path) -> None:
    """Compare the peak memory of large pages."""
    small = folder / "small.png"
    Image.new("L", (100, 100), 255).save(small)
    large = Image.new("L", (LARGE, LARGE), 255)
    large.paste(0, (0, 0, LARGE // 2, LARGE // 2))
    files = {
        "black and white, G4": (large.convert("1"), "bw.tif", {"compression": "group4"}),
        "grey, PNG": (large, "grey.png", {"compress_level": 1}),
        "palette, PNG": (large.convert("P"), "palette.png", {"compress_level": 1}),
        "colour, PNG": (large.convert("RGB"), "colour.png", {"compress_level": 1}),
    }
    print(f"{'100 megapixels':24} {'ours':>8} {'plain':>8}  ratio")
    for kind, (image, file, options) in files.items():
        image.save(folder / file, **options)  # type: ignore[arg-type]
        taken = {way: peak(folder / file, way) - peak(small, way) for way in WAYS}
        ratio = taken["ours"] / taken["plain"]
        print(f"{kind:24} {taken['ours']:5.0f} MB {taken['plain']:5.0f} MB  {ratio:.2f}")


def peak(path: Path, way: str) -> float:
    """Read a page in a process of its own; return its peak resident memory in MB."""
    command = [sys.executable, "-m", "tests.benchmarks.pages", str(path), way]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    return float(done.stdout)


def ordinary(folder: Path) -> None:
    """Compare the time of pages as most are, in turns."""
    rng = np.random.default_rng(0)
    page = scan(fill_in("letter", 0, 0), rng).resize((1654, 2339))
    kinds = {
        "JPEG in colour": (page.convert("RGB"), "a.jpg"),
        "JPEG in grey": (page, "b.jpg"),
        "PNG in colour": (page.convert("RGB"), "a.png"),
        "PNG in grey": (page, "b.png"),
        "TIFF, G4": (page.point(lambda level: 255 * (level > 128)).convert("1"), "a.tif"),
    }
    print(f"{'1654 x 2339 pixels':24} {'ours':>8} {'plain':>8}  ratio")
    for kind, (image, file) in kinds.items():
        image.save(folder / file, **({"compression": "group4"} if file == "a.tif" else {}))
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(TURNS):
            for way, read in WAYS.items():
                began = time.process_time()
                for _ in range(10):
                    read(folder / file, SIZE)
                seconds[way].append((time.process_time() - began) / 10)
        ours, plain = (1000 * float(np.median(seconds[way])) for way in ("ours", "plain"))
        print(f"{kind:24} {ours:5.1f} ms {plain:5.1f} ms  {ours / plain:.2f}")


def long_pdf(folder: Path) -> None:
    """Compare the time of a long PDF with that of opening it for each page."""
    path = write_form(folder / "long.pdf", pages=PAGES)
    began = time.process_time()
    for page in range(PAGES):
        open_image(path, SIZE, page)
    ours = time.process_time() - began
    began = time.process_time()
    few = range(0, PAGES, PAGES // 100)
    for page in few:
        with pdfium.PdfDocument(path) as pdf:
            len(pdf)
            sheet = pdf[page]
            sheet.render(scale=REDUCING_GAP * SIZE / 200).to_pil().convert("RGB")
            sheet.close()
    plain = (time.process_time() - began) * PAGES / len(few)
    print(f"{f'a PDF of {PAGES:,} pages':24} {ours:5.1f} s  {plain:5.1f} s   {ours / plain:.2f}")


def read_one(path: str, way: str) -> None:
    """Read a page and print the peak memory of this process, in MB."""
    WAYS[way](Path(path), SIZE)
    # What `getrusage` says is that of the parent where it was larger.
    lines = Path("/proc/self/status").read_text().splitlines()
    print(next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        read_one(*sys.argv[1:])
    else:
        main()
