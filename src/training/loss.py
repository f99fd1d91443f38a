"""The loss that is trained: cross entropy, smoothed, and made fair where classes are uneven.

Either images of rare classes weigh more, or scores learn how far a class is above its frequency:
logit adjustment (Menon et al., "Long-tail learning via logit adjustment", ICLR 2021,
arXiv:2007.07314).

Mixup (Zhang et al., ICLR 2018, arXiv 1710.09412) with its own share for every image.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from src.data.image_set import Indices
from src.training.config import LossConfig

# Values of `loss.class_weights`.
NONE, BALANCED, ADJUSTED = "none", "balanced", "logit_adjustment"


class TrainingLoss(nn.Module):
    """Cross entropy of scores [B, C] with labels [B] or soft targets [B, C].

    With `balanced` an image weighs what its own class does. With torch's own weights label
    smoothing gives every other class a share times that class's weight, and the loss of an image of
    a frequent class is least where the rarest is predicted.

    With `logit_adjustment` the logarithm of each class's frequency is added to its score in
    training alone, so that the scores themselves rank classes as if all were equally frequent.
    Label smoothing then gives classes their share by frequency: given evenly, the loss of images
    that nothing tells apart would be least where the rarest is predicted.

    Args:
        cfg: the `loss` group.
        num_classes: C.
        labels: int64 [N] of what is trained on; None treats all classes alike.
    """

    def __init__(self, cfg: LossConfig, num_classes: int, labels: Indices | None = None) -> None:
        super().__init__()
        self.label_smoothing = cfg.label_smoothing
        weight = frequency = None
        if cfg.class_weights == BALANCED and labels is not None:
            weight = balanced_weights(torch.from_numpy(labels), num_classes)
        elif cfg.class_weights == ADJUSTED and labels is not None:
            frequency = frequencies(torch.from_numpy(labels), num_classes)
        # Not kept in checkpoints: these belong to the data, not to the model.
        self.weight: Tensor | None
        self.register_buffer("weight", weight, persistent=False)
        self.frequency: Tensor | None
        self.register_buffer("frequency", frequency, persistent=False)

    def forward(self, scores: Tensor, targets: Tensor) -> Tensor:
        """Return the mean loss, a scalar."""
        smoothing = self.label_smoothing
        if self.frequency is not None:
            return self._adjusted(scores, targets, self.frequency)
        if self.weight is None:
            return F.cross_entropy(scores, targets, label_smoothing=smoothing)
        if not targets.is_floating_point():
            of_images = self.weight[targets]
            losses = F.cross_entropy(scores, targets, reduction="none", label_smoothing=smoothing)
        else:
            # A blend of images is worth the blend of their weighted losses.
            own = targets * self.weight
            of_images = own.sum(1)
            losses = F.cross_entropy(
                scores,
                own / of_images.clamp(min=torch.finfo(own.dtype).tiny)[:, None],
                reduction="none",
                label_smoothing=smoothing,
            )
        return (losses * of_images).sum() / self.weight_of(targets)

    def _adjusted(self, scores: Tensor, targets: Tensor, frequency: Tensor) -> Tensor:
        if not targets.is_floating_point():
            targets = F.one_hot(targets, len(frequency)).to(scores.dtype)
        smooth = (1 - self.label_smoothing) * targets + self.label_smoothing * frequency
        # A class without images is left as it is, to be learned as one that never comes.
        logs = torch.where(frequency > 0, frequency, 1).log()
        return F.cross_entropy(scores + logs, smooth)

    def weight_of(self, targets: Tensor) -> Tensor | int:
        """Return what the mean loss of some targets, [B] or [B, C], is divided by."""
        if self.weight is None or targets.is_floating_point():
            return len(targets)
        # As PyTorch's mean does with weights.
        return self.weight[targets].sum()


def balanced_weights(labels: Tensor, num_classes: int) -> Tensor:
    """Weigh classes by the inverse of their frequency, as scikit-learn's `balanced` does.

    Args:
        labels: int64 [N].
        num_classes: C.

    Returns:
        float32 [C], whose mean over the images is 1; 0 for a class without images.
    """
    counts = torch.bincount(labels, minlength=num_classes)
    present = int((counts > 0).sum())
    weights = len(labels) / (present * counts.clamp(min=1).float())
    return weights * (counts > 0)


def frequencies(labels: Tensor, num_classes: int) -> Tensor:
    """Return the share of each class, float32 [C].

    Args:
        labels: int64 [N].
        num_classes: C.
    """
    return torch.bincount(labels, minlength=num_classes).float() / len(labels)


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
