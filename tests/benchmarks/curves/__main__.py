"""A table of learning curves:

    python -m tests.benchmarks.curves record [--workers N] [--seconds LIMIT] [--cuda N]
    python -m tests.benchmarks.curves pack FOLDER...
    python -m tests.benchmarks.curves ranks
    python -m tests.benchmarks.curves replay [--seeds N] [--trials N] [--plot FILE.svg]
    python -m tests.benchmarks.curves in_time [--seeds N]
    python -m tests.benchmarks.curves single [--seeds N]
    python -m tests.benchmarks.curves samplers [--seeds N]
    python -m tests.benchmarks.curves overtuning
    python -m tests.benchmarks.curves portfolio

`record` trains every configuration on every data set with all epochs and folds, appends a row for
each to FOLDER/rows.jsonl, and goes on where it stopped; what the stored table has is not trained
again. `pack` puts such rows into the stored table. `ranks` says from which epoch on configurations
stand in the order of the end, `replay` what ends trials early and what that costs, `in_time` what
is found by then in the same number of epochs, whoever has more trials in them, `single` what
`replay` says of trials of one split, `samplers` who proposes best (needs the package cmaes),
`overtuning` how often what a small search chooses is worse than the defaults on the test split.
`portfolio` writes the configurations to try first, and says what they are worth on a set that they
were not chosen on.
"""

import argparse
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks.curves.table import EPOCHS, MODELS, STORED, keys_in, pack, rows_in


def main() -> None:
    """Do what the command line says."""
    started = time.monotonic()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record")
    recording.add_argument("--out", type=Path, default=Path("outputs/curves"))
    recording.add_argument("--cache", default="data_cache")
    recording.add_argument("--workers", type=int, default=1, help="processes, a core each")
    recording.add_argument("--cuda", type=int, default=0, help="of these use a card")
    recording.add_argument("--seconds", type=float, default=float("inf"))
    recording.add_argument("--first", type=int, default=0, help="configuration to begin with")
    recording.add_argument("--last", type=int, default=300)
    recording.add_argument("--sets", nargs="+", default=None)
    recording.add_argument("--models", nargs="+", default=MODELS)
    recording.add_argument("--epochs", nargs="+", type=int, default=EPOCHS, help="of a schedule")
    packing = commands.add_parser("pack")
    packing.add_argument("folders", type=Path, nargs="+")
    commands.add_parser("ranks")
    commands.add_parser("overtuning")
    commands.add_parser("portfolio")
    replaying = commands.add_parser("replay")
    replaying.add_argument("--seeds", type=int, default=20, help="orders of the trials")
    replaying.add_argument("--trials", type=int, default=20, help="of a search")
    replaying.add_argument("--plot", type=Path, help="file for a picture of rules, as SVG")
    in_time = commands.add_parser("in_time")
    in_time.add_argument("--seeds", type=int, default=20, help="orders of the trials")
    single = commands.add_parser("single")
    single.add_argument("--seeds", type=int, default=10, help="orders of the trials")
    sampling = commands.add_parser("samplers")
    sampling.add_argument("--seeds", type=int, default=20, help="of each sampler")
    given = parser.parse_args()
    if given.command == "pack":
        rows = rows_in(STORED, *given.folders)
        print(f"{len(rows)} rows, {pack(rows.values()):,} bytes")
        _print_counts()
        return
    # Imported here, as they bring torch along.
    if given.command == "ranks":
        from tests.benchmarks.curves.ranks import lines

        _print_all(lines(rows_in(STORED)))
        return
    if given.command == "overtuning":
        from tests.benchmarks.curves import overtuning

        _print_all(overtuning.lines(rows_in(STORED)))
        return
    if given.command == "portfolio":
        from tests.benchmarks.curves import portfolio

        _print_all(portfolio.lines(rows_in(STORED)))
        portfolio.SHIPPED.write_text(portfolio.text(rows_in(STORED)), encoding="utf-8")
        return
    if given.command in ("replay", "in_time", "samplers", "single"):
        from tests.benchmarks.curves import tables

        rows = rows_in(STORED)
        if given.command == "replay":
            _print_all(tables.of_rules(rows, given.seeds, given.trials, given.plot))
        else:
            of = {
                "in_time": tables.of_rules_in_time,
                "samplers": tables.of_samplers,
                "single": tables.of_single_split,
            }[given.command]
            _print_all(of(rows, given.seeds))
        return
    from tests.benchmarks.curves.record import Order, record, speeds, tasks_left
    from tests.benchmarks.curves.sets import SETS

    known = keys_in(STORED, given.out)
    numbers = range(given.first, given.last + 1)
    wanted = given.models, given.sets or SETS, given.epochs
    tasks = tuple(tasks_left(known, numbers, *wanted))
    print(f"{len(tasks)} runs of 3 folds to train, {len(known)} are there", flush=True)
    count = record(
        Order(
            *(given.out, given.cache, given.workers, given.cuda, given.seconds, started, tasks),
        )
    )
    print("\n".join(speeds(rows_in(given.out).values())))
    print(f"{count} rows in {given.out} after {time.monotonic() - started:.0f} s")


def _print_all(lines: Iterable[str]) -> None:
    for line in lines:
        print(line, flush=True)


def _print_counts() -> None:
    """Print how many configurations each model, data set and length has."""
    counts = Counter((key.model, key.set, key.epochs) for key in keys_in(STORED))
    for (model, name, epochs), count in sorted(counts.items()):
        print(f"{model:14} {name:10} {epochs} epochs: {count}")


if __name__ == "__main__":
    main()
