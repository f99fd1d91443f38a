"""CSV files of image names and labels, from whatever program wrote them."""

import csv
import difflib
from pathlib import Path

from src.errors import UserError

DELIMITERS = ",;\t"

Rows = list[dict[str, str]]


def read_table(path: Path, *columns: str) -> tuple[list[str], Rows]:
    """Read a table with a header, separated by commas, semicolons or tabs.

    Args:
        path: of the file, in UTF-8.
        columns: that have to be there.

    Returns:
        The names of its columns, and its rows.

    Raises:
        UserError: it is missing, empty or no such table, or lacks a column.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = file.readline()
            file.seek(0)
            delimiter = max(DELIMITERS, key=header.count)
            reader = csv.DictReader(file, delimiter=delimiter, restval="")
            rows = [{k.strip(): v.strip() for k, v in row.items() if k} for row in reader]
            names = [name.strip() for name in reader.fieldnames or []]
    except FileNotFoundError as error:
        raise UserError(f"{path}: there is no such file") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: is no table in UTF-8: {error}") from error
    for column in columns:
        if column not in names:
            lower = {name.lower(): name for name in names}
            near = difflib.get_close_matches(column.lower(), lower, n=1)
            hint = f"; did you mean '{lower[near[0]]}'?" if near else ""
            raise UserError(f"{path}: has no column '{column}', only {', '.join(names)}{hint}")
    if not rows:
        raise UserError(f"{path}: there are no rows in this file")
    return names, rows
