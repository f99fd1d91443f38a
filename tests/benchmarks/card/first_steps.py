"""How long the first step of each new shape takes, and those that follow, in one process.

A search changes the batch size from trial to trial. cuDNN chooses, and for depthwise
convolutions compiles, a plan for each new shape; how the convolutions are run decides what that
costs:

* own depthwise: channels last, with PyTorch's own kernels for the depthwise ones
  (`trainer.depthwise=torch`);
* channels last: cuDNN for all of them;
* contiguous: the same, with images and weights as [B, C, H, W].

A bare loop in bfloat16, so that nothing else is in the figures. `graph` is a whole step recorded
as a CUDA graph and played again.
"""

import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import timm
import torch
from torch import Tensor, nn

from src.training.depthwise import use_own_kernels
from tests.benchmarks.card.parts import Row

MODELS = ("tf_efficientnet_lite0", "convnext_tiny")
SIDE, CLASSES, LATER = 224, 12, 8
# What is run one after the other: training steps, and scoring without gradients.
SHAPES = (("train", 64), ("train", 96), ("train", 64), ("score", 128))
TINY = ("test_efficientnet",)
TINY_SHAPES = (("train", 4), ("train", 2), ("score", 3))


def rows(tiny: bool, limit: float) -> Iterator[Row]:
    """Yield a row for each model, way and shape."""
    device = torch.device("cpu" if tiny else "cuda")
    models, side, shapes = (TINY, 32, TINY_SHAPES) if tiny else (MODELS, SIDE, SHAPES)
    # What the first step of a process costs is no matter of shapes.
    started = time.perf_counter()
    Loop("test_resnet", 64, device).step("train", 8)
    yield {"model": "any", "way": "first of a process", "first s": time.perf_counter() - started}
    for way, prepare in WAYS.items():
        for name in models:
            loop = Loop(name, side, device, prepare)
            for kind, batch in shapes:
                yield {"model": name, "way": way, **loop.measure(kind, batch)}
            del loop
    if tiny:
        return
    for way, prepare in WAYS.items():
        loop = Loop(models[0], side, device, prepare)
        try:
            found = loop.graph(64)
        except RuntimeError as error:
            found = {"first s": 0.0, "why not": str(error).splitlines()[0]}
        yield {"model": models[0], "way": way, "shape": "graph 64", **found}


class Loop:
    """A model with its optimizer, and steps of any shape."""

    def __init__(
        self,
        name: str,
        side: int,
        device: torch.device,
        prepare: Callable[[nn.Module], nn.Module] = lambda model: model,
    ) -> None:
        self.device, self._side = device, side
        model: Any = timm.create_model(name, num_classes=CLASSES)
        self._model = prepare(model.to(device)).train()
        self._optimizer = torch.optim.AdamW(self._model.parameters(), 1e-3, fused=True)

    def measure(self, kind: str, batch: int) -> Row:
        first = self.step(kind, batch)
        later = [self.step(kind, batch) for _ in range(LATER)]
        return {"shape": f"{kind} {batch}", "first s": first, "later ms": 1000 * median(later)}

    def step(self, kind: str, batch: int) -> float:
        """Return the seconds of a step on random images."""
        images = torch.rand(batch, 3, self._side, self._side, device=self.device)
        self.wait()
        began = time.perf_counter()
        if kind == "train":
            self.train(images)
        else:
            with torch.no_grad():
                self._model.eval()
                self._scores(images)
                self._model.train()
        self.wait()
        return time.perf_counter() - began

    def graph(self, batch: int) -> Row:
        """Record a training step as a CUDA graph; return how long playing it takes."""
        images = torch.rand(batch, 3, self._side, self._side, device=self.device)
        self._optimizer = torch.optim.AdamW(
            self._model.parameters(), 1e-3, fused=True, capturable=True
        )
        side: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.train(images)
        torch.cuda.current_stream().wait_stream(side)
        began = time.perf_counter()
        recorded = torch.cuda.CUDAGraph()
        with torch.cuda.graph(recorded):
            self.train(images)
        self.wait()
        first, later = time.perf_counter() - began, []
        for _ in range(LATER):
            began = time.perf_counter()
            recorded.replay()
            self.wait()
            later.append(time.perf_counter() - began)
        return {"first s": first, "later ms": 1000 * median(later)}

    def train(self, images: Tensor) -> None:
        labels = torch.zeros(len(images), dtype=torch.long, device=self.device)
        loss = nn.functional.cross_entropy(self._scores(images), labels)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()

    def _scores(self, images: Tensor) -> Tensor:
        weight = next(p for p in self._model.parameters() if p.ndim == 4)
        if weight.is_contiguous(memory_format=torch.channels_last):
            images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, cache_enabled=False):
            scores: Tensor = self._model(images)
        return scores.float()

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()


def own_depthwise(model: nn.Module) -> nn.Module:
    use_own_kernels(model)
    return channels_last(model)


def channels_last(model: nn.Module) -> nn.Module:
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


WAYS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "own depthwise": own_depthwise,
    "channels last": channels_last,
    "contiguous": lambda model: model,
}
