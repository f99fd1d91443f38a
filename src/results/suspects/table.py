"""`suspect_labels.csv`: a line for each label that is probably wrong, for a person to decide on.

What was decided is never lost: it stays when the table is written anew, and the decisions that a
study was run with are in its own table as well, so that the latest table holds all of them.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from src.data.csv_table import read_table
from src.data.labels import read_decisions
from src.results.suspects.find import Suspect

FILE = "suspect_labels.csv"
COLUMNS = ("image", "label", "suggested", "score", "agree", "trials", "reason", "accept")
# Without it, what opens tables in offices takes UTF-8 for the encoding of the country.
BYTE_ORDER_MARK = "\ufeff"

Row = Mapping[str, str]


def decided_rows(paths: Sequence[Path]) -> dict[str, Row]:
    """Return the lines on which something was decided by their image; later tables go before.

    Args:
        paths: of tables; those that are not there hold nothing.

    Raises:
        UserError: a table cannot be read, or has a decision without meaning.
    """
    found: dict[str, Row] = {}
    for path in paths:
        if path.is_file() and read_decisions(path):
            _, rows = read_table(path, {}, section="")
            found |= {row["image"]: row for row in rows if row["accept"]}
    return found


def table_text(suspects: Sequence[Suspect], decided: Mapping[str, Row]) -> str:
    """Return the table: what was decided as it stands, then the suspects that nobody has judged.

    Args:
        suspects: in their order, none that was decided about.
        decided: lines of earlier tables by image.
    """
    file = io.StringIO()
    table = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore", lineterminator="\n")
    table.writeheader()
    table.writerows(decided.values())
    for line in suspects:
        table.writerow(
            {
                **{key: getattr(line, key) for key in COLUMNS if hasattr(line, key)},
                "score": "" if line.score is None else f"{line.score:.3f}",
            }
        )
    return BYTE_ORDER_MARK + file.getvalue()
