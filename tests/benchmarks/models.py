"""A model of every file of timm, made, trained, scored and exported through our own code:

    python -m tests.benchmarks.models [FILE ...] [--fast] [--again] [--docs]

Each trains two steps of two images with what can be searched in it switched on, with and without
gradient checkpointing: weights and running statistics have to be equal bit for bit. What it says
after the last step has to be what the model of a run says again, and what onnxruntime says of its
export (left out with --fast). Apart from that, each thing that is said to be searchable in it has
to change what it says, and each that is said not to must not.

Rows are kept in `outputs/timm_models.jsonl` as they come, so a run that was ended goes on from
there, as one without --fast does from one with it; what failed is tried again, --again begins anew.
`--docs` writes the table of docs/models.md from the rows and trains nothing.
"""

import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from torch import Tensor, nn

from doctune.errors import UserError
from src.before import config as config
from src.data.image_set import ImageSet
from src.hardware import profile as profile
from src.inference.onnx import TOLERANCE, largest_difference, write_onnx
from src.inference.predictor import Predictor
from src.inference.trained_model import TrainedModel
from src.training.abilities import Abilities, abilities
from src.training.backbone import create_backbone
from src.training.config import ModelConfig
from src.training.fit import fit
from src.training.model_notes import check_acting
from src.trial.kept_scores import KeepScores
from tests.benchmarks.model_rows import KEPT, Checked, keep, kept, searched_in, write_docs
from tests.conftest import CONF
from tests.timm_files import SMALLEST

# Seconds of the processor for one model.
LIMIT = 300
# Of files whose smallest model is large, two of its equal blocks.
LESS = {
    "beit_base_patch16_224": {"depth": 2},
    "deepseek_vit_412m": {"depth": 2},
    "gemma4_vit_167m": {"depth": 2},
    "naflexvit_base_patch16_parfac_gap": {"depth": 2},
    "qwen3_vit_88m": {"depth": 2},
    "samvit_base_patch16_224": {"depth": 3},  # the third is the first of its global ones
}


def main(words: Sequence[str]) -> int:
    """Print the table row by row; return how many models have failed."""
    chosen = [word for word in words if not word.startswith("--")] or list(SMALLEST)
    if "--docs" in words:
        write_docs(kept())
        return 0
    if "--again" in words:
        KEPT.unlink(missing_ok=True)
    known = {file: found for file, found in kept().items() if not found.failed}
    failed = 0
    columns = ("timm file", "model", "px", "trains", "checkpointed", "predicts", "onnx", "acts")
    print("| " + " | ".join([*columns, "s", ""]) + " |")
    print("|---" * (len(columns) + 2) + "|", flush=True)
    for file in chosen:
        name, size = SMALLEST[file]
        found = known.get(file, Checked())
        parts = [] if file in known else [_checks]
        parts += [_exports] if found.exports is None and "--fast" not in words else []
        for part in parts:
            found = check(part, name, size, found)
            keep(file, found)
        failed += found.failed
        seen = (found.trains, found.equal, found.predicts, found.exports, found.acts)
        marks = [{True: "yes", False: "NO", None: "-"}[one] for one in seen]
        cells = [file, f"`{name}`", str(size), *marks, f"{found.seconds:.0f}", found.problem]
        print("| " + " | ".join(cells) + " |", flush=True)
    print(f"{failed} of {len(chosen)} failed")
    return failed


Part = Callable[[str, int, Checked], Iterator[Checked]]


def check(part: Part, name: str, size: int, result: Checked) -> Checked:
    """Return what is known with one part of the checks of a model."""
    started = time.process_time()
    try:
        with _limited(LIMIT):
            for seen in part(name, size, result):
                result = seen
    except Exception as error:
        problem = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        result = replace(result, problem=problem[:120])
    return replace(result, seconds=round(result.seconds + time.process_time() - started, 1))


@contextmanager
def _limited(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in what takes the processor longer."""

    def end(*_: Any) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _checks(name: str, size: int, result: Checked) -> Iterator[Checked]:
    """Yield what has been seen so far of all but the export."""
    cfg = ModelConfig(name, kwargs=LESS.get(name, {}))
    found = abilities(cfg, size)
    wrong = list(_not_as_said(cfg, found, size))
    result = replace(result, acts=not wrong, problem=", ".join(wrong))
    result = replace(result, searched=searched_in(name, size))
    yield result
    made, images = compose_for(cfg, size), _images(size)
    plain, scored = _train(made, images)
    result = replace(result, trains=bool(np.isfinite(scored).all()))
    yield result
    if found.checkpointing:
        again = made.copy()
        again.model.grad_checkpointing = True
        other, _ = _train(again, images)
        result = replace(result, equal=all(torch.equal(plain[k], other[k]) for k in plain))
        yield result
    model = TrainedModel(made, images.classes, (), plain)
    with torch.no_grad():
        said = model(torch.from_numpy(images.images).permute(0, 3, 1, 2)).numpy()
    # Other batch sizes round otherwise.
    yield replace(result, predicts=bool(np.abs(said - scored).max() < 2e-3))


def _exports(name: str, size: int, result: Checked) -> Iterator[Checked]:
    """Yield whether onnxruntime says the same; weights as they are made will do."""
    made = compose_for(ModelConfig(name, kwargs=LESS.get(name, {})), size)
    made.model.drop_path_rate = 0.0  # of which each block would have its own
    weights = _stirred(made.model, size).state_dict()
    model = TrainedModel(made, ("a", "b"), (), weights)
    shorten(model.model, torch.zeros(2, 3, size, size))
    predictor = Predictor([model], [1.0], torch.device("cpu"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        write_onnx(predictor, path)
        yield replace(result, exports=largest_difference(predictor, path) <= TOLERANCE)


def shorten(model: nn.Module, images: Tensor) -> None:
    """Leave out blocks that are as the two before them: exporting costs a second for some blocks.

    Args:
        model: is changed where it takes the images, [N, 3, H, W], afterwards as well.
        images: of the size that it takes.
    """
    rows = [row for row in model.modules() if type(row) in (nn.Sequential, nn.ModuleList)]
    for row in rows:
        whole = row._modules
        looks = [repr(block) for block in whole.values()]
        kept = [name for i, name in enumerate(whole) if i < 2 or len({*looks[i - 2 : i + 1]}) > 1]
        if len(kept) == len(whole):
            continue
        row._modules = {name: whole[name] for name in kept}
        try:
            with torch.no_grad():
                model(images)
        except Exception:  # whatever its own code says of a block that is missing
            row._modules = whole


def _not_as_said(cfg: ModelConfig, found: Abilities, size: int) -> Iterator[str]:
    """Yield what a forward of real numbers shows otherwise than the look at shapes."""
    for key, shares in (("drop_path_rate", found.drop_path), ("drop_rate", found.dropout)):
        if shares is None:  # cannot be seen
            continue
        changed: dict[str, Any] = {key: 0.5}
        try:
            model = _stirred(replace(cfg, **changed), size).train()
        except UserError:
            seen = False
        else:
            seen = not torch.equal(*(_scores(model, size, seed) for seed in (0, 1)))
        if seen is not bool(shares or found.fixed_masks):
            yield f"{key} acts: {seen}"
    own, *others = found.poolings or (None,)
    first = _stirred(replace(cfg, pooling=own), size).eval()
    unnamed = _stirred(replace(cfg, pooling=None), size).eval()
    if own is not None and not torch.equal(_scores(first, size), _scores(unnamed, size)):
        yield f"its own pooling is not {own}"
    for kind in others:
        other = _stirred(replace(cfg, pooling=kind), size).eval()
        other.load_state_dict(first.state_dict(), strict=False)
        if torch.equal(_scores(first, size), _scores(other, size)):
            yield f"pooling {kind} is {own}"
    odd = replace(cfg, layer_scale=0.0123)
    try:
        check_acting(odd, size)
        filled = any(bool((p == 0.0123).all()) for p in create_backbone(odd, 2, size).parameters())
    except UserError:
        filled = False
    if filled is not bool(found.layer_scale):
        yield f"layer scale acts: {filled}"


def _stirred(cfg: ModelConfig, size: int) -> nn.Module:
    """Make a model without weights of 0, which would hide what happens before them."""
    torch.manual_seed(0)
    model = create_backbone(cfg, 2, size)
    # Drawing millions is slow; no row of a matrix is as long, so that none are equal.
    noise = 0.02 * torch.randn(65537, generator=torch.Generator().manual_seed(0))
    for parameter in model.parameters():
        count = parameter.numel()
        parameter.data += noise.repeat(count // len(noise) + 1)[:count].view_as(parameter)
    return model


def _scores(model: nn.Module, size: int, seed: int = 0) -> Tensor:
    """Return scores [2, 2] of images of noise, with random masks from a seed."""
    images = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(seed)
    with torch.no_grad():
        scores: Tensor = model(images)
    return scores


def compose_for(cfg: ModelConfig, size: int) -> DictConfig:
    """Return the config of a run with all on that can be searched in a model."""
    found = abilities(cfg, size)
    rates = [
        f"model.{key}=0.1"
        for key, acting in (("drop_path_rate", found.drop_path), ("drop_rate", found.dropout))
        if acting
    ]
    pooling = f"model.pooling={found.poolings[-1]}" if found.poolings else "model.pooling=null"
    own = [f"+model.kwargs.{key}={value}" for key, value in cfg.kwargs.items()]
    with initialize_config_dir(CONF):
        return compose(
            "train",
            [
                *("gpu=cpu", f"model.name={cfg.name}", f"data.img_size={size}"),
                *("data.batch_size=2", "logger=none", "callbacks.progress=false"),
                *(pooling, *rates, *own),
            ],
        )


def _images(size: int) -> ImageSet:
    labels = np.arange(4) % 2
    images = np.random.default_rng(0).integers(0, 255, (4, size, size, 3), dtype=np.uint8)
    return ImageSet(images, labels, ("a", "b"))


def _train(cfg: DictConfig, images: ImageSet) -> tuple[dict[str, torch.Tensor], Any]:
    """Return the weights after two steps, and the probabilities [N, C] of all images."""
    kept = KeepScores()
    done = fit(cfg, images, images, max_epochs=1, seed=0, output_dir=None, callbacks=[kept])
    return done.module.model.state_dict(), np.exp(kept.scores())


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
