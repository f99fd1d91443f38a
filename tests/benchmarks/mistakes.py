"""How long a mistake waits for its message, beside what an import of torch alone takes.

Each command runs in a process of its own, with nothing cached. Told are the seconds of the whole
process on the clock and of CPU, medians of three, and the latter as a share of `import torch` just
before it, which holds on a busy machine too. What needs no data is to be told in 2 s on two quiet
cores, all else in 5 s.

    python -m tests.benchmarks.mistakes          # all rows
    python -m tests.benchmarks.mistakes column   # those with that word
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
RUNS = 3
# On the path of each command: takes a package away.
HIDING = "hiding"
BARE = "import hydra\nhydra.main(config_path=None)(lambda cfg: None)()\n"
SEARCH = ("src.train", "-m", "hparams_search=fast", "gpu=cpu")

# (what, words, seconds at most)
ROWS: list[tuple[str, tuple[str, ...], float]] = [
    ("--help", ("src.train", "--help"), 1),
    ("--cfg job", ("src.train", "--cfg", "job"), 1),
    ("a wrong key", ("src.train", "optimizer.learning_rate=1"), 2),
    ("a wrong choice", ("src.train", "gpu=4090"), 2),
    ("a wrong value", ("src.train", "optimizer.lr=-1"), 2),
    ("a full-width =", ("src.train", "optuna.n_trials\uff1d3"), 2),
    ("a wrong value in a search", (*SEARCH, "quick_validation.folds=0"), 2),
    ("an unknown database", (*SEARCH, "optuna.storage=nosuchdb://x"), 2),
    ("a wrong range", (*SEARCH, "search_space.learning_rate.low=1"), 2),
    ("a wrong value in a job", (*SEARCH, "data.batch_size=choice(0,16)"), 2),
    ("a logger without its package", (*SEARCH, "logger=tensorboard"), 2),
    ("the same in one training", ("src.train", "gpu=cpu", "logger=tensorboard"), 2),
    ("more folds than images", (*SEARCH, "quick_validation.folds=500"), 5),
    ("no such folder", (*SEARCH, "data=image_folder", "data.root=/none"), 5),
    ("a missing column", (*SEARCH, "data=csv", "data.root=table"), 5),
    ("a changed setting", (*SEARCH, "optuna.study_name=earlier"), 5),
    ("no study to start from", (*SEARCH, "optuna.from_study=none"), 2),
    ("no such study", ("src.report", "study=none"), 5),
    ("no such model", ("src.train", "gpu=cpu", "model.name=resnet51"), 5),
    (
        "a file without weights",
        ("src.train", "gpu=cpu", "model.checkpoint_path=table/train.csv"),
        5,
    ),
]


def seconds(*command: str, folder: Path) -> tuple[float, float]:
    """Return seconds on the clock and of CPU; whether it ends in a message is not looked at."""
    clock, cpu = [], []
    for _ in range(RUNS):
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{folder / HIDING}"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        clock.append(time.perf_counter() - start)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(clock), statistics.median(cpu)


def prepare(folder: Path) -> None:
    """Leave a table without the columns, and a study that was searched at 9 epochs a fold."""
    import optuna

    (folder / "table" / "train").mkdir(parents=True)
    (folder / "table" / "train.csv").write_text("file,label\na.png,x\nb.png,y\n")
    (folder / HIDING).mkdir()
    (folder / HIDING / "sitecustomize.py").write_text(
        "import sys\nsys.modules['tensorboard'] = None\n"
    )
    (folder / "multirun").mkdir()
    storage = f"sqlite:///{folder / 'multirun' / 'optuna.db'}"
    study = optuna.create_study(study_name="earlier", storage=storage, direction="maximize")
    study.set_user_attr("settings", {"quick_validation.epochs": 9})


def main(word: str = "") -> None:
    """Print the rows of the table that have a word in their name."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        (folder / "bare.py").write_text(BARE)
        print(f"{'':28}{'seconds':>8}{'of CPU':>8}{'of import torch':>17}{'at most':>9}")
        rows: list[tuple[str, tuple[str, ...], str]]
        rows = [("a bare Hydra app, --help", ("bare.py", "--help"), "")]
        rows += [(what, ("-m", *words), f"{most:g}") for what, words, most in ROWS]
        for what, command, most in rows:
            if word not in what:
                continue
            # The machine may be busier than it was a row ago.
            _, torch = seconds("-c", "import torch", folder=folder)
            clock, cpu = seconds(*command, folder=folder)
            print(f"{what:28}{clock:8.2f}{cpu:8.2f}{cpu / torch:17.2f}{most:>9}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
