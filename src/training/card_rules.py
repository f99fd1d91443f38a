"""What a config may ask of several cards, checked without torch, before anything runs.

`data.batch_size` stays the batch of an optimizer step, over all cards together, so that what was
found on one card holds on several.
"""

import os
import sys

from omegaconf import DictConfig

from doctune.errors import UserError

STRATEGIES = ("auto", "ddp", "fsdp")
# They treat every weight by itself; others take norms of tensors, of which a card has a part.
ELEMENTWISE = ("adam", "adamw", "nadam", "nadamw", "radam", "lion", "rmsprop", "sgd", "momentum")
# Where Lightning, Slurm and their like say which of the processes this is.
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK")


def is_first() -> bool:
    """Tell whether this process is the one that writes files and prints."""
    if "pytorch_lightning" in sys.modules:
        from lightning_utilities.core.rank_zero import rank_zero_only

        return not getattr(rank_zero_only, "rank", 0)
    # As Lightning will read it.
    return not int(next((os.environ[name] for name in RANKS if name in os.environ), 0))


def train_alone(cfg: DictConfig) -> None:
    """Have a training on one card take no part in the allocation of a cluster that it runs in.

    Slurm numbers the tasks of an allocation, which Lightning takes for processes of one training.

    Args:
        cfg: the whole config.
    """
    if cfg.trainer.devices == 1:
        from lightning_utilities.core.rank_zero import rank_zero_only

        for name in RANKS:
            os.environ.pop(name, None)
        # Lightning's own way to set it, which its types leave out.
        vars(rank_zero_only)["rank"] = 0


def card_batch(cfg: DictConfig) -> int:
    """Return how many images of a batch one card trains on."""
    return int(cfg.data.batch_size) // int(cfg.trainer.devices)


def is_sharded(cfg: DictConfig) -> bool:
    """Tell whether the weights themselves are shared out."""
    return bool(cfg.trainer.strategy == "fsdp")


def check_several_cards(cfg: DictConfig) -> None:
    """Refuse what several cards would get wrong.

    Raises:
        UserError: names the key, the value and what to do.
    """
    cards, size, strategy = cfg.trainer.devices, cfg.data.batch_size, cfg.trainer.strategy
    if strategy not in STRATEGIES:
        raise UserError(f"trainer.strategy={strategy}: choose {', '.join(STRATEGIES)}")
    if size % cards:
        below = size // cards * cards
        near = f"{below} or {below + cards}" if below else cards
        raise UserError(
            f"data.batch_size={size}: is the batch of all trainer.devices={cards} cards together, "
            f"which cannot share it evenly; take {near}"
        )
    if is_sharded(cfg):
        _check_sharded(cfg)


def _check_sharded(cfg: DictConfig) -> None:
    """Refuse what weights that are shared out cannot do."""
    if cfg.trainer.devices == 1:
        raise UserError(
            "trainer.strategy=fsdp: shares one model out over several cards; give "
            "trainer.devices=2 or more, or leave it at auto"
        )
    if cfg.optimizer.name not in ELEMENTWISE:
        raise UserError(
            f"optimizer.name={cfg.optimizer.name}: is not safe with trainer.strategy=fsdp, where "
            f"a card has a part of each weight; choose {', '.join(ELEMENTWISE)}"
        )
    if cfg.trainer.micro_batch_size is not None:
        raise UserError(
            f"trainer.micro_batch_size={cfg.trainer.micro_batch_size}: does not go with "
            "trainer.strategy=fsdp; lower data.batch_size and raise "
            "trainer.accumulate_grad_batches instead"
        )
    for key, given, wanted in (
        ("trainer.compile", cfg.trainer.compile, False),
        ("callbacks.checkpoint", cfg.callbacks.checkpoint, True),
    ):
        if given != wanted:
            raise UserError(
                f"{key}={str(given).lower()}: does not go with trainer.strategy=fsdp; set it to "
                f"{str(wanted).lower()}"
            )
