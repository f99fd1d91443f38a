"""The guide's cards and models planned, beside the guide's own numbers:

python -m tests.benchmarks.plans

Prints the tables of docs/plan.md: the largest batch and the time of a trial at the sizes that the
guide has for a card, and how memory and time grow with the image. Nothing is trained, and no
earlier trial of this machine corrects the times.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

from omegaconf import OmegaConf

from tests.conftest import CONF, REPOSITORY

CARDS = ("rtx4090", "rtx3080", "rtx3070")
MODELS = ("efficientnet_b3", "convnext_base", "swin_base")
# Image size -> memory and time against 224 px (the guide, section 4).
GROWTH = {224: (1.0, 1.0), 320: (2.1, 1.8), 384: (3.0, 2.5), 512: (5.3, 4.2)}
# A card whose memory cuts no batch of them.
ROOMY = ("gpu=rtx3080", "gpu.usable_gb=1000")


def main() -> None:
    """Plan everything, and print three tables in Markdown."""
    plans = {
        (card, model): plan(f"gpu={card}", f"model={model}", *sizes_of(card))
        for card in CARDS
        for model in MODELS
    }
    print_table(["card", "guide", "px", *MODELS], fitting(plans))
    print_table(["card", *MODELS], searches(plans))
    print_table(["px", "memory: guide", *MODELS, "time: guide", *MODELS], growth())


def profile(card: str) -> Any:
    """Return the profile of a card, which has the guide's numbers (section 5)."""
    return OmegaConf.load(Path(CONF) / "gpu" / f"{card}.yaml")


def sizes_of(card: str) -> tuple[str, str]:
    """Return the overrides that search over the sizes that the guide has for a card."""
    found = profile(card)
    images, batches = (",".join(map(str, s)) for s in (found.img_sizes, found.batch_sizes))
    return f"data.img_size=choice({images})", f"data.batch_size=choice({batches})"


def plan(*words: str) -> Any:
    """Return what the plan of the search `balanced` says."""
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run(
            [sys.executable, "-m", "src.plan", "hparams_search=balanced", *words, "--json"],
            cwd=empty,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True,
            text=True,
            check=True,
        )
    return json.loads(done.stdout)


def fitting(plans: dict[tuple[str, str], Any]) -> Iterator[list[str]]:
    """Yield the largest batch without and with gradient checkpointing, and a trial's minutes."""
    for card in CARDS:
        guide = profile(card)
        batches = f"{guide.batch_sizes[0]} to {guide.batch_sizes[-1]}, at most"
        for px in guide.img_sizes:
            row = [card, f"{batches} {guide.max_batch_size}", str(px)]
            row += [_cell(plans[card, model], px) for model in MODELS]
            yield row


def _cell(found: Any, px: int) -> str:
    whole = str(found["largest"][str(px)])
    less = found["largest_checkpointing"].get(str(px))
    cells = [cell for cell in found["cells"] if cell["img_size"] == px]
    minutes = fmean(cell["seconds"] for cell in cells) / 60
    return f"{whole} ({less}), {minutes:.1f} min" if less else f"{whole}, {minutes:.1f} min"


def searches(plans: dict[tuple[str, str], Any]) -> Iterator[list[str]]:
    """Yield the hours of a search, and how many of its trials end in time."""
    for card in CARDS:
        yield [card, *(_search(plans[card, model]) for model in MODELS)]


def _search(found: Any) -> str:
    hours = found["seconds"] / 3600
    return f"{hours:.1f} h, {found['trials_in_time']} of {found['n_trials']} in time"


def growth() -> Iterator[list[str]]:
    """Yield memory and time of a step against 224 px, at batch 32 and 16 bits."""
    sizes = ",".join(map(str, GROWTH))
    words = (f"data.img_size=choice({sizes})", "data.batch_size=32", *ROOMY)
    cells = {}
    for model in MODELS:
        for cell in plan(f"model={model}", *words)["cells"]:
            cells[model, cell["img_size"]] = cell
    for px, (memory, time) in GROWTH.items():
        row = [str(px)]
        for name, told in (("needed", memory), ("seconds", time)):
            row.append(str(told))
            row += [f"{cells[m, px][name] / cells[m, 224][name]:.1f}" for m in MODELS]
        yield row


def print_table(head: list[str], rows: Iterator[list[str]]) -> None:
    """Print a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    print("\n".join(f"| {' | '.join(line)} |" for line in lines), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
