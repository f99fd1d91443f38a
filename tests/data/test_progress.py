"""Progress on the error stream: a bar in a terminal, lines elsewhere, nothing for short work."""

import io
import time

import pytest
from rich.console import Console

from src.data.progress import show_progress


def shown(terminal: bool, seconds: float, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return what is shown of 100 items that take so long each."""
    now = 0.0

    def tick() -> float:
        nonlocal now
        now += seconds / 2
        return now

    monkeypatch.setattr(time, "monotonic", tick)
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=80)
    assert list(show_progress(range(100), "decoding", 100, console)) == list(range(100))
    return out.getvalue()


def test_lines_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = shown(False, 1.0, monkeypatch).splitlines()
    assert 3 <= len(lines) <= 8
    assert lines[0].startswith("decoding: ")
    assert " of 100, 0:" in lines[0]
    assert lines[0].endswith(" left")


def test_a_bar_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "decoding" in shown(True, 1.0, monkeypatch)


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_for_short_work(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "decoding" not in shown(terminal, 0.001, monkeypatch)
