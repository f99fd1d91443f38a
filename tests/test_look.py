"""The door that shows what the model will see, as a user opens it."""

import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from src.data import files
from src.data.formats import HEIF, SUFFIXES
from src.data.image_files import WORDS
from src.data.look import _odd
from src.data.reading import Page
from tests.conftest import Door, Run
from tests.data.pictures import write


def test_odd_images_come_first_and_all_classes_follow(door: Door, tmp_path: Path) -> None:
    root = write(tmp_path / "images", 6)
    shutil.copy(root / "note" / "00.png", root / "letter" / "zz.png")
    (root / "note" / "x.docx").touch()
    (root / "note" / "bad.jpg").write_text("no image")
    Image.new("RGB", (120, 150), "white").save(root / "note" / "blank.png")
    wide = Image.open(root / "note" / "02.png").resize((150, 40))
    wide.save(root / "note" / "wide.png")
    exif = Image.Exif()
    exif[274] = 3
    Image.open(root / "letter" / "04.png").save(root / "letter" / "turned<b>.jpg", exif=exif)
    said = door(
        *("src.look", "data=image_folder", f"data.root={root}", "data.img_size=64"),
        *("output=out/sheet.html", "most=4"),
    )
    assert "22 images at 64 px: out/sheet.html" in said
    assert "note/x.docx" in said
    page = (tmp_path / "out" / "sheet.html").read_text(encoding="utf-8")
    assert "note/bad.jpg: no image that can be read" in page
    assert "turned&lt;b&gt;" in page
    titles = re.findall(r"<h2>([^<]+) <small>(\d+)", page)
    assert titles == [
        ("cannot be read", "1"),
        ("the same sheet in several classes", "2"),
        (WORDS["blank"], "1"),
        (WORDS["turned"], "1"),
        ("of another shape than most", "1"),
        ("invoice", "6"),
        ("letter", "8"),
        ("note", "8"),
    ]
    assert page.count("<figure>") == 2 + 1 + 1 + 1 + 3 * 4
    assert "http" not in page.replace("http-equiv", "")


def test_what_a_person_decided_is_told(door: Door, tmp_path: Path) -> None:
    root = write(tmp_path / "images", 6)
    (tmp_path / "labels.csv").write_text(
        "image,label,suggested,accept\n"
        "letter/00.png,letter,note,relabel\nletter/02.png,letter,note,leave out\n"
    )
    words = ("src.look", "data=image_folder", f"data.root={root}", "data.img_size=64")
    said = door(*words, "data.labels=labels.csv")
    told = "data.labels: another class for 1 image, and 1 left out"
    assert f"! {told}" in said
    assert told in (tmp_path / "look.html").read_text(encoding="utf-8")
    assert "data.labels" not in door(*words)


def test_a_long_file_of_equal_pages_leaves_room_for_other_copies() -> None:
    """Of each sheet that is there several times two come first."""
    found: Any = SimpleNamespace(
        same=np.array([0, 0, 0, 0, 1, 2, 1, 1]),
        corrected=np.zeros(8, np.int64),
        pages=[Page(size=(100, 100))] * 8,
        names=[f"{number}.png" for number in range(8)],
    )
    odd = dict(_odd(found, 64))
    assert odd["the same sheet several times"] == [0, 1, 4, 6, 2, 3, 7]


def pictures_of_a_phone(root: Path) -> Image.Image:
    """Write an AVIF, a JPEG 2000 and a TGA beside other images; return what they show."""
    write(root, 4)
    picture = Image.open(root / "note" / "00.png").convert("RGB")
    for number, name in enumerate(["a.avif", "b.j2k", "c.TGA"]):
        picture.rotate(90 * number, expand=True).save(root / "note" / name)
    return picture


def test_pictures_of_phones_are_read(run: Run, tmp_path: Path) -> None:
    """AVIF, JPEG 2000 and TGA are there as any other, and HEIC with its extra. From a shell."""
    heif = pytest.importorskip("pillow_heif")
    picture = pictures_of_a_phone(tmp_path / "images")
    heif.from_pillow(picture.rotate(270, expand=True)).save(tmp_path / "images" / "note" / "d.heic")
    done = run("src.look", "data=image_folder", "data.root=images", "data.img_size=64")
    assert "16 images at 64 px: look.html" in done.stdout
    page = (tmp_path / "look.html").read_text(encoding="utf-8")
    for name in ("a.avif", "b.j2k", "c.TGA", "d.heic"):
        assert f"note/{name}" in page
    assert "left out" not in page


def test_what_needs_an_extra_is_counted_and_named(
    door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where pillow-heif is not installed."""
    monkeypatch.setattr(files, "SUFFIXES", tuple(s for s in SUFFIXES if s not in HEIF))
    root = tmp_path / "images"
    pictures_of_a_phone(root)
    for name in ("d.heic", "e.HEIC"):
        (root / "note" / name).touch()
    said = door("src.look", "data=image_folder", f"data.root={root}", "data.img_size=64")
    told = (
        "2 files are left out, as no images that are read: 2 .heic (note/d.heic, ...), which need"
    )
    assert "15 images at 64 px" in said
    assert told in " ".join(said.split())
    assert told in (tmp_path / "look.html").read_text(encoding="utf-8")
