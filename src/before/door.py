"""How a door is entered: from the shell, from a script, or from a notebook."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import hydra
from omegaconf import DictConfig

from src.before.mistakes import hydra_in_short
from src.before.places import CONF

Job = Callable[[DictConfig], Any]


def door(
    config_name: str,
    allowed: Sequence[str] = (),
    *,
    in_full: Callable[[Sequence[str]], list[str]] = list,
    subject: str | None = None,
) -> Callable[[Job], Callable[..., None]]:
    """Make the door's `main` of the function that takes the config.

    `main()` reads the command line, as `python -m src.train` does; `main(["trainer.max_epochs=3"])`
    takes words of one's own, in a script or a notebook.

    Args:
        config_name: the file in `conf/`.
        allowed: all that a config may name for execution.
        in_full: writes out the short forms of the command line.
        subject: the key that a word alone stands for in messages.
    """

    def decorate(job: Job) -> Callable[..., None]:
        name = f"src.{config_name}"

        @functools.wraps(job)
        def main(words: Sequence[str] | None = None) -> None:
            with typed(name, words), hydra_in_short(subject=subject):
                sys.argv[1:] = in_full(sys.argv[1:])
                hydra.main(config_path=CONF, config_name=config_name, execution_whitelist=allowed)(
                    job
                )()

        return main

    return decorate


@contextlib.contextmanager
def typed(name: str, words: Sequence[str] | None) -> Iterator[None]:
    """Let the words stand where those of the command line do, for Hydra and for messages.

    Args:
        name: of the door's module.
        words: None: those of the command line; in a notebook, whose own are the kernel's, none.
    """
    if words is None:
        words = [] if "ipykernel" in sys.modules else None
    if words is None:
        yield
        return
    before, originals = sys.argv, sys.orig_argv
    sys.argv = [name, *words]
    sys.orig_argv = ["python", "-m", name, *words]
    try:
        yield
    finally:
        sys.argv, sys.orig_argv = before, originals
