"""What each system has found after how many seconds of two cores, from its command on:

python -m tests.benchmarks.peers [--quick] [--seeds 5] [--seconds 240] [--systems ours stock-plain]

* ours: `hparams_search=fast`, one split of the pages;
* stock: hydra-optuna-sweeper with joblib, no pruning;
* optuna: Optuna with Lightning's pruning callback, two processes;
* ray: Ray Tune with ASHA and Optuna's search;

each peer `plain` and `tuned`, see `training.py`. Same pages, split, model, space, schedule, seeds
and workers; nothing is decoded or imported before. A trial counts when its system has told of it
after all its epochs. What each chose in the end is trained once more, on all the pages to search
on, by one and the same loop, and scored on the test split. A row a run is kept in
`outputs/peers/rows.jsonl`, and runs that are there are not made again. `--quick` is one seed of two
minutes, which shows that all of it works and nothing more. Needs `pip install -e '.[peers]'`.
On a busy machine the seconds mean nothing.
"""

import argparse
import dataclasses
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.peers import pages
from tests.benchmarks.peers.best_so_far import Told, best, table
from tests.benchmarks.peers.systems import Budget, run

QUALITIES = ("tuned", "plain")
SYSTEMS = ("ours", *(f"{peer}-{q}" for q in QUALITIES for peer in ("stock", "optuna", "ray")))
# Of the run with what was chosen, apart from any that a search has seen.
TEST_SEED = 10_000


def main(arguments: list[str] | None = None) -> None:
    """Run what is asked for, and print the table after every run."""
    words = parse(arguments)
    out = Path(words.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    rows = out / "rows.jsonl"
    with tempfile.TemporaryDirectory() as folder:
        pages.write(Path(folder), words.pages)
        # In turns, so that what else the machine does meets all of them.
        for seed in range(words.seeds):
            budget = Budget(words.seconds, words.trials, words.epochs, seed)
            for system in words.systems:
                key = {**dataclasses.asdict(budget), "system": system, "pages": words.pages}
                if any(row["key"] == key for row in read(rows)):
                    continue
                told = run(system, Path(folder), Path(folder) / f"{system}-{seed}", budget)
                if not told:
                    log = Path(folder) / f"{system}-{seed}" / "log"
                    print(f"{system}: no trial in {words.seconds:.0f} s\n{log.read_text()[-2000:]}")
                row = {
                    "key": key,
                    "load": os.getloadavg()[0],
                    "trials": [dataclasses.asdict(trial) for trial in told],
                    "test": tested(told, Path(folder), budget),
                }
                with rows.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print("\n".join(["", *lines(read(rows), key)]), flush=True)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser("python -m tests.benchmarks.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one seed, two minutes each")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=240, help="for each run")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=9, help="of a trial")
    parser.add_argument("--pages", type=int, default=pages.PAGES)
    parser.add_argument("--systems", nargs="+", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--out", default="outputs/peers", help="folder of the rows")
    words = parser.parse_args(arguments)
    if words.quick:
        words.seeds, words.seconds, words.trials, words.epochs, words.pages = 1, 120, 6, 3, 480
    return words


def tested(told: list[Told], folder: Path, budget: Budget) -> float | None:
    """Train what was chosen, on all pages to search on; return macro-F1 on the test split."""
    chosen = best(told)
    if chosen is None:
        return None
    found = {"DATA": folder / "peers", "OUT": folder, "EPOCHS": budget.epochs}
    os.environ.update({f"PEER_{name}": str(value) for name, value in found.items()})
    from tests.benchmarks.peers.training import train

    seed = TEST_SEED + budget.seed
    return train(chosen.params, parts=("all", "test"), seed=seed, tuned=True)


def read(rows: Path) -> list[dict[str, Any]]:
    """Return the runs that there are."""
    if not rows.exists():
        return []
    return [json.loads(line) for line in rows.read_text(encoding="utf-8").splitlines()]


def lines(rows: list[dict[str, Any]], like: dict[str, Any]) -> list[str]:
    """Return the table of all runs that were made under the same conditions."""
    apart = ("system", "seed")
    same = {name: value for name, value in like.items() if name not in apart}
    rows = [row for row in rows if same.items() <= row["key"].items()]
    found: dict[str, list[list[Told]]] = {}
    test: dict[str, list[float]] = {}
    for row in sorted(rows, key=lambda row: row["key"]["seed"]):
        name = row["key"]["system"]
        found.setdefault(name, []).append([Told(**trial) for trial in row["trials"]])
        test.setdefault(name, []).append(row["test"])
    return table(found, test)


if __name__ == "__main__":
    main()
