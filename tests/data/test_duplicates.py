"""Which images count as the same, and that finding them is complete and quick."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from src.data.documents.generate import KINDS, draw_page
from src.data.duplicates import ALIKE, alike, group_same
from src.data.inspection import inspect_files
from src.data.load import load_splits
from tests.data.pictures import names, write


def hashes(bits: np.ndarray) -> np.ndarray:
    words: np.ndarray = np.packbits(bits.astype(np.uint8), axis=1).view(np.uint64)
    return words


@settings(max_examples=25)
@given(st.integers(0, 999), st.integers(2, 40))
def test_finds_exactly_what_comparing_all_with_all_finds(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (3, 1024))[rng.integers(0, 3, count)]
    for row in range(count):
        # Around the limit.
        flipped = rng.choice(1024, rng.integers(0, ALIKE), replace=False)
        bits[row, flipped] ^= 1
    distances = (bits[:, None] != bits[None]).sum(-1)
    wanted = np.argwhere(np.triu(distances <= ALIKE, 1))
    found = np.sort(alike(hashes(bits)), axis=1)
    # Equal hashes are linked in a chain, which makes the same groups.
    assert {tuple(pair) for pair in found} <= {tuple(pair) for pair in wanted}
    keys = [[""] * count]
    whole = group_same(keys, [row.tobytes().hex() for row in hashes(bits)])
    links = [f"{a}" for a in range(count)]
    for a, b in wanted:
        links = [links[a] if name == links[b] else name for name in links]
    assert len(np.unique(whole)) == len(set(links))
    assert all(
        (whole[a] == whole[b]) == (links[a] == links[b]) for a, b in np.ndindex(count, count)
    )


def test_thousands_of_nearly_equal_pages_are_not_compared_all_with_all() -> None:
    rng = np.random.default_rng(0)
    form = rng.integers(0, 2, 1024)
    bits = form ^ (rng.random((3000, 1024)) < 0.05)
    bits[:50] = bits[50:100]
    pairs = alike(hashes(bits))
    assert {tuple(sorted(pair)) for pair in pairs} >= {(i, i + 50) for i in range(50)}


def test_keys_join_groups_across_kinds() -> None:
    found = group_same([["a", "b", "a", "c", ""], ["x", "y", "", "y", ""]])
    assert found.tolist() == [0, 1, 0, 1, 2]


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the looks of built-in pages and of their copies, by file name."""
    folder = tmp_path_factory.mktemp("pages")
    for kind in KINDS:
        for number in range(5):
            page = Image.fromarray(draw_page(kind, number, 256, 3))
            name = f"{kind}-{number}"
            page.save(folder / f"{name}.png")
            if number < 2:
                page.resize((128, 128), Image.Resampling.BICUBIC).save(folder / f"{name}.half.png")
                page.convert("L").save(folder / f"{name}.grey.png")
                page.filter(ImageFilter.GaussianBlur(0.7)).save(folder / f"{name}.blur.png")
                page.save(folder / f"{name}.again.jpg", quality=85)
    names = sorted(path.name for path in folder.iterdir())
    facts = inspect_files(Path(folder), names, str(folder / "cache"))
    return {name: facts[name].pages[""].look for name in names}


def test_no_two_pages_are_the_same(looks: dict[str, str]) -> None:
    originals = [look for name, look in looks.items() if name.count(".") == 1]
    assert len(originals) == 5 * len(KINDS)
    assert len(np.unique(group_same([[""] * len(originals)], originals))) == len(originals)


def test_most_copies_are_found(looks: dict[str, str]) -> None:
    groups = group_same([[""] * len(looks)], list(looks.values()))
    by_name = dict(zip(looks, groups.tolist(), strict=True))
    for kind, least in (
        ("half.png", 0.9),
        ("grey.png", 1.0),
        ("blur.png", 0.85),
        ("again.jpg", 0.8),
    ):
        copies = [name for name in looks if name.endswith(kind)]
        found = [by_name[name] == by_name[f"{name.split('.')[0]}.png"] for name in copies]
        assert np.mean(found) >= least, kind


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
