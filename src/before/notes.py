"""What a user should know before anything trains: told on the screen and in the log."""

import logging
import sys
from collections.abc import Iterable

from omegaconf import DictConfig
from rich.console import Console

from src.data.splits import Splits
from src.training.card_rules import is_first

log = logging.getLogger(__name__)


def tell_all(notes: Iterable[str]) -> None:
    """Tell each note on a line of its own."""
    for note in notes:
        tell(note)


def tell(text: str) -> None:
    """Tell one note; on several cards the first process tells it."""
    # Before a search has its log there is no handler, and Python would write the line itself.
    if log.hasHandlers():
        log.warning("%s", text)
    if not is_first() or _log_is_on_screen():
        return
    Console(stderr=True).print(text, markup=False, highlight=False, soft_wrap=True)


def _log_is_on_screen() -> bool:
    """Tell whether warnings are on the screen already: Hydra's log of a search shows them."""
    return any(
        isinstance(handler, logging.StreamHandler)
        and handler.stream in (sys.stdout, sys.stderr)
        and handler.level <= logging.WARNING
        for handler in logging.getLogger().handlers
    )


def tell_notes(splits: Splits) -> None:
    """Say what a user should know about the data, on the screen and in the log."""
    for note in splits.notes:
        tell(f"data: {note}")


def tell_pages_to_come(cfg: DictConfig) -> None:
    """Say how pages to classify differ from those to train on, where they were given."""
    if cfg.data.to_classify is None:
        return
    # Imported here, as it brings torch along.
    from src.data.pages_to_come.gather import comparison
    from src.data.pages_to_come.show import in_lines

    found = comparison(cfg.data)
    tell_all(in_lines(found) if found else ())


def tell_large_batch(cfg: DictConfig, images: int) -> None:
    """Say so where a batch holds all images, which are then one step an epoch."""
    if cfg.data.batch_size > images:
        tell(
            f"data.batch_size={cfg.data.batch_size}: there are {images} images to train on, so an "
            "epoch is one step"
        )
