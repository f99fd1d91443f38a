"""`data.labels`: what a person has decided is done, and what makes no sense is told."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from doctune.errors import UserError
from src.data.config import DataConfig
from src.data.files import SPLITS
from src.data.image_files import find_images
from src.data.labels import read_decisions
from src.data.load import check_listing, data_fingerprint, load_splits
from src.data.splits import Splits
from tests.data.pictures import competition, names, write

Row = Sequence[str]


def table(folder: Path, *rows: Row) -> str:
    """Write a table as a search leaves it, with what was decided."""
    path = folder / "suspect_labels.csv"
    lines = [("image", "label", "suggested", "score", "accept"), *rows]
    path.write_text("".join(",".join(row) + "\n" for row in lines), encoding="utf-8")
    return str(path)


def classes_of(splits: Splits) -> dict[str, str]:
    """Return the class of every image by its name."""
    return {
        name: part.classes[label]
        for part in (getattr(splits, split) for split in SPLITS)
        for name, label in zip(part.names, part.labels, strict=True)
    }


@pytest.mark.parametrize("source", ["image_folder", "csv", "documents"])
def test_what_was_decided_is_done_and_nothing_else(
    tmp_path: Path, cache_dir: Path, data: Callable[..., Any], source: str
) -> None:
    if source == "documents":
        # Pages that other tests draw as well.
        pages = {"n_images": 480, "img_size": 32, "cache_dir": str(cache_dir)}
        cfg = data(source=source, root=None, **pages)
    else:
        (competition if source == "csv" else write)(tmp_path / "images")
        cfg = data(source=source)
    before = load_splits(cfg)
    known = classes_of(before)
    letters = [name for name, label in known.items() if label == "letter"]
    moved, gone, kept, open_, *_ = letters
    cfg.labels = table(
        tmp_path,
        (moved, "letter", "note", "-0.9", "Relabel"),
        (gone, "letter", "note", "", "leave_out"),
        (kept, "letter", "note", "", "keep"),
        (open_, "letter", "note", "", ""),
    )
    after = load_splits(cfg)
    assert classes_of(after) == {
        name: "note" if name == moved else label for name, label in known.items() if name != gone
    }
    # Everybody else is where they were.
    assert names(after) == [part - {gone} for part in names(before)]
    assert after.notes[-1] == "data.labels: another class for 1 image, and 1 left out"
    assert after.fingerprint == data_fingerprint(cfg) != before.fingerprint
    cfg.labels = table(tmp_path, (kept, "letter", "note", "", "keep"))
    assert load_splits(cfg).fingerprint == before.fingerprint


def test_classes_may_be_named_as_the_table_of_labels_names_them(
    tmp_path: Path, data: Callable[..., Any]
) -> None:
    competition(tmp_path / "images")
    cfg = data(source="csv", labels=table(tmp_path, ("000.jpg", "0", "10", "", "relabel")))
    assert classes_of(load_splits(cfg))["000.jpg"] == "note"


def test_a_sheet_of_two_classes_is_told_until_it_is_mended(
    tmp_path: Path, data: Callable[..., Any]
) -> None:
    root = write(tmp_path / "images")
    (root / "note" / "copy.png").write_bytes((root / "letter" / "00.png").read_bytes())
    assert any("have several classes" in note for note in find_images(data()).notes)
    cfg = data(labels=table(tmp_path, ("note/copy.png", "note", "letter", "", "relabel")))
    assert not any("have several classes" in note for note in find_images(cfg).notes)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (("letter/00.png", "letter", "note", "", "yes"), ("line 2", "accept=yes", "leave out")),
        (("letter/00.png", "letter", "note", "", "relable"), ("did you mean relabel?",)),
        (("letter/99.png", "letter", "note", "", "relabel"), ("no image letter/99.png",)),
        (("letter/00.png", "letter", "notes", "", "relabel"), ("suggested=notes", "note?")),
        (("letter/00.png", "invoice", "note", "", "relabel"), ("is letter", "other data")),
    ],
)
def test_lines_that_make_no_sense(
    tmp_path: Path, data: Callable[..., Any], row: Row, words: Sequence[str]
) -> None:
    write(tmp_path / "images")
    with pytest.raises(UserError) as error:
        load_splits(data(labels=table(tmp_path, row)))
    assert all(word in str(error.value) for word in ("data.labels", *words)), error.value


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ("image,label,suggested,Accept", "rename Accept to accept"),
        ("image,label,suggested,score", "has no column 'accept', .*score; add it"),
        ("image,label", "has no column 'suggested', only image, label; add it"),
    ],
)
def test_its_columns_have_fixed_names(tmp_path: Path, header: str, told: str) -> None:
    """No key of the config says others, so none is proposed."""
    path = tmp_path / "decided.csv"
    path.write_text(f"{header}\na.png,x,y,keep\n")
    with pytest.raises(UserError, match=rf"^data\.labels: {re.escape(str(path))}.*{told}$"):
        read_decisions(path)


def test_it_is_in_utf_8(tmp_path: Path) -> None:
    """`data.encoding`, which is of the data's own tables, changes nothing here."""
    path = tmp_path / "decided.csv"
    path.write_bytes("image,label,suggested,accept\n서식.png,x,y,keep\n".encode("cp949"))
    with pytest.raises(
        UserError, match=r"decided\.csv: is no table in UTF-8; save it as CSV in UTF-8$"
    ):
        read_decisions(path)


def test_what_no_image_has_to_be_opened_for_is_told_first(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data.labels=no.csv: there is no such file"):
        check_listing(DataConfig(labels="no.csv"))
    (tmp_path / "other.csv").write_text("image,label\na,b\n")
    with pytest.raises(UserError, match=r"data\.labels: .*suggested"):
        check_listing(DataConfig(labels=str(tmp_path / "other.csv")))
    twice = [("a", "letter", kind, "", "relabel") for kind in ("note", "cv")]
    with pytest.raises(UserError, match="lines 2 and 3 decide differently about a"):
        check_listing(DataConfig(labels=table(tmp_path, *twice)))


def test_a_class_may_not_vanish(tmp_path: Path, data: Callable[..., Any]) -> None:
    write(tmp_path / "images")
    rows = [
        (f"note/{i:02}.{'jpg' if i % 2 else 'png'}", "note", "letter", "", "relabel")
        for i in range(10)
    ]
    with pytest.raises(UserError, match="no image of note is left to train on"):
        load_splits(data(labels=table(tmp_path, *rows)))
    assert len(np.unique(load_splits(data()).train.labels)) == 3
