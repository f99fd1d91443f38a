"""What `src.confirm` prints: parameters in the table where they fit, else whole below it."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from src.results.confirmation.judge import Confirmation, Contender
from src.results.confirmation.table import print_confirmation
from src.results.stored_study import StoredStudy
from src.results.write import write_results
from tests.results.example_study import make_study

PARAMS = {f"group.parameter_{i}": 0.1 + i for i in range(12)}


@pytest.mark.parametrize(("count", "width", "inside"), [(2, 120, True), (12, 80, False)])
def test_parameters_are_shown_whole(tmp_path: Path, count: int, width: int, inside: bool) -> None:
    params = dict(list(PARAMS.items())[:count])
    contenders = [Contender(trial, params, 0.5, 0.1, 0.05, 0.15, 0.03) for trial in (8, 14)]
    found = Confirmation("s", "abc", False, 9, 3, 3, 0, 0.4, contenders)
    console = Console(file=io.StringIO(), width=width)
    files = write_results(StoredStudy(make_study(complete=1), tmp_path))
    print_confirmation(found, tmp_path / "confirm.json", files, console)
    shown: str = console.file.getvalue()  # type: ignore[attr-defined]
    table, _, _ = shown.partition("The gain holds")
    assert all(len(line) <= width for line in table.splitlines())
    assert ("trial 8: " in table) != inside
    words = table.replace(",", " ").split()
    for i, value in enumerate(params.values()):
        assert words.count(f"parameter_{i}={value:.3g}") == len(contenders)
