"""Whether a search's best config beats the defaults on the test split, over fresh seeds.

`python -m tests.benchmarks.gain CONFIG_DIR CONFIG_NAME [WORD ...]` trains both in full with 5 seeds
that the search has not used, on the test split that it has not seen. The words are for the
defaults: what data the search was of, where it was not the built-in documents. The config knows.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from src.hardware.detect import cores

SEEDS = range(1, 6)
AT_A_TIME = 2


def test_score(words: Sequence[str], seed: int) -> float:
    """Train once and return macro-F1 on the test split."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                *(sys.executable, "-m", "src.train", *words),
                *(f"seed={seed}", f"hydra.run.dir={folder}", "trainer.kwargs={}"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            # Two at a time; more threads than cores would wait for each other.
            env={**os.environ, "OMP_NUM_THREADS": str(max(1, cores() // AT_A_TIME))},
        )
        metrics = json.loads((Path(folder) / "metrics.json").read_text())
    return float(metrics["test"]["macro_f1"])


def main() -> None:
    """Print both scores for every seed."""
    folder, name, *given = sys.argv[1:]
    best = (f"--config-dir={folder}", f"--config-name={name}")
    jobs = [(words, seed) for seed in SEEDS for words in (given, best)]
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        scores = list(pool.map(lambda job: test_score(*job), jobs))
    print("seed  defaults  best config  gain")
    wins = 0
    for seed, default, tuned in zip(SEEDS, scores[::2], scores[1::2], strict=True):
        wins += tuned > default
        print(f"{seed:>4}{default:10.4f}{tuned:13.4f}{tuned - default:+8.4f}", flush=True)
    print(f"better on {wins} of {len(SEEDS)} seeds")


if __name__ == "__main__":
    main()
