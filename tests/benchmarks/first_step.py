"""How long a search takes from its command to its first training step, beside a bare loop:

python -m tests.benchmarks.first_step [TIMES]

946 JPEGs of documents, 480 px large, in folders of their classes. In turns, `TIMES` times each: a
bare Hydra app with timm and a `DataLoader` over the files (`bare_loop.py`); a search of one trial
by the door, with nothing cached; the same again, with what the first left in the cache. Seconds by
the clock, and of processor time in all processes until then, medians; a command is ended when its
optimizer has made a step. Modules are compiled once, as Python does unless it is told otherwise.
"""

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
from PIL import Image

REPOSITORY = Path(__file__).parents[2]
TIMES = 3
IMAGES, PAGE, QUALITY = 946, 480, 90
MODEL, SIDE, BATCH, LOADERS = "test_resnet", 64, 32, 2
# The bare loop has one module of its own, a search some three hundred.
COMPILED_ONCE = {"PYTHONDONTWRITEBYTECODE": ""}
# Seconds between two looks, and those after which a command is given up.
LOOK, MOST = 0.02, 300.0
# In every process of a command: takes note of the first step of an optimizer, by the clock.
TAKING_NOTE = '''
import os
import sys
import time


class BeforeOptimizers:
    """Has a step noted as soon as there are optimizers."""

    def find_spec(self, name, path=None, target=None):
        if name == "torch.optim.adamw":
            sys.meta_path.remove(self)
            from torch.optim.optimizer import register_optimizer_step_post_hook

            register_optimizer_step_post_hook(note)
        return None


def note(*_):
    try:
        file = os.open(os.environ["FIRST_STEP"], os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return
    os.write(file, str(time.time()).encode())
    os.close(file)


sys.meta_path.insert(0, BeforeOptimizers())
'''


class Taken(NamedTuple):
    """What a command took to its first step, in seconds."""

    clock: float
    # In all its processes.
    cpu: float


def draw(folder: Path) -> None:
    """Write JPEGs of the built-in documents, a folder a class."""
    from src.data.documents.generate import class_sizes, draw_documents

    sizes = class_sizes(IMAGES)
    # The sizes are rounded, each for itself.
    most = max(sizes, key=lambda name: sizes[name])
    sizes[most] += IMAGES - sum(sizes.values())
    pixels = iter(draw_documents(sizes, PAGE, seed=0))
    for name, size in sizes.items():
        (folder / name).mkdir(parents=True)
        for number in range(size):
            Image.fromarray(next(pixels)).save(folder / name / f"{number}.jpg", quality=QUALITY)


def bare(root: Path) -> list[str]:
    """Return the command of the bare loop."""
    words = {"root": root, "model": MODEL, "side": SIDE, "batch": BATCH, "loaders": LOADERS}
    return ["tests.benchmarks.bare_loop", *(f"+{key}={value}" for key, value in words.items())]


def search(root: Path, cache: Path) -> list[str]:
    """Return the command of a search of one trial."""
    return [
        *("src.train", "-m", "hparams_search=fast", "gpu=cpu", "optuna.n_trials=1"),
        *("data=image_folder", f"data.root={root}", f"data.cache_dir={cache}"),
        *(f"model.name={MODEL}", f"data.img_size={SIDE}", f"data.batch_size={BATCH}"),
    ]


def first_step(words: Sequence[str], folder: Path) -> Taken:
    """Run a command in a new folder until its first step, and end it."""
    marked = folder / "first_step"
    code = folder / "code"
    code.mkdir(parents=True)
    (code / "sitecustomize.py").write_text(TAKING_NOTE)
    path = os.pathsep.join([str(REPOSITORY), str(code)])
    began = time.time()
    with (folder / "told.txt").open("w") as told:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            cwd=folder,
            env={**os.environ, **COMPILED_ONCE, "PYTHONPATH": path, "FIRST_STEP": str(marked)},
            stdout=told,
            stderr=told,
        )
        try:
            while not marked.exists() or not marked.read_text():
                if process.poll() is not None or time.time() - began > MOST:
                    raise RuntimeError(f"no step: {(folder / 'told.txt').read_text()}")
                time.sleep(LOOK)
            cpu = processor_time(process.pid)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait()
    return Taken(float(marked.read_text()) - began, cpu)


def processor_time(pid: int) -> float:
    """Return the seconds of processor time that a process has used, with all it has started."""
    process = psutil.Process(pid)
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        times = each.cpu_times()
        # Of those that have ended already, what whoever started them has been told.
        total += times.user + times.system + times.children_user + times.children_system
    return total


def main(times: int = TIMES) -> None:
    """Print a line for each way."""
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
    ways = ("bare loop", "ours, cold cache", "ours, warm cache")
    found: dict[str, list[Taken]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        root = folder / "images"
        draw(root)
        for number in range(times):
            ours = search(root, folder / f"cache-{number}")
            for way, words in zip(ways, (bare(root), ours, ours), strict=True):
                found[way].append(first_step(words, folder / f"{way} {number}"))
    what = f"{IMAGES} JPEGs, to the first step"
    print(f"{what:34}{'s':>7}{'of bare':>9}{'CPU s':>8}{'of bare':>9}")
    bare_clock, bare_cpu = median(found["bare loop"])
    for way, all_taken in found.items():
        clock, cpu = median(all_taken)
        print(f"{way:34}{clock:7.2f}{clock / bare_clock:9.2f}{cpu:8.2f}{cpu / bare_cpu:9.2f}")


def median(found: Sequence[Taken]) -> Taken:
    """Return the median of each of the two."""
    return Taken(*(statistics.median(each) for each in zip(*found, strict=True)))


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
