"""Depthwise convolutions by PyTorch's own kernels, where cuDNN's would be compiled again and again.

Since 9.10 cuDNN compiles plans of depthwise convolutions in channels-last order at run time, for
every new shape (NVIDIA/cudnn-frontend#1066), and a search changes the batch size from trial to
trial. PyTorch's own kernels are there already, but take longer from then on. `auto` weighs the one
against the other; docs/card.md has what was measured.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from omegaconf import DictConfig
from timm.layers import Conv2dSame, pad_same  # type: ignore[attr-defined]
from torch import Tensor, nn

from doctune import is_trial
from src.hardware.config import AUTO
from src.hardware.counted_step import AUTOCAST

# Measured on an H200 (torch 2.11, cuDNN 9.19, bfloat16, 224 px). To compile for another batch size
# takes cuDNN 7.7 seconds more than PyTorch's kernels take (tf_efficientnet_lite0, 96 images; the
# first one 13.0), and each image that is trained on takes these 0.30 ms more (64 and 96 images
# alike; convnext_tiny 0.29 to 0.33, there against cuDNN in contiguous order).
COMPILES, LONGER, AT_SIDE = 7.7, 0.30e-3, 224
# Seconds that the same model trains an image in with PyTorch's kernels, on all of that card: what
# a search can get through in its time.
EACH = 0.56e-3
# The first version of cuDNN that compiles them at run time.
COMPILING_CUDNN = 91000


def own_kernels_pay(cfg: DictConfig, batches: int, device: torch.device) -> bool:
    """Tell whether PyTorch's kernels save more time than they cost, where `auto` is to choose.

    A process compiles once for a batch and image size. The trials of a search are taken to be
    spread evenly over its workers and the batch sizes of `gpu`, and none to be pruned; no more of
    them than its time allows.

    Args:
        cfg: the whole config.
        batches: of this training, in all its epochs together.
        device: that it runs on.
    """
    trainer = cfg.trainer
    # Nothing else was measured, or is known to compile.
    if device.type != "cuda" or trainer.compile or not trainer.channels_last:
        return False
    if trainer.precision not in AUTOCAST or not _compiles():
        return False
    area = (cfg.data.img_size / AT_SIDE) ** 2
    images = batches * cfg.data.batch_size / trainer.devices
    if is_trial():
        optuna = cfg.optuna
        shapes = max(1, len(cfg.gpu.batch_sizes)) * max(1, optuna.n_jobs)
        images *= cfg.quick_validation.folds * max(1.0, optuna.n_trials / shapes)
        if optuna.timeout is not None:
            sharing = cfg.gpu.trials_per_device
            sharing = optuna.n_jobs if sharing == AUTO else min(sharing, optuna.n_jobs)
            sizes = max(1, len(cfg.gpu.batch_sizes)) * max(1, sharing)
            images = min(images, optuna.timeout / (EACH * area * sizes))
    return bool(images * LONGER * area < COMPILES)


def _compiles() -> bool:
    version = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return version is not None and version >= COMPILING_CUDNN


def use_own_kernels(model: nn.Module) -> int:
    """Have every depthwise convolution of a model run by PyTorch's own kernels, in place.

    Weights, results and gradients stay what they are, but for rounding.

    Returns:
        How many there are.
    """
    kinds: dict[type, type] = {nn.Conv2d: OwnConv2d, Conv2dSame: OwnConv2dSame}
    found = [part for part in model.modules() if type(part) in kinds and _is_depthwise(part)]
    for part in found:
        part.__class__ = kinds[type(part)]
    return len(found)


def _is_depthwise(part: Any) -> bool:
    plain = part.padding_mode == "zeros" and not isinstance(part.padding, str)
    return bool(plain and 1 < part.in_channels == part.groups)


class OwnConv2d(nn.Conv2d):
    """A depthwise convolution; takes [B, C, H, W]."""

    def forward(self, images: Tensor) -> Tensor:
        """Return [B, C', H', W']."""
        return _convolve(self, images, self.padding)


class OwnConv2dSame(Conv2dSame):
    """The same, with TensorFlow's padding."""

    def forward(self, images: Tensor) -> Tensor:
        """Return [B, C', H', W']."""
        fill: Any = pad_same
        images = fill(images, self.weight.shape[-2:], self.stride, self.dilation)
        return _convolve(self, images, (0, 0))


def _convolve(part: nn.Conv2d, images: Tensor, padding: Any) -> Tensor:
    weight, bias = part.weight, part.bias
    if torch.is_autocast_enabled(images.device.type):
        dtype = torch.get_autocast_dtype(images.device.type)
        images, weight = images.to(dtype), weight.to(dtype)
        bias = None if bias is None else bias.to(dtype)
    found: Tensor = _Convolution.apply(  # type: ignore[no-untyped-call]
        images, weight, bias, (part.stride, padding, part.dilation, part.groups)
    )
    return found


@contextlib.contextmanager
def _without_cudnn() -> Iterator[None]:
    # Quicker than `torch.backends.cudnn.flags`, which sets all of them.
    before = torch.backends.cudnn.enabled
    torch.backends.cudnn.enabled = False
    try:
        yield
    finally:
        torch.backends.cudnn.enabled = before


class _Convolution(torch.autograd.Function):
    """A convolution without cuDNN, in backward too, which runs in a thread of its own."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Any, how: tuple[Any, ...]) -> Any:
        ctx.save_for_backward(images, weight)
        ctx.how, ctx.has_bias = how, bias is not None
        with _without_cudnn():
            return nn.functional.conv2d(images, weight, bias, *how)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        images, weight = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.how
        with _without_cudnn():
            found = torch.ops.aten.convolution_backward(
                gradients[0],
                images,
                weight,
                [len(weight)] if ctx.has_bias else None,
                stride,
                padding,
                dilation,
                False,
                [0, 0],
                groups,
                [ctx.needs_input_grad[0], ctx.needs_input_grad[1], ctx.has_bias],
            )
        return (*found, None)
