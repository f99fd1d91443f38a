"""The contact sheet of `python -m src.look`: what the model will see, odd ones first."""

import base64
import io
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console

from doctune.errors import UserError
from src.data.decode import Pixels, decode
from src.data.image_files import WORDS, FoundImages, file_of, find_images
from src.data.labels import NOWHERE, describe_changes
from src.data.load import check_keys, load_splits
from src.data.look_config import LookConfig
from src.data.pages_to_come.gather import comparison
from src.data.pages_to_come.show import as_html, in_lines, template

# Side of an image on the sheet in pixels; the model's own where that is smaller.
TILE = 192
# An image is of another shape where its length over its width is so many times that of the middle
# one, or the other way round.
ODD_SHAPE = 1.6


@dataclass(frozen=True)
class Section:
    """Images that have something in common.

    Args:
        title: what that is.
        rows: which images, in the order in which they are shown.
        lines: under each of them, beside its name.
        total: how many there are, shown or not.
        odd: whether a person should look at them.
    """

    title: str
    rows: Sequence[int]
    lines: Sequence[str]
    total: int
    odd: bool = False


@dataclass(frozen=True)
class Shown:
    """A data set as the sheet shows it.

    Args:
        names: of all images.
        labels: their classes by name.
        picture: an image as the model sees it, uint8 [S, S, 3].
        sections: the odd ones, then the classes.
        faults: images that cannot be read, with the reason.
        notes: about the whole.
    """

    names: Sequence[str]
    labels: Sequence[str]
    picture: Callable[[int], Pixels]
    sections: Sequence[Section]
    faults: Sequence[tuple[str, str]]
    notes: Sequence[str]


def write_sheet(cfg: LookConfig, console: Console) -> None:
    """Write the sheet and say what is odd.

    Raises:
        UserError: a key is wrong, nothing can be read, or the sheet cannot be written.
    """
    if cfg.most < 1:
        raise UserError(f"most={cfg.most}: must be at least 1")
    data = replace(cfg.data, on_bad_image="skip")
    check_keys(data)
    if data.source == "documents":
        shown = _documents(replace(cfg, data=data))
    else:
        shown = _files(find_images(data), replace(cfg, data=data))
    to_come = comparison(data)
    page = template("look.html").render(
        shown=shown,
        size=data.img_size,
        tile=min(TILE, data.img_size),
        tiles=_tiles(shown),
        to_come=None if to_come is None else as_html(to_come),
    )
    output = Path(cfg.output)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page, encoding="utf-8")
    except OSError as error:
        raise UserError(f"output={output}: cannot be written ({error.strerror})") from error
    lines = [f"{len(shown.names):,} images at {data.img_size} px: {output}"]
    lines += [f"  {section.title}: {section.total:,}" for section in shown.sections]
    lines += [f"! {note}" for note in shown.notes]
    lines += [] if to_come is None else in_lines(to_come)
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _documents(cfg: LookConfig) -> Shown:
    splits = load_splits(cfg.data)
    part = splits.train
    labels = [_class_of(target, part.classes) for target in part.targets.tolist()]
    return Shown(
        list(part.files),
        labels,
        lambda row: part.pixels[row],
        _classes(labels, part.classes, [""] * len(labels), cfg.most),
        [],
        splits.notes,
    )


def _files(found: FoundImages, cfg: LookConfig) -> Shown:
    labels = [_class_of(target, found.classes) for target in found.corrected.tolist()]
    sizes = [f"{page.size[0]} x {page.size[1]}" for page in found.pages]

    def picture(row: int) -> Pixels:
        file, page = file_of(found.root, found.names[row])
        return decode(found.root / file, cfg.data.img_size, fit=cfg.data.fit, page=page)

    notes = list(found.notes)
    if cfg.data.labels is not None:
        notes.append(describe_changes(found.targets, found.corrected, cfg.data.labels))
    odd = [
        Section(title, rows[: cfg.most], [sizes[row] for row in rows[: cfg.most]], len(rows), True)
        for title, rows in _odd(found, cfg.data.img_size)
        if rows
    ]
    return Shown(
        found.names,
        labels,
        picture,
        [*odd, *_classes(labels, found.classes, sizes, cfg.most)],
        found.faults,
        notes,
    )


def _class_of(target: int, classes: Sequence[str]) -> str:
    return "left out" if target == NOWHERE else classes[target]


def _odd(found: FoundImages, size: int) -> Iterator[tuple[str, list[int]]]:
    """Yield what is odd, with the images of which it is true."""
    groups = defaultdict(list)
    for row, number in enumerate(found.same.tolist()):
        groups[number].append(row)
    several = [rows for rows in groups.values() if len(rows) > 1]
    targets = found.corrected
    torn = [rows for rows in several if len({int(targets[row]) for row in rows} - {NOWHERE}) > 1]
    same = [rows for rows in several if rows not in torn]
    yield "the same sheet in several classes", [row for rows in torn for row in rows]
    # Two of each before the others: the pages of one long file would leave no room for the rest.
    shown = [row for rows in same for row in rows[:2]]
    yield "the same sheet several times", shown + [row for rows in same for row in rows[2:]]
    words: defaultdict[str, list[int]] = defaultdict(list)
    for row, page in enumerate(found.pages):
        for word in page.words:
            words[word].append(row)
    # Blank pages first.
    for word in sorted(words, key=lambda word: (word != "blank", word)):
        yield WORDS.get(word, f"of {word}, brought to 8"), words[word]
    sides = np.array([page.size for page in found.pages], np.float64).clip(1)
    shape = sides[:, 1] / sides[:, 0]
    unlike = np.abs(np.log(shape / np.median(shape))) > np.log(ODD_SHAPE)
    yield "of another shape than most", np.flatnonzero(unlike).tolist()
    # The size of a PDF is in points, whatever its pixels.
    pixels = np.array([".pdf" not in name.lower() for name in found.names])
    small = (sides.max(1) < size) & pixels
    yield f"smaller than {size} pixels", np.flatnonzero(small).tolist()
    yield "left out by data.labels", np.flatnonzero(targets == NOWHERE).tolist()


def _classes(
    labels: Sequence[str], classes: Sequence[str], lines: Sequence[str], most: int
) -> list[Section]:
    """Return some of each class, spread over all."""
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, label in enumerate(labels):
        rows[label].append(row)
    sections = []
    for name in classes:
        chosen = np.unique(np.linspace(0, len(rows[name]) - 1, most).astype(int))
        some = [rows[name][i] for i in chosen.tolist()] if rows[name] else []
        sections.append(Section(name, some, [lines[row] for row in some], len(rows[name])))
    return sections


def _tiles(shown: Shown) -> dict[int, str]:
    """Return the images that are shown, as JPEG in base64, by their row."""
    rows = {row for section in shown.sections for row in section.rows}
    return {row: _jpeg(shown.picture(row)) for row in sorted(rows)}


def _jpeg(pixels: Pixels) -> str:
    image = Image.fromarray(pixels)
    image.thumbnail((TILE, TILE))
    data = io.BytesIO()
    image.save(data, "JPEG", quality=85)
    return base64.b64encode(data.getvalue()).decode()
