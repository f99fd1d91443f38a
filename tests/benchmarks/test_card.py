"""The card check on the CPU: no part of it is broken where there is no card to see it."""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.benchmarks.card import marked_tests, searches
from tests.benchmarks.card.__main__ import Check, parse
from tests.benchmarks.card.parts import PARTS, Part
from tests.benchmarks.card.steps import at_peak
from tests.preloaded import Command

# What a row of each part must have.
COLUMNS = {
    "marked_tests": ("test", "outcome"),
    "searches": ("search", "complete", "trials an hour", "busy %", "best F1"),
    "first_steps": ("model", "first s"),
    "sharing": ("model", "way", "processes", "images/s"),
    "steps": ("model", "predicted GB", "step ms"),
    "ways": ("model", "way", "images/s", "of the limit"),
    "out_of_memory": ("model", "ran out with", "images at a time", "validation loss"),
}


# Searches of the command line, and steps as `first_steps` and `out_of_memory` take them.
LONGER = {"searches", "steps", "ways"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.thorough] if name in LONGER else []) for name in PARTS],
)
def test_every_part_runs_without_a_card(
    name: str, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pages that other tests draw as well.
    words = (*searches.TINY.words, f"data.cache_dir={cache_dir}")
    monkeypatch.setattr(searches, "TINY", dataclasses.replace(searches.TINY, words=words))
    begin = SimpleNamespace(**{**vars(subprocess), "Popen": Command})
    for part in (searches, marked_tests):
        monkeypatch.setattr(part, "subprocess", begin)
    rows = list(PARTS[name].rows(tiny=True, limit=60))
    assert rows
    json.dumps(rows)
    for row in rows:
        assert all(key in row for key in COLUMNS[name]), row
        assert all(math.isfinite(value) for value in row.values() if isinstance(value, float))
    if name == "searches":
        # It tells what it has while it runs, and at the end.
        assert [row["state"] for row in rows] == ["so far"] * (len(rows) - 1) + ["ended"]
        assert rows[-1]["complete"] == 1
        assert rows[-1]["failed"] == 0
    if name == "out_of_memory":
        assert (rows[0]["ran out with"], rows[0]["images at a time"]) == ("8 images at a time", 4)
    if name == "ways":
        assert len(rows) == 4
    if name == "marked_tests":
        assert {row["outcome"] for row in rows} <= {"skipped", "passed"}


SCRIPTS = {
    "good": "print('ROW {\"a\": 1.5, \"b\": [1, 2]}')\nprint('by the way')",
    "crashes": "print('ROW {\"a\": 2}')\nraise ValueError('why')",
    "hangs": "print('ROW {\"a\": 3}', flush=True)\nimport time\ntime.sleep(60)",
}


def test_a_part_that_crashes_or_hangs_costs_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        Check, "_command", lambda self, part, limit: [sys.executable, "-c", SCRIPTS[part.name]]
    )
    parts = [Part(name, f"what {name}", 1, 2.0) for name in ("hangs", "crashes", "good")]
    assert Check(tmp_path, tiny=True).run(parts, seconds=60) == 2
    found = json.loads((tmp_path / "card.json").read_text())
    assert [part["rows"] for part in found.values()] == [
        [{"a": 3}],
        [{"a": 2}],
        [{"a": 1.5, "b": [1, 2]}],
    ]
    assert found["good"]["state"] == "complete"
    assert found["hangs"]["state"] == "cut off by its limit"
    assert found["crashes"]["state"].startswith("failed with code 1")
    # What is no single value is in the JSON alone.
    assert "| a |\n| --- |\n| 1.5 |" in (tmp_path / "card.md").read_text()
    log = (tmp_path / "card.log").read_text()
    assert "ValueError: why" in log
    assert "by the way" in log
    told = capsys.readouterr().out
    assert told.index("a 3") < told.index("a 2") < told.index("a 1.5")


def test_parts_share_the_seconds_given() -> None:
    assert parse(["--seconds", "270"]).seconds == 270
    assert sum(part.share for part in PARTS.values()) > 0


def test_what_was_allocated_at_the_peak_is_told() -> None:
    """As `torch.cuda.memory._snapshot` records it."""
    events = [
        *(("alloc", 1, 512), ("alloc", 2, 2048), ("segment_alloc", 0, 2**21), ("alloc", 3, 2048)),
        *(("free_requested", 1, 512), ("free_completed", 1, 512), ("alloc", 4, 4096)),
        *(("free_completed", 2, 2048), ("alloc", 5, 1024), ("free_completed", 4, 4096)),
    ]
    trace = [{"action": action, "addr": addr, "size": size} for action, addr, size in events]
    found = at_peak(trace)
    assert found["bytes"] == 2048 + 2048 + 4096
    assert found["blocks"] == 3
    assert sorted(found["sizes"]) == [(2048, 2), (4096, 1)]
