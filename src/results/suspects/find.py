"""The labels of a study's images that are probably wrong, with pictures to judge them by."""

import logging
import math
from collections import defaultdict
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from doctune.errors import UserError
from src.data.config import DataConfig
from src.data.image_files import FoundImages, find_images
from src.data.image_set import ImageSet
from src.data.labels import NOWHERE
from src.data.load import load_splits
from src.results.candidates import Candidates, find_candidates
from src.results.confusions import thumbnail
from src.results.stored_study import StoredStudy
from src.results.suspects.ranking import Floats, Ints, Ranking, rank_labels, worth_asking

log = logging.getLogger(__name__)

# The best so many trials are asked, if they are nearly as good as the best.
MODELS = 5
# Suspects that the report shows with pictures, and the side of these in pixels.
SHOWN, PICTURE_PX = 8, 160
# Where the trials together give fewer images the class of their label, most of what they suspect is
# their own mistake.
ENOUGH_RIGHT = 0.8
# How many times as likely another class is than the label is said from here on, and up to here.
LEAST_TIMES, MOST_TIMES = 1.1, 1000


@dataclass(frozen=True)
class Suspect:
    """An image whose label is probably wrong.

    Args:
        image: what it is called.
        label: its class in the data, by name.
        suggested: what it may be.
        score: the logarithm of the odds of the label against the likeliest other class, the mean
            over the trials; the lower, the more probably wrong. None where no trial has seen it.
        agree: trials that are confident of another class than the label.
        trials: trials that were asked.
        reason: in words.
        row: of the image in its source.
    """

    image: str
    label: str
    suggested: str
    score: float | None
    agree: int
    trials: int
    reason: str
    row: int


@dataclass(frozen=True)
class Shown:
    """A suspect beside a typical page of both classes; pictures are data: addresses."""

    suspect: Suspect
    picture: str
    typical_of_label: str
    typical_of_suggested: str


@dataclass(frozen=True)
class Suspects:
    """What a study says of the labels of its images.

    Args:
        lines: those that are one sheet with different labels first, then the surest.
        shown: the first few with pictures.
        trials: numbers of those that were asked, the best first.
        images: how many they have predicted.
        right: the share of these that they together give the class of their label.
    """

    lines: Sequence[Suspect]
    shown: Sequence[Shown]
    trials: Sequence[int]
    images: int
    right: float

    @property
    def sheets(self) -> int:
        """Return how many lines are of sheets that are there with different labels."""
        return sum("the same sheet" in line.reason for line in self.lines)

    @property
    def uncertain(self) -> bool:
        """Tell whether most suspects will be mistakes of the trials."""
        return self.right < ENOUGH_RIGHT


def find_suspects(
    stored: StoredStudy, judged: Container[str] = (), pictures: bool = True
) -> Suspects | None:
    """Ask the best trials of a study which labels are wrong.

    Args:
        stored: the study, finished or not.
        judged: names of images that a person has decided about.
        pictures: whether to show the first few.

    Returns:
        None where no trial has left out-of-fold predictions, or the images are no longer there as
        they were.
    """
    try:
        # Of pages as they are: wear is no reason to doubt a label.
        asked = _best_of(find_candidates(stored, MODELS, clean=True))
        cfg = stored.trial_config(asked.trials[0].number).data
    except UserError:
        return None
    try:
        images = load_splits(cfg).train
        found = None if cfg.source == "documents" else find_images(cfg)
    except (UserError, OSError) as error:
        log.warning("no wrong labels are looked for: %s", error)
        return None
    same = asked.rows.max(initial=0) < len(images.pixels)
    if not (same and np.array_equal(images.targets[asked.rows], asked.labels)):
        log.warning("no wrong labels are looked for: the images have changed since")
        return None
    ranking = rank_labels(asked.probabilities, asked.labels)
    lines = list(_same_sheets(found, asked, ranking)) if found else []
    listed = {line.row for line in lines}
    lines += [line for line in _suspected(images, asked, ranking) if line.row not in listed]
    lines = [line for line in lines if line.image not in judged]
    mean = np.mean(asked.probabilities, axis=0)
    return Suspects(
        lines=lines,
        shown=_with_pictures(lines[:SHOWN], images, asked, mean) if pictures else [],
        trials=[trial.number for trial in asked.trials],
        images=len(asked.rows),
        right=float((mean.argmax(1) == asked.labels).mean()),
    )


def _best_of(found: Candidates) -> Candidates:
    places = worth_asking(found.probabilities, found.labels)
    return replace(
        found,
        trials=[found.trials[place] for place in places],
        probabilities=[found.probabilities[place] for place in places],
    )


def _suspected(images: ImageSet, asked: Candidates, ranking: Ranking) -> Iterator[Suspect]:
    for place in ranking.suspects().tolist():
        label = images.classes[asked.labels[place]]
        suggested = images.classes[ranking.suggested[place]]
        sure, odds = float(ranking.sure[place]), float(ranking.odds[place])
        agree, trials, row = int(ranking.agree[place]), ranking.models, int(asked.rows[place])
        yield Suspect(
            image=images.name_of(row),
            label=label,
            suggested=suggested,
            score=odds,
            agree=agree,
            trials=trials,
            reason=in_words(label, suggested, sure, odds=odds, agree=agree, trials=trials),
            row=row,
        )


def in_words(
    label: str, suggested: str, sure: float, *, odds: float, agree: int, trials: int
) -> str:
    """Say why a label is doubted: by how many of several trials, or how much likelier another is.

    The list is cut by how many labels are wrong, so one may be on it that no trial is confident
    enough to doubt; of a single trial, votes say nothing more.
    """
    said = f"{suggested}: {sure:.0%}"
    if agree and trials > 1:
        return f"{agree} of {trials} trials doubt it; {said}"
    times = math.exp(-odds)
    if times < LEAST_TIMES:
        return said
    many = f"{times:.{0 if times >= 10 else 1}f}"
    if times > MOST_TIMES:
        many = f"more than {MOST_TIMES:,}"
    return f"{said}, {many} times as likely as {label}"


def _same_sheets(found: FoundImages, asked: Candidates, ranking: Ranking) -> Iterator[Suspect]:
    """Yield the images of one sheet whose label is not that of most of its copies.

    A trial that knows a copy has a vote in parts, its probabilities.
    """
    votes: Floats = np.zeros((len(found.names), len(found.classes)))
    votes[asked.rows] = np.mean(asked.probabilities, axis=0)
    place_of = {int(row): place for place, row in enumerate(asked.rows)}
    members = defaultdict(list)
    for row in np.flatnonzero(found.corrected != NOWHERE).tolist():
        members[int(found.same[row])].append(row)
    for rows in members.values():
        labels: Ints = found.corrected[rows]
        present = np.unique(labels)
        if len(present) < 2:
            continue
        counted = votes[rows].sum(0) + np.bincount(labels, minlength=len(found.classes))
        best = present[counted[present] == counted[present].max()]
        for row, label in zip(rows, labels.tolist(), strict=True):
            if len(best) == 1 and label == best[0]:
                continue
            # Where nothing tells them apart, each is shown with the other's label.
            suggested = int(best[best != label][0])
            other = rows[int(np.flatnonzero(labels == suggested)[0])]
            place = place_of.get(row)
            yield Suspect(
                image=found.names[row],
                label=found.classes[label],
                suggested=found.classes[suggested],
                score=None if place is None else float(ranking.odds[place]),
                agree=0 if place is None else int(ranking.agree[place]),
                trials=ranking.models,
                reason=f"the same sheet as {found.names[other]}, which is "
                f"{found.classes[suggested]}",
                row=row,
            )


def _with_pictures(
    lines: Sequence[Suspect], images: ImageSet, asked: Candidates, mean: Floats
) -> list[Shown]:
    """Show suspects beside the page of either class that the trials are surest of."""
    typical: dict[str, str] = {}
    for name in {name for line in lines for name in (line.label, line.suggested)}:
        target = images.classes.index(name)
        own = np.where(asked.labels == target, mean[:, target], -1)
        typical[name] = thumbnail(images.pixels[asked.rows[int(own.argmax())]], PICTURE_PX)
    return [
        Shown(
            line,
            thumbnail(images.pixels[line.row], PICTURE_PX),
            typical[line.label],
            typical[line.suggested],
        )
        for line in lines
    ]


def study_labels(stored: StoredStudy) -> str | None:
    """Return the table of decisions that a study was run with, `data.labels`."""
    for trial in stored.complete():
        try:
            cfg: DataConfig = stored.trial_config(trial.number).data
        except UserError:
            continue
        return cfg.labels
    return None
