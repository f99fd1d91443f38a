"""What CUDA does differently from a CPU, for steps that are counted on fake CPU tensors.

Autograd refuses to run backward on fake CUDA tensors where there is no card, so steps are
counted on fake CPU tensors. Two rules of CUDA matter for memory there and are applied here:

* autocast: which operations run in float32 is CUDA's list (PyTorch's docs, torch.amp, "CUDA Ops
  that can autocast to float32"); a CPU keeps normalisation and softmax in 16 bits;
* attention: in 16 bits it runs as one memory-efficient kernel, which keeps no matrix of scores, for
  queries [B, H, L, D].
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
import torch.utils.checkpoint
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

HALVES = (torch.float16, torch.bfloat16)

# Those of the list that image models call.
IN_FLOAT32: frozenset[Callable[..., Any]] = frozenset(
    (
        *(F.layer_norm, F.group_norm, F.softmax, F.log_softmax, F.cross_entropy, F.nll_loss),
        *(F.softplus, F.cosine_similarity, F.binary_cross_entropy_with_logits, F.normalize),
        *(torch.layer_norm, torch.group_norm, torch.softmax, torch.log_softmax, torch.norm),
        *(torch.exp, torch.log, torch.pow, torch.rsqrt, torch.reciprocal, torch.cumsum),
        *(torch.sum, torch.prod, torch.cdist, torch.logsumexp, torch.linalg.vector_norm),
        *(Tensor.softmax, Tensor.log_softmax, Tensor.exp, Tensor.log, Tensor.pow),
        *(Tensor.rsqrt, Tensor.reciprocal, Tensor.cumsum, Tensor.sum, Tensor.prod, Tensor.norm),
        *(Tensor.logsumexp, Tensor.__pow__),
    )
)


@contextlib.contextmanager
def cuda_rules() -> Iterator[None]:
    """Apply the rules, in blocks that checkpointing runs again as well.

    Backward runs without the modes that were on when it started, so checkpointing is told to
    bring this one along.
    """
    checkpoint = torch.utils.checkpoint.checkpoint

    def with_rules(*args: Any, use_reentrant: bool = False, **kwargs: Any) -> Any:
        if not use_reentrant:
            kwargs.setdefault("context_fn", lambda: (contextlib.nullcontext(), CudaRules()))
        return checkpoint(*args, use_reentrant=use_reentrant, **kwargs)

    with mock.patch.object(torch.utils.checkpoint, "checkpoint", with_rules), CudaRules():
        yield


class CudaRules(TorchFunctionMode):
    """While autocast is on, calls run in the precision and kernel that CUDA takes."""

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if not torch.is_autocast_enabled("cpu"):
            return func(*args, **kwargs)
        if func is F.scaled_dot_product_attention:
            return _attention(*args, **kwargs)
        if func in IN_FLOAT32:
            with torch.autocast("cpu", enabled=False):
                return func(
                    *map(_to_float32, args), **{k: _to_float32(v) for k, v in kwargs.items()}
                )
        return func(*args, **kwargs)


def _to_float32(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.dtype in HALVES else value


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    **_: Any,
) -> Tensor:
    if query.ndim != 4:
        # Without a dimension of heads, or with one of windows, no fused kernel takes it.
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask, dropout_p, is_causal, scale=scale
        )
    dtype = torch.get_autocast_dtype("cpu")
    query, key, value = (tensor.to(dtype) for tensor in (query, key, value))
    if attn_mask is not None:
        # Of a mask of booleans or of another precision the kernel takes a copy of its own.
        shape = (*query.shape[:-1], key.shape[-2])
        attn_mask = attn_mask.to(dtype).expand(shape)
    output: Tensor = torch.ops.aten._scaled_dot_product_efficient_attention(
        query, key, value, attn_mask, True, dropout_p, is_causal, scale=scale
    )[0]
    return output
