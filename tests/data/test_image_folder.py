"""Folders of classes: one level is cut, given splits are kept, mistakes are told."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from doctune.errors import UserError
from src.data.config import DataConfig
from src.data.decode import decode
from src.data.image_files import list_images
from src.data.image_set import ImageSet
from src.data.load import load_splits
from src.data.splits import cut
from tests.data.pictures import CLASSES, names, page, write


def test_one_level_is_cut_with_all_classes_everywhere(
    tmp_path: Path, data: Callable[..., Any]
) -> None:
    write(tmp_path / "images")
    splits = load_splits(data())
    assert splits.train.classes == ("invoice", "letter", "note")
    assert splits.notes == ()
    train, val, test = names(splits)
    assert len(train | val | test) == len(train) + len(val) + len(test) == 30
    for part in (splits.train, splits.val, splits.test):
        assert len(np.unique(part.labels)) == 3
        for name, label, pixels in zip(part.names, part.labels, part.images, strict=True):
            assert name.startswith(f"{part.classes[label]}/")
            np.testing.assert_array_equal(pixels, decode(tmp_path / "images" / name, 24))
    again = load_splits(data())
    assert names(again) == [train, val, test]
    assert isinstance(splits.train.pixels, np.memmap)
    assert splits.train.subset(np.arange(3)).pixels is splits.test.pixels


@pytest.mark.parametrize("val", ["val", "valid", "Validation"])
def test_given_splits_are_kept(tmp_path: Path, data: Callable[..., Any], val: str) -> None:
    write(tmp_path / "images", 4, ("train", val, "test"))
    for part, folder in zip(names(load_splits(data())), ("train", val, "test"), strict=True):
        assert len(part) == 12
        assert all(name.startswith(f"{folder}/") for name in part)


def test_missing_splits_come_out_of_train(tmp_path: Path, data: Callable[..., Any]) -> None:
    write(tmp_path / "images", 10, ("train", "test"))
    train, val, test = names(load_splits(data(val_fraction=0.2)))
    assert (len(train), len(val), len(test)) == (24, 6, 30)
    assert all(name.startswith("train/") for name in train | val)


def test_a_class_that_only_test_has_is_noted(tmp_path: Path, data: Callable[..., Any]) -> None:
    root = write(tmp_path / "images", 8, ("train", "test"))
    (root / "test" / "receipt").mkdir()
    page(999).save(root / "test" / "receipt" / "a.png")
    splits = load_splits(data())
    assert splits.train.classes == ("invoice", "letter", "note", "receipt")
    assert splits.notes == ("there are no images of receipt to train on",)


def test_unlabelled_test_images_are_not_used(tmp_path: Path, data: Callable[..., Any]) -> None:
    write(tmp_path / "images", 10, ("train",))
    (tmp_path / "images" / "test").mkdir()
    page(99).save(tmp_path / "images" / "test" / "a.png")
    splits = load_splits(data())
    assert sum(map(len, names(splits))) == 30
    assert "test: has no folders of classes" in splits.notes[0]


@pytest.mark.parametrize("twice", [("val", "validation"), ("Train", "training")])
def test_two_folders_of_one_split_are_refused(
    tmp_path: Path, data: Callable[..., Any], twice: tuple[str, str]
) -> None:
    write(tmp_path / "images", 1, (*{"train", "test"} - {twice[0].lower()}, *twice))
    with pytest.raises(UserError, match=rf"data\.root=.*: {' and '.join(twice)} are one split"):
        list_images(data())


def test_images_beside_the_splits_are_noted(tmp_path: Path, data: Callable[..., Any]) -> None:
    root = write(tmp_path / "images", 1, ("train", "test", "more"))
    (root / "tables").mkdir()
    assert list_images(data()).notes == [
        "more: is a folder beside train, but no split, so it is not used"
    ]


@pytest.mark.parametrize("splits", [("train", "test"), ("Training", "val", "test"), ("train",)])
def test_splits_without_classes_are_no_classes(
    tmp_path: Path, data: Callable[..., Any], splits: tuple[str, ...]
) -> None:
    for split in splits:
        (tmp_path / "images" / split).mkdir(parents=True)
        page(1).save(tmp_path / "images" / split / "a.png")
    told = re.escape(f"holds splits ({', '.join(sorted(splits))}), but no train/CLASS/IMAGE")
    with pytest.raises(UserError, match=f"{told}.* data=csv"):
        list_images(data())


@pytest.mark.parametrize("splits", [("val",), ("val", "test")])
def test_splits_with_classes_are_no_classes_where_train_has_none(
    tmp_path: Path, data: Callable[..., Any], splits: tuple[str, ...]
) -> None:
    root = write(tmp_path / "images", 2, splits)
    with pytest.raises(UserError, match="no train/CLASS/IMAGE"):
        list_images(data())
    (root / "train").mkdir()
    page(99).save(root / "train" / "a.png")
    with pytest.raises(UserError, match="no train/CLASS/IMAGE"):
        list_images(data())


def test_a_class_beside_others_may_be_called_as_a_split_is(
    tmp_path: Path, data: Callable[..., Any]
) -> None:
    root = write(tmp_path / "images", 2)
    (root / "note").rename(root / "test")
    assert list_images(data()).classes == ("invoice", "letter", "test")


Spoil = Callable[[Path], object]


def remove(root: Path, folders: tuple[str, ...]) -> None:
    for name in folders:
        shutil.rmtree(root / name)


@pytest.mark.parametrize(
    ("keys", "spoil", "told"),
    [
        ({"source": "image_foldr"}, None, "did you mean image_folder"),
        ({"fit": "padd"}, None, r"data\.fit=padd: unknown; did you mean pad"),
        ({"on_bad_image": "ignore"}, None, r"data\.on_bad_image=ignore.* choose error, skip"),
        ({"root": None}, None, r"data\.root: not given"),
        ({"root": "/no/such/place"}, None, r"data\.root=/no/such/place: there is no such folder"),
        ({}, shutil.rmtree, "there is no such folder"),
        ({}, lambda root: remove(root, CLASSES), "no images in folders"),
        ({}, lambda root: remove(root, CLASSES[1:]), "only one folder"),
        ({}, lambda root: (root / "empty").mkdir(), "no images in the folder of empty"),
        (
            {},
            lambda root: [path.unlink() for path in sorted((root / "note").glob("*"))[2:]],
            r"data\.test_fraction=0\.25: class note has 2 images, too few .* add images, or take",
        ),
        (
            {"val_fraction": 0.15},
            lambda root: [path.unlink() for path in sorted((root / "note").glob("*"))[4:]],
            r"note has 4 images, .*; data\.test_fraction=0\.25 data\.val_fraction=0\.25 leave",
        ),
        (
            {},
            lambda root: [path.write_text("x") for path in root.glob("*/*")],
            "30 of 30 images cannot be read",
        ),
        (
            {"on_bad_image": "skip"},
            lambda root: [path.write_text("x") for path in root.glob("*/*")],
            "none of its 30 images",
        ),
    ],
)
def test_what_is_wrong_with_a_folder(
    tmp_path: Path, data: Callable[..., Any], keys: dict[str, Any], spoil: Spoil | None, told: str
) -> None:
    root = write(tmp_path / "images")
    if spoil:
        spoil(root)
    with pytest.raises(UserError, match=told):
        load_splits(data(**keys))


@given(st.integers(1, 12), st.integers(0, 50))
def test_shares_that_are_proposed_work(size: int, seed: int) -> None:
    labels = np.array([0] * 200 + [1] * size)
    images = ImageSet(np.zeros((len(labels), 1, 1, 3), np.uint8), labels, ("often", "rare"))
    if size >= 8:
        cut(images, DataConfig(seed=seed))
        return
    with pytest.raises(UserError, match=f"class rare has {size} image") as refused:
        cut(images, DataConfig(seed=seed))
    hint = str(refused.value).partition(";")[2]
    chosen: Any = {k: float(v) for k, v in re.findall(r"data\.(\w+_fraction)=([\d.]+)", hint)}
    assert bool(chosen) == (size > 3)
    if chosen:
        cut(images, DataConfig(seed=seed, **chosen))
