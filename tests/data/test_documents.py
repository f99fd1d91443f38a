"""The built-in documents: the same every time, uneven, cached."""

import contextvars
import csv
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import CancelledError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image, ImageDraw

from doctune.errors import UserError
from src.data import load
from src.data.config import DataConfig
from src.data.documents import competition, generate
from src.data.documents.generate import FLAT, KINDS, class_sizes, draw_documents, draw_page
from src.data.documents.page import Page, load_font
from src.data.documents.worn import HANDLINGS
from src.data.load import data_fingerprint, load_splits
from src.data.threads import TO_END


def data(cache: Path, **keys: Any) -> Any:
    values = {"n_images": 480, "img_size": 32, "cache_dir": str(cache), **keys}
    return OmegaConf.structured(DataConfig(**values))


@pytest.mark.parametrize("name", KINDS)
def test_a_page_depends_on_its_seed_class_and_number_alone(name: str) -> None:
    page = draw_page(name, 3, 48, seed=1)
    assert page.shape == (48, 48, 3)
    assert page.std() > 5
    np.testing.assert_array_equal(page, draw_page(name, 3, 48, seed=1))
    assert not np.array_equal(page, draw_page(name, 4, 48, seed=1))
    assert not np.array_equal(page, draw_page(name, 3, 48, seed=2))


def test_text_drawn_by_words_is_the_text_drawn_at_once() -> None:
    line = "  Total  of AV. and 1,204.50, yours; Water "
    page = Page(300, 60, np.random.default_rng(0), (255, 255, 255))
    page.text(0.02, 0.02, line, 0.05, (10, 20, 30))
    whole = Image.new("RGB", (300, 60), (255, 255, 255))
    ImageDraw.Draw(whole).text((6, 6), line, fill=(10, 20, 30), font=load_font(15))
    np.testing.assert_array_equal(np.asarray(page.image), np.asarray(whole))


def test_at_least_ten_classes_unevenly_frequent() -> None:
    sizes = class_sizes(2400)
    assert len(sizes) >= 10
    assert max(sizes.values()) >= 4 * min(sizes.values())
    assert min(sizes.values()) >= 50


def test_splits_hold_every_class_and_share_no_image(cache_dir: Path) -> None:
    splits = load_splits(data(cache_dir))
    rows = [set(part.rows.tolist()) for part in (splits.train, splits.val, splits.test)]
    assert sum(map(len, rows)) == len(set.union(*rows)) == sum(class_sizes(480).values())
    for part in (splits.train, splits.val, splits.test):
        assert len(np.unique(part.labels)) == len(KINDS)
    assert 0.55 < len(splits.train) / 480 < 0.65


def test_the_second_load_draws_nothing(cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = load_splits(data(cache_dir))

    def fail(*_: Any) -> None:
        raise AssertionError("drawn again")

    monkeypatch.setattr(load, "draw_documents", fail)
    second = load_splits(data(cache_dir))
    np.testing.assert_array_equal(first.train.images, second.train.images)
    with pytest.raises(AssertionError, match="drawn again"):
        load_splits(data(cache_dir, seed=5))


def test_other_fractions_cut_the_same_images(
    cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_splits(data(cache_dir))
    monkeypatch.setattr(load, "draw_documents", lambda *_: pytest.fail("drawn again"))
    splits = load_splits(data(cache_dir, val_fraction=0.2))
    assert 0.17 < len(splits.val) / 480 < 0.23


def test_processes_draw_what_one_page_alone_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "CHUNK", 5)
    sizes = {"note": 3, "slide": 9}
    pages = draw_documents(sizes, 24, seed=4)
    assert pages.shape == (12, 24, 24, 3)
    np.testing.assert_array_equal(pages[2], draw_page("note", 2, 24, seed=4))
    np.testing.assert_array_equal(pages[3 + 7], draw_page("slide", 7, 24, seed=4))


def test_fingerprint_knows_images_and_splits_not_the_batches(cache_dir: Path) -> None:
    plain = DataConfig()
    assert data_fingerprint(plain) == data_fingerprint(DataConfig(batch_size=7, img_size=99))
    small = data(cache_dir)
    assert load_splits(small).fingerprint == data_fingerprint(small)
    for other in (DataConfig(seed=1), DataConfig(n_images=999), DataConfig(test_fraction=0.3)):
        assert data_fingerprint(plain) != data_fingerprint(other)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"source": "disk"}, "data.source=disk"),
        ({"n_images": 30}, "data.n_images=30"),
        ({"val_fraction": 0.0}, "data.val_fraction=0.0"),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "below 0.9"),
        ({"val_fraction": 0.01}, r"data\.val_fraction=0\.01.* note leave none for val"),
        ({"test_fraction": 0.01}, "none for test"),
        ({"val_fraction": 0.6, "test_fraction": 0.29, "n_images": 260}, "none for train"),
        ({"seed": -1}, "data.seed=-1"),
    ],
)
def test_nonsense_is_named(tmp_path: Path, keys: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        load_splits(data(tmp_path, **keys))


@pytest.mark.parametrize("taken", [FLAT, *HANDLINGS])
def test_a_page_can_be_taken_in_other_ways(taken: str) -> None:
    page = draw_page("invoice", 3, 64, 1, taken)
    assert page.shape == (64, 64, 3)
    assert page.dtype == np.uint8
    np.testing.assert_array_equal(page, draw_page("invoice", 3, 64, 1, taken))
    assert not np.array_equal(page, draw_page("invoice", 3, 64, 1))


def test_flat_pages_are_upright_and_whole_and_others_are_not() -> None:
    """A flat scan is dark where the next one of its kind is; a rough one is so anywhere."""

    def alike(taken: str) -> float:
        pages = np.stack([draw_page("id_card", n, 48, 0, taken).mean(2) for n in range(12)])
        return float(np.corrcoef(pages.reshape(12, -1)).mean())

    assert alike(FLAT) > 0.6 > alike("phone") > alike("rough")


def test_worn_test_pages_leave_the_others_flat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    levels = {"mixed": 1, FLAT: 2, "phone": 3}

    def draw(sizes: Any, side: int, seed: int, taken: str) -> Any:
        return np.full((sum(sizes.values()), side, side, 3), levels[taken], np.uint8)

    monkeypatch.setattr(load, "draw_documents", draw)
    plain = load_splits(data(tmp_path))
    worn = load_splits(data(tmp_path, wear_test="phone"))
    for part in ("train", "val", "test"):
        ours, theirs = getattr(worn, part), getattr(plain, part)
        np.testing.assert_array_equal(ours.rows, theirs.rows)
        assert ours.names == theirs.names
        assert set(theirs.images.flat) == {1}
        assert set(ours.images.flat) == {3 if part == "test" else 2}
    assert plain.fingerprint == data_fingerprint(data(tmp_path))
    names = ("none", "phone", "rough")
    assert len({data_fingerprint(data(tmp_path, wear_test=name)) for name in names}) == 3
    # What was drawn before there was such a key is what is drawn now.
    assert data_fingerprint(DataConfig()) == "66b7cc39608e"


def test_drawing_ends_where_nobody_wants_the_pages_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []

    def shown(parts: Iterable[Any], _what: str, count: int) -> Iterator[Any]:
        for part in parts:
            seen.append(count)
            unwanted.set()
            yield part

    monkeypatch.setattr(generate, "show_progress", shown)
    monkeypatch.setattr(generate, "CHUNK", 5)
    unwanted = threading.Event()
    context = contextvars.copy_context()
    context.run(TO_END.set, unwanted)
    with pytest.raises(CancelledError):
        context.run(generate.draw_documents, {"letter": 30}, 16, 0)
    assert seen == [6]


def test_as_a_competition_they_have_wrong_labels_and_a_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def plain(sizes: Mapping[str, int], side: int, seed: int, taken: str) -> Any:
        drawn.append((seed, taken))
        return np.zeros((sum(sizes.values()), side, side, 3), np.uint8)

    drawn: list[tuple[int, str]] = []
    monkeypatch.setattr(competition, "draw_documents", plain)
    competition.write_competition(tmp_path, 400, 300, side=8, handling="rough", wrong=0.1)
    # Other pages in the test, and taken otherwise.
    assert drawn == [(0, FLAT), (1, "rough")]
    tables = {
        path.stem: list(csv.DictReader(path.read_text().splitlines()))
        for path in tmp_path.glob("*.csv")
    }
    count = sum(class_sizes(400).values())
    assert len(tables["train"]) == count == len(list((tmp_path / "train").iterdir()))
    classes = {row["target"]: row["class_name"] for row in tables["meta"]}
    given = {row["ID"]: classes[row["target"]] for row in tables["train"]}
    assert len(tables["wrong"]) == round(0.1 * count)
    assert all(given[row["ID"]] == row["given"] != row["right"] for row in tables["wrong"])
    assert {row["ID"] for row in tables["test"]} == {path.name for path in tmp_path.glob("test/*")}
    assert competition.score(tmp_path, tmp_path / "truth.csv") == 1
    guess = [f"{row['ID']},0" for row in tables["test"]]
    (tmp_path / "guess.csv").write_text("\n".join(["ID,target", *guess]))
    first = class_sizes(300)["letter"]
    share = first / len(guess)
    expected = 2 * share / (1 + share) / len(KINDS)
    assert competition.score(tmp_path, tmp_path / "guess.csv") == pytest.approx(expected)
    with monkeypatch.context() as patched:
        patched.setattr("sys.argv", ["competition", str(tmp_path), "--score", "lost.csv"])
        with pytest.raises(SystemExit):
            competition.main()
    assert "there is no lost.csv" in capsys.readouterr().err
