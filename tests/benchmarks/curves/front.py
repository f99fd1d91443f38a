"""A picture of what rules save and lose: epochs against F1, a panel for each data set, as SVG."""

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import NamedTuple

WIDTH, HEIGHT, LEFT, TOP = 250, 230, 46, 34
# Of the axes: shares of the epochs, and of the best F1 (as its square root, so that 0.1 % shows).
MOST_SAVED, MOST_LOST = 0.75, 0.16
TICKS_SAVED, TICKS_LOST = (0.0, 0.25, 0.5, 0.75), (0.0, 0.001, 0.005, 0.02, 0.05, 0.12)
# Beginning of a rule's name -> colour, and what the key says.
FAMILIES = {
    "median, warm-up": ("#8a8a8a", "median of complete trials, every epoch"),
    "median of complete": ("#7b5ea7", "the same, at the end of folds"),
    "successive halving": ("#c98a1b", "successive halving, at the end of folds"),
    "best": ("#1f6fb4", "of promoted trials: best 75, 50, 35, 25 %"),
    "i-Epoch": ("#b8433a", "i-Epoch, which waits for all"),
}
# What the picture leaves out: other shares of complete trials, and what presets add to `promoted`.
LEFT_OUT = ("best quarter", "first")


class Point(NamedTuple):
    """What a rule came to on a data set."""

    rule: str
    # Shares of the epochs, and of the best F1 on average.
    saved: float
    lost: float


def svg(panels: Mapping[str, Sequence[Point]]) -> str:
    """Return the picture.

    Args:
        panels: title -> the rules on a data set.
    """
    wide = LEFT + len(panels) * (WIDTH + LEFT)
    high = TOP + HEIGHT + 56 + 16 * math.ceil(len(FAMILIES) / 2)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" '
        f'viewBox="0 0 {wide} {high}" font-family="sans-serif" font-size="11">',
        f'<rect width="{wide}" height="{high}" fill="white"/>',
    ]
    for place, (title, points) in enumerate(panels.items()):
        parts += _panel(LEFT + place * (WIDTH + LEFT), title, points)
    for place, (colour, told) in enumerate(FAMILIES.values()):
        x, y = LEFT + place % 2 * wide // 2, TOP + HEIGHT + 52 + place // 2 * 16
        parts.append(f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{x + 10}" y="{y + 4}" fill="#222">{escape(told)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(left: float, title: str, points: Sequence[Point]) -> Iterator[str]:
    yield f'<text x="{left}" y="{TOP - 14}" fill="#222" font-weight="bold">{escape(title)}</text>'
    for tick in TICKS_SAVED:
        x = left + _x(tick)
        yield f'<path d="M{x:.1f} {TOP}v{HEIGHT}" stroke="#ddd"/>'
        yield f'<text x="{x:.1f}" y="{TOP + HEIGHT + 14}" text-anchor="middle">{tick:.0%}</text>'
    for tick in TICKS_LOST:
        y = TOP + _y(tick)
        yield f'<path d="M{left} {y:.1f}h{WIDTH}" stroke="#ddd"/>'
        told = f"{100 * tick:g}%"
        yield f'<text x="{left - 4}" y="{y + 4:.1f}" text-anchor="end">{told}</text>'
    if points:
        yield (
            f'<text x="{left + WIDTH}" y="{TOP + HEIGHT + 28}" text-anchor="end" fill="#555">'
            "epochs saved; upwards: of the best F1 lost</text>"
        )
    for begins, (colour, _) in FAMILIES.items():
        found = [
            (left + _x(one.saved), TOP + _y(one.lost))
            for one in sorted(points, key=lambda one: one.saved)
            if one.rule.startswith(begins) and not any(word in one.rule for word in LEFT_OUT)
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in found)
        yield f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-opacity="0.5"/>'
        for x, y in found:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>'


def _x(saved: float) -> float:
    return WIDTH * saved / MOST_SAVED


def _y(lost: float) -> float:
    return HEIGHT * (1 - math.sqrt(lost / MOST_LOST))
