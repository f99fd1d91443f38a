"""One run on several cards: what of its batches, strategy and files belongs to each of them.

`src/training/card_rules.py` says what a config may ask of them. Lightning runs the command again
for every further card.
"""

import signal
from typing import Any

import pytorch_lightning as pl
import torch
from omegaconf import DictConfig
from pytorch_lightning.strategies import DDPStrategy, FSDPStrategy, Strategy
from torch import nn
from torch.distributed.fsdp import (
    FullyShardedDataParallel,
    MixedPrecision,
    ShardingStrategy,
)
from torchmetrics import Metric

# Blocks with fewer weights are not worth a message of their own between the cards.
SMALLEST_BLOCK = 100_000


def make_strategy(cfg: DictConfig) -> str | Strategy:
    """Return Lightning's strategy for the `trainer` group."""
    if cfg.devices == 1:
        return str(cfg.strategy)
    if cfg.strategy != "fsdp":
        # Without a second copy of the gradients.
        return DDPStrategy(gradient_as_bucket_view=True)
    return _Sharded()


class _Sharded(FSDPStrategy):
    """Lightning's FSDP, on a CPU as well, so that it can be tried without cards.

    Weights stay float32 and mixed precision is autocast's alone, as on one card.
    """

    def _setup_model(self, model: nn.Module) -> nn.Module:
        wrapped = FullyShardedDataParallel(
            model,
            device_id=self.root_device,
            sharding_strategy=ShardingStrategy.FULL_SHARD,
            auto_wrap_policy=WrapBlocks(),
            mixed_precision=MixedPrecision(),
            # Parameter groups by name.
            use_orig_params=True,
        )
        for part in wrapped.modules():
            if isinstance(part, Metric):
                part.to(self.root_device)
        return wrapped


class WrapBlocks:
    """FSDP's policy: the blocks of a model are gathered one at a time.

    A block is an element of a container. Those are only ever called, while timm iterates over
    containers and reads the weights of single layers, past what FSDP does at a call. The container
    is seen before its elements.
    """

    def __init__(self) -> None:
        self._elements: set[int] = set()

    def __call__(self, module: nn.Module, recurse: bool, nonwrapped_numel: int) -> bool:
        """Tell whether to go into `module`, or where `recurse` is False whether it is a unit."""
        container = isinstance(module, nn.Sequential | nn.ModuleList)
        if recurse:
            if container:
                self._elements.update(map(id, module.children()))
            return True
        return not container and id(module) in self._elements and nonwrapped_numel >= SMALLEST_BLOCK


def clip(trainer: pl.Trainer, optimizer: torch.optim.Optimizer, max_norm: float) -> torch.Tensor:
    """Scale the gradients down to `max_norm`; return their norm before, over all cards."""
    sharded: Any = trainer.strategy.model
    if isinstance(trainer.strategy, FSDPStrategy):
        norm: torch.Tensor = sharded.clip_grad_norm_(max_norm)
        return norm
    # Not the module's, which would be looked for in all its parts, metrics included.
    trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return torch.nn.utils.clip_grad_norm_(trained, max_norm)


def end_others(trainer: pl.Trainer) -> None:
    """End the processes of the other cards, which would wait for this one for ever."""
    kill: Any = getattr(trainer.strategy.launcher, "kill", None)
    if kill is not None:
        kill(signal.SIGKILL)


def leave_group() -> None:
    """Part from the processes of the other cards at the end of a run."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
