"""Which images count as the same, and that finding them is complete and quick."""

import shutil
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from src.data.documents.generate import KINDS, draw_page
from src.data.duplicates import REACH, components, group_same, near
from src.data.image_files import find_images
from src.data.load import load_splits
from src.data.same_page import SAME, SIDE, View, align, difference, shrink
from tests.data.pictures import names, page, write
from tests.data.templates import COPIES, fill_in, scan


def hashes(bits: np.ndarray) -> np.ndarray:
    words: np.ndarray = np.packbits(bits.astype(np.uint8), axis=1).view(np.uint64)
    return words


@settings(max_examples=25)
@given(st.integers(0, 999), st.integers(2, 40))
def test_near_hashes_are_found_with_their_distance(seed: int, count: int) -> None:
    """Held against comparing all with all: nothing else is found, and nothing near is missed."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (3, 1024))[rng.integers(0, 3, count)]
    for row in range(count):
        bits[row, rng.choice(1024, rng.integers(0, REACH), replace=False)] ^= 1
    distances = (bits[:, None] != bits[None]).sum(-1)
    wanted = {(int(a), int(b)) for a, b in np.argwhere(np.triu(distances <= REACH, 1))}
    pairs, apart = near(hashes(bits))
    found = {(int(a), int(b)) for a, b in pairs}
    assert found <= wanted
    assert apart.tolist() == [distances[a, b] for a, b in pairs]
    # Of few pages all stand close together in some order.
    assert len(found) >= 0.9 * len(wanted)


def test_near_hashes_among_thousands_of_nearly_equal_ones() -> None:
    """Equal ones are found among fillings of one form, and not all are compared with all."""
    rng = np.random.default_rng(0)
    form = rng.integers(0, 2, 1024)
    bits = form ^ (rng.random((800, 1024)) < 0.05)
    bits[:50] = bits[50:100]
    pairs, _ = near(hashes(bits))
    assert {tuple(pair) for pair in pairs.tolist()} >= {(i, i + 50) for i in range(50)}
    assert len(pairs) < 800 * 4 * 48


def test_keys_join_groups_across_kinds() -> None:
    found = group_same([["a", "b", "a", "c", ""], ["x", "y", "", "y", ""]])
    assert found.tolist() == [0, 1, 0, 1, 2]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.integers(0, 60), st.floats(0, 1.5))
def test_groups_are_those_of_scipy(seed: int, count: int, share: float) -> None:
    """Also of long chains, in any order; each has the number of its first."""
    rng = np.random.default_rng(seed)
    pairs = rng.integers(0, max(1, count), (int(share * count), 2))
    if seed % 2 and count:
        chain = rng.permutation(count)
        pairs = np.stack([chain[:-1], chain[1:]], 1)
    found = components(pairs, count)
    links = coo_array((np.ones(len(pairs)), pairs.T), shape=(max(1, count),) * 2)
    labels = connected_components(links, directed=False)[1][:count]
    assert found.tolist() == [np.flatnonzero(labels == label)[0] for label in labels]


@pytest.mark.parametrize(
    "kinds",
    [
        pytest.param(list(KINDS)[::3], id="some"),
        pytest.param(list(KINDS), id="all", marks=pytest.mark.thorough),
    ],
)
def test_pages_of_every_kind_and_their_copies(
    tmp_path: Path, data: Callable[..., Any], kinds: list[str]
) -> None:
    """No two built-in pages are the same; nearly all of their copies are found."""
    root = tmp_path / "images"
    sheet: dict[str, str] = {}

    def keep(kind: str, name: str, image: Image.Image, of: str) -> None:
        (root / kind).mkdir(parents=True, exist_ok=True)
        image.save(root / kind / name, quality=85)
        sheet[f"{kind}/{name}"] = of

    for row, kind in enumerate(kinds):
        for number in range(2):
            drawn = Image.fromarray(draw_page(kind, number, 256, 3))
            of = f"{kind}-{number}"
            keep(kind, f"{number}.png", drawn, of)
            if number == 0:
                copies_of = {
                    "half.png": drawn.resize((128, 128), Image.Resampling.BICUBIC),
                    "grey.png": drawn.convert("L"),
                    "blur.png": drawn.filter(ImageFilter.GaussianBlur(0.7)),
                    "again.jpg": drawn,
                }
                # Two of each page, as a pair takes a tenth of a second.
                for name in list(copies_of)[row % 2 :: 2]:
                    keep(kind, name, copies_of[name], of)
    found = find_images(data())
    assert right_pairs(found.names, found.same, sheet) == 1
    copies = [name for name in found.names if not name.split("/")[1][0].isdigit()]
    group = dict(zip(found.names, found.same.tolist(), strict=True))
    kept = [group[name] == group[name.split("/")[0] + "/0.png"] for name in copies]
    assert np.mean(kept) >= 0.9


def right_pairs(names: list[str], groups: Any, sheet: dict[str, str]) -> float:
    """Return the share of pairs in one group that are of one sheet."""
    pairs = [
        sheet[a] == sheet[b]
        for (a, of_a), (b, of_b) in combinations(zip(names, groups, strict=True), 2)
        if of_a == of_b
    ]
    return float(np.mean(pairs))


@pytest.mark.thorough
def test_fillings_of_a_template_are_not_the_same_but_scans_of_one_are(
    tmp_path: Path, data: Callable[..., Any]
) -> None:
    """12 consents differ in a name, a date and a tick; 4 are there as a second scan, 4 copied."""
    root, sheet = tmp_path / "images", {}
    rng = np.random.default_rng(5)
    (root / "consent").mkdir(parents=True)
    (root / "other").mkdir()
    for number in range(12):
        sheet_of = fill_in("consent", 0, number)
        pages = {"": sheet_of if number % 2 else scan(sheet_of, rng)}
        if number < 4:
            pages["scan"] = scan(sheet_of, rng)
        elif number < 8:
            pages["copy"] = list(COPIES.values())[number - 4](pages[""])
        for name, image in pages.items():
            image.save(root / "consent" / f"{number}{name}.jpg", quality=90)
            sheet[f"consent/{number}{name}.jpg"] = str(number)
    for number in range(8):
        page(number).save(root / "other" / f"{number}.png")
        sheet[f"other/{number}.png"] = f"other {number}"
    found = find_images(data())
    assert right_pairs(found.names, found.same, sheet) == 1
    groups = dict(zip(found.names, found.same.tolist(), strict=True))
    again = [name for name in sheet if "scan" in name or "copy" in name]
    missed = [
        name
        for name in again
        if groups[name] != groups[name.replace("scan", "").replace("copy", "")]
    ]
    assert len(missed) <= 1, missed
    notes = "\n".join(found.notes)
    assert f"{2 * (8 - len(missed))} images are {8 - len(missed)} in truth" in notes
    assert "data.near_duplicates=false" in notes
    # What ended in "12 images are 2 in truth" is enough to train on.
    assert len(np.unique(load_splits(data()).train.labels)) == 2


@pytest.mark.parametrize("degrees", [-2.0, 1.0, 3.0])
def test_pages_are_laid_on_each_other(degrees: float) -> None:
    """A turn, a shift and a size are found to a third of a pixel where the two are compared."""
    sheet = fill_in("letter", 0, 1)
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle) * 1.01, np.sin(angle) * 1.01
    x, y = sheet.width / 2, sheet.height / 2
    true = (cos, sin, x - cos * x - sin * y + 7, -sin, cos, y + sin * x - cos * y - 4)
    turned = sheet.transform(
        sheet.size, Image.Transform.AFFINE, true, Image.Resampling.BICUBIC, fillcolor=255
    )
    found = align(View(shrink(turned)), View(shrink(sheet)))
    # From coordinates of -1 to 1 on the square to pixels of the page.
    half = sheet.height / 2
    for there in ((200, 300), (800, 300), (500, 1100)):
        point = np.array([(there[0] - x) / half, (there[1] - y) / half, 1])
        wanted = (
            true[0] * there[0] + true[1] * there[1] + true[2],
            true[3] * there[0] + true[4] * there[1] + true[5],
        )
        got = (found @ point) * half + (x, y)
        assert np.abs(got - wanted).max() < 0.34 * sheet.height / SIDE


@pytest.mark.parametrize(
    "kind",
    [
        "consent",
        *(pytest.param(kind, marks=pytest.mark.thorough) for kind in ("certificate", "cover")),
    ],
)
def test_what_is_alike_and_what_is_not(kind: str) -> None:
    """Every kind of template: its copies and a scan are one sheet, another filling is not."""
    one, other = (View(shrink(fill_in(kind, 1, number))) for number in (0, 1))
    ways: dict[str, Callable[[Image.Image], Image.Image]] = {**COPIES}
    ways["scan"] = partial(scan, rng=np.random.default_rng(1))
    for name, copy in ways.items():
        again = View(shrink(copy(fill_in(kind, 1, 0))))
        assert difference(one, again) <= SAME, name
    assert difference(one, other) > 1.5 * SAME


@pytest.mark.parametrize(("one", "other"), [(111, 92), (107, 43)])
def test_other_names_of_the_same_length_are_another_sheet(one: int, other: int) -> None:
    """Of 115 consents these are the nearest: each block looks alike if it may move by a pixel."""
    views = []
    for number in (one, other):
        sheet = fill_in("consent", 300, number)
        rng = np.random.default_rng([1, 300, number, 1])
        views.append(View(shrink(scan(sheet, rng) if number % 2 else sheet)))
    assert difference(views[0], views[1]) > SAME


def test_copies_are_reported_and_stay_together(tmp_path: Path, data: Callable[..., Any]) -> None:
    root = write(tmp_path / "images")
    for i in range(5):
        shutil.copy(root / "note" / f"{2 * i:02}.png", root / "note" / f"copy{i}.png")
    blurred = Image.open(root / "note" / "01.jpg").filter(ImageFilter.GaussianBlur(0.4))
    blurred.resize((100, 125)).save(root / "note" / "blurred.jpg")
    splits = load_splits(data())
    assert "12 images are 6 in truth" in splits.notes[0]
    assert "data.near_duplicates=false" in splits.notes[0]
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
