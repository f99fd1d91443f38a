"""The door that shows what the model will see, as a user opens it."""

import re
import shutil
from pathlib import Path

from PIL import Image

from src.data.image_files import WORDS
from tests.conftest import Door
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
