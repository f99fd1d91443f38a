"""Training that fits into memory: foreseen, remembered from earlier trials, or found by halving.

A batch that does not fit goes through the model in pieces whose gradients add up, so that the
effective batch and the schedule stay the same.
"""

import copy
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from omegaconf import DictConfig
from pytorch_lightning.utilities.memory import garbage_collection_cuda, is_oom_error

from doctune.errors import UserError
from src.hardware.memory import GIB
from src.training.backbone import check_backbone
from src.training.batch_norm import has_batch_norm
from src.training.card_rules import card_batch, is_sharded
from src.training.fit import FitResult
from src.training.forecast import foresee
from src.trial.worked_sizes import WorkedSizes

log = logging.getLogger(__name__)

T = TypeVar("T")
Note = Callable[[str, Any], None]

# Names under which a trial keeps what happened; the report reads them.
FORESEEN, OUT_OF_MEMORY = "foreseen", "out_of_memory"


class Fitting:
    """Runs the parts of a job, each again in smaller pieces when memory runs out.

    Args:
        cfg: the job's config; what is run gets a copy with `trainer.micro_batch_size` and
            `model.grad_checkpointing` set.
        num_classes: C.
        note: keeps a fact with the trial.
    """

    def __init__(self, cfg: DictConfig, num_classes: int, note: Note = lambda name, value: None):
        self._cfg = copy.deepcopy(cfg)
        self._note = note
        self._ran_out: list[str] = []
        self._sizes = WorkedSizes(cfg)
        # What a card holds of a sharded model is not foreseen.
        if cfg.trainer.micro_batch_size is None and not is_sharded(cfg):
            self._start(num_classes)

    def _start(self, num_classes: int) -> None:
        size = card_batch(self._cfg)
        # With several cards all must do the same, and what each has free may differ.
        worked = self._sizes.find() if self._cfg.trainer.devices == 1 else None
        if worked is not None and worked.helps(size):
            self._set(worked.micro_batch, worked.checkpointing)
            log.info(
                "%s, as earlier trials with this model and image size found out", self._in_words()
            )
            return
        found = foresee(self._cfg, num_classes)
        if found is None:
            return
        fits = found.needed <= found.available
        kept = {"micro_batch": found.micro_batch, "checkpointing": found.checkpointing}
        self._note(FORESEEN, {"fits": fits, **kept})
        if not fits:
            self._set(found.micro_batch, found.checkpointing)
            log.info(
                "a batch of %d at %d px needs %.1f of the %.1f GB that a trial has on gpu=%s: %s",
                size,
                self._cfg.data.img_size,
                found.needed / GIB,
                found.available / GIB,
                self._cfg.gpu.name,
                self._in_words(),
            )

    def fit(self, train: Callable[[DictConfig], FitResult]) -> FitResult:
        """Train, and note with the trial what was done so that it fits."""
        result = self.run(train)
        if self._cfg.model.grad_checkpointing:
            self._note("grad_checkpointing", True)
        if self._images < card_batch(self._cfg):
            self._note("micro_batch", self._images)
            self._note("batch_norm_on_micro_batches", has_batch_norm(result.module.model))
        return result

    def run(self, work: Callable[[DictConfig], T]) -> T:
        """Run something with a config that fits, from its beginning again whenever it did not.

        Raises:
            UserError: it does not fit with one image at a time.
        """
        tried_again = False
        while True:
            try:
                result = work(self._cfg)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._make_smaller(error)
            else:
                if tried_again:
                    self._sizes.keep(self._images, self._cfg.model.grad_checkpointing)
                return result
            # Only now has the error let go of the model.
            garbage_collection_cuda()
            tried_again = True

    @property
    def _images(self) -> int:
        """Images at a time."""
        size = card_batch(self._cfg)
        return min(size, self._cfg.trainer.micro_batch_size or size)

    def _make_smaller(self, error: BaseException) -> None:
        images = self._images
        self._ran_out.append(f"{images} images at a time")
        self._note(OUT_OF_MEMORY, self._ran_out)
        if self._cfg.trainer.devices > 1:
            raise self._on_several_cards() from error
        if self._may_checkpoint():
            self._set(self._cfg.trainer.micro_batch_size, True)
        elif images > 1:
            self._set((images + 1) // 2, self._cfg.model.grad_checkpointing)
        else:
            side, name = self._cfg.data.img_size, self._cfg.model.name
            raise UserError(
                f"data.img_size={side}: {name} does not fit into memory even with one image at a "
                "time; take smaller images or a smaller model"
            ) from error
        log.warning(
            "out of memory with %s; starting again: %s", self._ran_out[-1], self._in_words()
        )

    def _on_several_cards(self) -> UserError:
        """Tell what to do: one card cannot start again without the others."""
        ways = "lower data.batch_size and raise trainer.accumulate_grad_batches"
        if not is_sharded(self._cfg):
            half = max(1, self._images // 2)
            ways = f"give trainer.micro_batch_size={half}, or trainer.strategy=fsdp"
        if not self._cfg.model.grad_checkpointing:
            ways += ", or model.grad_checkpointing=true"
        return UserError(
            f"data.batch_size={self._cfg.data.batch_size}: out of memory with "
            f"{self._images} images on each of trainer.devices={self._cfg.trainer.devices} cards; "
            f"{ways}"
        )

    def _may_checkpoint(self) -> bool:
        if self._cfg.model.grad_checkpointing or not self._cfg.gpu.checkpointing:
            return False
        changed = copy.deepcopy(self._cfg.model)
        changed.grad_checkpointing = True
        try:
            check_backbone(changed, self._cfg.data.img_size)
        except UserError:
            return False
        return True

    def _set(self, micro_batch: int | None, checkpointing: bool) -> None:
        self._cfg.trainer.micro_batch_size = micro_batch
        self._cfg.model.grad_checkpointing = checkpointing

    def _in_words(self) -> str:
        ways = [f"{self._images} images go through the model at a time"]
        if self._cfg.model.grad_checkpointing:
            ways.append("with gradient checkpointing")
        return " ".join(ways)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory ran out, of a card or of the machine."""
    # MPS, and CUDA outside of PyTorch's allocator, say it in words alone.
    return (
        isinstance(error, (torch.OutOfMemoryError, MemoryError))
        or is_oom_error(error)
        or "out of memory" in str(error).lower()
        or "alloc_failed" in str(error).lower()
    )
