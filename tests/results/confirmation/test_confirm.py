"""The files of a confirmation; tests/test_confirm.py makes one through the door."""

from dataclasses import replace
from pathlib import Path

from src.results.confirmation.confirm import _write
from src.results.confirmation.judge import Confirmation, Contender


def test_who_reads_a_confirmation_while_it_is_written_again_reads_it_whole(tmp_path: Path) -> None:
    best = Contender(4, {}, 0.5, 0.1, 0.05, 0.15, 0.03)
    found = Confirmation("s", "abc", False, 2, 2, 3, 0, 0.4, [best])
    path = _write(tmp_path, found, {4: [0.5, 0.5]})
    table = path.with_suffix(".csv")
    before, rows = path.read_text(), table.read_text()
    with path.open() as reader, table.open() as reader_of_rows:
        _write(tmp_path, replace(found, epochs=30), {4: [0.6, 0.6]})
        assert (reader.read(), reader_of_rows.read()) == (before, rows)
    assert table.read_text().replace("0.6", "0.5") == rows != table.read_text()
