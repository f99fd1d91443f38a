"""When a study was worked on: the time of its trials, without the pauses between its runs."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

# A pause in which no trial ran at all parts two runs where it is longer than so many seconds and
# than this share of all the time in which one ran.
PAUSE_SECONDS = 60.0
PAUSE_SHARE = 0.1

Moment = datetime.datetime


@dataclass(frozen=True)
class Span:
    """A time in which at least one trial ran."""

    start: Moment
    end: Moment

    @property
    def seconds(self) -> float:
        """Return its length."""
        return (self.end - self.start).total_seconds()


def ended(trial: FrozenTrial, is_running: bool) -> Moment:
    """Return when a trial that has begun ended; now, if it still runs.

    A trial that lost its process ended at its last sign of life, although the study may have
    learnt of it days later.
    """
    assert trial.datetime_start is not None
    if is_running:
        return datetime.datetime.now()
    attrs = trial.user_attrs
    if trial.datetime_complete and not attrs.get("interrupted"):
        return trial.datetime_complete
    beat = attrs.get("heartbeat")
    last = datetime.datetime.fromtimestamp(beat) if beat else trial.datetime_start
    latest = trial.datetime_complete or datetime.datetime.now()
    return max(trial.datetime_start, min(last, latest))


def covered(spans: Sequence[Span], pause: float = 0.0) -> list[Span]:
    """Return the times in which at least one of some spans lasted, in order.

    A pause of no more than so many seconds is taken for a part of them.
    """
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        if found and (span.start - found[-1].end).total_seconds() <= pause:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def runs(spans: Sequence[Span]) -> list[Span]:
    """Return the runs of a search that the spans of its trials tell of, in order."""
    busy = covered(spans)
    return covered(busy, max(PAUSE_SECONDS, PAUSE_SHARE * sum(span.seconds for span in busy)))
