"""What is told before anything runs is on the screen once, whoever shows it."""

import logging
import sys

import pytest

from src.before.notes import tell

ROOT = logging.getLogger()


def test_a_note_is_shown_once_with_and_without_a_log_on_the_screen(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hydra shows warnings until a job has its own log."""
    # Without what a search in this process may have left.
    monkeypatch.setattr(ROOT, "handlers", [])
    tell("a note of a door")
    assert capsys.readouterr().err == "a note of a door\n"
    shown = logging.StreamHandler(sys.stderr)
    monkeypatch.setattr(ROOT, "handlers", [*ROOT.handlers, shown])
    tell("a note of a search")
    assert capsys.readouterr().err == "a note of a search\n"
    shown.setLevel(logging.ERROR)
    tell("a note that the log does not show")
    assert capsys.readouterr().err == "a note that the log does not show\n"
