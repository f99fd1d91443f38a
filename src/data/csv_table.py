"""`data=csv`: a table of file names and classes beside a folder of images.

The layout of document classification competitions: train.csv (ID, target), train/, meta.csv
(target, class_name).
"""

from collections import Counter
from pathlib import Path

from src.data.config import DataConfig
from src.data.files import image_files, named_inside, path_inside
from src.data.formats import SUFFIXES
from src.data.listing import Listing
from src.data.table import Rows, read_table
from src.errors import UserError

# Rows or values in a message.
MOST_NAMED = 10


def list_csv(cfg: DataConfig, root: Path) -> Listing:
    """List the rows of the table.

    Raises:
        UserError: a table or column is missing, a label is not in the meta file, a name leads
            out of the folder, or a file has two labels.
    """
    table = root / cfg.csv_file
    keys = ("id_column", "target_column", *(("group_column",) if cfg.group_column else ()))
    _, rows = read_table(table, {key: str(getattr(cfg, key)) for key in keys}, cfg.encoding)
    folder = root / cfg.image_dir
    if not folder.is_dir():
        raise UserError(f"data.image_dir={cfg.image_dir}: there is no folder {folder}")
    _check_filled(cfg, table, rows)
    by_target = _classes(cfg, root, [row[cfg.target_column] for row in rows], table)
    positions = {target: index for index, target in enumerate(by_target)}
    listing = Listing(folder, [], [], tuple(by_target.values()), codes=tuple(by_target))
    for row in rows:
        row[cfg.id_column] = named_inside(folder, row[cfg.id_column])
    labels: dict[str, str] = {}
    for row in rows:
        name, target = row[cfg.id_column], row[cfg.target_column]
        if labels.setdefault(name, target) != target:
            raise UserError(f"{table}: {name} has two classes, {labels[name]} and {target}")
        path_inside(folder, name)
    listing.names = _with_suffix(folder, list(labels))
    listing.targets = [positions[target] for target in labels.values()]
    if cfg.group_column:
        by_name = {row[cfg.id_column]: row[cfg.group_column] for row in rows}
        listing.groups = [by_name[name] for name in labels]
    if len(labels) < len(rows):
        listing.notes.append(f"{table}: {_rows(len(rows) - len(labels))} there twice")
    unused = [by_target[t] for t in by_target if t not in set(labels.values())]
    if unused:
        listing.notes.append(f"{table}: has no images of {', '.join(unused)}")
    return listing


def _check_filled(cfg: DataConfig, table: Path, rows: Rows) -> None:
    """Refuse rows without a name or without a class; the header is line 1."""
    for column in (cfg.id_column, cfg.target_column):
        blank = [str(line) for line, row in enumerate(rows, 2) if not row[column]]
        if blank:
            more = ", ..." if len(blank) > MOST_NAMED else ""
            raise UserError(
                f"{table}: {column} is empty in row {', '.join(blank[:MOST_NAMED])}{more}; fill "
                "it in, or take the row out"
            )


def _classes(cfg: DataConfig, root: Path, targets: list[str], table: Path) -> dict[str, str]:
    """Return the name of each class by its target."""
    counts = Counter(targets)
    if len(counts) < 2:
        raise UserError(f"{table}: has only one class, {cfg.target_column}={targets[0]}")
    meta = root / ("meta.csv" if cfg.meta_file == "auto" else cfg.meta_file or "")
    if cfg.meta_file is None or (cfg.meta_file == "auto" and not meta.exists()):
        return {target: target for target in sorted(counts, key=_numeric)}
    keys = ("target_column", "class_name_column")
    _, rows = read_table(meta, {key: getattr(cfg, key) for key in keys}, cfg.encoding)
    names = {row[cfg.target_column]: row[cfg.class_name_column] for row in rows}
    unknown = sorted(set(counts) - set(names), key=_numeric)
    if unknown:
        raise UserError(
            f"{table}: {cfg.target_column} of {_rows(sum(counts[t] for t in unknown))} is not in "
            f"{meta}: {', '.join(unknown[:MOST_NAMED])}"
        )
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise UserError(f"{meta}: two classes are called {', '.join(twice)}")
    return {target: names[target] for target in sorted(names, key=_numeric)}


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _numeric(target: str) -> tuple[int, float, str]:
    """Sort 2 before 10, and numbers before words."""
    try:
        return 0, float(target), target
    except ValueError:
        return 1, 0.0, target


def _with_suffix(folder: Path, names: list[str]) -> list[str]:
    """Add the suffix of the file to names that were written without."""
    if all(Path(name.split("#")[0]).suffix.lower() in SUFFIXES for name in names):
        return names
    by_stem = {str(Path(name).with_suffix("")): name for name in image_files(folder)}
    return [name if (folder / name).is_file() else by_stem.get(name, name) for name in names]
