"""Counts what every operation allocates, computes and moves; works on real and fake tensors."""

import weakref
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import conv_flop_count, flop_registry

DEVICE = torch.ops.prim.device.default
# CUDA's allocator hands out multiples of this many bytes.
ALLOCATION = 512
# Operations that move no data although they are no views.
STILL = ("empty", "detach", "_unsafe_view", "lift_fresh", "alias")


@dataclass(frozen=True)
class Operation:
    """One operation: its floating-point operations, the bytes it reads and writes."""

    flops: int
    moved: int
    # On float32 or wider, where tensor cores are slower.
    wide: bool
    # Bytes that are allocated after it.
    allocated: int


class Counter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees the operations of forward, backward and optimizer alike.

    A storage counts from the operation that made it until its last reference is gone, which
    is when CUDA's allocator takes it back.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.allocated = 0
        self.operations: list[Operation] = []
        self._sizes: dict[int, int] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Nothing is compiled here, and the guard against it took a tenth of the time."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is DEVICE and isinstance(args[0], FakeTensor):
            # Asked thousands of times; this is what fake tensors answer.
            inside = args[0].fake_mode.in_kernel_invocation
            return torch.device("meta") if inside else args[0].fake_device
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func.namespace == "prim":
            return result
        looks = func.is_view or func._overloadpacket.__name__.startswith(STILL)
        outputs = _tensors(result)
        if not func.is_view:
            for tensor in outputs:
                self._hold(tensor.untyped_storage())
        inputs = [] if looks else _tensors((args, kwargs))
        moved = 0 if looks else sum(map(_bytes, inputs)) + sum(map(_bytes, outputs))
        wide = next((t.dtype.itemsize >= 4 for t in inputs if t.dtype.is_floating_point), True)
        flops = 0 if looks else _flops(func._overloadpacket, args, kwargs, result)
        self.operations.append(Operation(flops, moved, wide, self.allocated))
        return result

    def _hold(self, storage: Any) -> None:
        key = storage._cdata
        if key not in self._sizes:
            self._sizes[key] = -(-int(storage.nbytes()) // ALLOCATION) * ALLOCATION
            self.allocated += self._sizes[key]
            weakref.finalize(storage, self._release, key)

    def _release(self, key: int) -> None:
        self.allocated -= self._sizes.pop(key)


def _tensors(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _bytes(tensor: Tensor) -> int:
    # An expanded tensor is read from less memory than it has elements.
    storage = tensor.untyped_storage()
    return int(min(tensor.numel() * tensor.element_size(), storage.nbytes()))


def _flops(operator: Any, args: Any, kwargs: dict[str, Any], result: Any) -> int:
    count = flop_registry.get(operator)
    if count is None:
        return 0
    if operator is torch.ops.aten.convolution_backward:
        # torch counts grouped convolutions as whole ones here. Either gradient costs as much
        # as the forward pass.
        out, images, weight = (tensor.shape for tensor in args[:3])
        wanted = int(sum(args[-1][:2]))
        return wanted * int(conv_flop_count(images, weight, out, transposed=args[7]))
    return int(count(*args, **kwargs, out_val=result))
