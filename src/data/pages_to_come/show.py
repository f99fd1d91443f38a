"""How pages to classify differ from those to train on: lines for the screen, a part of a page."""

from pathlib import Path

import jinja2
from markupsafe import Markup

from src.data.pages_to_come.compare import ALWAYS, NONE, Comparison
from src.data.pages_to_come.measures import SIZES

# Of a measure, the largest distance of two distributions that is worth a line.
APART = 0.15
# Lines on the screen.
MOST_LINES = 8
# Below, measures differ by chance.
TOLD = 0.6
# Above, the nearest wear still leaves the two heaps well apart.
STILL_APART = 0.75
TEMPLATES = Path(__file__).parents[1] / "templates"


def in_lines(found: Comparison) -> list[str]:
    """Say what differs, what wear is nearest, and what to write for it."""
    none = found.tried[0]
    lines = [
        f"data.to_classify: {found.theirs} pages beside {found.ours} to train on; a classifier "
        f"tells them apart with an AUC of {none.auc:.2f} (0.5: not at all, 1: always)"
    ]
    # The classifier does not see sizes, so what it says is nothing about them.
    differing = [
        one
        for one in found.measures
        if one.apart >= APART and (none.auc >= TOLD or one.name in SIZES)
    ][:MOST_LINES]
    if differing:
        width = max(len(one.name) for one in differing)
        lines += [
            f"  {one.name:{width}}  {_range(one.ours)} to train on, {_range(one.theirs)} to "
            f"classify ({one.unit})"
            for one in differing
        ]
    return [*lines, *advice(found)]


def advice(found: Comparison) -> list[str]:
    """Say which wear makes pages to train on most like those to classify."""
    chosen = found.chosen
    if chosen.preset == NONE:
        told = ["No wear makes them more alike, so score and train pages as they are."]
    else:
        far = ""
        # Where the classifier could not decide, what has.
        if min(worn.auc for worn in found.tried) > ALWAYS:
            before = found.tried[0].distance
            far = f"; measures {chosen.distance:.2f} apart on average, {before:.2f} as they are"
        told = [
            f"Pages to train on are most like them under {chosen.in_words} (AUC "
            f"{chosen.auc:.2f}{far}). To train and score so: {words(found)}",
            "Short trials may learn too little from pages so worn; +search_space=augment in place "
            "of augment.strength searches how hard to train.",
        ]
    if chosen.auc > STILL_APART:
        told.append("They are still told apart: not all that differs is in the presets of augment.")
    return told


def words(found: Comparison) -> str:
    """Return what is added to a command to train and score under the nearest wear."""
    name, strength = found.chosen.preset, f"{found.chosen.strength:g}"
    return (
        f"augment={name} augment.strength={strength} quick_validation.wear={name} "
        f"quick_validation.wear_strength={strength}"
    )


def as_html(found: Comparison) -> Markup:
    """Return the part of a page: what to do, the wears that were tried, all measures."""
    page = template("pages_to_come.html")
    return Markup(page.render(found=found, advice=advice(found), range=_range))


def template(name: str) -> jinja2.Template:
    """Return a page of `src/data/templates`, to be filled in."""
    loader = jinja2.FileSystemLoader(TEMPLATES)
    return jinja2.Environment(loader=loader, autoescape=True).get_template(name)


def _range(tenths: tuple[float, float, float]) -> str:
    low, middle, high = (f"{one:.0f}" if abs(one) >= 100 else f"{one:.2g}" for one in tenths)
    return f"{middle} ({low} to {high})"
