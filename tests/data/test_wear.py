"""Pages worn before they are scored: the same everywhere, and what was asked for."""

from pathlib import Path

import numpy as np
import pytest
import torch

from doctune.errors import UserError
from src.data import wear as wearing
from src.data.config import AugmentConfig
from src.data.draws import PageDraws
from src.data.image_set import ImageSet
from src.data.wear import as_scored, worn
from src.data.wear_presets import Wear, notes_on_wear, wear_in_words, wear_of, written_out
from tests.conftest import Compose

CPU = torch.device("cpu")


def pages(count: int = 12, side: int = 24) -> ImageSet:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    files = [f"scans/{number}.png" for number in range(count)]
    return ImageSet(pixels, np.arange(count) % 3, ("a", "b", "c"), files=files)


def wear(cfg: Compose, *words: str) -> Wear:
    found = wear_of(cfg(*(f"quick_validation.{word}" for word in words)))
    assert found is not None
    return found


def test_draws_are_those_of_any_other_process_and_machine() -> None:
    """Written down once: a cache of then is right today."""
    draws = PageDraws(["scans/1.png", "é"], 1, CPU)
    assert draws.uniform().tolist() == pytest.approx(UNIFORM)
    assert draws.normal(1)[:, 0].tolist() == pytest.approx(NORMAL)


def test_a_page_is_worn_alike_in_any_batch_and_order(
    cfg: Compose, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = pages()
    heavy = wear(cfg, "wear=heavy", "wear_draws=2")
    whole = worn(everything, heavy, "", CPU)
    for at_a_time in (1, 5 * 24**2):
        monkeypatch.setattr(wearing, "PIXELS_AT_A_TIME", at_a_time)
        again = worn(everything, heavy, "", CPU)
        # A grey level may be rounded the other way.
        np.testing.assert_allclose(again.pixels.astype(int), whole.pixels, atol=1)
    backwards = ImageSet(
        *(everything.pixels[::-1].copy(), everything.targets[::-1], everything.classes),
        files=everything.files[::-1],
    )
    turned = worn(backwards, heavy, "", CPU)
    there = {(name, i): image for i, name, image in _named(turned)}
    for draw, name, image in _named(whole):
        np.testing.assert_allclose(there[name, draw].astype(int), image, atol=1)


def _named(images: ImageSet) -> list[tuple[int, str, np.ndarray]]:
    names, half = images.names, len(images) // 2
    return [(row // half, names[row], image) for row, image in enumerate(images.images)]


def test_pages_and_draws_differ_and_keep_their_classes(cfg: Compose) -> None:
    same = pages()
    same.pixels[:] = same.pixels[0]
    some = same.subset(np.array([7, 2, 5]))
    found = worn(some, wear(cfg, "wear=document", "wear_draws=2"), "", CPU)
    assert found.labels.tolist() == [*some.labels, *some.labels]
    assert found.names == [*some.names, *some.names]
    assert len({image.tobytes() for image in found.images}) == 6
    # What is worn is a page's own, whatever part of the data it is asked for in.
    again = worn(same.subset(np.array([2])), wear(cfg, "wear=document", "wear_draws=2"), "", CPU)
    np.testing.assert_array_equal(again.images, found.images[[1, 4]])


def test_what_is_worn_is_what_the_keys_say(cfg: Compose) -> None:
    images = pages()
    found = worn(images, wear(cfg, "wear={half_turn:1}"), "", CPU)
    np.testing.assert_allclose(found.images.astype(int), images.images[:, ::-1, ::-1], atol=1)
    grey = ImageSet(np.full((400, 8, 8, 3), 128, np.uint8), np.zeros(400, np.int64), ("a",))
    lights = worn(grey, wear(cfg, "wear={brightness:0.2}"), "", CPU).images[:, 0, 0, 0] / 255
    assert lights.min() == pytest.approx(0.3, abs=0.01)
    assert lights.max() == pytest.approx(0.7, abs=0.01)
    assert lights.mean() == pytest.approx(0.5, abs=0.02)


def test_pages_are_worn_once_and_found_again(
    cfg: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = pages()
    kept = ImageSet(
        *(images.pixels, images.targets, images.classes), files=images.files, stored_as="pages-24px"
    )
    words = (f"data.cache_dir={tmp_path}", "quick_validation.wear=light")
    first = as_scored(cfg(*words), kept)
    monkeypatch.setattr(wearing, "_wear_all", None)
    again = as_scored(cfg(*words), kept.subset(np.array([3])))
    np.testing.assert_array_equal(again.images, first.images[[3]])
    np.testing.assert_array_equal(first.images, worn_in_memory(cfg, images, monkeypatch))
    with pytest.raises(TypeError):
        as_scored(cfg(*words, "quick_validation.wear_strength=0.5"), kept)
    assert as_scored(cfg(), kept) is kept


def worn_in_memory(cfg: Compose, images: ImageSet, patch: pytest.MonkeyPatch) -> np.ndarray:
    patch.undo()
    found = as_scored(cfg("quick_validation.wear=light"), images).images
    patch.setattr(wearing, "_wear_all", None)
    return found


def test_a_wear_is_a_preset_with_a_strength(cfg: Compose) -> None:
    assert wear_of(cfg()) is None
    assert wear_in_words(cfg("quick_validation.wear=null")) == "none"
    preset = cfg("augment=document").augment
    found = wear(cfg, "wear=document", "wear_strength=0.5", "wear_draws=3")
    assert found.values == {
        **{key: preset[key] for key in found.values},
        "strength": 0.5,
    }
    assert found.in_words == "document at strength 0.5, 3 draws"
    # Mixing is no wear, and normalisation changes nothing.
    assert wear(cfg, "wear=heavy").values.keys().isdisjoint({"mixup_alpha", "mean", "std"})
    assert wear(cfg, "wear={rotate:8}").hash == wear(cfg, "wear={rotate:8.0}").hash
    hashes = {wear(cfg, f"wear={name}").hash for name in ("light", "document", "heavy")}
    assert len({*hashes, found.hash}) == 4


def test_a_wear_can_be_written_out(cfg: Compose) -> None:
    given = cfg("quick_validation.wear=document", "quick_validation.wear_strength=0.5")
    again = cfg()
    again.quick_validation.update(written_out(given))
    one, other = wear_of(given), wear_of(again)
    assert one is not None
    assert other is not None
    assert (one.hash, one.in_words) == (other.hash, other.in_words)
    assert wear(cfg, "wear={rotate:8}").name == "own values"
    assert written_out(cfg()) == {}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("wear=documents",), "quick_validation.wear=documents: there is no such file in conf/aug"),
        (("wear=documents",), "did you mean document?"),
        (("wear={rotat:3}",), "rotat"),
        (("wear=document", "wear_strength=0"), "wears nothing"),
        (("wear={mixup_alpha:1}",), "wears nothing"),
    ],
)
def test_wear_that_makes_no_sense(cfg: Compose, words: tuple[str, ...], told: str) -> None:
    with pytest.raises(UserError) as error:
        wear_of(cfg(*(f"quick_validation.{word}" for word in words)))
    assert told in str(error.value)


def test_worn_training_under_a_clean_score_is_told(cfg: Compose) -> None:
    worn_training = cfg("augment=heavy")
    (told,) = notes_on_wear(worn_training, [worn_training])
    assert "quick_validation.wear=" in told
    for words in (
        ("augment=none",),
        ("augment=none", "augment.mixup_alpha=0.4"),
        ("augment=heavy", "augment.strength=0"),
        ("augment=heavy", "quick_validation.wear=document"),
    ):
        assert notes_on_wear(cfg(*words), [cfg(*words)]) == []


def test_every_key_of_augment_is_wear_or_is_known_not_to_be(cfg: Compose) -> None:
    """A new key of the group has to be thought about."""
    values = wear(cfg, "wear=heavy").values
    assert {*values, "mixup_alpha", "mean", "std"} == set(AugmentConfig.__dataclass_fields__)
