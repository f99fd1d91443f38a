"""The process that workers are copies of, started as soon as the words of a command ask for it.

The first trial waits until torch, timm and Lightning are imported there, which nothing else of a
search needs. So `python -m src.train` imports this file first, and Hydra, Optuna and the checks
beside it, on another core. The words alone do not say all: what turns out to be otherwise, as the
launcher or the number of trials at a time, ends the process, and a mistake does with the command.
"""

import sys
from collections.abc import Sequence

from doctune.launcher.workers.fork_server import ForkServer
from doctune.launcher.workers.surroundings import same_for_all
from src.hardware.detect import cores, visible_devices
from src.hardware.profile import slots

DOOR = "src.train"
# What conf/hydra/launcher/local_workers.yaml has workers import.
PRELOAD = ("src.trial.run",)
MULTIRUN = ("-m", "--multirun")
JOBS = "optuna.n_jobs="
# They take trials, or what is imported for them, elsewhere.
OTHERWISE = ("hydra/launcher=", "hydra.launcher", "hydra/sweeper=", "optuna.enabled=")
ON_CPU = ("gpu=cpu", "trainer.accelerator=cpu")


def begin(words: Sequence[str]) -> None:
    """Start the process if these words search on this machine, and it has a core to spare."""
    if sys.platform == "linux" and cores() > 1 and searches_here(words):
        devices = [] if any(word in words for word in ON_CPU) else visible_devices()
        ForkServer.start_ahead(PRELOAD, same_for_all(_n_jobs(words, devices), devices))


def searches_here(words: Sequence[str]) -> bool:
    """Tell whether a command is a search of a preset whose trials are run by workers.

    Flags that show something, or bring another config, leave it open.

    Args:
        words: of the command line.
    """
    flags = [word for word in words if word.startswith("-")]
    return (
        any(word.startswith("hparams_search=") for word in words)
        and bool(flags)
        and all(flag in MULTIRUN for flag in flags)
        and not any(word.startswith(OTHERWISE) for word in words)
    )


def _n_jobs(words: Sequence[str], devices: Sequence[str]) -> int:
    """Return how many trials are to run at a time; it only counts where there are no cards."""
    given = [word.removeprefix(JOBS) for word in words if word.startswith(JOBS)]
    if given and given[-1].isdigit():
        return max(1, int(given[-1]))
    return slots("gpu" if devices else "cpu", 1)


def _is_command() -> bool:
    """Tell whether this process is the door's own; one of its workers has its words as well."""
    return getattr(sys.modules["__main__"].__spec__, "name", None) == DOOR


if _is_command():
    begin(sys.argv[1:])
