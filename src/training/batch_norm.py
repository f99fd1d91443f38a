"""Batch norm's statistics, exact where a model is scored.

In training batch norm uses each batch's own mean and variance, and keeps a running average of them
for later: 0.9 of the old, 0.1 of the new at every step. That average describes weights that have
changed since, and after the few steps of a short trial its own first values: after 21 steps, 11 %
of them are left. A score then says how many steps there were, more than how good the weights are.

PreciseBN (Wu and Johnson, 2021, arXiv:2105.07576, section 3) takes the statistics of the weights
as they are, over images of the training set, before the model is scored. docs/scores.md has what
that changes.
"""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn


def has_batch_norm(model: nn.Module) -> bool:
    """Tell whether the images of a batch see one another in training."""
    return any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in model.modules())


def norms_with_statistics(model: nn.Module) -> list[nn.Module]:
    """Return the norms that keep statistics: batch norm, and timm's that track a variance alone."""
    return [
        part
        for part in model.modules()
        if getattr(part, "running_var", None) is not None and hasattr(part, "momentum")
    ]


def images_for_statistics(wanted: int, images: int, at_a_time: int) -> int:
    """Return how many images the statistics are taken over: whole batches of those wanted.

    An incomplete last batch could be a single image, which batch norm refuses, and on a card its
    shape would be a new one.

    Args:
        wanted: `trainer.precise_bn`.
        images: that there are to train on.
        at_a_time: images that go through the model at a time.
    """
    most = min(wanted, images)
    return most if most < at_a_time else most // at_a_time * at_a_time


def take_statistics(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the statistics of a model's norms by those of all images in `batches` together.

    All but the norms is as in evaluation: without dropout, as when the model is scored. Every batch
    is normalised by its own mean and variance on its way, as in training.

    Args:
        model: in evaluation mode.
        batches: what the model takes; at least one.
    """
    norms = norms_with_statistics(model)
    moments = [Moments(norm) for norm in norms]
    if not norms:
        return
    with torch.no_grad(), contextlib.ExitStack() as stack:
        for found in moments:
            stack.enter_context(found.taken())
        for images in batches:
            model(images)
    for found in moments:
        found.put()


class Moments:
    """Mean and variance of all that goes into one norm.

    Batches are put together by the formula of Chan, Golub and LeVeque (1979), which loses no
    digits where the mean is large beside the deviation, and counts what differs between batches
    as well as within them; a mean of the batches' variances, which torch's `update_bn` takes, does
    not. Only at the end, as on a card each small sum costs a launch.
    """

    def __init__(self, norm: Any) -> None:
        self._norm = norm
        # Of each batch: how many values went into a channel, their means and variances, [C].
        self._counts: list[int] = []
        self._means: list[Tensor] = []
        self._variances: list[Tensor] = []

    @contextlib.contextmanager
    def taken(self) -> Iterator[None]:
        """Let the norm work as in training meanwhile, and add what goes into it."""
        norm = self._norm
        counted = getattr(norm, "num_batches_tracked", None)
        before = norm.training, norm.momentum
        # Running averages that remember nothing are the batch's own.
        norm.training, norm.momentum = True, 1.0
        if counted is not None:
            norm.num_batches_tracked = None
        hook = norm.register_forward_hook(self._add)
        try:
            yield
        finally:
            hook.remove()
            norm.training, norm.momentum = before
            if counted is not None:
                norm.num_batches_tracked = counted

    def _add(self, norm: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        (images,) = inputs
        count = images.numel() // images.shape[1]
        mean = getattr(norm, "running_mean", None)
        if mean is None:
            mean = images.float().mean([d for d in range(images.ndim) if d != 1])
        self._counts.append(count)
        self._means.append(mean.float().clone())
        self._variances.append(norm.running_var.float().clone())

    def put(self) -> None:
        """Give the norm what was found; one that nothing went into keeps its own."""
        if not self._counts:
            return
        means, variances = torch.stack(self._means), torch.stack(self._variances)
        counts = torch.tensor(self._counts, dtype=means.dtype, device=means.device)[:, None]
        total = sum(self._counts)
        # From the first batch on, so that a large mean is not added up.
        mean = means[0] + ((means - means[0]) * (counts / total)).sum(0)
        # The running variance is that of a sample, divided by one less.
        squares = (variances * (counts - 1) + counts * (means - mean) ** 2).sum(0)
        if getattr(self._norm, "running_mean", None) is not None:
            self._norm.running_mean.copy_(mean)
        self._norm.running_var.copy_(squares / max(1, total - 1))
