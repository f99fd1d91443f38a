"""Tables that name images and targets: read as competitions write them, mistakes are told."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.data.load import load_splits
from src.errors import UserError
from tests.conftest import Run
from tests.data.pictures import competition, names, page


def test_csv_of_a_competition(tmp_path: Path, data: Callable[..., Any]) -> None:
    competition(tmp_path / "images")
    splits = load_splits(data(source="csv"))
    assert splits.train.classes == ("letter", "invoice", "note")
    assert splits.train.codes == ("0", "2", "10")
    assert sum(map(len, names(splits))) == 30
    for name, label in zip(splits.train.names, splits.train.labels, strict=True):
        assert int(name[:3]) % 3 == label


def test_csv_with_other_names_and_no_meta_file(tmp_path: Path, data: Callable[..., Any]) -> None:
    root = competition(tmp_path / "images", meta=False)
    text = (root / "train.csv").read_text().replace("ID,target", "file;kind;scan").replace(",", ";")
    lines = [
        line.replace(".jpg", "") + f";{i // 6}" * (i > 0)
        for i, line in enumerate(text.split("\n"))
        if line
    ]
    (root / "train.csv").unlink()
    (root / "labels.csv").write_text("\ufeff" + "\n".join(lines), encoding="utf-8")
    (root / "train").rename(root / "pictures")
    cfg = data(
        source="csv",
        csv_file="labels.csv",
        image_dir="pictures",
        id_column="file",
        target_column="kind",
        group_column="scan",
        val_fraction=0.3,
    )
    splits = load_splits(cfg)
    assert splits.train.classes == ("0", "2", "10")
    for part in (splits.train, splits.val, splits.test):
        assert part.groups is not None
    groups = [set(part.groups) for part in (splits.train, splits.val, splits.test)]  # type: ignore[arg-type]
    assert sum(map(len, groups)) == len(set.union(*groups))
    assert all(len(np.unique(part.labels)) == 3 for part in (splits.train, splits.val, splits.test))


Spoil = Callable[[Path], object]


def table(text: str) -> Spoil:
    return lambda root: (root / "train.csv").write_text(text)


@pytest.mark.parametrize(
    ("keys", "spoil", "told"),
    [
        ({"csv_file": "labels.csv"}, None, r"labels\.csv: there is no such file"),
        ({"image_dir": "images"}, None, r"data\.image_dir=images: there is no folder"),
        ({"id_column": "id"}, None, "no column 'id', only ID, target; did you mean 'ID'"),
        ({"target_column": "class"}, None, "no column 'class'"),
        ({"group_column": "customer"}, None, "no column 'customer'"),
        ({"meta_file": "classes.csv"}, None, r"classes\.csv: there is no such file"),
        ({"class_name_column": "name"}, None, r"meta\.csv: has no column 'name'"),
        ({}, table("ID,target\n"), "no rows"),
        ({}, table("ID,target\n000.jpg,0\n001.jpg,0\n"), "only one class, target=0"),
        (
            {},
            table("ID,target\n000.jpg,0\n001.jpg,7\n002.jpg,7\n"),
            r"of 2 rows is not in .*meta\.csv: 7",
        ),
        ({}, table("ID,target\n000.jpg,0\n,2\n"), r"train\.csv: ID is empty in row 3"),
        ({}, table("ID,target\n000.jpg,\n001.jpg,2\n"), "target is empty in row 2"),
        ({}, table("ID,target\n000.jpg,0\n000.jpg,2\n"), r"000\.jpg has two classes, 0 and 2"),
        ({}, table("ID,target\n../../x.jpg,0\n000.jpg,2\n"), r"'\.\./\.\./x\.jpg' leads out of"),
        ({}, table("ID,target\n/etc/passwd,0\n000.jpg,2\n"), "leads out of"),
        ({}, table("ID,target\ngone.jpg,0\n000.jpg,2\n"), r"gone\.jpg: there is no such file"),
        ({}, lambda root: (root / "train.csv").write_bytes(b"ID\xff,t\n"), "no table in UTF-8"),
    ],
)
def test_what_is_wrong_with_a_table(
    tmp_path: Path, data: Callable[..., Any], keys: dict[str, Any], spoil: Spoil | None, told: str
) -> None:
    root = competition(tmp_path / "images", per_class=3)
    if spoil:
        spoil(root)
    with pytest.raises(UserError, match=told):
        load_splits(data(source="csv", **keys))


def test_a_class_of_the_meta_file_without_images_is_noted(
    tmp_path: Path, data: Callable[..., Any]
) -> None:
    root = competition(tmp_path / "images")
    with (root / "meta.csv").open("a") as file:
        file.write("3,receipt\n")
    splits = load_splits(data(source="csv"))
    assert splits.train.classes == ("letter", "invoice", "receipt", "note")
    assert "has no images of receipt" in splits.notes[0]


def test_a_search_on_a_competition_knows_its_content(run: Run, tmp_path: Path) -> None:
    root = competition(tmp_path / "images", per_class=12)
    shutil.copy(root / "train" / "000.jpg", root / "train" / "002.jpg")
    words = (
        *("src.train", "-m", "hparams_search=fast", "gpu=cpu", "data=csv", f"data.root={root}"),
        *("data.img_size=32", "quick_validation.epochs=1", "quick_validation.folds=2"),
        f"data.cache_dir={tmp_path / 'cache'}",
    )
    done = run(*words, "optuna.n_trials=1")
    assert "2 images are 1 in truth" in done.stderr
    assert "several classes: 000.jpg (letter) = 002.jpg (note)" in done.stderr
    page(99).save(root / "train" / "004.jpg")
    done = run(*words, "optuna.n_trials=2", code=1)
    assert "content of the images and splits was" in done.stderr
    assert "Traceback" not in done.stderr
