"""Pages worn before they are scored: the same everywhere, and what was asked for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from doctune.errors import UserError
from src.before.config import QuickValidationConfig
from src.data import wear as wearing
from src.data.config import AugmentConfig, DataConfig
from src.data.draws import PageDraws
from src.data.image_set import ImageSet
from src.data.wear import as_scored, worn
from src.data.wear_presets import (
    Wear,
    check_one_wear,
    notes_on_wear,
    wear_in_words,
    wear_of,
    written_out,
)
from src.training.config import TrainerConfig
from tests.conftest import REPOSITORY

CPU = torch.device("cpu")


def pages(count: int = 12, side: int = 24) -> ImageSet:
    rng = np.random.default_rng(3)
    pixels = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    files = [f"scans/{number}.png" for number in range(count)]
    return ImageSet(pixels, np.arange(count) % 3, ("a", "b", "c"), files=files)


def config(augment: dict[str, Any] | None = None, cache_dir: str = "", **quick: Any) -> DictConfig:
    """Return what wear is read from; composing a whole config takes a second."""
    parts: dict[str, Any] = {
        "quick_validation": QuickValidationConfig(**quick),
        "augment": AugmentConfig(**augment or {}),
        "data": DataConfig(cache_dir=cache_dir),
        "trainer": TrainerConfig(accelerator="cpu"),
    }
    return OmegaConf.create(parts)


def preset(name: str) -> dict[str, Any]:
    found: Any = OmegaConf.to_container(OmegaConf.load(f"{REPOSITORY}/conf/augment/{name}.yaml"))
    return dict(found)


def wear(given: Any, **more: Any) -> Wear:
    found = wear_of(config(wear=given, **{f"wear_{key}": value for key, value in more.items()}))
    assert found is not None
    return found


def test_draws_are_those_of_any_other_process_and_machine() -> None:
    """Written down once: a cache of then is right today."""
    draws = PageDraws(["scans/1.png", "é"], 1, CPU)
    assert draws.uniform().tolist() == pytest.approx([0.7200497, 0.00594802])
    assert draws.normal(1)[:, 0].tolist() == pytest.approx([1.5875245, 0.1625391])


def test_a_page_is_worn_alike_in_any_batch_and_order(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = pages()
    heavy = wear("heavy", draws=2)
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


def test_pages_and_draws_differ_and_keep_their_classes() -> None:
    same = pages()
    same.pixels[:] = same.pixels[0]
    some = same.subset(np.array([7, 2, 5]))
    found = worn(some, wear("document", draws=2), "", CPU)
    assert found.labels.tolist() == [*some.labels, *some.labels]
    assert found.names == [*some.names, *some.names]
    assert len({image.tobytes() for image in found.images}) == 6
    # What is worn is a page's own, whatever part of the data it is asked for in.
    again = worn(same.subset(np.array([2])), wear("document", draws=2), "", CPU)
    np.testing.assert_array_equal(again.images, found.images[[1, 4]])


def test_what_is_worn_is_what_the_keys_say() -> None:
    images = pages()
    found = worn(images, wear({"half_turn": 1}), "", CPU)
    np.testing.assert_allclose(found.images.astype(int), images.images[:, ::-1, ::-1], atol=1)
    grey = ImageSet(np.full((400, 8, 8, 3), 128, np.uint8), np.zeros(400, np.int64), ("a",))
    lights = worn(grey, wear({"brightness": 0.2}), "", CPU).images[:, 0, 0, 0] / 255
    assert lights.min() == pytest.approx(0.3, abs=0.01)
    assert lights.max() == pytest.approx(0.7, abs=0.01)
    assert lights.mean() == pytest.approx(0.5, abs=0.02)


def test_pages_are_worn_once_and_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = pages()
    kept = ImageSet(
        *(images.pixels, images.targets, images.classes), files=images.files, stored_as="pages-24px"
    )
    light = config(cache_dir=str(tmp_path), wear="light")
    in_memory = as_scored(light, images)
    first = as_scored(light, kept)
    np.testing.assert_array_equal(first.images, in_memory.images)
    monkeypatch.setattr(wearing, "_wear_all", None)
    again = as_scored(light, kept.subset(np.array([3])))
    np.testing.assert_array_equal(again.images, first.images[[3]])
    with pytest.raises(TypeError):
        as_scored(config(cache_dir=str(tmp_path), wear="light", wear_strength=0.5), kept)
    assert as_scored(config(), kept) is kept


def test_a_wear_is_a_preset_with_a_strength() -> None:
    assert wear_of(config()) is None
    assert wear_in_words(config(wear=None)) == "none"
    found = wear("document", strength=0.5, draws=3)
    assert {key: value for key, value in found.values.items() if value} == {
        **preset("document"),
        "strength": 0.5,
    }
    assert found.in_words == "document at strength 0.5, 3 draws"
    # Mixing is no wear, and normalisation changes nothing.
    assert wear("heavy").values.keys().isdisjoint({"mixup_alpha", "mean", "std"})
    assert wear({"rotate": 8}).hash == wear({"rotate": 8.0}).hash
    hashes = {wear(name).hash for name in ("light", "document", "heavy")}
    assert len({*hashes, found.hash}) == 4


def test_a_wear_can_be_written_out() -> None:
    given = config(wear="document", wear_strength=0.5)
    one, other = wear_of(given), wear_of(config(**written_out(given)))
    assert one is not None
    assert other is not None
    assert (one.hash, one.in_words) == (other.hash, other.in_words)
    assert wear({"rotate": 8}).name == "own values"
    assert written_out(config()) == {}


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"wear": "documents"}, "wear=documents: there is no such file in conf/augment; did you"),
        ({"wear": "documents"}, "did you mean document?"),
        ({"wear": {"rotat": 3}}, "rotat"),
        ({"wear": "document", "wear_strength": 0}, "wears nothing"),
        ({"wear": {"mixup_alpha": 1}}, "wears nothing"),
    ],
)
def test_wear_that_makes_no_sense(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as error:
        wear_of(config(**keys))
    assert told in str(error.value)


def test_one_wear_for_all_trials() -> None:
    check_one_wear([config(wear="light"), config({"rotate": 3}, wear="light")])
    with pytest.raises(UserError, match=r"light \(\w+\), none\) do not compare"):
        check_one_wear([config(wear="light"), config()])


def test_worn_training_under_a_clean_score_is_told() -> None:
    worn_training = config(preset("heavy"))
    (told,) = notes_on_wear(worn_training, [worn_training])
    assert "quick_validation.wear=" in told
    for other in (
        config(),
        config({"mixup_alpha": 0.4}),
        config({**preset("heavy"), "strength": 0}),
        config(preset("heavy"), wear="document"),
    ):
        assert notes_on_wear(other, [other]) == []


def test_every_key_of_augment_is_wear_or_is_known_not_to_be() -> None:
    """A new key of the group has to be thought about."""
    values = wear("heavy").values
    assert {*values, "mixup_alpha", "mean", "std"} == set(AugmentConfig.__dataclass_fields__)
