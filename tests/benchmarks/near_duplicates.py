"""How well copies and scans of one sheet are told from other fillings of its template.

    python -m tests.benchmarks.near_duplicates [PAGES] [--templates 4] [--from 0]
        [--kinds KIND ...] [--folder FOLDER]
    python -m tests.benchmarks.near_duplicates --grow 1000 3000 10000

Pages of every kind in tests/data/templates.py, so many templates of each, or of those that are
named; those of late_templates.py were drawn when every limit had been chosen. Of every fifth sheet
there is a second scan, of every tenth a copy. Half of the first ones are scans themselves. They are
found as `data=image_folder` finds them, from files. Precision: of the pairs that end in one group
those that are one sheet; recall: of the pairs that are one sheet those that end in one group.

`--from 100` draws other templates. In a folder that is given the pages stay, and 10,000 of them
hold the 1,000 that fewer would be.

`--grow` tells how time and memory grow. As that many files would take half an hour to draw, a page
is there a printed one with other names at its edges, drawn when it is asked for; every tenth is a
copy. The time of drawing is taken off.
"""

import argparse
import resource
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path
from threading import Lock

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance

from src.data.config import DataConfig
from src.data.image_files import find_images
from src.data.near_duplicates import same_sheets
from src.data.phash import Look, phash
from src.data.seen_pages import Small
from src.data.spectrum import Numbers, spectrum_and_ink
from tests.data.late_templates import ALL_KINDS, LATE_KINDS
from tests.data.templates import COPIES, HEIGHT, KINDS, Sheet, fill_in, name, scan

# Pages for each sheet, on average.
SHARE = 1.3


def main(pages: int, templates: int, first: int, folder: Path, kinds: Sequence[str]) -> None:
    """Draw, find, count."""
    began = time.process_time()
    root = draw(folder, pages, templates, first, kinds)
    print(f"drawn in {time.process_time() - began:.0f} s of CPU")
    seconds = []
    for near in (False, True):
        cfg = DataConfig("image_folder", str(root), near_duplicates=near)
        cfg.cache_dir = str(root.parent / "cache")
        for known in root.parent.glob("cache/same-*"):
            known.unlink()
        began = time.process_time()
        found = find_images(cfg)
        seconds.append(time.process_time() - began)
    count = len(found.names)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{count} pages: {1000 * seconds[0] / count:.0f} ms of CPU a page to read them, "
        f"{1000 * seconds[1] / count:.0f} to find which are the same; {peak:.0f} MB at most"
    )
    report(found.names, found.same.tolist())


def draw(folder: Path, pages: int, templates: int, first: int, kinds: Sequence[str]) -> Path:
    """Draw what is not there yet; return the folder of just these pages."""
    each = max(1, round(pages / SHARE / len(kinds) / templates))
    drawn = folder / f"drawn-{first}"
    chosen = f"chosen-{first}-{templates}-{each}-{len(kinds)}-{kinds[0]}"
    root = folder / chosen / "images"
    for kind in kinds:
        (drawn / kind).mkdir(parents=True, exist_ok=True)
        (root / kind).mkdir(parents=True, exist_ok=True)
        for template in range(first, first + templates):
            for number in range(each):
                if not list((drawn / kind).glob(f"{template}-{number}-first.jpg")):
                    for name, image in sheets(kind, template, number):
                        image.save(drawn / kind / f"{name}.jpg", quality=90)
                for path in (drawn / kind).glob(f"{template}-{number}-*.jpg"):
                    link = root / kind / path.name
                    if not link.exists():
                        link.hardlink_to(path)
    return root


def sheets(kind: str, template: int, number: int) -> Iterator[tuple[str, Image.Image]]:
    """Yield the pages of a sheet; the last is the one that says that it is complete."""
    rng = np.random.default_rng([list(ALL_KINDS).index(kind), template, number, 1])
    sheet, name = fill_in(kind, template, number, ALL_KINDS), f"{template}-{number}"
    first = scan(sheet, rng) if number % 2 else sheet
    if number % 5 == 0:
        yield f"{name}-scan", scan(sheet, rng)
    if number % 10 == 1:
        how = list(COPIES)[number // 10 % len(COPIES)]
        yield f"{name}-copy {how}", COPIES[how](first)
    yield f"{name}-first", first


def report(names: list[str], groups: list[int]) -> None:
    """Print precision and recall by kind."""
    print(f"{'':16} {'precision':>18} {'recall of scans':>18} {'of copies':>18}")
    rows = {
        kind: [i for i, name in enumerate(names) if name.startswith(f"{kind}/")]
        for kind in ALL_KINDS
    }
    found = {kind: count(names, groups, of) for kind, of in rows.items() if of}
    found["all"] = np.sum(list(found.values()), axis=0)
    if fresh := [found[kind] for kind in LATE_KINDS if kind in found]:
        found["not tuned on"] = np.sum(fresh, axis=0)
    for kind, counts in found.items():
        told = [
            f"{right}/{of} {right / max(of, 1):.3f}" for right, of in counts.reshape(3, 2).tolist()
        ]
        print(f"{kind:16} " + " ".join(f"{text:>18}" for text in told))


def count(names: list[str], groups: list[int], rows: list[int]) -> npt.NDArray[np.int64]:
    """Count pairs: right and all of those found, then found and all of the scans, of the copies."""
    sheet = {row: names[row].rpartition("-")[0] for row in rows}
    counts = np.zeros(6, np.int64)
    by_group, by_sheet = defaultdict(list), defaultdict(list)
    for row in rows:
        by_group[groups[row]].append(row)
        by_sheet[sheet[row]].append(row)
    for members in by_group.values():
        for a, b in combinations(members, 2):
            counts[:2] += (sheet[a] == sheet[b], 1)
    for members in by_sheet.values():
        for a, b in combinations(members, 2):
            at = 2 if "-scan" in names[a] + names[b] else 4
            counts[at : at + 2] += (groups[a] == groups[b], 1)
    return counts


class Drawn:
    """Pages of some templates, drawn when they are asked for."""

    def __init__(self, pages: int, templates: int) -> None:
        self._printed = [fill_in(kind, t, 0) for kind in KINDS for t in range(templates)]
        self._pages = pages
        self._lock = Lock()
        self.seconds = 0.0

    def __call__(self, index: int) -> Image.Image:
        began = time.thread_time()
        sheet = index - 1 if index % 10 == 1 else index
        rng = np.random.default_rng(sheet)
        page = Sheet()
        page.image = self._printed[sheet // 2 % len(self._printed)].copy()
        page.pen = ImageDraw.Draw(page.image)
        for y in (20, 60, HEIGHT - 50):
            page.write(120, y, f"{name(rng)} {rng.integers(10**6)}", 24)
        image = page.image if sheet == index else ImageEnhance.Brightness(page.image).enhance(0.95)
        with self._lock:
            self.seconds += time.thread_time() - began
        return image

    def looks(self) -> tuple[Look, Numbers, list[Small]]:
        """Return the hashes, the spectra and the small pictures of all."""
        hashes: list[Look] = []
        spectra: list[Numbers] = []
        pictures: list[Small] = []
        for index in range(self._pages):
            page = self(index).reduce(4)
            waves, ink = spectrum_and_ink(page)
            hashes.append(phash(page))
            spectra.append(waves)
            pictures.append((ink, page.size))
        return np.stack(hashes), np.stack(spectra), pictures


def grow(pages: int, templates: int = 8) -> None:
    """Print what it takes to find the same among so many pages."""
    drawn = Drawn(pages, templates)
    hashes, spectra, small = drawn.looks()
    began, drawn.seconds = time.process_time(), 0.0
    found = same_sheets(hashes, spectra, lambda index: small[index], drawn)
    taken = time.process_time() - began - drawn.seconds
    right = int(((found[:, 0] % 10 == 0) & (found[:, 1] == found[:, 0] + 1)).sum())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{pages} pages: {1000 * taken / pages:.0f} ms of CPU a page, {peak:.0f} MB at most; "
        f"{right} of {pages // 10} copies found, {len(found) - right} pairs beside them",
        flush=True,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("pages", type=int, nargs="?", default=1000)
    parser.add_argument("--templates", type=int, default=4)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=ALL_KINDS)
    parser.add_argument("--grow", type=int, nargs="*", default=[])
    given = parser.parse_args()
    for number in given.grow:
        grow(number)
    if given.grow:
        raise SystemExit
    with tempfile.TemporaryDirectory() as made:
        folder = given.folder or Path(made)
        main(given.pages, given.templates, given.first, folder, given.kinds)
