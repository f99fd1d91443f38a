"""New images to a table of classes, in their order and in memory that does not grow with them.

How far a prediction is: a bar in a terminal, a line now and then in a log.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from doctune.errors import UserError
from src.data.decode import Pixels, UnreadableImageError
from src.data.files import describe_others, other_files
from src.data.formats import PAGED
from src.data.stream import list_files, stream_images
from src.inference.config import AUTO, SOURCES, ImagesConfig, PredictConfig, source_path
from src.inference.predictor import Predictor, open_predictor
from src.inference.tables import (
    AddImage,
    check_choice,
    open_tables,
    probabilities_path,
    unreadable_path,
    write_unreadable,
)
from src.inference.unsure import Spent

# Of the images that could not be read, this many are named on the screen.
MOST_NAMED = 20

# Where `tta` is wished for, and the ensemble has been measured without.
NO_VIEWS = (
    "! tta=true: src.ensemble has found that more views help on no page, so there are none; "
    "tta_margin=1 gives them to every page"
)

# A name with the image in each of the predictor's formats, or with what is wrong with it.
Item = tuple[str, list[Pixels] | UnreadableImageError]
# Seconds between two lines in a log.
EVERY = 30.0


@dataclass
class Counts:
    """What became of the images."""

    read: int = 0
    # Predicted from several views.
    unsure: int = 0
    # Name and reason.
    unreadable: list[tuple[str, str]] = field(default_factory=list)


def predict(cfg: PredictConfig, console: Console) -> Counts:
    """Predict the images of `cfg.data` and write the tables.

    Raises:
        UserError: a key is missing or wrong, or none of the images can be read.
    """
    if cfg.run is None or cfg.data.root is None:
        raise UserError("run=FOLDER and data=PATH are needed: what predicts, and what to predict")
    check_choice("data", cfg.data.source, SOURCES)
    if cfg.batch_size < 1:
        raise UserError(f"batch_size={cfg.batch_size}: must be at least 1")
    if cfg.tta_margin is not None and not 0 < cfg.tta_margin <= 1:
        raise UserError(f"tta_margin={cfg.tta_margin}: must be above 0, and 1 at most")
    predictor = open_predictor(
        Path(cfg.run), cfg.accelerator, cfg.tta, cfg.tta_margin, cfg.calibrated
    )
    _name_columns(cfg, predictor)
    default = _class_index(cfg.default_class, predictor)
    items = stream_items(cfg, predictor)
    console.print(predictor.describe(), highlight=False, soft_wrap=True)
    if cfg.tta and not predictor.tta_margin:
        console.print(NO_VIEWS, highlight=False, soft_wrap=True)
    if source_path(cfg.data).is_dir():
        for note in describe_others(other_files(source_path(cfg.data))):
            console.print(f"! {note}", highlight=False, markup=False, soft_wrap=True)
    output = Path(cfg.output)
    with (
        open_tables(
            output,
            predictor.classes,
            predictor.codes,
            id_column=cfg.id_column,
            target_column=cfg.target_column,
            target_as=cfg.target_as,
            probabilities=cfg.probabilities,
        ) as add,
        counting(count_images(cfg.data), console) as advance,
    ):
        counts = Counts()
        while batch := list(islice(items, cfg.batch_size)):
            _predict_batch(batch, predictor, add, default, counts)
            advance(len(batch))
        if not counts.read:
            raise UserError(_none_read(cfg.data, counts))
    write_unreadable(output, cfg.id_column, counts.unreadable)
    _say_end(cfg, counts, output, console)
    if predictor.tta_margin:
        spent = Spent(counts.read, counts.unsure, predictor.views)
        console.print(f"test-time augmentation: {spent.in_words()}", highlight=False)
    return counts


def _name_columns(cfg: PredictConfig, predictor: Predictor) -> None:
    """Call columns as the training data do where they were not named."""
    names, classes = predictor.columns
    if cfg.data.id_column == AUTO:
        cfg.data.id_column = names
    if cfg.id_column == AUTO:
        cfg.id_column = names
    if cfg.target_column == AUTO:
        cfg.target_column = classes


def stream_items(cfg: PredictConfig, predictor: Predictor) -> Iterator[Item]:
    """Decode the images in all formats of the predictor, side by side.

    Raises:
        UserError: there is no such source, or nothing in it.
    """
    source, folder, column = _places(cfg.data)
    streams = [
        stream_images(
            source,
            wanted.size,
            fit=wanted.fit,
            folder=folder,
            column=column,
            encoding=cfg.data.encoding,
        )
        for wanted in predictor.formats
    ]
    return (_joined(found) for found in zip(*streams, strict=True))


def _places(data: ImagesConfig) -> tuple[Path, Path | None, str | None]:
    """Return the source, and of a table in `root` the folder of its files and their column."""
    if data.source != "csv":
        return source_path(data), None, None
    return source_path(data), Path(str(data.root)) / data.image_dir, data.id_column


def _joined(found: Sequence[tuple[str, Pixels | UnreadableImageError]]) -> Item:
    name = found[0][0]
    sizes: list[Pixels] = []
    for _, image in found:
        if isinstance(image, UnreadableImageError):
            return name, image
        sizes.append(image)
    return name, sizes


def _predict_batch(
    batch: Sequence[Item],
    predictor: Predictor,
    add: AddImage,
    default: int | None,
    counts: Counts,
) -> None:
    """Predict the images of a batch that can be read; write all in their order."""
    readable = [sizes for _, sizes in batch if not isinstance(sizes, UnreadableImageError)]
    rows: Iterator[tuple[int, list[float]]] = iter(())
    if readable:
        images = {
            wanted: torch.from_numpy(np.stack([sizes[i] for sizes in readable])).permute(0, 3, 1, 2)
            for i, wanted in enumerate(predictor.formats)
        }
        probabilities, unsure = predictor.with_cost(images)
        counts.unsure += unsure
        # A temperature changes no class; its rounding might, where two are as probable.
        classes = probabilities.argmax(1).tolist()
        rows = iter(zip(classes, predictor.calibrated(probabilities).tolist(), strict=True))
    for name, image in batch:
        if not isinstance(image, UnreadableImageError):
            add(name, *next(rows))
            counts.read += 1
            continue
        # Not the error itself, whose traceback keeps what was being decoded.
        counts.unreadable.append((name, image.reason))
        if default is not None:
            add(name, default, None)


def _class_index(wanted: str | None, predictor: Predictor) -> int | None:
    """Find a class by its name or by what the training data call it."""
    if wanted is None:
        return None
    for known in (predictor.classes, predictor.codes):
        if wanted in known:
            return known.index(wanted)
    raise UserError(
        f"default_class={wanted}: no class of the model; it has {', '.join(predictor.classes)}"
    )


def _say_end(cfg: PredictConfig, counts: Counts, output: Path, console: Console) -> None:
    rows = counts.read + (len(counts.unreadable) if cfg.default_class is not None else 0)
    lines = [f"{_images(rows)}: {output} ({cfg.id_column},{cfg.target_column})"]
    if cfg.probabilities == "file":
        lines.append(f"probabilities: {probabilities_path(output)}")
    if counts.unreadable:
        end = "left out (default_class=NAME gives them a class)"
        if cfg.default_class is not None:
            end = f"called {cfg.default_class}"
        lines.append(f"! not readable, {end}: {_images(len(counts.unreadable))}")
        lines += [_named(counts), f"all of them: {unreadable_path(output)}"]
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _none_read(data: ImagesConfig, counts: Counts) -> str:
    """Say what is wrong with the first ones, and of a table where its files were looked for."""
    told = f"data={source_path(data)}: no image can be read"
    if data.source == "csv":
        where = Path(str(data.root), data.image_dir)
        told += f" in {where}; data.image_dir=FOLDER says where the files are that it names"
    return f"{told}\n{_named(counts)}"


def _images(count: int) -> str:
    return f"{count:,} image{'' if count == 1 else 's'}"


def _named(counts: Counts) -> str:
    lines = [f"  {name}: {reason}" for name, reason in counts.unreadable[:MOST_NAMED]]
    rest = len(counts.unreadable) - len(lines)
    return "\n".join([*lines, *([f"  and {rest} more"] if rest else [])])


@contextmanager
def counting(total: int | None, console: Console) -> Iterator[Callable[[int], None]]:
    """Count images that are done on the screen, with the time left where their number is known."""
    done, told = 0, time.monotonic()
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("images"), TimeRemainingColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task("", total=total)

    def advance(images: int) -> None:
        nonlocal done, told
        done += images
        bar.advance(task, images)
        if not console.is_terminal and time.monotonic() - told > EVERY:
            told = time.monotonic()
            of_all = "" if total is None else f" of {total:,}"
            console.print(f"{done:,}{of_all} images", highlight=False)

    with bar:
        yield advance


def count_images(data: ImagesConfig) -> int | None:
    """Count the images that are read, none of which is opened.

    None where files of several pages are among them.
    """
    source, folder, column = _places(data)
    paths = [path for path, _ in list_files(source, folder, column, data.encoding)]
    return None if any(path.suffix.lower() in PAGED for path in paths) else len(paths)
