"""Mixup (Zhang et al., ICLR 2018, arXiv 1710.09412) with its own share for every image."""

import torch
from torch import Tensor
from torch.nn import functional as F


def mixup(images: Tensor, labels: Tensor, num_classes: int, alpha: float) -> tuple[Tensor, Tensor]:
    """Blend every image with another one of the batch.

    Args:
        images: float [B, 3, H, W].
        labels: int64 [B].
        num_classes: C.
        alpha: the share of an image is drawn from Beta(alpha, alpha); above 0.

    Returns:
        Blended images and soft targets [B, C] whose rows sum to 1.
    """
    targets = F.one_hot(labels, num_classes).to(images.dtype)
    parameter = torch.full((len(images),), alpha, device=images.device)
    # Checking the values would wait for the device.
    beta = torch.distributions.Beta(parameter, parameter, validate_args=False)
    share = beta.sample().to(images.dtype)
    partner = torch.randperm(len(images), device=images.device)
    of_image = share.view(-1, 1, 1, 1)
    mixed = images * of_image + images[partner] * (1 - of_image)
    of_target = share.view(-1, 1)
    return mixed, targets * of_target + targets[partner] * (1 - of_target)
