"""One training step on fake tensors: what it allocates, computes and moves, counted.

Fake tensors have shapes, strides and types but no data, so that a step of any model takes
seconds and next to no memory, on any machine.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode
from torch.nn import functional as F

from src.hardware.counter import Counter, Operation
from src.hardware.cuda_rules import cuda_rules

AUTOCAST = {"16-mixed": torch.float16, "bf16-mixed": torch.bfloat16}
WEIGHTS = {"16-true": torch.float16, "bf16-true": torch.bfloat16, "64-true": torch.float64}


@dataclass(frozen=True)
class StepKind:
    """What a training step depends on, beside the model and the batch size.

    Args:
        img_size: side of the square images.
        num_classes: C.
        precision: Lightning's.
        channels_last: memory format of weights and images.
        mixup: whether images are blended, with soft targets.
        clip: whether gradients are clipped by their norm.
        on_cuda: apply CUDA's rules for autocast, attention and optimizers.
    """

    img_size: int
    num_classes: int
    precision: str = "32-true"
    channels_last: bool = True
    mixup: bool = False
    clip: bool = True
    on_cuda: bool = True


@dataclass(frozen=True)
class CountedStep:
    """A training step at one batch size; all sizes in bytes."""

    batch_size: int
    # Numbers that are trained.
    parameters: int
    # Parameters and buffers; their gradients; the optimizer's state.
    weights: int
    gradients: int
    optimizer: int
    # What forward leaves for backward, the batch itself included.
    saved: int
    # How many of the operations are forward's, which come first.
    forward: int
    operations: tuple[Operation, ...]

    @property
    def peak(self) -> int:
        """Return the most bytes that are allocated at a time."""
        return max(operation.allocated for operation in self.operations)


def count_steps(
    make_model: Callable[[], nn.Module],
    make_optimizer: Callable[[nn.Module], torch.optim.Optimizer],
    kind: StepKind,
    batch_sizes: Sequence[int],
) -> list[CountedStep]:
    """Count a training step as Lightning runs it, past the first one, at each batch size.

    Gradients of the step before are there during forward and go before backward; the
    optimizer has its state.

    Args:
        make_model: makes the model; called on the meta device, so without weights.
        make_optimizer: makes the optimizer of a model.
        kind: what else the step depends on.
        batch_sizes: images a step.
    """
    # timm reads values while it builds some models, which fake tensors do not have.
    with torch.device("meta"):
        shapes = make_model()
    with FakeTensorMode(), Counter() as counter:
        model = as_fake(shapes, kind)
        weights = counter.allocated
        parameters = sum(parameter.numel() for parameter in model.parameters())
        optimizer = make_optimizer(model)
        for parameter in model.parameters():
            parameter.grad = torch.empty_like(parameter)
        gradients = counter.allocated - weights
        if kind.on_cuda:
            _take_foreach(optimizer)
        counter.operations.clear()
        if kind.clip:
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        # The first one makes the state too, which is there when its temporary tensors are.
        optimizer.step()
        state = counter.allocated - weights - gradients
        update = list(counter.operations)
        counted = []
        for batch_size in batch_sizes:
            counter.operations.clear()
            saved, forward = run_step(model, kind, batch_size, counter)
            operations = (*counter.operations, *update)
            counted.append(
                CountedStep(
                    batch_size, parameters, weights, gradients, state, saved, forward, operations
                )
            )
        return counted


def run_step(
    model: nn.Module, kind: StepKind, batch_size: int, counter: Counter
) -> tuple[int, int]:
    """Run forward and backward.

    Returns:
        The bytes that forward left for backward, and the number of forward's operations.
    """
    before = counter.allocated
    with cuda_rules() if kind.on_cuda else contextlib.nullcontext():
        pixels = torch.zeros(batch_size, kind.img_size, kind.img_size, 3, dtype=torch.uint8)
        labels = torch.zeros(batch_size, dtype=torch.long)
        loss = loss_of(model, pixels.permute(0, 3, 1, 2), labels, kind)
        saved, forward = counter.allocated - before, len(counter.operations)
        model.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
    return saved, forward


def loss_of(model: nn.Module, pixels: Tensor, labels: Tensor, kind: StepKind) -> Tensor:
    """Return the loss of uint8 images [B, 3, H, W] and labels [B], as training computes it."""
    with _autocast(kind):
        images = pixels.to(_weights_dtype(kind)) * 0.5
        if not kind.channels_last:
            images = images.contiguous()
        targets = labels
        if kind.mixup:
            images = images * 0.5 + images[labels] * 0.5
            targets = F.one_hot(labels, kind.num_classes).to(images.dtype)
        return F.cross_entropy(model(images), targets)


def _autocast(kind: StepKind) -> contextlib.AbstractContextManager[Any]:
    dtype = AUTOCAST.get(kind.precision)
    return contextlib.nullcontext() if dtype is None else torch.autocast("cpu", dtype=dtype)


def _weights_dtype(kind: StepKind) -> torch.dtype:
    return WEIGHTS.get(kind.precision, torch.float32)


def as_fake(model: nn.Module, kind: StepKind) -> nn.Module:
    """Give a model of the meta device weights, in the type and memory format of `kind`."""
    dtype = _weights_dtype(kind)
    for module in model.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                tensor = torch.empty(parameter.shape, dtype=dtype)
                if kind.channels_last and tensor.ndim == 4:
                    tensor = tensor.contiguous(memory_format=torch.channels_last)
                module._parameters[name] = nn.Parameter(tensor, parameter.requires_grad)
        for name, buffer in module._buffers.items():
            if buffer is not None:
                kept = dtype if buffer.dtype.is_floating_point else buffer.dtype
                module._buffers[name] = torch.empty(buffer.shape, dtype=kept)
        for name, value in list(vars(module).items()):
            if isinstance(value, Tensor):
                setattr(module, name, torch.empty(value.shape, dtype=value.dtype))
    return model.train()


def _take_foreach(optimizer: torch.optim.Optimizer) -> None:
    """Take the multi-tensor path that CUDA takes by default, with its temporary tensors."""
    for group in optimizer.param_groups:
        if "foreach" in group and group["foreach"] is None and not group.get("fused"):
            group["foreach"] = True
