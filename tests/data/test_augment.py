"""Augmentation: what each operation does, drawn for every image, and nothing at no strength."""

from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur, rotate

from src.data.augment import Augment, Normalize, blur, erase
from src.data.config import AugmentConfig
from tests.conftest import REPOSITORY, Compose

# An operation, and what of it changes an image.
OPERATIONS: dict[str, float] = {
    "shift": 0.2,
    "rotate": 30.0,
    "scale": 0.3,
    "perspective": 0.3,
    "blur": 0.2,
    "contrast": 0.5,
    "brightness": 0.3,
    "shadow": 0.8,
    "noise": 0.2,
    "erase": 0.4,
}
CHANCES = ("quarter_turn", "half_turn", "hflip", "vflip")


def augment(images: Tensor, **keys: Any) -> Tensor:
    """Augment images of 0 to 1, and return such."""
    torch.manual_seed(0)
    plain = {"mean": [0.0] * 3, "std": [1.0] * 3}
    result: Tensor = Augment(AugmentConfig(**{**plain, **keys}))(images)
    assert result.shape == images.shape
    assert result.dtype == images.dtype
    return result


def some(count: int = 4, side: int = 16) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def test_normalize_is_the_plain_formula() -> None:
    images = torch.randint(0, 256, (2, 3, 5, 5), dtype=torch.uint8)
    mean, std = [0.4, 0.5, 0.6], [0.2, 0.3, 0.4]
    plain = (images / 255 - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(Normalize(mean, std)(images), plain)


def test_none_is_the_identity(cfg: Compose) -> None:
    images = some()
    assert Augment(cfg("augment=none").augment)(images) is images
    everything = {**OPERATIONS, **dict.fromkeys(CHANCES, 0.5)}
    assert augment(images, strength=0.0, **everything) is images


@pytest.mark.parametrize("key", OPERATIONS)
def test_every_image_has_its_own_draw(key: str) -> None:
    same = some(1).expand(4, -1, -1, -1)
    changed = augment(same, **{key: OPERATIONS[key]})
    for i in range(4):
        assert not torch.allclose(changed[i], changed[(i + 1) % 4])


@pytest.mark.parametrize("key", OPERATIONS)
def test_strength_is_how_much(key: str) -> None:
    images = some(32)

    def change(strength: float) -> float:
        return float(
            (augment(images, strength=strength, **{key: OPERATIONS[key]}) - images).abs().mean()
        )

    assert 0 < change(0.15) < change(0.5) < change(1.2)


def test_turns_and_mirrors_are_exact() -> None:
    images = some()
    for key, wanted in (
        ("half_turn", images.flip(2, 3)),
        ("hflip", images.flip(3)),
        ("vflip", images.flip(2)),
    ):
        torch.testing.assert_close(augment(images, **{key: 1.0}), wanted, atol=1e-5, rtol=0)
    turned = augment(some(16), quarter_turn=1.0)
    ways = [some(16).rot90(k, (2, 3)) for k in (1, 3)]
    found = [[torch.allclose(turned[i], way[i], atol=1e-5) for way in ways] for i in range(16)]
    assert all(left != right for left, right in found)
    assert 3 <= sum(left for left, _ in found) <= 13


@pytest.mark.parametrize("key", CHANCES)
def test_chances_are_kept(key: str) -> None:
    images = some(400, 4)
    changed = augment(images, strength=0.5, **{key: 0.6})
    share = sum(not torch.allclose(a, b, atol=1e-5) for a, b in zip(changed, images, strict=True))
    assert 0.2 < share / 400 < 0.4


def test_a_turn_is_torchvisions() -> None:
    """With every draw at its end, the angle is the largest one."""
    smooth = blur(some(1, 32), torch.tensor([3.0]), 3.0)
    turned = augment(smooth.expand(64, -1, -1, -1), rotate=20.0)
    angles = torch.arange(-20, 20.1, 0.25).tolist()
    theirs = [rotate(smooth[0], angle, Image.Resampling.BILINEAR) for angle in angles]
    inside = torch.stack(theirs)[:, :, 8:24, 8:24]
    for image in turned[:, :, 8:24, 8:24]:
        assert (image - inside).abs().amax((1, 2, 3)).min() < 0.01


def test_blur_is_a_gaussian() -> None:
    images = some(3, 24)
    for sigma in (0.5, 1.0, 2.0):
        found = blur(images, torch.full((3,), sigma), 3.0)
        wanted = gaussian_blur(images, [17, 17], [sigma, sigma])
        torch.testing.assert_close(
            found[..., 8:-8, 8:-8], wanted[..., 8:-8, 8:-8], atol=2e-3, rtol=0
        )
    mixed = blur(images, torch.tensor([0.0, 1.0, 2.0]), 3.0)
    torch.testing.assert_close(mixed[0], images[0])
    torch.testing.assert_close(mixed[1], blur(images, torch.ones(3), 3.0)[1])
    flat = torch.full((1, 3, 9, 9), 0.3)
    torch.testing.assert_close(blur(flat, torch.tensor([2.0]), 2.0), flat)


def test_light_acts_on_grey_levels_whatever_the_normalisation() -> None:
    images = some(6)
    keys = {"contrast": 0.5, "brightness": 0.2, "shadow": 0.6}
    mean, std = (
        torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1),
        torch.tensor([0.2, 0.3, 0.1]).view(3, 1, 1),
    )
    normalised = augment((images - mean) / std, mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.1], **keys)
    torch.testing.assert_close(normalised * std + mean, augment(images, **keys), atol=1e-4, rtol=0)
    shaded = augment(torch.ones(64, 3, 8, 8), shadow=0.6)
    assert 0.4 <= float(shaded.min()) < 0.6
    assert 0.9 < float(shaded.max()) <= 1


def test_a_box_has_its_area_and_one_colour() -> None:
    torch.manual_seed(0)
    images = torch.full((50, 3, 64, 64), 9.0)
    erased = erase(images, torch.full((50,), 0.1))
    shares = (erased[:, 0] != 9).float().mean((1, 2))
    assert shares.min() > 0.08
    assert shares.max() < 0.12
    assert all(len(image[0].unique()) == 2 for image in erased)


def test_layout_and_autocast_change_nothing() -> None:
    images = some(4, 64)
    keys = {**OPERATIONS, **dict.fromkeys(CHANCES, 0.5)}
    plain = augment(images, **keys)
    last = augment(images.to(memory_format=torch.channels_last), **keys)
    torch.testing.assert_close(last, plain, atol=1e-4, rtol=0)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(augment(images, **keys), plain)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_nothing_waits_for_the_device() -> None:
    keys = {**OPERATIONS, **dict.fromkeys(CHANCES, 0.5)}
    module = Augment(AugmentConfig(**keys)).cuda()  # type: ignore[arg-type]
    images = some(4, 64).cuda()
    module(images)
    torch.cuda.set_sync_debug_mode("error")
    try:
        module(images)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("name", ["none", "light", "document", "heavy"])
def test_presets_run_and_are_ever_harder(name: str, cfg: Compose) -> None:
    config = cfg(f"augment={name}").augment
    images = some(8, 32)
    torch.manual_seed(0)
    changed = Augment(config)(images)
    assert torch.isfinite(changed).all()
    order = ["none", "light", "document", "heavy"]
    if name != "none":
        milder = OmegaConf.load(
            REPOSITORY / "conf" / "augment" / f"{order[order.index(name) - 1]}.yaml"
        )
        for key in ("rotate", "contrast", "noise", "blur", "erase"):
            assert config[key] >= OmegaConf.select(milder, key, default=0)
