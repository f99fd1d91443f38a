"""Pages to classify beside those to train on: what is measured, what is proposed, what is shown."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from doctune.errors import UserError
from src.data.decode import decode_sized
from src.data.documents.generate import KINDS, draw_page
from src.data.load import load_splits
from src.data.pages_to_come.compare import NONE, Comparison, Worn, choose, compare, wear
from src.data.pages_to_come.gather import comparison, pages_to_classify, presets
from src.data.pages_to_come.measures import MEASURES, SIZES, Pixels, measure
from src.data.pages_to_come.show import in_lines
from src.data.wear_presets import wear_in_words, wear_of
from tests.conftest import Compose, Door
from tests.data.pictures import write


def letter(angle: float = 0.0) -> Image.Image:
    """Return lines of text on white, turned."""
    page = Image.new("RGB", (256, 256), (245, 245, 245))
    pen = ImageDraw.Draw(page)
    words = "lorem ipsum dolor sit amet "
    for line, y in enumerate(range(40, 216, 14)):
        pen.text((40, y), words[3 * line % 20 :] + words[: line % 9], fill=(30, 30, 30))
    return page.rotate(angle, Image.Resampling.BICUBIC, fillcolor=(245, 245, 245))


def measured(page: Image.Image) -> dict[str, float]:
    """Return the measures of a page by name."""
    return dict(zip(MEASURES, measure([np.asarray(page)])[0], strict=True))


@pytest.mark.parametrize("angle", [0, 3, 8, -12])
def test_skew_is_the_angle_of_the_lines(angle: float) -> None:
    assert measured(letter(angle))["skew"] == pytest.approx(abs(angle), abs=1.2)


def test_measures_follow_what_happens_to_a_page() -> None:
    plain = letter()
    before = measured(plain)
    on_its_side = measured(plain.rotate(90))
    assert before["lines across or down"] > 0.5 > -0.5 > on_its_side["lines across or down"]
    mirrored = measured(plain.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert before["weight to the left"] > 0.5 > mirrored["weight to the left"]
    assert measured(plain.crop((36, 36, 220, 220)))["left margin"] < before["left margin"]
    assert measured(plain.point(lambda v: v // 2))["brightness"] < 0.6 * before["brightness"]
    faint = measured(plain.point(lambda v: 128 + v // 3))
    assert faint["contrast"] < 0.5 * before["contrast"]
    blurred = measured(plain.filter(ImageFilter.GaussianBlur(2)))
    assert blurred["sharpness"] < before["sharpness"] - 0.5
    noise = np.random.default_rng(0).normal(0, 12, (256, 256, 1))
    noisy = np.clip(np.asarray(plain) + noise, 0, 255).astype(np.uint8)
    # Half of what was added lies beyond white.
    assert before["noise"] < 0.01 < measured(Image.fromarray(noisy))["noise"] < 12 / 255 * 1.2
    shade = np.asarray(plain) * np.linspace(0.4, 1, 256)[None, :, None]
    assert measured(Image.fromarray(shade.astype(np.uint8)))["shade"] > before["shade"] + 0.1
    red = np.asarray(plain) * np.array([1, 0.8, 0.6])
    assert measured(Image.fromarray(red.astype(np.uint8)))["warmth"] > 0.2


@pytest.fixture(scope="module")
def heaps() -> tuple[Pixels, Pixels]:
    """Return pages to train on and others that are like them."""
    drawn = [draw_page(kind, n, 96, 0) for kind in KINDS for n in range(14)]
    return np.stack(drawn[::2]), np.stack(drawn[1::2])


@pytest.mark.parametrize("name", [pytest.param(NONE, marks=pytest.mark.thorough), "document"])
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_the_wear_of_the_pages_to_come_is_found(
    heaps: tuple[Pixels, Pixels], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = heaps
    known = {key: preset for key, preset in presets().items() if key != "heavy"}
    monkeypatch.setattr("src.data.pages_to_come.compare.STRENGTHS", (1.0,))
    monkeypatch.setattr("src.data.pages_to_come.compare.TREES", 30)
    if name != NONE:
        theirs = wear(theirs, known[name], 1.0, seed=9)
    found = compare(ours, theirs, known)
    none = found.tried[0].auc
    assert found.chosen.preset == name
    assert found.chosen.auc < 0.62
    assert (none < 0.62) == (name == NONE)
    told = "\n".join(in_lines(found))
    assert ("+search_space=augment in place of augment.strength" in told) == (name != NONE)
    if name == NONE:
        assert "No wear makes them more alike" in told
    else:
        assert none > 0.75
        assert f"augment={name} augment.strength=" in told
        assert f"quick_validation.wear={name}" in told


def test_the_mildest_of_those_that_are_as_near_is_taken() -> None:
    tried = [Worn(NONE, 0, 0.9), Worn("light", 1, 0.61), Worn("heavy", 1, 0.6)]
    assert choose(tried).preset == "light"
    assert choose([Worn(NONE, 0, 0.515), *tried]).preset == NONE


def test_where_a_classifier_always_tells_them_the_measures_decide() -> None:
    tried = [Worn(NONE, 0, 1.0, 0.7), Worn("light", 1, 0.99, 0.6), Worn("heavy", 1, 1.0, 0.4)]
    assert choose(tried).preset == "heavy"
    told = in_lines(Comparison(9, 9, [], tried, tried[2]))[1]
    assert "(AUC 1.00; measures 0.40 apart on average, 0.70 as they are)" in told


def test_it_is_shown_and_compared_once(
    door: Door, tmp_path: Path, data: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write(tmp_path / "images", 12)
    to_come = write(tmp_path / "to come", 10)
    for path in to_come.rglob("*.*"):
        turned = Image.open(path).convert("L").rotate(20).convert("RGB")
        turned.resize((240, 300)).save(path)
    (to_come / "broken.png").write_text("no image")
    words = ("data=image_folder", f"data.root={root}", "data.img_size=64", "output=sheet.html")
    place = f"data.to_classify='{to_come}'"
    cache = f"data.cache_dir={tmp_path / 'cache'}"
    monkeypatch.setattr("src.data.pages_to_come.compare.STRENGTHS", (1.0,))
    light = {"light": presets()["light"]}
    monkeypatch.setattr("src.data.pages_to_come.gather.presets", lambda: light)
    said = door("src.look", *words, place, cache)
    assert "30 pages beside 36 to train on" in said
    assert "AUC of 0.9" in said or "AUC of 1.0" in said
    assert "to classify (" in said
    page = (tmp_path / "sheet.html").read_text()
    assert page.count("<figure>\n<svg") == len(MEASURES) + len(SIZES)
    assert "120 (120 to 120) to train on, 240 (240 to 240) to classify (pixels" in said
    assert "150 (150 to 150) to train on, 300 (300 to 300) to classify (pixels" in said
    cfg = data(root=str(root), to_classify=str(to_come))
    monkeypatch.setattr("src.data.pages_to_come.gather.compare", None)
    again = comparison(cfg)
    assert again is not None
    assert again.tried[0].auc > 0.9
    assert next(one for one in again.measures if one.name == "colour").apart == 1
    # Neither what is held out nor a mended label makes other pages of them.
    image = load_splits(cfg).train.names[0]
    decided = tmp_path / "suspect_labels.csv"
    label = image.split("/")[0]
    decided.write_text(f"image,label,suggested,accept\n{image},{label},{label},leave out\n")
    cfg.test_fraction, cfg.labels = 0.1, str(decided)
    assert comparison(cfg) == again
    Image.new("RGB", (9, 9)).save(to_come / "more.png")
    assert comparison(cfg, work_out=False) is None


def test_a_table_names_them_and_too_few_are_refused(
    door: Door, tmp_path: Path, data: Callable[..., Any]
) -> None:
    root = write(tmp_path / "images", 6)
    (tmp_path / "test").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "test" / "a.png")
    (tmp_path / "test.csv").write_text("ID\na.png\n")
    words = ("src.look", "data=image_folder", f"data.root={root}")
    said = door(*words, f"data.to_classify={tmp_path / 'test.csv'}", code=1)
    assert "holds 1 pages that can be read, too few to compare" in said
    (tmp_path / "sample.csv").write_text("ID\na\n")
    said = door(*words, f"data.to_classify={tmp_path / 'sample.csv'}", code=1)
    assert f"none of the files that it names can be read in {tmp_path}; give the folder" in said
    said = door(*words, "data.to_classify=nowhere", code=1)
    assert "data.to_classify=nowhere: there is no such folder" in said


def pdf_of(path: Path, levels: Sequence[int]) -> None:
    """Write a PDF of grey pages."""
    first, *others = [Image.new("L", (64, 64), level) for level in levels]
    first.save(path, save_all=True, append_images=others)


def test_the_pages_of_a_long_file_are_taken_from_all_over_it(
    tmp_path: Path, data: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No others are decoded."""
    pdf_of(tmp_path / "scan.pdf", range(10, 250, 4))
    monkeypatch.setattr("src.data.pages_to_come.gather.MOST", 20)
    read: list[int] = []

    def decode(path: Path, *args: Any, page: int, **keys: Any) -> Any:
        read.append(page)
        return decode_sized(path, *args, page=page, **keys)

    monkeypatch.setattr("src.data.stream.decode_sized", decode)
    pages, sizes = pages_to_classify(data(to_classify=str(tmp_path / "scan.pdf")))
    assert sorted(read) == list(range(0, 60, 3))
    assert len(sizes) == 20
    np.testing.assert_allclose(pages[:, 64, 64, 0], range(10, 250, 12), atol=3)


def test_a_page_that_a_table_names_is_compared_again_when_its_file_changes(
    tmp_path: Path, data: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cfg = data(root=str(write(tmp_path / "images", 1)), to_classify=str(tmp_path / "to_come.csv"))
    pdf_of(tmp_path / "scan.pdf", [100, 200])
    (tmp_path / "to_come.csv").write_text("ID\nscan.pdf#page=2\n")
    found = Comparison(ours=3, theirs=1, measures=[], tried=[], chosen=Worn(NONE, 0, 0.5))
    monkeypatch.setattr("src.data.pages_to_come.gather.FEWEST", 1)
    monkeypatch.setattr("src.data.pages_to_come.gather.compare", lambda *_: found)
    assert comparison(cfg) == comparison(cfg, work_out=False) == found
    pdf_of(tmp_path / "scan.pdf", [100, 200, 50])
    assert comparison(cfg, work_out=False) is None


@pytest.mark.parametrize(
    ("nearest", "asked", "told"),
    [
        (Worn("document", 0.5, 0.7), None, "document at strength 0.5"),
        (Worn("document", 0.5, 0.7), 1.5, "document at strength 1.5"),
        (Worn(NONE, 0, 0.5), None, "none"),
    ],
)
def test_pages_are_scored_under_the_nearest_wear(
    cfg: Compose, monkeypatch: pytest.MonkeyPatch, nearest: Worn, asked: float | None, told: str
) -> None:
    found = Comparison(400, 400, [], [nearest], nearest)
    monkeypatch.setattr("src.data.pages_to_come.gather.comparison", lambda _: found)
    config = cfg("quick_validation.wear=auto", f"quick_validation.wear_strength={asked or 'null'}")
    assert wear_in_words(config).startswith(told)


def test_without_pages_to_come_there_is_no_nearest_wear(cfg: Compose) -> None:
    with pytest.raises(UserError, match=r"wear=auto: .*data\.to_classify=FOLDER"):
        wear_of(cfg("quick_validation.wear=auto"))
