"""How the shares of mixup are drawn."""

import torch

from src.training.loss import mixup


def test_every_image_has_its_own_share() -> None:
    torch.manual_seed(0)
    _, targets = mixup(torch.zeros(32, 3, 1, 1), torch.arange(32), num_classes=32, alpha=1.0)
    assert len(set(targets.max(1).values.tolist())) > 16


def test_a_small_alpha_hardly_mixes() -> None:
    torch.manual_seed(0)
    labels, images = torch.arange(256) % 4, torch.zeros(256, 3, 1, 1)
    slight, strong = (
        float((1 - mixup(images, labels, 4, alpha)[1].max(1).values).mean())
        for alpha in (0.05, 1.0)
    )
    assert slight < strong / 2
