"""What people put into `trainer.kwargs`: right, or refused in a line before anything runs."""

import inspect
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from doctune.errors import UserError
from src.data.image_set import ImageSet
from src.training.fit import fit
from src.training.trainer_arguments import FREE, IN_A_SEARCH, NEVER, OWN, check_trainer_arguments
from tests.conftest import CONF, Compose

# Argument as typed -> what is said of it in a run in full, and in a search; empty: it is right.
TABLE = [
    ("limit_val_batches=1", "", "all images of a fold"),
    ("limit_val_batches=0", "1 or more", "all images of a fold"),
    ("overfit_batches=1", "drawn anew in every epoch", "drawn anew in every epoch"),
    ("fast_dev_run=true", "trainer.max_epochs=1", "a single batch"),
    ("fast_dev_run=false", "", ""),
    ("limit_train_batches=2", "", ""),
    ("limit_train_batches=0.5", "", ""),
    ("limit_train_batches=0", "1 or more", "1 or more"),
    ("limit_test_batches=1", "those of all images", "those of all images"),
    ("limit_predict_batches=1", "leave it out", "leave it out"),
    ("val_check_interval=0.5", "", "at the same step as all others"),
    ("val_check_interval=3", "a share of an epoch", "at the same step"),
    ("check_val_every_n_epoch=2", "", "after every epoch"),
    ("check_val_every_n_epoch=99", "trainer.max_epochs=15", "after every epoch"),
    ("num_sanity_val_steps=2", "", ""),
    ("max_steps=5", "trainer.max_epochs", "trainer.max_epochs"),
    ("min_steps=5", "trainer.max_epochs", "trainer.max_epochs"),
    ("min_epochs=2", "", ""),
    ("max_time=00:01:00:00", "", "optuna.trial_timeout"),
    ("gradient_clip_val=0.5", "callbacks.gradient_clip_norm=1.0", "callbacks.gradient_clip_norm"),
    ("max_epochs=3", "set trainer.max_epochs", "quick_validation.epochs"),
    ("accumulate_grad_batches=2", "trainer.accumulate_grad_batches", "set trainer.accumulate"),
    ("enable_checkpointing=false", "callbacks.checkpoint", "callbacks.checkpoint"),
    ("logger=false", "logger=tensorboard", "logger=tensorboard"),
    ("precision=16-mixed", "set trainer.precision", "set trainer.precision"),
    ("devices=2", "set trainer.devices", "set trainer.devices"),
    ("num_nodes=2", "one machine", "one machine"),
    ("sync_batchnorm=true", "activations", "activations"),
    ("barebones=true", "no scores", "no scores"),
    ("deterministic=true", "", ""),
    ("enable_progress_bar=true", "", ""),
    ("detect_anomaly=true", "", ""),
    ("limit_train_batch=2", "did you mean limit_train_batches?", "did you mean limit_train"),
]


@pytest.fixture(scope="module")
def composed() -> Any:
    """Return the config of `conf/train.yaml`."""
    with initialize_config_dir(CONF):
        return compose("train", ["gpu=cpu"])


@pytest.mark.parametrize(("word", "in_full", "in_search"), TABLE, ids=[row[0] for row in TABLE])
def test_each_is_right_or_refused(composed: Any, word: str, in_full: str, in_search: str) -> None:
    config = composed.copy()
    config.trainer.kwargs = OmegaConf.from_dotlist([word])
    for searched, told in ((False, in_full), (True, in_search)):
        if not told:
            check_trainer_arguments(config, in_search=searched)
            continue
        with pytest.raises(UserError) as error:
            check_trainer_arguments(config, in_search=searched)
        message = str(error.value)
        assert told in message
        assert message.startswith(f"trainer.kwargs.{word.split('=')[0]}=")
        assert "\n" not in message


def test_every_argument_of_lightning_has_its_place() -> None:
    places = [*OWN, *NEVER, *IN_A_SEARCH, *FREE]
    assert len(set(places)) == len(places)
    assert set(places) == set(inspect.signature(pl.Trainer).parameters)


class Watch(pl.Callback):
    """Keeps the learning rate and the gradient of every step."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.gradients: list[torch.Tensor] = []

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
        self.rates.append(optimizer.param_groups[0]["lr"])
        self.gradients.append(pl_module.model.fc.weight.grad.clone())


@pytest.mark.parametrize("limit", ["4", "0.81"])
def test_the_schedule_is_that_of_the_batches_that_are_trained(
    cfg: Compose, blobs: ImageSet, limit: str
) -> None:
    # 90 images are 5 batches, of which 4 are trained, 2 at a step.
    config = cfg(
        *("data.img_size=32", "data.batch_size=16", f"+trainer.kwargs.limit_train_batches={limit}"),
        *("trainer.accumulate_grad_batches=2", "scheduler.warmup_epochs=1", "optimizer.lr=1e-3"),
        "+trainer.kwargs.num_sanity_val_steps=1",
    )
    watch = Watch()
    fit(config, blobs, blobs, max_epochs=3, seed=0, output_dir=None, callbacks=[watch])
    assert len(watch.rates) == 6
    assert watch.rates[:2] == pytest.approx([5e-4, 1e-3])
    assert watch.rates[-1] == pytest.approx(1e-5)


def test_less_than_a_batch_is_told(cfg: Compose, blobs: ImageSet) -> None:
    for word, told in (
        ("limit_train_batches=0.1", "leaves none"),
        ("limit_val_batches=0.01", "0.01"),
    ):
        config = cfg("data.img_size=32", f"+trainer.kwargs.{word}")
        with pytest.raises(UserError, match=told):
            fit(config, blobs, blobs, max_epochs=1, seed=0, output_dir=None)


@pytest.mark.parametrize("micro", ["null", "10"])
def test_the_last_window_of_an_epoch_is_the_mean_of_what_is_in_it(
    cfg: Compose, blobs: ImageSet, micro: str
) -> None:
    """All images equal, so that all batches have one gradient, whatever is accumulated."""
    same = ImageSet(np.repeat(blobs.images[:1], 90, 0), np.zeros(90, np.int64), blobs.classes)
    config = cfg(
        *("data.img_size=32", "data.batch_size=20", "trainer.accumulate_grad_batches=3"),
        *("optimizer=sgd", "optimizer.lr=0", "callbacks.gradient_clip_norm=null"),
        f"trainer.micro_batch_size={micro}",
    )
    watch = Watch()
    fit(config, same, same, max_epochs=2, seed=0, output_dir=None, callbacks=[watch])
    # 4 batches: a window of 3 and one of 1, in each epoch.
    assert len(watch.gradients) == 4
    for gradient in watch.gradients[1:]:
        torch.testing.assert_close(gradient, watch.gradients[0], rtol=1e-3, atol=1e-5)
