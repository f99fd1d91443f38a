"""CSV files of image names and labels, from whatever program wrote them.

`data=csv`: a table of file names and classes beside a folder of images.

The layout of document classification competitions: train.csv (ID, target), train/, meta.csv
(target, class_name).
"""

import codecs
import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from doctune.errors import UserError
from doctune.words import counted, nearest
from src.data.config import DataConfig
from src.data.files import Listing, named_inside, path_inside, visible, with_suffixes
from src.data.formats import SUFFIXES

DELIMITERS = ",;\t"
# What no table begins with -> what it is then.
OTHER_FILES = {
    b"PK\x03\x04": "an Excel file (or another archive)",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip archive",
    b"%PDF": "a PDF",
    b"version https://git-lfs": "what git has in place of the file (git lfs pull fetches it)",
    b"<!DOCTYPE": "a web page, as of a download that wanted a login",
    b"<html": "a web page, as of a download that wanted a login",
}
# Bytes that the names of columns may take.
HEADER = 1000
# Of a file that is no UTF-8: what Korean, Japanese, Chinese and Western programs write.
LEGACY = ("cp949", "shift_jis", "gb18030", "big5", "cp1252", "latin-1")
# What the columns are called elsewhere, in the order in which they are looked for.
USUAL = {
    "id_column": "id image_id file filename file_name image image_name image_path img path name",
    "target_column": "target label labels class class_name class_id category species y type",
    "class_name_column": "class_name name class label category title",
}

# How alike a column's name has to be to one that was looked for.
COLUMN_ALIKE = 0.75

Rows = list[dict[str, str]]


def read_table(
    path: Path,
    columns: Mapping[str, str],
    encoding: str | None = None,
    section: str = "data",
) -> tuple[list[str], Rows]:
    """Read a table with a header, separated by commas, semicolons or tabs.

    Args:
        path: of the file.
        columns: that have to be there: key of the config, `id_column`, -> its value.
        encoding: of the file; None: UTF-8, or UTF-16 where its bytes say so.
        section: of the config, that the keys are in; empty where these columns have fixed names.

    Returns:
        The names of its columns, and its rows.

    Raises:
        UserError: it is missing, empty or no such table, or lacks a column.
    """
    text = _text(path, encoding, section)
    header = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=header.count)
    try:
        reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, restval="")
        rows = [{k.strip(): v.strip() for k, v in row.items() if k} for row in reader]
    except csv.Error as error:
        raise UserError(f"{path}: is no table: {error}") from error
    names = [name.strip() for name in reader.fieldnames or []]
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise UserError(f"{path}: has two columns called {', '.join(twice)}; rename one")
    missing = {key: column for key, column in columns.items() if column not in names}
    if missing:
        raise UserError(_lacking(path, columns, missing, names, rows, section))
    if not rows:
        raise UserError(f"{path}: there are no rows in this file")
    return names, rows


def _text(path: Path, encoding: str | None, section: str) -> str:
    """Return the file's text.

    Raises:
        UserError: there is no such file, it is no text, or of an encoding that has to be named.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    for start, kind in OTHER_FILES.items():
        if content.startswith(start):
            raise UserError(f"{path}: is {kind}; save it as CSV in UTF-8")
    if encoding is not None:
        return _decoded(path, content, encoding)
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _decoded(path, content, "utf-16")
    if b"\0" in content[:HEADER]:
        # Commas and Western letters have a byte of zero in UTF-16, before or behind the other.
        return _decoded(path, content, "utf-16-le" if content.index(0) % 2 else "utf-16-be")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        if not section:
            told = f"{path}: is no table in UTF-8; save it as CSV in UTF-8"
            raise UserError(told) from None
        raise UserError(_which_encoding(path, content)) from None


def _decoded(path: Path, content: bytes, encoding: str) -> str:
    try:
        return content.decode(encoding).removeprefix("\ufeff")
    except LookupError:
        raise UserError(f"data.encoding={encoding}: there is none of that name") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: is not in {encoding}: {error.reason} at byte {error.start}"
        ) from None


def _which_encoding(path: Path, content: bytes) -> str:
    """Say how the first text that is no UTF-8 reads in the encodings that it may be in."""
    lines = [line for line in content.splitlines() if not line.isascii()]
    readings: dict[str, str] = {}
    for encoding in LEGACY:
        try:
            content.decode(encoding)
            shown = lines[0].decode(encoding).strip()
        except UnicodeDecodeError:
            continue
        if shown.isprintable() and shown not in readings.values():
            readings[encoding] = shown
    told = ", ".join(f"data.encoding={name} ({shown})" for name, shown in readings.items())
    if not told:
        return f"{path}: is no table: it holds no text in an encoding that is known here"
    return f"{path}: is no table in UTF-8; choose the encoding in which it reads right: {told}"


def _lacking(
    path: Path,
    columns: Mapping[str, str],
    missing: Mapping[str, str],
    names: Sequence[str],
    rows: Rows,
    section: str,
) -> str:
    """Say which column a table lacks, and what to write for it."""
    taken = [column for key, column in columns.items() if key not in missing]
    one_hot = [name for name in names if _is_switch(name, rows)]
    if "target_column" in missing and len(one_hot) > 1 and _adds_up(one_hot, rows):
        target = missing["target_column"]
        return (
            f"{path}: has a column a class ({', '.join(one_hot[:3])}, ...), and one column "
            f"'{target}' with the class is needed; this adds it: python -c \"import pandas as p; "
            f"t = p.read_csv('{path}'); t['{target}'] = t[{one_hot}].idxmax(1); "
            f"t.to_csv('{path}', index=False)\""
        )
    key, column = next(iter(missing.items()))
    told = f"{path}: has no column '{column}', only {', '.join(names)}"
    if not section:
        meant = nearest(column, [name for name in names if name not in taken], alike=COLUMN_ALIKE)
        return f"{told}; rename {meant[0]} to {column}" if meant else f"{told}; add it"
    keys = []
    for key_of, wanted in missing.items():
        guess = _guess(key_of, wanted, [name for name in names if name not in taken], rows)
        if guess is not None:
            taken.append(guess)
            keys.append(f"{section}.{key_of}={guess}")
    near = nearest(column, names, alike=COLUMN_ALIKE)
    hint = f"; did you mean {' '.join(keys)}?" if near and keys else f"; write {' '.join(keys)}"
    if not keys:
        hint = f"; write {section}.{key}=NAME with one of these"
    return f"{told}{hint}"


def _guess(key: str, column: str, names: Sequence[str], rows: Rows) -> str | None:
    """Return which column may be meant: by its name, else by what stands in it."""
    near = nearest(column, names, alike=COLUMN_ALIKE)
    if near:
        return near[0]
    if key == "id_column":
        some = rows[:20]
        for name in names:
            if some and all(Path(row[name]).suffix.lower() in SUFFIXES for row in some):
                return name
    lower = {name.lower(): name for name in names}
    usual = next((word for word in USUAL.get(key, "").split() if word in lower), None)
    if usual is not None:
        return lower[usual]
    return names[0] if len(names) == 1 else None


def _is_switch(name: str, rows: Rows) -> bool:
    return bool(rows) and all(row[name] in ("0", "1", "0.0", "1.0") for row in rows)


def _adds_up(names: Sequence[str], rows: Rows) -> bool:
    return all(sum(float(row[name]) for name in names) == 1 for row in rows)


# Rows or values in a message.
MOST_NAMED = 10


def list_csv(cfg: DataConfig, root: Path) -> Listing:
    """List the rows of the table.

    Raises:
        UserError: a table or column is missing, a label is not in the meta file, a name leads
            out of the folder, or a file has two labels or two groups.
    """
    table = root / cfg.csv_file
    if not table.exists():
        hint = _instead("csv_file", visible([path.name for path in root.glob("*.csv")]))
        raise UserError(f"{table}: there is no such file{hint}")
    keys = ("id_column", "target_column", *(("group_column",) if cfg.group_column else ()))
    _, rows = read_table(table, {key: str(getattr(cfg, key)) for key in keys}, cfg.encoding)
    folder = root / cfg.image_dir
    if not folder.is_dir():
        folders = visible([path.name for path in root.iterdir() if path.is_dir()])
        if any(path.suffix.lower() in SUFFIXES for path in root.iterdir()):
            folders.insert(0, ".")
        hint = _instead("image_dir", folders)
        raise UserError(f"data.image_dir={cfg.image_dir}: there is no folder {folder}{hint}")
    _check_filled(cfg, table, rows)
    by_target = _classes(cfg, root, [row[cfg.target_column] for row in rows], table)
    positions = {target: index for index, target in enumerate(by_target)}
    listing = Listing(folder, [], [], tuple(by_target.values()), codes=tuple(by_target))
    names = [named_inside(folder, row[cfg.id_column]) for row in rows]
    for name in names:
        path_inside(folder, name)
    names = with_suffixes(folder, names)
    labels = _one_each(table, names, [row[cfg.target_column] for row in rows], "classes")
    listing.names = list(labels)
    listing.targets = [positions[target] for target in labels.values()]
    if cfg.group_column:
        groups = _one_each(table, names, [row[cfg.group_column] for row in rows], "groups")
        listing.groups = list(groups.values())
    if len(labels) < len(rows):
        listing.notes.append(f"{table}: {counted(len(rows) - len(labels), 'row')} there twice")
    unused = [by_target[t] for t in by_target if t not in set(labels.values())]
    if unused:
        listing.notes.append(f"{table}: has no images of {', '.join(unused)}")
    return listing


def _one_each(
    table: Path, names: Sequence[str], values: Sequence[str], kind: str
) -> dict[str, str]:
    """Return the value of each file, which may be empty in further rows of it.

    Raises:
        UserError: a file has two.
    """
    found: dict[str, str] = {}
    for name, value in zip(names, values, strict=True):
        known = found.get(name) or value
        if value and value != known:
            raise UserError(
                f"{table}: {name} has two {kind}, {known} and {value}; keep one of its rows"
            )
        found[name] = known
    return found


def _instead(key: str, names: Sequence[str]) -> str:
    """Say what to write in place of a table or folder that is not there."""
    if len(names) < 2:
        return f"; write data.{key}={names[0] if names else 'NAME'}"
    more = ", ..." if len(names) > MOST_NAMED else ""
    return f"; write data.{key}=NAME with one of these: {', '.join(names[:MOST_NAMED])}{more}"


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
        rows_of_it = counted(sum(counts[t] for t in unknown), "row")
        raise UserError(
            f"{table}: {cfg.target_column} of {rows_of_it} is not in "
            f"{meta}: {', '.join(unknown[:MOST_NAMED])}"
        )
    twice = [name for name, count in Counter(names.values()).items() if count > 1]
    if twice:
        raise UserError(f"{meta}: two classes are called {', '.join(twice)}")
    return {target: names[target] for target in sorted(names, key=_numeric)}


def _numeric(target: str) -> tuple[int, float, str]:
    """Sort 2 before 10, and numbers before words."""
    try:
        return 0, float(target), target
    except ValueError:
        return 1, 0.0, target
