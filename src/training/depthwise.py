"""Depthwise convolutions by PyTorch's own kernels, where cuDNN's would be compiled again and again.

Since 9.10 cuDNN compiles plans of depthwise convolutions in channels-last order at run time, for
every new shape (NVIDIA/cudnn-frontend#1066), and a search changes the batch size from trial to
trial. PyTorch's own kernels are there already; docs/card.md has what either takes.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from timm.layers import Conv2dSame, pad_same  # type: ignore[attr-defined]
from torch import Tensor, nn


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
        *(images, weight, bias, (part.stride, padding, part.dilation, part.groups))
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
                *(gradients[0], images, weight, [len(weight)] if ctx.has_bias else None),
                *(stride, padding, dilation, False, [0, 0], groups),
                [ctx.needs_input_grad[0], ctx.needs_input_grad[1], ctx.has_bias],
            )
        return (*found, None)
