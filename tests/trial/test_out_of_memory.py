"""A trial that meets the end of the memory goes on in smaller pieces, and later ones know."""

import json
import logging
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import timm
import torch
from omegaconf import DictConfig

from doctune.errors import UserError
from doctune.study.ownership import this_process
from doctune.study.queue import reserve
from doctune.trial import RunningTrial
from src.data.image_set import ImageSet
from src.hardware.memory import GIB
from src.results.advice import advice
from src.results.summary import summarize
from src.training.evaluate import evaluate
from src.training.fit import fit
from src.training.forecast import Foreseen, foresee
from src.training.loggers import open_run_log
from src.trial.out_of_memory import Fitting, is_out_of_memory
from src.trial.quick_validation import cross_validate
from src.trial.worked_sizes import FILE, WorkedSizes
from tests.conftest import Compose

BATCH, EPOCHS, FOLDS = 16, 2, 2
MESSAGE = "CUDA out of memory. Tried to allocate 20.00 MiB."
Limit = Callable[..., list[int]]


@pytest.fixture
def quick(cfg: Compose, tmp_path: Path) -> DictConfig:
    config: DictConfig = cfg(
        *("data.img_size=32", f"data.batch_size={BATCH}", f"quick_validation.epochs={EPOCHS}"),
        *(f"quick_validation.folds={FOLDS}", "logger=none"),
        *("model.name=test_vit", "+model.kwargs={depth: 1}"),
        f"paths.multirun_dir={tmp_path / 'multirun'}",
    )
    return config


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Limit:
    """Return a function that sets how many images a model takes at a time."""
    # Without a card it frees nothing, and looks through all that other tests have imported.
    monkeypatch.setattr("src.trial.out_of_memory.garbage_collection_cuda", lambda: None)

    def set_limit(most: int, scored: int = 10**6, forgiving: int = 0) -> list[int]:
        """Raise above `most` images in training and `scored` in validation, after `forgiving`."""
        seen: list[int] = []
        for kind in (timm.models.VisionTransformer, timm.models.ResNet):
            forward = kind.forward

            def limited(self: Any, images: Any, forward: Any = forward) -> Any:
                seen.append(len(images))
                if len(seen) > forgiving and len(images) > (most if self.training else scored):
                    raise torch.OutOfMemoryError(MESSAGE)
                return forward(self, images)

            monkeypatch.setattr(kind, "forward", limited)
        return seen

    return set_limit


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(direction="maximize")


def run(cfg: DictConfig, data: ImageSet, study: optuna.Study, folder: Path) -> Any:
    """Run a trial; return it as the study has it."""
    trial = RunningTrial(study, reserve(study, this_process()).number, prune=False)
    place = folder / str(trial.number)
    place.mkdir()
    with open_run_log(cfg, place, "study", trial.number) as log_to:
        cross_validate(cfg, data, trial, log_to, place)
    return study.trials[trial.number]


def test_the_trial_ends_as_if_all_had_fitted(
    quick: DictConfig,
    blobs: ImageSet,
    study: optuna.Study,
    tmp_path: Path,
    limit: Limit,
    caplog: pytest.LogCaptureFixture,
) -> None:
    quick.quick_validation.epochs = 1
    whole = run(quick, blobs, study, tmp_path)
    seen = limit(5)
    with caplog.at_level(logging.INFO, "src"):
        cut = run(quick, blobs, study, tmp_path)
    assert cut.state is optuna.trial.TrialState.COMPLETE
    assert cut.intermediate_values == pytest.approx(whole.intermediate_values, abs=0.05)
    assert cut.user_attrs["out_of_memory"] == ["16 images at a time", "8 images at a time"]
    assert cut.user_attrs["micro_batch"] == 4
    assert cut.user_attrs["batch_norm_on_micro_batches"] is False
    assert seen[:2] == [16, 8], "the second fold starts with what worked in the first"
    assert max(seen[2:]) <= 8
    assert "starting again: 4 images go through the model at a time" in caplog.text
    assert "batch norm" not in caplog.text

    seen.clear()
    later = run(quick, blobs, study, tmp_path)
    assert seen[0] == 4, "a later trial starts with what worked"
    assert "out_of_memory" not in later.user_attrs
    assert later.values == pytest.approx(cut.values)
    (said,) = [line for line in advice(summarize(study), {}, confirmed=True) if "memory" in line]
    assert said.startswith("1 trial ran out of memory")
    assert "none was lost" in said


def test_memory_may_run_out_late_and_in_validation(
    quick: DictConfig, blobs: ImageSet, study: optuna.Study, tmp_path: Path, limit: Limit
) -> None:
    # 45 images: two batches and two of validation are an epoch.
    limit(10**6, scored=16, forgiving=6)
    found = run(quick, blobs, study, tmp_path)
    assert found.user_attrs["out_of_memory"] == ["16 images at a time"]
    assert sorted(found.intermediate_values) == list(range(EPOCHS * FOLDS))
    assert found.user_attrs["epochs"] == EPOCHS * FOLDS
    assert found.value == pytest.approx(found.intermediate_values[EPOCHS * FOLDS - 1])


def test_a_model_with_batch_norm_says_so(
    quick: DictConfig,
    blobs: ImageSet,
    study: optuna.Study,
    tmp_path: Path,
    limit: Limit,
    caplog: pytest.LogCaptureFixture,
) -> None:
    quick.model.name, quick.model.kwargs = "test_resnet", {}
    quick.quick_validation.epochs = 1
    limit(8)
    with caplog.at_level(logging.INFO, "src"):
        found = run(quick, blobs, study, tmp_path)
    assert found.user_attrs["batch_norm_on_micro_batches"] is True
    assert "batch norm sees 8 images at a time instead of 16" in caplog.text
    assert any("batch norm" in line for line in advice(summarize(study), {}, confirmed=True))


def test_what_does_not_fit_with_one_image_fails_in_one_line(
    quick: DictConfig, blobs: ImageSet, study: optuna.Study, tmp_path: Path, limit: Limit
) -> None:
    seen = limit(0)
    with pytest.raises(UserError, match=r"^data.img_size=32: test_vit does not fit .*$"):
        run(quick, blobs, study, tmp_path)
    assert seen == [16, 8, 4, 2, 1]
    assert not (tmp_path / "multirun" / FILE).exists()


def test_the_test_split_is_scored_in_smaller_pieces_without_training_again(
    quick: DictConfig, blobs: ImageSet, limit: Limit
) -> None:
    fitting_ = Fitting(quick, 3)
    result = fitting_.fit(lambda cfg: fit(cfg, blobs, blobs, max_epochs=1, seed=0, output_dir=None))
    seen = limit(0, scored=10)
    found = fitting_.run(lambda cfg: evaluate(result, blobs, cfg))
    assert seen[:4] == [32, 16, 8, 8]
    assert sum(sum(row) for row in found.confusion) == len(blobs)


def test_other_errors_are_not_taken_for_it() -> None:
    yes = (
        torch.OutOfMemoryError(MESSAGE),
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"),
        RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"),
        MemoryError(),
    )
    no = (RuntimeError("CUDA error: device-side assert triggered"), ValueError("shape"))
    assert [is_out_of_memory(error) for error in (*yes, *no)] == [True] * 6 + [False] * 2


def test_what_worked_belongs_to_model_size_and_precision(quick: DictConfig, cfg: Compose) -> None:
    WorkedSizes(quick).keep(4, False)
    for key, value in (("model.name", "test_resnet"), ("data.img_size", 48)):
        other = cfg(f"paths.multirun_dir={quick.paths.multirun_dir}", f"{key}={value}")
        assert WorkedSizes(other).find() is None
    found = WorkedSizes(quick).find()
    assert found is not None
    assert [found.helps(size) for size in (3, 4, 5)] == [False, False, True]


def test_a_card_that_was_full_is_tried_again(
    quick: DictConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = 3.0
    monkeypatch.setattr(WorkedSizes, "room_gb", lambda self: room)
    WorkedSizes(quick).keep(4, False)
    assert WorkedSizes(quick).find() is not None
    room = 7.5
    assert WorkedSizes(quick).find() is None


@pytest.mark.parametrize("left", ["", "[]", '{"x": 1', '{"test_vit, 32 px, 32-true, cpu": {}}'])
def test_a_broken_file_is_no_harm(quick: DictConfig, left: str) -> None:
    path = Path(quick.paths.multirun_dir) / FILE
    path.parent.mkdir()
    path.write_text(left)
    assert WorkedSizes(quick).find() is None
    WorkedSizes(quick).keep(2, True)
    assert WorkedSizes(quick).find() is not None


def keep(cfg: DictConfig, number: int) -> None:
    for size in range(10):
        cfg.data.img_size = 100 * number + size
        WorkedSizes(cfg).keep(number, False)


def test_workers_write_it_together(quick: DictConfig) -> None:
    workers = [
        multiprocessing.get_context("fork").Process(target=keep, args=(quick, number))
        for number in (1, 2, 3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    kept = json.loads((Path(quick.paths.multirun_dir) / FILE).read_text())
    assert len(kept) == 30


CARD = ("gpu=rtx3070", "trainer.accelerator=cpu", "trainer.precision=32-true", "logger=none")


def test_a_batch_that_cannot_fit_starts_in_pieces(
    cfg: Compose, blobs: ImageSet, study: optuna.Study, tmp_path: Path
) -> None:
    small = ("model.name=test_vit", "+model.kwargs={depth: 1}", "data.img_size=32")
    words = (*CARD, *small, "gpu.checkpointing=false")
    half = foresee(cfg(*words, "data.batch_size=24"), 3)
    assert half is not None
    config = cfg(
        *(*words, "data.batch_size=48", f"gpu.usable_gb={half.needed / GIB}"),
        *("quick_validation.epochs=1", "quick_validation.folds=2"),
        f"paths.multirun_dir={tmp_path}",
    )
    expected = foresee(config, 3)
    assert expected is not None
    assert expected.micro_batch is not None
    found = run(config, blobs, study, tmp_path)
    assert 1 <= expected.micro_batch <= 24
    assert found.user_attrs["foreseen"]["micro_batch"] == expected.micro_batch
    assert found.user_attrs["micro_batch"] == expected.micro_batch
    assert "out_of_memory" not in found.user_attrs


def test_checkpointing_comes_before_smaller_pieces_where_the_profile_says_so(
    cfg: Compose, tmp_path: Path
) -> None:
    blocks = ("model.name=vit_tiny_patch16_224", "+model.kwargs={depth: 3}")
    words = (*CARD, *blocks, "data.img_size=224", "data.batch_size=48")
    plain = foresee(cfg(*words), 3)
    assert plain is not None
    assert plain == Foreseen(None, False, plain.needed, plain.available)
    small = [f"gpu.usable_gb={plain.needed / GIB - 0.05}"]
    checkpointed = foresee(cfg(*words, *small, "gpu.checkpointing=true"), 3)
    pieces = foresee(cfg(*words, *small, "gpu.checkpointing=false"), 3)
    assert checkpointed is not None
    assert pieces is not None
    assert (checkpointed.micro_batch, checkpointed.checkpointing) == (None, True)
    assert not pieces.checkpointing
    assert pieces.micro_batch
    assert foresee(cfg("gpu=cpu"), 3) is None


def test_an_error_that_was_not_foreseen_switches_checkpointing_on_first(
    quick: DictConfig, blobs: ImageSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick.gpu.checkpointing = True
    tried: list[tuple[int | None, bool]] = []

    def train(cfg: DictConfig) -> Any:
        tried.append((cfg.trainer.micro_batch_size, cfg.model.grad_checkpointing))
        if len(tried) < 3:
            raise torch.OutOfMemoryError(MESSAGE)
        return fit(cfg, blobs, blobs, max_epochs=1, seed=0, output_dir=None)

    Fitting(quick, 3).fit(train)
    assert tried == [(None, False), (None, True), (8, True)]
    tried[:] = [(0, True)] * 2
    Fitting(quick, 3).fit(train)
    assert tried[2:] == [(8, True)]
