"""What this machine's card does with this software, the most important first:

python -m tests.benchmarks.card [--seconds 480] [--out outputs/card] [--only PART ...] [--tiny]

Prints every row as it comes, and keeps all of them in `card.json` and `card.md`; what the parts
print beside goes to `card.log`. Each part is a process of its own with its own share of the time:
one that crashes, hangs or takes too long costs none of the others their rows. Without a card, and
with `--tiny`, every part runs on the CPU in a form of a few seconds.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.benchmarks.card.parts import PARTS, Part, Row

# Marks the lines of a part's output that are rows.
MARK = "ROW "
# Seconds that a part is given to end by itself, after it was asked to.
GRACE = 5.0


def main(arguments: list[str] | None = None) -> int:
    """Run the parts, or with `--run` one of them in this process; return how many went wrong."""
    words = parse(arguments)
    if words.run:
        # So that what a part has started ends with it.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        for row in PARTS[words.run].rows(words.tiny, words.limit):
            print(MARK + json.dumps(row), flush=True)
        return 0
    tiny = words.tiny or not has_card()
    check = Check(Path(words.out), tiny)
    return check.run([PARTS[name] for name in words.only or PARTS], words.seconds)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser("python -m tests.benchmarks.card", description=__doc__)
    parser.add_argument("--seconds", type=float, default=480, help="for all parts together")
    parser.add_argument("--out", default="outputs/card", help="folder of the results")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), help="parts to run")
    parser.add_argument("--tiny", action="store_true", help="on the CPU, in seconds")
    parser.add_argument("--run", choices=list(PARTS), help=argparse.SUPPRESS)
    parser.add_argument("--limit", type=float, default=60, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def has_card() -> bool:
    """Tell whether there is a card, without a CUDA context of this process on it."""
    from src.hardware.detect import cards

    return bool(cards())


class Check:
    """Runs parts one after the other and keeps their rows.

    Args:
        folder: gets `card.json`, `card.md` and `card.log`.
        tiny: run on the CPU, in seconds.
    """

    def __init__(self, folder: Path, tiny: bool) -> None:
        self._folder, self._tiny = folder, tiny
        self._began = time.monotonic()
        self._found: dict[str, Any] = {}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "card.log").write_text("", encoding="utf-8")

    def run(self, parts: list[Part], seconds: float) -> int:
        """Run them within so many seconds; return how many went wrong."""
        wrong = 0
        for number, part in enumerate(parts):
            left = seconds - (time.monotonic() - self._began)
            # What a part leaves of its time goes to those that follow.
            limit = min(part.most, left * part.share / sum(p.share for p in parts[number:]))
            self._say(f"\n{part.name}: {part.title} (at most {limit:.0f} s)")
            started, rows = time.monotonic(), []
            for row in self._process(part, limit):
                rows.append(row)
                self._say("  " + "  ".join(f"{key} {_short(value)}" for key, value in row.items()))
                self._keep(part, rows, "running")
            ended = self._ended(limit, time.monotonic() - started)
            wrong += ended != "complete"
            self._say(f"  {ended} after {time.monotonic() - started:.1f} s")
            self._keep(part, rows, ended)
        self._say(f"\nwritten to {self._folder}")
        return wrong

    def _process(self, part: Part, limit: float) -> Iterator[Row]:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        if self._tiny:
            environment["CUDA_VISIBLE_DEVICES"] = ""
        with (self._folder / "card.log").open("a", encoding="utf-8") as log:
            log.write(f"\n===== {part.name}\n")
            log.flush()
            self._child = subprocess.Popen(
                self._command(part, limit),
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=environment,
                start_new_session=True,
            )
            guard = threading.Timer(limit, _end, [self._child])
            guard.start()
            try:
                assert self._child.stdout is not None
                for line in self._child.stdout:
                    if line.startswith(MARK):
                        yield json.loads(line[len(MARK) :])
                    else:
                        log.write(line)
                self._child.wait()
            finally:
                guard.cancel()
                _kill(self._child, signal.SIGKILL)

    def _command(self, part: Part, limit: float) -> list[str]:
        words = ["--run", part.name, "--limit", str(limit), *["--tiny"] * self._tiny]
        return [sys.executable, "-m", "tests.benchmarks.card", *words]

    def _ended(self, limit: float, seconds: float) -> str:
        if self._child.returncode == 0:
            return "complete"
        if seconds >= limit:
            return "cut off by its limit"
        return f"failed with code {self._child.returncode}, see card.log"

    def _keep(self, part: Part, rows: list[Row], state: str) -> None:
        self._found[part.name] = {"title": part.title, "state": state, "rows": rows}
        _write(self._folder / "card.json", json.dumps(self._found, indent=1) + "\n")
        _write(self._folder / "card.md", "\n".join(_tables(self._found)) + "\n")

    def _say(self, text: str) -> None:
        print(text, flush=True)


def _end(child: "subprocess.Popen[str]") -> None:
    _kill(child, signal.SIGTERM)
    try:
        child.wait(GRACE)
    except subprocess.TimeoutExpired:
        _kill(child, signal.SIGKILL)


def _kill(child: "subprocess.Popen[str]", number: int) -> None:
    """Send a signal to a part and all that it started."""
    try:
        os.killpg(child.pid, number)
    except ProcessLookupError:
        return


def _write(path: Path, text: str) -> None:
    draft = path.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def _tables(found: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a Markdown table a part; what is no single value is in the JSON alone."""
    for name, part in found.items():
        yield f"\n## {name}: {part['title']} ({part['state']})\n"
        rows = part["rows"]
        columns = [
            key
            for key in dict.fromkeys(key for row in rows for key in row)
            if not any(isinstance(row.get(key), list | dict) for row in rows)
        ]
        if not columns:
            continue
        yield f"| {' | '.join(columns)} |"
        yield f"|{' --- |' * len(columns)}"
        for row in rows:
            yield f"| {' | '.join(_short(row.get(key, '')) for key in columns)} |"


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | dict):
        return f"({len(value)})"
    return str(value)


if __name__ == "__main__":
    sys.exit(min(1, main()))
