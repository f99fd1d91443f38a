"""Folders and tables of image files: found, judged, cut, cached."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image, ImageFilter

from src.data import image_files, inspection
from src.data.config import DataConfig
from src.data.decode import Pixels, decode, open_image
from src.data.load import data_fingerprint, load_splits
from src.data.splits import Splits
from src.errors import UserError
from src.trial.preflight import CONTENT, check_same_data
from tests.conftest import CONF, Run

CLASSES = ("letter", "invoice", "note")


def page(number: int) -> Image.Image:
    """Return a picture that looks like no other."""
    coarse = np.random.default_rng(number).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((120, 150), Image.Resampling.BICUBIC)


def write(root: Path, per_class: int = 10, splits: tuple[str, ...] = ("",)) -> Path:
    """Write a folder of images, `per_class` of each class and split."""
    number = 0
    for split in splits:
        for name in CLASSES:
            folder = root / split / name
            folder.mkdir(parents=True)
            for i in range(per_class):
                page(number).save(folder / f"{i:02}.{'jpg' if i % 2 else 'png'}")
                number += 1
    return root


@pytest.fixture
def data(tmp_path: Path) -> Callable[..., Any]:
    """Return a function that makes the `data` group for `tmp_path/images`."""

    def make(**keys: Any) -> Any:
        values = {
            "source": "image_folder",
            "root": str(tmp_path / "images"),
            "img_size": 24,
            "cache_dir": str(tmp_path / "cache"),
            **keys,
        }
        return OmegaConf.structured(DataConfig(**values))

    return make


def names(splits: Splits) -> list[set[str]]:
    return [set(part.names) for part in (splits.train, splits.val, splits.test)]


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


def test_the_study_knows_the_content_by_that_name() -> None:
    assert (
        f"{CONTENT}: ${{data_fingerprint:}}" in Path(CONF, "hparams_search/base.yaml").read_text()
    )


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


def test_a_second_load_reads_and_decodes_nothing(
    tmp_path: Path, data: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path / "images")
    first = load_splits(data())
    opened: list[str] = []
    decoded: list[Any] = []

    def note_open(path: Path, *args: Any) -> Any:
        opened.append(path.name)
        return open_image(path, *args)

    def note_decode(path: Path, *args: Any, **keys: Any) -> Pixels:
        decoded.append(path)
        return decode(path, *args, **keys)

    monkeypatch.setattr(inspection, "open_image", note_open)
    monkeypatch.setattr(image_files, "decode", note_decode)
    np.testing.assert_array_equal(load_splits(data()).test.images, first.test.images)
    assert not opened + decoded
    # Another size decodes again, but cuts the same images the same way.
    assert names(load_splits(data(img_size=32))) == names(first)
    assert (opened, len(decoded)) == ([], 30)
    # A file that was touched or moved is read, but is the same; a new content is new.
    decoded.clear()
    os.utime(root / "note" / "03.jpg", (1, 1))
    load_splits(data())
    assert not opened + decoded
    shutil.move(root / "note" / "04.png", root / "letter" / "99.png")
    load_splits(data())
    assert not opened
    decoded.clear()
    page(77).save(root / "note" / "03.jpg")
    load_splits(data())
    assert opened == ["03.jpg"]
    assert len(decoded) == 30


def test_the_fingerprint_is_the_content(tmp_path: Path, data: Callable[..., Any]) -> None:
    root = write(tmp_path / "images")
    plain = data_fingerprint(data())
    assert load_splits(data()).fingerprint == plain
    check_same_data(load_splits(data()), {CONTENT: plain})
    assert data_fingerprint(data(img_size=99, batch_size=3, fit="stretch")) == plain
    os.utime(root / "note" / "03.jpg", (1, 1))
    assert data_fingerprint(data()) == plain
    shutil.move(root, tmp_path / "elsewhere")
    assert data_fingerprint(data(root=str(tmp_path / "elsewhere"))) == plain
    shutil.move(tmp_path / "elsewhere", root)
    assert data_fingerprint(data(test_fraction=0.3)) != plain
    assert data_fingerprint(data(seed=1)) != plain
    shutil.move(root / "note" / "03.jpg", root / "letter" / "33.jpg")
    relabelled = data_fingerprint(data())
    assert relabelled != plain
    page(77).save(root / "letter" / "33.jpg")
    assert data_fingerprint(data()) not in (plain, relabelled)
    with pytest.raises(UserError, match="changed during the search"):
        check_same_data(load_splits(data()), {CONTENT: plain})


def test_pages_of_a_pdf_stay_together(tmp_path: Path, data: Callable[..., Any]) -> None:
    root = write(tmp_path / "images")
    for name in CLASSES:
        sheets = [page(100 + CLASSES.index(name) * 10 + i) for i in range(4)]
        sheets[0].save(root / name / "long.pdf", save_all=True, append_images=sheets[1:])
    splits = load_splits(data())
    for part in names(splits):
        for name in CLASSES:
            pages = {n for n in part if n.startswith(f"{name}/long.pdf")}
            assert pages in (set(), {f"{name}/long.pdf#page={i}" for i in (1, 2, 3, 4)})
    assert sum(map(len, names(splits))) == 42
    assert splits.notes == ()


def competition(root: Path, per_class: int = 10, meta: bool = True) -> Path:
    """Write train.csv, train/ and meta.csv."""
    (root / "train").mkdir(parents=True)
    rows = ["ID,target"]
    # Targets 0, 2 and 10: neither without gaps nor in the order of the alphabet.
    for i in range(3 * per_class):
        page(i).save(root / "train" / f"{i:03}.jpg")
        rows.append(f"{i:03}.jpg,{(0, 2, 10)[i % 3]}")
    (root / "train.csv").write_text("\n".join(rows) + "\n")
    if meta:
        table = ["target,class_name", "10,note", "2,invoice", "0,letter"]
        (root / "meta.csv").write_text("\n".join(table) + "\n")
    return root


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


def spoil(root: Path) -> None:
    """Break three images of a folder."""
    (root / "note" / "00.png").write_bytes((root / "note" / "00.png").read_bytes()[:200])
    (root / "note" / "01.jpg").write_text("no image")
    (root / "letter" / "02.png").unlink()
    (root / "letter" / "02.png").symlink_to("gone")


def test_bad_images_are_listed_or_skipped(tmp_path: Path, data: Callable[..., Any]) -> None:
    spoil(write(tmp_path / "images"))
    with pytest.raises(UserError) as caught:
        load_splits(data())
    told = str(caught.value)
    assert "3 of 30 images cannot be read" in told
    assert "data.on_bad_image=skip" in told
    for line in ("note/00.png: ", "note/01.jpg: no image", "letter/02.png: there is no such file"):
        assert line in told
    splits = load_splits(data(on_bad_image="skip"))
    assert sum(map(len, names(splits))) == 27
    assert "3 of 30 images are left out" in splits.notes[0]
    assert "note/01.jpg" in (tmp_path / "cache" / "bad_images.txt").read_text()
    # A file that was mended meanwhile is taken.
    page(55).save(tmp_path / "images" / "note" / "01.jpg")
    with pytest.raises(UserError, match="2 of 30"):
        load_splits(data())


def test_long_lists_are_cut(tmp_path: Path, data: Callable[..., Any]) -> None:
    root = write(tmp_path / "images")
    for path in sorted(root.glob("*/*"))[:12]:
        path.write_text("no image")
    with pytest.raises(UserError, match=r"\.\.\. all of them are in .*bad_images\.txt") as caught:
        load_splits(data())
    assert str(caught.value).count("no image that can be read") == 10
    assert len((tmp_path / "cache" / "bad_images.txt").read_text().splitlines()) == 12


def test_copies_are_reported_and_stay_together(tmp_path: Path, data: Callable[..., Any]) -> None:
    root = write(tmp_path / "images")
    for i in range(5):
        shutil.copy(root / "note" / f"{2 * i:02}.png", root / "note" / f"copy{i}.png")
    blurred = Image.open(root / "note" / "01.jpg").filter(ImageFilter.GaussianBlur(0.4))
    blurred.resize((100, 125)).save(root / "note" / "blurred.jpg")
    splits = load_splits(data())
    assert "12 images are 6 in truth" in splits.notes[0]
    assert "note/00.png = note/copy0.png" in splits.notes[0]
    assert len(splits.notes) == 1
    for part in names(splits):
        for i in range(5):
            assert (f"note/{2 * i:02}.png" in part) == (f"note/copy{i}.png" in part)
        assert ("note/01.jpg" in part) == ("note/blurred.jpg" in part)
    exact = load_splits(data(near_duplicates=False))
    assert "10 images are 5 in truth" in exact.notes[0]


def test_copies_in_several_splits_and_classes_are_named(
    tmp_path: Path, data: Callable[..., Any]
) -> None:
    root = write(tmp_path / "images", 4, ("train", "val", "test"))
    shutil.copy(root / "train" / "note" / "00.png", root / "test" / "note" / "copy.png")
    shutil.copy(root / "train" / "note" / "02.png", root / "train" / "letter" / "copy.png")
    notes = load_splits(data()).notes
    assert "several classes: train/letter/copy.png (letter) = train/note/02.png (note)" in notes[1]
    assert "1 of them are in several of the splits" in notes[2]
    assert "test/note/copy.png" in notes[2]


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
            r"data\.test_fraction=0\.25: class note has 2 different images",
        ),
        (
            {"val_fraction": 0.15},
            lambda root: [path.unlink() for path in sorted((root / "note").glob("*"))[4:]],
            r"data\.val_fraction=0\.15: class note has \d different images",
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
