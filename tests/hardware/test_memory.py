"""Counted memory against real runs on this machine's CPU, and against published ones on a GPU."""

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from timm.layers import set_fused_attn  # type: ignore[attr-defined]
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.profiler import ProfilerActivity, profile

from src.hardware import memory
from src.hardware.config import GpuConfig
from src.hardware.counted_step import CountedStep, StepKind, as_fake, count_steps, loss_of
from src.hardware.counter import Counter
from src.hardware.cuda_rules import cuda_rules
from src.hardware.footprint import Footprint, count_footprint
from src.hardware.speed import step_time

FAMILIES = ["test_resnet", "test_convnext", "test_vit", "test_efficientnet"]
SIDE, BATCH, CLASSES = 160, 8, 5

# Blocks that are alike are counted alike.
FEWER: dict[str, dict[str, Any]] = {
    "test_vit": {"depth": 2},
    "test_convnext": {"depths": (1, 1, 2, 1)},
}

Make = Callable[[], nn.Module]


def maker(name: str, checkpointing: bool = False, classes: int = CLASSES, **kwargs: Any) -> Make:
    def make() -> nn.Module:
        blocks = {**FEWER.get(name, {}), **kwargs}
        model: nn.Module = timm.create_model(name, num_classes=classes, **blocks)
        if checkpointing:
            model.set_grad_checkpointing(True)  # type: ignore[operator]
        return model

    return make


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)


def count(make: Make, kind: StepKind, batch: int = BATCH) -> CountedStep:
    return count_steps(make, sgd, kind, (batch,))[0]


def batch_of(kind: StepKind) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = torch.zeros(BATCH, SIDE, SIDE, 3, dtype=torch.uint8)
    return pixels.permute(0, 3, 1, 2), torch.zeros(BATCH, dtype=torch.long)


def really_saved(make: Make, kind: StepKind) -> int:
    """Return the bytes that a real forward pass leaves, each storage once."""
    model = make().train().to(memory_format=torch.channels_last)
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    images, labels = batch_of(kind)
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = loss_of(model, images, labels, kind)
    for tensor in (images, labels, loss):
        pack(tensor)
    return sum(kept.values())


def real_peak(make: Make, kind: StepKind) -> int:
    """Return the most bytes at a time, above weights, by PyTorch's own allocation events."""
    model = make().train().to(memory_format=torch.channels_last)
    images, labels = batch_of(kind)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        images, labels = batch_of(kind)
        loss_of(model, images, labels, kind).backward()  # type: ignore[no-untyped-call]
    assert profiler.profiler is not None
    events = profiler.profiler.kineto_results.events()
    now = most = 0
    for event in sorted((e for e in events if e.name() == "[memory]"), key=lambda e: e.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most


ALL_WAYS = [("32-true", False), ("bf16-mixed", False), ("32-true", True)]
# Of one family all ways; the peak is that of a real step in all families.
LONGER = {(name, *way) for name in ("test_convnext", "test_efficientnet") for way in ALL_WAYS}
LONGER.add(("test_resnet", "bf16-mixed", False))


@pytest.mark.parametrize(
    ("name", "precision", "checkpointing"),
    [
        pytest.param(*row, marks=[pytest.mark.thorough] if row in LONGER else [])
        for row in ((name, *way) for name in FAMILIES for way in ALL_WAYS)
    ],
)
def test_what_forward_leaves_is_what_a_real_one_leaves(
    name: str, precision: str, checkpointing: bool
) -> None:
    kind = StepKind(SIDE, CLASSES, precision, on_cuda=False)
    make = maker(name, checkpointing)
    assert count(make, kind).saved == pytest.approx(really_saved(make, kind), rel=0.01)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_peak_is_that_of_a_real_step(name: str) -> None:
    kind = StepKind(SIDE, CLASSES, clip=False, on_cuda=False)
    counted = count(maker(name), kind)
    static = counted.weights + counted.gradients + counted.optimizer
    assert counted.peak - static == pytest.approx(real_peak(maker(name), kind), rel=0.08)


@pytest.mark.parametrize(
    "name", [pytest.param("test_resnet", marks=pytest.mark.thorough), "test_vit"]
)
def test_it_is_a_line_in_the_batch_size(name: str) -> None:
    kind = StepKind(SIDE, CLASSES, "16-mixed", mixup=True)
    small, large, other = count_steps(maker(name), sgd, kind, (8, 16, 43))
    footprint = Footprint(small, large)
    assert footprint.peak(43) == pytest.approx(other.peak, rel=0.002)
    assert footprint.saved(43) == pytest.approx(other.saved, rel=0.002)
    assert footprint.work(43)[0].sum() == pytest.approx(sum(o.flops for o in other.operations))


@pytest.mark.skipif(torch.version.cuda is None, reason="PyTorch was built without CUDA")
@pytest.mark.parametrize(
    "name",
    [
        *("test_resnet", "test_efficientnet_ln"),
        # Layers of the kinds of those before them.
        pytest.param("test_convnext", marks=pytest.mark.thorough),
        pytest.param("test_maxvit", marks=pytest.mark.thorough),
    ],
)
def test_the_rules_for_cuda_are_those_of_pytorch(name: str) -> None:
    """Autocast on fake CUDA tensors is PyTorch's own; forward runs there without a card."""
    kind = StepKind(SIDE, CLASSES, "16-mixed")
    # Which attention kernel a card takes PyTorch asks the card.
    set_fused_attn(False)
    with torch.device("meta"):
        shapes = maker(name)()
    set_fused_attn(True)
    found = {}
    for device in ("cpu", "cuda"):
        with FakeTensorMode(), torch.device(device), Counter() as counter:
            model = as_fake(shapes, kind)
            images = torch.empty(BATCH, SIDE, SIDE, 3).permute(0, 3, 1, 2)
            before = counter.allocated
            torch.set_autocast_enabled(device, True)
            torch.set_autocast_dtype(device, torch.float16)
            torch.autocast_increment_nesting()
            try:
                with cuda_rules() if device == "cpu" else torch.enable_grad():
                    scores = model(images)
            finally:
                torch.autocast_decrement_nesting()
                torch.clear_autocast_cache()
                torch.set_autocast_enabled(device, False)
            found[device] = (scores.dtype, counter.allocated - before)
    assert found["cpu"][0] == found["cuda"][0] == torch.float16
    # cuDNN's batch norm keeps a few bytes of its own.
    assert found["cpu"][1] == pytest.approx(found["cuda"][1], rel=1e-3)


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        # Its windows keep their scores as those of the next one do.
        pytest.param("twins_svt_small", {"depths": (2, 1, 1, 1)}, marks=pytest.mark.thorough),
        ("samvit_base_patch16", {"depth": 2, "global_attn_indexes": (1,)}),
    ],
)
def test_attention_over_windows_or_without_heads_is_counted(
    name: str, blocks: dict[str, Any]
) -> None:
    """No fused kernel of CUDA takes such queries, so the matrix of scores is kept."""
    make = maker(name, img_size=224, **blocks)
    step = count(make, StepKind(224, CLASSES, "16-mixed"), batch=1)
    assert 0 < step.saved < step.peak


def test_what_a_model_keeps_from_its_first_step_is_there_in_both_counted() -> None:
    # One of its blocks with positions and one without.
    make = maker("convit_tiny", depth=2, local_up_to_layer=1)
    found = count_footprint(make, sgd, StepKind(224, CLASSES, "16-mixed"))
    assert found.peak(16) > found.peak(8)


def test_checkpointing_and_half_precision_take_less() -> None:
    def saved(precision: str, checkpointing: bool) -> int:
        return count(maker("test_vit", checkpointing), StepKind(SIDE, CLASSES, precision)).saved

    assert saved("16-mixed", False) < 0.75 * saved("32-true", False)
    assert saved("16-mixed", True) < 0.5 * saved("16-mixed", False)


def test_weights_gradients_and_state_are_counted_exactly() -> None:
    size = sum(p.numel() for p in maker("test_resnet")().parameters()) * 4
    kind = StepKind(SIDE, CLASSES)
    fused = count_steps(
        maker("test_resnet"), lambda m: torch.optim.AdamW(m.parameters(), fused=True), kind, (8,)
    )[0]
    assert fused.gradients == pytest.approx(size, rel=0.02)
    assert fused.optimizer == pytest.approx(2 * size, rel=0.04)
    assert size < fused.weights < 1.1 * size


# timm's training benchmark on an RTX 3090 (results/benchmark-train-amp-nhwc-pt112-cu113-rtx3090
# of its repository): SGD, mixed precision; the largest of its batch sizes that ran, the next one
# that ran out of memory, and images a second.
PUBLISHED = [
    ("efficientnet_b3", 288, 128, 192, 572),
    ("convnext_base", 224, 128, 192, 339),
]
RTX3090 = GpuConfig(memory_gb=24, usable_gb=23.69, tflops=71, tflops_float32=35.6, bandwidth_gb=936)


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "side", "ran", "too_large", "speed"), PUBLISHED)
def test_published_runs_on_a_real_card(
    name: str, side: int, ran: int, too_large: int, speed: int
) -> None:
    kind = StepKind(side, 1000, "16-mixed", clip=False)
    footprint = count_footprint(maker(name, classes=1000), sgd, kind)
    limit = memory.available(RTX3090)
    assert ran <= memory.largest_batch(footprint, limit, 1024) < too_large
    assert ran / step_time(footprint, ran, RTX3090).train == pytest.approx(speed, rel=0.25)


def test_the_largest_batch_just_fits() -> None:
    footprint = count_footprint(maker("test_resnet"), sgd, StepKind(SIDE, CLASSES))
    limit = memory.needed(footprint, 100) + 1000
    assert memory.largest_batch(footprint, limit, 10**6) == 100
    assert memory.largest_batch(footprint, limit, 64) == 64
    assert memory.largest_batch(footprint, 10**6, 64) == 0


def test_trials_that_share_a_card_share_its_memory() -> None:
    card = GpuConfig(memory_gb=10, usable_gb=9.78)
    assert memory.available(card) == 9.78 * memory.GIB
    assert memory.available(GpuConfig(memory_gb=10, trials_per_device=2)) == 5 * memory.GIB
    assert memory.available(GpuConfig()) == float("inf")
