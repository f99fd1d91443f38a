"""Gradient checkpointing that trains and scores as if nothing were computed twice.

Blocks are computed again in backward (Chen et al., 2016, arXiv 1604.06174), and batch norm would
move its running statistics a second time there. Torch has a context for the second computation
(`context_fn` of `torch.utils.checkpoint.checkpoint`), but timm calls that itself and passes none
on. What is computed again is known all the same: it runs while the model itself does not.
"""

from typing import Any

from torch import nn

from doctune.errors import UserError
from src.training.batch_norm import norms_with_statistics


def checkpoint_blocks(model: nn.Module, name: str) -> None:
    """Switch gradient checkpointing on, for a model that is called as a whole.

    Args:
        model: timm's.
        name: for messages.

    Raises:
        UserError: the model has none.
    """
    switch: Any = getattr(model, "set_grad_checkpointing", None)
    try:
        if switch is None:
            raise AssertionError("it has no switch for it")
        switch(True)
    except AssertionError as error:
        raise UserError(
            f"model.grad_checkpointing=true: timm has none for {name}; leave it out"
        ) from error
    _keep_statistics(model)


def _keep_statistics(model: nn.Module) -> None:
    """Let running statistics move in forward alone."""
    norms = norms_with_statistics(model)
    if not norms:
        return
    forward = _Forward()
    model.register_forward_pre_hook(forward.begin)
    model.register_forward_hook(forward.end, always_call=True)
    for norm in norms:
        still = _Still(forward)
        norm.register_forward_pre_hook(still.begin)
        # Torch ends the second computation by an exception, which may come from within a norm.
        norm.register_forward_hook(still.end, always_call=True)


class _Forward:
    """Knows whether the model itself runs."""

    def __init__(self) -> None:
        self.runs = False

    def begin(self, model: nn.Module, images: Any) -> None:
        self.runs = True

    def end(self, model: nn.Module, images: Any, scores: Any) -> None:
        self.runs = False


class _Still:
    """Holds the statistics of one norm still while it is computed again.

    With a momentum of 0 they are read, as in forward, and written back as they are; leaving them
    out instead would save fewer tensors than forward did, which torch refuses.
    """

    def __init__(self, forward: _Forward) -> None:
        self._forward = forward
        self._kept: tuple[Any, Any] | None = None

    def begin(self, norm: Any, inputs: Any) -> None:
        if self._forward.runs or not norm.training:
            return
        self._kept = norm.momentum, getattr(norm, "num_batches_tracked", None)
        norm.momentum = 0.0
        if self._kept[1] is not None:
            norm.num_batches_tracked = None

    def end(self, norm: Any, inputs: Any, outputs: Any) -> None:
        if self._kept is None:
            return
        norm.momentum, counted = self._kept
        if counted is not None:
            norm.num_batches_tracked = counted
        self._kept = None
