"""Whether a table has room on the screen."""

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

# Wider than any table: the width that a table would like to have is asked for within it.
WIDEST = 10_000


def fits(table: Table, console: Console) -> bool:
    """Tell whether all lines of a table can be shown without being broken or cut."""
    options = console.options.update(max_width=WIDEST)
    return Measurement.get(console, options, table).maximum <= console.width
