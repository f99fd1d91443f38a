"""The table of models that docs/models.md has from the rows of a run."""

from pathlib import Path

import pytest
import torch
from torch import nn

from tests.benchmarks import model_rows
from tests.benchmarks.model_rows import BEGIN, DOCS, END, Checked, keep, kept, table, write_docs
from tests.benchmarks.models import shorten
from tests.timm_files import SMALLEST

SEARCHED = {"drop path": "-", "pooling": "avg, max", "besides": ""}


def test_the_last_row_of_a_file_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_rows, "KEPT", tmp_path / "outputs" / "rows.jsonl")
    assert kept() == {}
    keep("vgg", Checked(problem="ended"))
    keep("vgg", Checked(trains=True, searched=SEARCHED))
    keep("dla", Checked(trains=False, searched=SEARCHED))
    found = kept()
    assert [(file, row.failed) for file, row in found.items()] == [("vgg", False), ("dla", True)]


def test_the_table_says_what_fails_and_in_how_many() -> None:
    rows = {
        "vgg": Checked(trains=True, equal=None, searched=SEARCHED),
        "dla": Checked(trains=False, equal=True, searched=SEARCHED),
    }
    told = table(rows).splitlines()
    assert told[0].endswith("1 of 2 that it was looked at in")
    assert told[1].endswith("1 of 1 that it was looked at in")
    assert told[-2:] == [
        "| dla | `dla46x_c` | - | avg, max |  | trains |",
        "| vgg | `vgg11` | - | avg, max |  | yes |",
    ]


def test_the_page_keeps_what_is_around_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "models.md"
    page.write_text(f"before\n\n{BEGIN}\nold\n{END}\n\nafter\n", encoding="utf-8")
    monkeypatch.setattr(model_rows, "DOCS", page)
    monkeypatch.setattr(model_rows, "SMALLEST", {"vgg": ("vgg11", 64)})
    rows = {"vgg": Checked(trains=True, searched=SEARCHED)}
    for _ in range(2):
        write_docs(rows)
    text = page.read_text(encoding="utf-8")
    assert text == f"before\n\n{BEGIN}\n{table(rows)}\n{END}\n\nafter\n"


def test_the_page_has_a_row_for_every_file_of_timm() -> None:
    text = DOCS.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]
    assert [line.split(" | ")[0][2:] for line in text.splitlines() if "`" in line] == [*SMALLEST]


def test_blocks_that_are_as_the_two_before_them_are_left_out_of_an_export() -> None:
    row = nn.Sequential(*(nn.Linear(3, 3) for _ in range(6)), nn.ReLU())
    shorten(row, torch.zeros(1, 3))
    assert [type(block) for block in row] == [nn.Linear, nn.Linear, nn.ReLU]

    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(nn.Linear(3, 3) for _ in range(6))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            found: torch.Tensor = self.blocks[5](images)
            return found

    model = Counts()
    shorten(model, torch.zeros(1, 3))
    assert len(model.blocks) == 6
