"""How well copies and scans of one sheet are told from other fillings of its template.

    python -m tests.benchmarks.near_duplicates [PAGES] [FAMILIES]

Pages of every kind in tests/data/templates.py, FAMILIES templates of each; of every fifth sheet
there is a second scan, of every tenth a copy. Half of the first ones are scans themselves. They are
found as `data=image_folder` finds them, from files. Precision: of the pairs that end in one group
those that are one sheet; recall: of the pairs that are one sheet those that end in one group.
"""

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from src.data.config import DataConfig
from src.data.image_files import find_images
from tests.data.templates import COPIES, KINDS, fill_in, scan

PAGES, FAMILIES = 1000, 4
# Pages for each sheet, on average.
SHARE = 1.3


def main(pages: int = PAGES, families: int = FAMILIES) -> None:
    """Draw, find, count."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "images"
        began = time.process_time()
        for kind, name, image in draw(pages, families):
            (root / kind).mkdir(parents=True, exist_ok=True)
            image.save(root / kind / f"{name}.jpg", quality=90)
        print(f"drawn in {time.process_time() - began:.0f} s of CPU")
        seconds = []
        for near in (False, True):
            cfg = DataConfig("image_folder", str(root), near_duplicates=near)
            cfg.cache_dir = str(Path(folder) / "cache")
            began = time.process_time()
            found = find_images(cfg)
            seconds.append(time.process_time() - began)
        count = len(found.names)
        print(
            f"{count} pages: {1000 * seconds[0] / count:.0f} ms of CPU a page to read them, "
            f"{1000 * seconds[1] / count:.0f} to find which are the same"
        )
        report(found.names, found.same.tolist())


def draw(pages: int, families: int) -> Iterator[tuple[str, str, Image.Image]]:
    """Yield kind, name and image; the name says which sheet it is."""
    rng = np.random.default_rng(0)
    each = max(1, round(pages / SHARE / len(KINDS) / families))
    for kind in KINDS:
        for family in range(families):
            for number in range(each):
                sheet, name = fill_in(kind, family, number), f"{family}-{number}"
                first = scan(sheet, rng) if number % 2 else sheet
                yield kind, f"{name}-first", first
                if number % 5 == 0:
                    yield kind, f"{name}-scan", scan(sheet, rng)
                if number % 10 == 1:
                    how = list(COPIES)[number // 10 % len(COPIES)]
                    yield kind, f"{name}-copy {how}", COPIES[how](first)


def report(names: list[str], groups: list[int]) -> None:
    """Print precision and recall by kind."""
    print(f"{'':12} {'precision':>18} {'recall of scans':>18} {'of copies':>18}")
    total = np.zeros(6, int)
    for kind in (*KINDS, "all"):
        rows = [row for row, name in enumerate(names) if name.startswith(f"{kind}/")]
        counts = total if kind == "all" else count(names, groups, rows)
        total = total if kind == "all" else total + counts
        told = [
            f"{right}/{of} {right / max(of, 1):.3f}" for right, of in counts.reshape(3, 2).tolist()
        ]
        print(f"{kind:12} " + " ".join(f"{text:>18}" for text in told))


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


if __name__ == "__main__":
    main(*(int(number) for number in sys.argv[1:]))
