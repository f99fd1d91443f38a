"""Models of shapes alone, for a look at what they are: no memory, no weights, nothing drawn."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

# What first weights are drawn with. On shapes it does nothing, but torch runs clamp, for one,
# through half a millisecond of Python a call, which was a third of the time of a look at a model.
DRAWING = frozenset(
    {
        *(Tensor.normal_, Tensor.uniform_, Tensor.erfinv_, Tensor.clamp_),
        *(nn.init.normal_, nn.init.uniform_, nn.init.kaiming_uniform_),
    }
)
# What gives the shape that it is given. A batch norm of shapes is seven milliseconds of Python, a
# third of the time of a look at a model that has them.
SHAPE_STAYS = frozenset({F.batch_norm, F.layer_norm, F.hardswish, F.relu, F.gelu})


@contextlib.contextmanager
def shapes_alone() -> Iterator[None]:
    """Make tensors without memory, and take nothing from the generator of a run."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"), _Undrawn():
        yield


class _Undrawn(TorchFunctionMode):
    """Leaves out what would change nothing but numbers, of which there are none.

    What torch would refuse it is asked for.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in DRAWING:
            weights: Tensor = args[0] if args else kwargs["tensor"]
            if weights.is_meta:
                return weights
        elif func in SHAPE_STAYS and args[0].is_meta and not _refused(func, args):
            return torch.empty_like(args[0])
        return func(*args, **kwargs)


def _refused(func: Any, args: tuple[Any, ...]) -> bool:
    """Tell whether torch may refuse what a norm is given."""
    shape = args[0].shape
    if func is F.batch_norm:
        means = args[1]
        # One value a channel, in training.
        return bool(shape.numel() <= shape[1] or (means is not None and len(means) != shape[1]))
    if func is F.layer_norm:
        return tuple(shape[-len(args[1]) :]) != tuple(args[1])
    return False
