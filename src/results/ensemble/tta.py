"""Whether test-time augmentation helps, and for which pages: decided on the validation split.

Under `quick_validation.wear` that is on worn pages, as everything else that is chosen: on clean
ones it mostly does not help, on turned and cropped ones it may. The smallest margin wins that has
the best score, as each page above it costs several views.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from src.inference.unsure import ALL, Spent, unsure
from src.results.ensemble.selection import Floats, Labels, macro_f1

MARGINS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, ALL)


@dataclass(frozen=True)
class Choice:
    """What was found on the validation split."""

    # Pages with a smaller margin are given more views; 0: none is.
    margin: float
    # Macro-F1 with that, without, and with the views of every page.
    validation: float
    validation_without: float
    validation_all: float
    # What it costs there.
    spent: Spent

    @property
    def used(self) -> bool:
        """Tell whether it is better than without."""
        return self.margin > 0

    def as_json(self) -> dict[str, Any]:
        """Return what `ensemble.json` keeps."""
        return {"used": self.used, **asdict(self), "times": self.spent.times}


def choose_margin(plain: Floats, averaged: Floats, labels: Labels, views: int) -> Choice:
    """Choose the pages that views are worth their time for.

    Args:
        plain: probabilities [N, C] without test-time augmentation.
        averaged: means over the views, of all pages.
        labels: int64 [N].
        views: of each page.
    """
    without = macro_f1(plain, labels)
    scores = {margin: macro_f1(mixed(plain, plain, averaged, margin), labels) for margin in MARGINS}
    margin = max(MARGINS, key=lambda each: (scores[each], -each))
    if scores[margin] <= without:
        margin = 0.0
    chosen = int(unsure(torch.from_numpy(plain), margin).sum())
    return Choice(
        margin=margin,
        validation=scores.get(margin, without),
        validation_without=without,
        validation_all=scores[ALL],
        spent=Spent(len(labels), chosen, views),
    )


def mixed(judge: Floats, plain: Floats, averaged: Floats, margin: float) -> Floats:
    """Return probabilities [N, C]: `averaged` where `judge` is unsure, `plain` elsewhere."""
    found = plain.copy()
    rows = unsure(torch.from_numpy(judge), margin).numpy()
    found[rows] = averaged[rows]
    return found
