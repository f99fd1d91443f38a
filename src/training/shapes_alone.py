"""Models of shapes alone, for a look at what they are: no memory, no weights, nothing drawn."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

# What first weights are drawn with. On shapes it does nothing, but torch runs clamp, for one,
# through half a millisecond of Python a call, which was a third of the time of a look at a model.
DRAWING = frozenset({Tensor.normal_, Tensor.uniform_, Tensor.erfinv_, Tensor.clamp_})


@contextlib.contextmanager
def shapes_alone() -> Iterator[None]:
    """Make tensors without memory, and take nothing from the generator of a run."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    """Leaves out what would change nothing but numbers, of which there are none."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in DRAWING and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))
