"""Batch and image sizes follow the data and the model, up to what the card can take."""

from pathlib import Path

import pytest
import timm

from src.before.asked_of_timm import made_for
from src.before.sizes import SMALLEST_IMAGE, told_if_bounded
from tests.conftest import Compose


@pytest.mark.parametrize(
    ("gpu", "images", "choices", "alone"),
    [
        # 15 steps an epoch of what is trained on, three fifths of all.
        ("h100", 2400, [24, 48, 72, 96], 96),
        ("h100", 400, [16, 32, 48, 64], 64),
        ("h100", 4000, [64, 128], 128),
        ("h100", 100_000, [64, 128, 192, 256], 128),
        ("rtx4090", 2200, [48, 64, 80], 64),
        ("rtx3080", 400, [24, 32, 40, 48], 32),
        ("cpu", 400, [16, 32, 48, 64], 32),
    ],
)
def test_batches_leave_an_epoch_enough_steps(
    cfg: Compose, gpu: str, images: int, choices: list[int], alone: int
) -> None:
    config = cfg("hparams_search=fast", f"gpu={gpu}", f"data.n_images={images}")
    assert list(config.search_space.batch_size.choices) == choices
    assert config.data.batch_size == alone


@pytest.mark.parametrize(
    ("gpu", "images", "told"),
    [
        ("h100", 2400, "is searched up to 96, not 256, which"),
        ("h100", 100_000, None),
        ("cpu", 400, None),
    ],
)
def test_batches_that_are_left_out_are_told(
    cfg: Compose, gpu: str, images: int, told: str | None
) -> None:
    config = cfg("hparams_search=fast", f"gpu={gpu}", f"data.n_images={images}")
    found = told_if_bounded(config, list(config.search_space.batch_size.choices))
    assert (told or "") in (found or "")
    assert (found is None) == (told is None)
    # A batch that is fixed was somebody's wish.
    assert told_if_bounded(config, [64]) is None


def test_what_is_asked_for_stays(cfg: Compose) -> None:
    words = ("hparams_search=fast", "gpu=h100", "data.n_images=400")
    config = cfg(*words, "data.batch_size=256", "search_space.batch_size.choices=[128,256]")
    assert config.data.batch_size == 256
    assert list(config.search_space.batch_size.choices) == [128, 256]
    # A preset's own list keeps what the card and the data are up to.
    own = cfg(*words, "search_space.batch_size.choices=${batch_sizes:[32,64,512]}")
    assert list(own.search_space.batch_size.choices) == [32, 64]


def test_files_are_counted_as_they_are_listed(cfg: Compose, tmp_path: Path) -> None:
    root = tmp_path / "pages"
    for split, count in (("train", 300), ("test", 40)):
        for number in range(count):
            folder = root / split / f"class{number % 2}"
            folder.mkdir(parents=True, exist_ok=True)
            # Not opened, so one is as good as another.
            (folder / f"{number}.png").write_bytes(b"")
    words = ("gpu=h100", "data=image_folder", f"data.root={root}")
    few = cfg("hparams_search=fast", *words)
    assert list(few.search_space.batch_size.choices) == [16, 32, 48, 64]
    # What cannot be listed is told by the checks, with its reason.
    missing = cfg("gpu=h100", "data=image_folder", f"data.root={tmp_path / 'none'}")
    assert missing.data.batch_size == 128


@pytest.mark.parametrize(
    ("gpu", "model", "side"),
    [
        ("h100", "test_resnet", 160),
        ("h100", "tf_efficientnet_lite0", 224),
        ("h100", "swin_base_patch4_window7_224", 224),
        ("rtx4090", "efficientnet_b3", 288),
        ("rtx3070", "efficientnet_b3", 224),
        ("cpu", "tf_efficientnet_lite0", 64),
        # The checks tell what is wrong with a name.
        ("h100", "no_such_model", 384),
        ("h100", "resnet50.no_such_weights", 384),
    ],
)
def test_the_image_size_is_the_models_up_to_the_cards(
    cfg: Compose, gpu: str, model: str, side: int
) -> None:
    assert cfg(f"gpu={gpu}", f"model.name={model}").data.img_size == side


def test_no_weights_were_trained_on_images_so_small_that_timm_is_not_asked() -> None:
    sides = [made_for(name) for name in timm.list_models(pretrained=True)]
    assert min(side for side in sides if side) == SMALLEST_IMAGE
