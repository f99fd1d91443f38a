"""How well copies and scans of one sheet are told from other fillings of its template.

    python -m tests.benchmarks.near_duplicates [PAGES] [--templates 4] [--from 0] [--folder FOLDER]

Pages of every kind in tests/data/templates.py, so many templates of each; of every fifth sheet
there is a second scan, of every tenth a copy. Half of the first ones are scans themselves. They are
found as `data=image_folder` finds them, from files. Precision: of the pairs that end in one group
those that are one sheet; recall: of the pairs that are one sheet those that end in one group.

`--from 100` draws templates that no limit was chosen by. In a folder that is given the pages stay,
and 10,000 of them hold the 1,000 that fewer would be.
"""

import argparse
import resource
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

# Pages for each sheet, on average.
SHARE = 1.3
# Kinds that were drawn after the limits had been chosen.
NOT_TUNED_ON = ("payslip", "questionnaire")


def main(pages: int, templates: int, first: int, folder: Path) -> None:
    """Draw, find, count."""
    began = time.process_time()
    root = draw(folder, pages, templates, first)
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


def draw(folder: Path, pages: int, templates: int, first: int) -> Path:
    """Draw what is not there yet; return the folder of just these pages."""
    each = max(1, round(pages / SHARE / len(KINDS) / templates))
    drawn = folder / f"drawn-{first}"
    root = folder / f"chosen-{first}-{templates}-{each}" / "images"
    for kind in KINDS:
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
    rng = np.random.default_rng([list(KINDS).index(kind), template, number, 1])
    sheet, name = fill_in(kind, template, number), f"{template}-{number}"
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
        kind: [i for i, name in enumerate(names) if name.startswith(f"{kind}/")] for kind in KINDS
    }
    found = {kind: count(names, groups, of) for kind, of in rows.items()}
    found["all"] = np.sum(list(found.values()), axis=0)
    found["not tuned on"] = np.sum([found[kind] for kind in NOT_TUNED_ON], axis=0)
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("pages", type=int, nargs="?", default=1000)
    parser.add_argument("--templates", type=int, default=4)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        main(given.pages, given.templates, given.first, given.folder or Path(made))
