"""What reading pages costs, beside another state of this repository.

    git worktree add /tmp/before 05997aa
    python -m tests.benchmarks.pages /tmp/before [memory] [ordinary] [long_pdf] [from_nothing]

05997aa is the last one that read each page by itself and made it RGB before it was reduced. Peak
memory of a process over that of one that reads a small page, for pages of 100 megapixels; time of
the CPU for ordinary pages, in turns, and for a PDF of 2,000 pages; then a set of such PDFs from its
files to the cache, by the CPU and by the clock. All are ratios of one run.
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from tests.conftest import REPOSITORY
from tests.data.forms import write_form, write_text
from tests.data.pictures import png_of
from tests.data.templates import fill_in, scan, word

SIZE, LARGE, PAGES, TURNS, TIMES = 224, 10_000, 2000, 5, 10
# Pages of the long PDF that are read before; each took as long as any other.
FEW = 100
# Files and pages of each in a set of PDFs. Given splits, as pages of a file stay together.
PARTS = (
    ("train", "long", 1, PAGES),
    ("train", "short", 20, 1),
    *((part, name, 10, 1) for part in ("val", "test") for name in ("long", "short")),
)
COUNT = sum(files * pages for *_, files, pages in PARTS)

# Reads what it is told to, and says how long it took and how much memory it had at most. What
# `getrusage` says of memory is that of the parent where it was larger.
READER = """
import sys, time
from pathlib import Path
from src.data.decode import decode
try:
    from src.data.reading import read_pages
    inspect = lambda path, page: read_pages(path, [page])
except ImportError:
    from src.data.inspection import _page as inspect
for line in sys.stdin:
    what, path, first, last, step, times = line.rstrip().split("\\t")
    began = time.process_time()
    for page in range(int(first), int(last), int(step)):
        for _ in range(int(times)):
            inspect(Path(path), page) if what == "inspect" else decode(Path(path), 224, page=page)
    taken = time.process_time() - began
    status = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(row.split()[1]) / 1024 for row in status if row.startswith("VmHWM"))
    print(taken, peak, flush=True)
"""


# Loads a data set of image files, and says how long it took with the processes that it started.
LOADER = """
import os, sys, time
from src.data.config import DataConfig
from src.data.load import load_splits
began, clock = os.times(), time.monotonic()
root, cache = sys.argv[1:]
keys = {"near_duplicates": False, "img_size": 224, "cache_dir": cache}
load_splits(DataConfig("image_folder", root, **keys))
print(sum(os.times()[:4]) - sum(began[:4]), time.monotonic() - clock)
"""


class Reader:
    """A process that reads pages as a checkout does."""

    def __init__(self, checkout: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", READER],
            cwd=checkout,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def read(
        self, path: Path, pages: range = range(1), times: int = 1, what: str = "decode"
    ) -> tuple[float, float]:
        """Read pages: seconds of the CPU for all, and the peak memory so far in MB.

        Args:
            path: of their file.
            pages: their indices.
            times: that each is read.
            what: "decode", as for a cache, or "inspect", as before.
        """
        asked, told = self._process.stdin, self._process.stdout
        assert asked
        assert told
        asked.write(f"{what}\t{path}\t{pages.start}\t{pages.stop}\t{pages.step}\t{times}\n")
        asked.flush()
        seconds, peak = map(float, told.readline().split())
        return seconds, peak

    def close(self) -> None:
        self._process.communicate()


@contextmanager
def readers(before: Path) -> Iterator[tuple[Reader, Reader]]:
    """Start one of today's and one of before."""
    both = Reader(REPOSITORY), Reader(before)
    try:
        yield both
    finally:
        for reader in both:
            reader.close()


def main(before: Path, *parts: str) -> None:
    """Print the ratios."""
    known = {part.__name__: part for part in (memory, ordinary, long_pdf, from_nothing)}
    with tempfile.TemporaryDirectory() as name:
        for part in parts or known:
            known[part](Path(name), before)


def memory(folder: Path, before: Path) -> None:
    """Compare the peak memory of large pages."""
    small = folder / "small.png"
    Image.new("L", (100, 100), 255).save(small)
    large = Image.new("L", (LARGE, LARGE), 255)
    large.paste(0, (0, 0, LARGE // 2, LARGE // 2))
    colour, one = large.convert("RGB"), {"strip_size": 10**9}
    files = {
        "black and white, G4": (large.convert("1"), "bw.tif", {"compression": "group4"}),
        "grey, PNG": (large, "grey.png", {"compress_level": 1}),
        "palette, PNG": (large.convert("P"), "palette.png", {"compress_level": 1}),
        "colour, PNG": (colour, "colour.png", {"compress_level": 1}),
        "colour, JPEG": (colour, "colour.jpg", {}),
        "colour, TIFF, LZW": (colour, "lzw.tif", {"compression": "tiff_lzw"}),
        "colour, TIFF, JPEG": (colour, "jpeg.tif", {"compression": "jpeg"}),
        "colour, TIFF": (colour, "plain.tif", {}),
        "colour, TIFF, one JPEG": (colour, "a.tif", {"compression": "jpeg", **one}),
        "colour, one strip, LZW": (colour, "b.tif", {"compression": "tiff_lzw", **one}),
        "colour, one strip, zip": (colour, "c.tif", {"compression": "tiff_adobe_deflate", **one}),
        "16 bits, grey, PNG": (None, "grey16.png", {"bits": 16, "samples": 1}),
        "16 bits, colour, PNG": (None, "colour16.png", {"bits": 16, "samples": 3}),
        "interlaced, colour, PNG": (None, "a.png", {"bits": 8, "samples": 3, "interlaced": True}),
    }
    print(f"{'100 megapixels':24} {'now':>8} {'before':>8}  ratio")
    for kind, (image, file, options) in files.items():
        if image is None:
            white_png(folder / file, **options)  # type: ignore[arg-type]
        else:
            image.save(folder / file, **options)  # type: ignore[arg-type]
        taken = []
        with readers(before) as both:
            for reader in both:
                _, least = reader.read(small)
                taken.append(reader.read(folder / file)[1] - least)
        print(f"{kind:24} {taken[0]:5.0f} MB {taken[1]:5.0f} MB  {taken[0] / taken[1]:.2f}")


def white_png(path: Path, bits: int, samples: int, interlaced: bool = False) -> None:
    """Write what Pillow cannot: 16 bits in colour, or interlaced."""
    # Of each pass the first column and row, and how far it is to the next.
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2)]
    passes += [(0, 1, 1, 2)]
    rows = (
        b"\0" + b"\xff" * (len(range(left, LARGE, across)) * samples * bits // 8)
        for left, top, across, down in (passes if interlaced else [(0, 0, 1, 1)])
        for _ in range(top, LARGE, down)
    )
    colours = {1: 0, 3: 2}[samples]
    path.write_bytes(png_of((LARGE, LARGE), bits, colours, rows, interlaced))


def ordinary(folder: Path, before: Path) -> None:
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
    print(f"{'1654 x 2339 pixels':24} {'now':>8} {'before':>8}  ratio")
    with readers(before) as both:
        for kind, (image, file) in kinds.items():
            image.save(folder / file, **({"compression": "group4"} if file == "a.tif" else {}))
            turns = [
                [reader.read(folder / file, times=TIMES)[0] for reader in both]
                for _ in range(TURNS)
            ]
            now, then = 1000 * np.median(turns, axis=0) / TIMES
            print(f"{kind:24} {now:5.1f} ms {then:5.1f} ms  {now / then:.2f}")


def long_pdf(folder: Path, before: Path) -> None:
    """Compare the time of a long PDF, a page at a time."""
    path = write_form(folder / "long.pdf", pages=PAGES)
    some = range(0, PAGES, PAGES // FEW)
    with readers(before) as (ours, theirs):
        for what in ("inspect", "decode"):
            for reader in (ours, theirs):
                # What is imported at the first page is no page's time.
                reader.read(path, what=what)
            now, _ = ours.read(path, range(PAGES), what=what)
            then = theirs.read(path, some, what=what)[0] * PAGES / FEW
            kind = f"a PDF of {PAGES:,}, {what}"
            print(f"{kind:24} {now:5.1f} s  {then:5.1f} s   {then / now:.1f} times as fast")


def from_nothing(folder: Path, before: Path) -> None:
    """Compare a data set that is a long PDF and short ones, from its files to the cache."""
    rng = np.random.default_rng(0)
    kinds: dict[str, Callable[[Path, int], object]] = {
        "forms": lambda path, pages: write_form(path, pages=pages),
        "text": lambda path, pages: write_text(path, [_lines(rng) for _ in range(pages)]),
    }
    for kind, write_pages in kinds.items():
        root = folder / kind
        for part, name, files, pages in PARTS:
            (root / part / name).mkdir(parents=True)
            for number in range(files):
                write_pages(root / part / name / f"{number}.pdf", pages)
        taken = [[loaded(checkout, root) for checkout in (REPOSITORY, before)] for _ in range(2)]
        (now, now_wall), (then, then_wall) = np.min(taken, axis=0)
        print(
            f"{COUNT:,} pages, {kind:6} CPU {now:5.1f} s {then:5.1f} s, "
            f"{then / now:4.1f} times as fast; by the clock {now_wall:5.1f} s {then_wall:5.1f} s, "
            f"{then_wall / now_wall:4.1f} times"
        )


def _lines(rng: np.random.Generator) -> list[str]:
    return [" ".join(word(rng) for _ in range(11)) for _ in range(50)]


def loaded(checkout: Path, root: Path) -> tuple[float, float]:
    """Return seconds of the CPU and by the clock from files to the cache, as a checkout does it."""
    with tempfile.TemporaryDirectory() as cache:
        command = [sys.executable, "-c", LOADER, str(root), cache]
        told = subprocess.run(command, cwd=checkout, check=True, stdout=subprocess.PIPE, text=True)
    cpu, wall = map(float, told.stdout.split())
    return cpu, wall


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
