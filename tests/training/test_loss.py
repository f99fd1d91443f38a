"""The weighted loss, and what it and balanced batches do to rare classes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.utils.class_weight import compute_class_weight
from torch.nn.functional import cross_entropy, one_hot

from src.data.image_set import ImageSet
from src.training.config import LossConfig
from src.training.fit import fit
from src.training.loss import TrainingLoss, balanced_weights
from tests.conftest import Compose

LABELS = np.repeat([0, 1, 2], [60, 25, 15])


def test_balanced_weights_are_scikit_learns() -> None:
    wanted = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    torch.testing.assert_close(
        balanced_weights(torch.from_numpy(LABELS), 3), torch.tensor(wanted, dtype=torch.float32)
    )
    weights = balanced_weights(torch.tensor([0, 0, 2, 2]), 4)
    assert weights.tolist() == [1, 0, 1, 0]


def test_without_weights_it_is_cross_entropy() -> None:
    scores, labels = torch.randn(8, 3), torch.randint(0, 3, (8,))
    loss = TrainingLoss(LossConfig(label_smoothing=0.2), 3, LABELS)
    assert loss(scores, labels) == cross_entropy(scores, labels, label_smoothing=0.2)
    assert loss.weight is None


def test_weights_act_on_labels_and_on_soft_targets_and_stay_out_of_checkpoints() -> None:
    loss = TrainingLoss(LossConfig(label_smoothing=0.0, class_weights="balanced"), 3, LABELS)
    assert loss.state_dict() == {}
    scores, labels = torch.randn(3, 3), torch.tensor([0, 1, 2])
    single = cross_entropy(scores, labels, reduction="none")
    weights = torch.tensor([100 / 180, 100 / 75, 100 / 45])
    torch.testing.assert_close(loss(scores, labels), (single * weights).sum() / weights.sum())
    soft = one_hot(labels, 3).float()
    torch.testing.assert_close(loss(scores, soft), (single * weights).mean())


@given(
    st.lists(st.integers(1, 100_000), min_size=2, max_size=6),
    st.floats(0, 0.99),
    st.booleans(),
    st.data(),
)
def test_the_loss_of_an_image_is_least_where_its_own_class_is_first(
    counts: list[int], smoothing: float, soft: bool, data: st.DataObject
) -> None:
    number = len(counts)
    own = data.draw(st.integers(0, number - 1))
    cfg = LossConfig(label_smoothing=smoothing, class_weights="balanced")
    loss = TrainingLoss(cfg, number, np.repeat(np.arange(number), counts)).double()
    target = torch.tensor([own])
    # The minimum that the field knows: probabilities equal to the smoothed target, whatever the
    # weights (Szegedy et al., CVPR 2016).
    best = torch.full((1, number), smoothing / number, dtype=torch.float64)
    best[0, own] += 1 - smoothing
    scores = best.clamp(min=1e-12).log().requires_grad_()
    targets = one_hot(target, number).double() if soft else target
    value = loss(scores, targets)
    (slope,) = torch.autograd.grad(value, scores)
    # In units of the loss of an image, as a soft target counts its weight.
    weight = float(loss.weight[own]) if soft and loss.weight is not None else 1.0
    assert float(slope.abs().max()) / weight == pytest.approx(0, abs=1e-6)
    assert int(best.argmax()) == own


@given(
    st.lists(st.integers(1, 100_000), min_size=2, max_size=6),
    st.floats(0, 0.99),
    st.data(),
)
def test_adjusted_logits_rank_classes_as_if_all_were_as_frequent(
    counts: list[int], smoothing: float, data: st.DataObject
) -> None:
    """Of images that nothing tells apart, and of images that features tell something of."""
    number, total = len(counts), sum(counts)
    cfg = LossConfig(label_smoothing=smoothing, class_weights="logit_adjustment")
    loss = TrainingLoss(cfg, number, np.repeat(np.arange(number), counts)).double()
    prior = torch.tensor(counts, dtype=torch.float64) / total
    # How many times as probable the features make each class; 1 where they say nothing.
    nothing = data.draw(st.booleans())
    drawn = st.lists(st.floats(0.01, 100), min_size=number, max_size=number)
    likely = torch.tensor([1.0] * number if nothing else data.draw(drawn), dtype=torch.float64)
    posterior = prior * likely / (prior * likely).sum()
    # Menon et al.: scores are the posterior over the prior. Smoothed, all are that much nearer.
    scores = ((1 - smoothing) * posterior / prior + smoothing).log()[None].requires_grad_()
    value = sum(share * loss(scores, torch.tensor([own])) for own, share in enumerate(posterior))
    (slope,) = torch.autograd.grad(value, scores)
    assert float(slope.abs().max()) == pytest.approx(0, abs=1e-6)
    # Beyond what is rounded.
    above = likely[:, None] > likely * (1 + 1e-9)
    assert bool((scores[0][:, None] >= scores[0])[above].all())
    if nothing:
        torch.testing.assert_close(
            scores.softmax(1), torch.full((1, number), 1 / number, dtype=torch.float64)
        )


def test_adjusted_logits_of_soft_targets_are_the_blend_and_of_missing_classes_plain() -> None:
    cfg = LossConfig(label_smoothing=0.1, class_weights="logit_adjustment")
    loss = TrainingLoss(cfg, 4, LABELS)
    assert loss.state_dict() == {}
    scores, labels = torch.randn(8, 4), torch.randint(0, 3, (8,))
    logs = torch.tensor([0.6, 0.25, 0.15, 1.0]).log()
    plain = cross_entropy(scores + logs, labels, reduction="none")
    spread = -((scores + logs).log_softmax(1) * torch.tensor([0.6, 0.25, 0.15, 0.0])).sum(1)
    torch.testing.assert_close(loss(scores, labels), (0.9 * plain + 0.1 * spread).mean())
    other = labels.roll(1)
    blend = (one_hot(labels, 4) + one_hot(other, 4)).float() / 2
    halves = (loss(scores, labels) + loss(scores, other)) / 2
    torch.testing.assert_close(loss(scores, blend), halves)


def test_weighted_and_smoothed_it_is_the_weighted_mean_of_what_torch_says_of_each() -> None:
    cfg = LossConfig(label_smoothing=0.1, class_weights="balanced")
    loss = TrainingLoss(cfg, 3, LABELS)
    scores, labels = torch.randn(8, 3), torch.randint(0, 3, (8,))
    single = cross_entropy(scores, labels, label_smoothing=0.1, reduction="none")
    weights = balanced_weights(torch.from_numpy(LABELS), 3)[labels]
    torch.testing.assert_close(loss(scores, labels), (single * weights).sum() / weights.sum())
    # Half of each of two images.
    other = labels.roll(1)
    blend = (one_hot(labels, 3) + one_hot(other, 3)).float() / 2
    theirs = cross_entropy(scores, other, label_smoothing=0.1, reduction="none")
    expected = (single * weights + theirs * weights.roll(1)) / 2
    torch.testing.assert_close(loss(scores, blend), expected.mean())


def test_the_rare_class_is_predicted_more_often(cfg: Compose) -> None:
    """Two classes that look the same: trained plainly, the model says which is frequent."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [54, 6])
    # One picture for both, so that nothing can be learned by heart.
    images = rng.integers(0, 255, (1, 32, 32, 3), dtype=np.uint8).repeat(60, 0)
    data = ImageSet(images, labels, ("often", "rare"))
    words = (
        *("model.name=test_vit", "+model.kwargs={depth: 1}", "data.img_size=32"),
        *("data.batch_size=20", "loss.label_smoothing=0", "optimizer.lr=1e-2"),
    )

    def share_of_rare(*keys: str) -> float:
        config = cfg(*words, *keys)
        result = fit(config, data, data, max_epochs=3, seed=0, output_dir=None)
        with torch.no_grad():
            scores = result.module(torch.from_numpy(images[:8]).permute(0, 3, 1, 2))
        return float(scores.softmax(1)[:, 1].mean())

    assert share_of_rare() < 0.25
    balanced = "data.sampling=balanced"
    for key in ("loss.class_weights=balanced", "loss.class_weights=logit_adjustment", balanced):
        assert 0.35 < share_of_rare(key) < 0.65, key
