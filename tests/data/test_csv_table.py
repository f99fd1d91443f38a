"""Tables that name images and targets: read as competitions write them, mistakes are told."""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from doctune.errors import UserError
from src.data.image_files import list_images
from src.data.load import data_fingerprint, load_splits
from tests.conftest import REPOSITORY, Door
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


def test_a_group_that_only_one_row_of_a_file_names(
    tmp_path: Path, data: Callable[..., Any]
) -> None:
    root = competition(tmp_path / "images", per_class=1)
    rows = ("000.jpg,0,", "001.jpg,2,A", "000.jpg,0,B", "000.jpg,0,")
    (root / "train.csv").write_text("\n".join(["ID,target,who", *rows]))
    listing = list_images(data(source="csv", group_column="who"))
    assert dict(zip(listing.names, listing.groups, strict=True)) == {"000.jpg": "B", "001.jpg": "A"}


Spoil = Callable[[Path], object]


def table(text: str) -> Spoil:
    return lambda root: (root / "train.csv").write_text(text)


@pytest.mark.parametrize(
    ("keys", "spoil", "told"),
    [
        (
            {"csv_file": "labels.csv"},
            None,
            r"there is no such file; write data\.csv_file=NAME with .*: meta\.csv, train\.csv$",
        ),
        (
            {"image_dir": "images"},
            None,
            r"data\.image_dir=images: there is no folder .*; write data\.image_dir=train$",
        ),
        (
            {"id_column": "id"},
            None,
            "no column 'id', only ID, target; did you mean data.id_column=ID",
        ),
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
        ({}, table("ID,target\n000.jpg,0\n000,2\n"), r"000\.jpg has two classes, 0 and 2"),
        (
            {"group_column": "who"},
            table("ID,target,who\n000.jpg,0,A\n001.jpg,2,A\n000.jpg,0,B\n"),
            r"000\.jpg has two groups, A and B; keep one of its rows",
        ),
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


KOREAN = "ID,target\n" + "".join(
    f"{i:03}.jpg,{('영수증', '계약서', '메모')[i % 3]}\n" for i in range(9)
)


@pytest.mark.parametrize(
    ("written", "keys"),
    [
        ("utf-8", {}),
        ("utf-8-sig", {}),
        ("utf-16", {}),  # Excel's "Unicode text"
        ("utf-16-le", {}),
        ("utf-16-be", {}),
        ("cp949", {"encoding": "cp949"}),
    ],
)
def test_a_table_in_another_encoding(
    tmp_path: Path, data: Callable[..., Any], written: str, keys: dict[str, str]
) -> None:
    root = competition(tmp_path / "images", per_class=3, meta=False)
    (root / "train.csv").write_bytes(KOREAN.encode(written))
    listing = list_images(data(source="csv", **keys))
    assert listing.classes == ("계약서", "메모", "영수증")
    assert len(listing.names) == 9


@pytest.mark.parametrize(
    ("content", "told"),
    [
        # Each with how it reads, as bytes alone do not tell.
        (KOREAN.encode("cp949"), r"choose .*: data\.encoding=cp949 \(000\.jpg,영수증\)"),
        ("ID,target\na.jpg,Café\n".encode("latin-1"), r"data\.encoding=cp1252 \(a\.jpg,Café\)"),
        (b"PK\x03\x04rest", "is an Excel file"),
        (b"PAR1rest", "is a Parquet file"),
        (b"<!DOCTYPE html>", "is a web page, as of a download that wanted a login"),
        (b"version https://git-lfs.github.com/spec/v1", "git lfs pull fetches it"),
        (b"ID,ID\na,b\n", "two columns called ID"),
        (
            b"filename,label\n000.jpg,1\n",
            r"write data\.id_column=filename data\.target_column=label",
        ),
        (b"img,kind\n000.jpg,1\n", r"write data\.id_column=img data\.target_column=kind"),
        (
            b"Id,Target\n000.jpg,1\n",
            r"did you mean data\.id_column=Id data\.target_column=Target\?",
        ),
        (
            b"ID,cat,dog\n000.jpg,1,0\n001.jpg,0,1\n",
            r"a class \(cat, dog, \.\.\.\), .*t\['target'\] = t\[\['cat', 'dog'\]\]\.idxmax",
        ),
    ],
)
def test_what_a_table_is_in_truth(
    tmp_path: Path, data: Callable[..., Any], content: bytes, told: str
) -> None:
    root = competition(tmp_path / "images", per_class=3, meta=False)
    (root / "train.csv").write_bytes(content)
    with pytest.raises(UserError, match=told) as refused:
        list_images(data(source="csv"))
    assert "\n" not in str(refused.value)


def test_the_command_for_a_column_a_class_works(tmp_path: Path, data: Callable[..., Any]) -> None:
    root = competition(tmp_path / "images", per_class=3, meta=False)
    rows = "".join(f"{i:03}.jpg,{i % 2},{1 - i % 2}\n" for i in range(9))
    (root / "train.csv").write_text(f"ID,cat,dog\n{rows}")
    with pytest.raises(UserError) as refused:
        list_images(data(source="csv"))
    subprocess.run(
        [sys.executable, *shlex.split(str(refused.value).rpartition("python ")[2])], check=True
    )
    listing = list_images(data(source="csv"))
    assert [listing.classes[target] for target in listing.targets[:2]] == ["dog", "cat"]


def test_names_as_other_systems_and_folders_write_them(
    tmp_path: Path, data: Callable[..., Any]
) -> None:
    root = competition(tmp_path / "images", per_class=3, meta=False)
    table = "ID,target\ntrain\\000.jpg,a\ntrain/001.jpg,b\n./002.jpg,a\n003.jpg,b\ngone/4.jpg,a\n"
    (root / "train.csv").write_text(table)
    # One that is no file either way stays, and is told later by the name that the table has.
    wanted = ["000.jpg", "001.jpg", "002.jpg", "003.jpg", "gone/4.jpg"]
    assert list_images(data(source="csv")).names == wanted


def test_the_same_images_at_another_place_are_the_same_data(
    tmp_path: Path, data: Callable[..., Any]
) -> None:
    root = competition(tmp_path / "images", per_class=12)
    before = data_fingerprint(data(source="csv"))
    root.rename(tmp_path / "moved")
    assert data_fingerprint(data(source="csv", root=f"{tmp_path / 'moved'}/")) == before
    sweeper = OmegaConf.load(REPOSITORY / "conf/hydra/sweeper/optuna_async.yaml")
    assert "data.root" not in sweeper.settings
    assert "data.root" in sweeper.places


def test_a_class_of_the_meta_file_without_images_is_noted(
    tmp_path: Path, data: Callable[..., Any]
) -> None:
    root = competition(tmp_path / "images")
    with (root / "meta.csv").open("a") as file:
        file.write("3,receipt\n")
    splits = load_splits(data(source="csv"))
    assert splits.train.classes == ("letter", "invoice", "receipt", "note")
    assert "has no images of receipt" in splits.notes[0]


def test_a_search_on_a_competition_knows_its_content(door: Door, tmp_path: Path) -> None:
    root = competition(tmp_path / "images", per_class=12)
    shutil.copy(root / "train" / "000.jpg", root / "train" / "002.jpg")
    words = (
        *("src.train", "-m", "hparams_search=fast", "gpu=cpu", "data=csv", f"data.root={root}"),
        *("data.img_size=32", "quick_validation.epochs=1", "quick_validation.folds=2"),
        *(f"data.cache_dir={tmp_path / 'cache'}", "hydra/launcher=basic", "optuna.in_full=0"),
    )
    # No time for any trial: all of this comes before the first.
    said = door(*words, "optuna.n_trials=1", "optuna.timeout=0")
    assert "2 images are 1 in truth" in said
    assert "several classes: 000.jpg (letter) = 002.jpg (note)" in said
    page(99).save(root / "train" / "004.jpg")
    said = door(*words, "optuna.n_trials=2", code=1)
    assert "content of the images and splits was" in said
    assert "Traceback" not in said
