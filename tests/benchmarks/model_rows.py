"""What has been seen of a model of each timm file: kept rows, and the table of docs/models.md."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from src.training.abilities import abilities
from src.training.config import ModelConfig
from src.training.model_notes import in_words
from tests.conftest import REPOSITORY
from tests.timm_files import SMALLEST

KEPT = Path("outputs/timm_models.jsonl")
DOCS = REPOSITORY / "docs" / "models.md"
# What stands between the two is written here.
BEGIN, END = "<!-- tests.benchmarks.models -->", "<!-- end -->"
# What is looked at, in the words of the table.
SEEN = {
    "trains": "trains two steps",
    "equal": "has the same weights with gradient checkpointing",
    "predicts": "predicts what it was scored with",
    "exports": "says the same in onnxruntime",
    "acts": "has what is said of it",
}


@dataclass(frozen=True)
class Checked:
    """What was seen of one model; None: not looked at."""

    trains: bool | None = None
    # With gradient checkpointing, bit for bit.
    equal: bool | None = None
    predicts: bool | None = None
    exports: bool | None = None
    # What can be searched, seen to do what is said of it.
    acts: bool | None = None
    problem: str = ""
    # Of the processor.
    seconds: float = 0.0
    # What can be searched, as cells of the table.
    searched: dict[str, str] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Tell whether anything is not as it should be."""
        return False in (getattr(self, key) for key in SEEN) or bool(self.problem)


def kept() -> dict[str, Checked]:
    """Return the last row of each file of timm that has one."""
    if not KEPT.is_file():
        return {}
    rows = [json.loads(line) for line in KEPT.read_text().splitlines()]
    return {row.pop("file"): Checked(**row) for row in rows}


def keep(file: str, found: Checked) -> None:
    """Add a row, which replaces the one before."""
    KEPT.parent.mkdir(exist_ok=True)
    with KEPT.open("a") as rows:
        rows.write(json.dumps({"file": file, **asdict(found)}) + "\n")


def searched_in(name: str, size: int) -> dict[str, str]:
    """Return what can be searched in a model, a cell of the table each.

    Args:
        name: timm's.
        size: side of the images in pixels.
    """
    cfg = ModelConfig(name)
    words, fixed = in_words(cfg, size), abilities(cfg, size).fixed_masks
    besides = [f"dropout of {max(fixed):g} stays"] if fixed else []
    besides += ["no dropout"] if words["dropout"] is None else []
    return {
        "drop path": words["drop path"] or "-",
        "pooling": words["pooling"] or "its own",
        "layer scale": "-" if words["layer scale"] is None else "yes",
        "checkpointing": "-" if words["gradient checkpointing"] is None else "yes",
        "besides": ", ".join(besides),
    }


def table(found: Mapping[str, Checked]) -> str:
    """Return what has been seen, in Markdown: what holds for how many, and a row a file."""
    lines = []
    for key, words in SEEN.items():
        marks = [getattr(row, key) for row in found.values()]
        looked = len(marks) - marks.count(None)
        lines.append(f"* {words}: {marks.count(True)} of {looked} that it was looked at in")
    head = ["timm file", "seen with", *next(iter(found.values())).searched, "trained"]
    lines += ["", "| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for file, row in sorted(found.items()):
        cells = [file, f"`{SMALLEST[file][0]}`", *row.searched.values(), _trained(row)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _trained(row: Checked) -> str:
    """Tell whether a model was trained and all held, with its export or without."""
    fails = [key for key in SEEN if getattr(row, key) is False]
    if fails or row.trains is None:
        return ", ".join(fails) or "-"
    return "yes" if row.exports is None else "yes, exported"


def write_docs(found: Mapping[str, Checked]) -> None:
    """Put the table into docs/models.md; files without a row are looked at, and not trained."""
    looked = {
        file: found.get(file) or Checked(searched=searched_in(*SMALLEST[file])) for file in SMALLEST
    }
    text = DOCS.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    DOCS.write_text(f"{before}{BEGIN}\n{table(looked)}\n{END}{after}", encoding="utf-8")
