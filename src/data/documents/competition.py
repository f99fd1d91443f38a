"""The built-in documents as the files of a competition, to try all steps of one on:

python -m src.data.documents.competition FOLDER
python -m src.data.documents.competition FOLDER --score submission.csv

`train.csv` and `train/` are flat, clean scans, some with a wrong label; `test.csv` and `test/` have
been through people's hands (`worn.py`). What nobody has in a competition lies beside them, for the
score: `truth.csv` with the classes of the test pages, `wrong.csv` with the right classes of wrong
labels.
"""

import argparse
import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from src.data.documents.generate import FLAT, KINDS, class_sizes, draw_documents
from src.data.documents.worn import HANDLINGS

# Pages to train on and of the test, their side in pixels, and the share of labels that are wrong.
PAGES, TEST_PAGES, SIDE, WRONG = 720, 240, 256, 0.05
QUALITY = 92

Labels = npt.NDArray[np.int64]


def write_competition(
    folder: Path,
    pages: int = PAGES,
    test_pages: int = TEST_PAGES,
    side: int = SIDE,
    handling: str = "phone",
    wrong: float = WRONG,
    seed: int = 0,
) -> None:
    """Write tables and images.

    Args:
        folder: gets them; made where it is not there.
        pages: to train on, uneven over the classes as the built-in data are.
        test_pages: likewise, of the test.
        side: of the pictures in pixels.
        handling: how test pages were handled, one of `HANDLINGS`.
        wrong: share of the labels to train on that are those of another class.
        seed: of the pages, their order and the wrong labels.
    """
    rng = np.random.default_rng(seed)
    names, labels = _write_pages(folder / "train", pages, side, FLAT, seed, rng)
    given = labels.copy()
    rows = np.sort(rng.choice(len(labels), round(wrong * len(labels)), replace=False))
    given[rows] = (labels[rows] + rng.integers(1, len(KINDS), len(rows))) % len(KINDS)
    kinds = list(KINDS)
    _write(folder / "meta.csv", ("target", "class_name"), enumerate(kinds))
    _write(folder / "train.csv", ("ID", "target"), zip(names, given, strict=True))
    right = [(names[row], kinds[given[row]], kinds[labels[row]]) for row in rows]
    _write(folder / "wrong.csv", ("ID", "given", "right"), right)
    names, labels = _write_pages(folder / "test", test_pages, side, handling, seed + 1, rng)
    _write(folder / "test.csv", ("ID",), ((name,) for name in names))
    _write(folder / "truth.csv", ("ID", "target"), zip(names, labels, strict=True))


def _write_pages(
    folder: Path, count: int, side: int, taken: str, seed: int, rng: np.random.Generator
) -> tuple[list[str], Labels]:
    """Write images in an order that says nothing of their classes."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes = class_sizes(count)
    drawn = draw_documents(sizes, side, seed, taken)
    labels = np.repeat(np.arange(len(sizes)), list(sizes.values()))
    order = rng.permutation(len(labels))
    names = [f"{number:04d}.jpg" for number in range(len(order))]
    for name, row in zip(names, order, strict=True):
        Image.fromarray(drawn[row]).save(folder / name, quality=QUALITY)
    return names, labels[order]


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])


def score(folder: Path, submission: Path) -> float:
    """Return the macro-F1 of a table of all test pages (`ID,target`)."""
    from sklearn.metrics import f1_score

    truth, said = (_targets(path) for path in (folder / "truth.csv", submission))
    return float(f1_score(list(truth.values()), [said[name] for name in truth], average="macro"))


def _targets(path: Path) -> dict[str, str]:
    with path.open(newline="", encoding="utf-8") as file:
        return {row["ID"]: row["target"] for row in csv.DictReader(file)}


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--score", type=Path, help="a submission, to score instead of writing")
    parser.add_argument("--handling", choices=sorted(HANDLINGS), default="phone")
    given = parser.parse_args()
    if given.score is not None:
        for path in (given.folder / "truth.csv", given.score):
            if not path.is_file():
                parser.error(f"there is no {path}")
        print(f"macro-F1 on the test pages: {score(given.folder, given.score):.4f}")
        return
    write_competition(given.folder, handling=given.handling)
    pages, wrong, test = (
        len((given.folder / name).read_text(encoding="utf-8").splitlines()) - 1
        for name in ("train.csv", "wrong.csv", "test.csv")
    )
    told = f"{pages} pages to train on, {wrong} with a wrong label, and {test} to classify"
    print(f"{given.folder}: {told}")


if __name__ == "__main__":
    main()
