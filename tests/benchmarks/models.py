"""A model of every file of timm, made, trained, scored and exported through our own code:

    python -m tests.benchmarks.models [FILE ...] [--fast] [--table]

Each trains two steps with what can be searched in it switched on, with and without gradient
checkpointing: weights and running statistics have to be equal bit for bit. What it says after the
last step has to be what the model of a run says again, and what onnxruntime says of its export
(left out with --fast). Models of more than 150 million parameters are looked at, not trained.
`--table` prints what can be searched in each, as in docs/models.md, and trains nothing.
"""

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from src.before import config as config
from src.data.image_set import ImageSet
from src.hardware import profile as profile
from src.inference.onnx import TOLERANCE, largest_difference, write_onnx
from src.inference.predictor import Predictor
from src.inference.trained_model import TrainedModel
from src.training.abilities import abilities
from src.training.config import ModelConfig
from src.training.fit import fit
from src.training.model_notes import in_words
from src.trial.out_of_fold import KeepScores
from tests.conftest import CONF

MOST_PARAMETERS = 150e6
# A timm file's smallest model, and the smallest of 64 px, 96 px and its own size that it takes.
FAMILIES: dict[str, tuple[str, int]] = {
    "beit": ("beit_base_patch16_224", 224),
    "byoanet": ("halonet_h1", 256),
    "byobnet": ("test_byobnet", 160),
    "cait": ("cait_xxs24_224", 224),
    "coat": ("coat_tiny", 224),
    "convit": ("convit_tiny", 224),
    "convmixer": ("convmixer_768_32", 64),
    "convnext": ("test_convnext", 160),
    "cpubone": ("cpubone_nano", 64),
    "crossvit": ("crossvit_tiny_240", 240),
    "csatv2": ("csatv2", 64),
    "cspnet": ("cs3darknet_focus_s", 256),
    "cspnext": ("cspnext_tiny", 64),
    "davit": ("davit_tiny", 64),
    "deepseek_vit": ("deepseek_vit_412m", 546),
    "deit": ("deit_tiny_distilled_patch16_224", 224),
    "densenet": ("densenet121", 64),
    "dla": ("dla46x_c", 224),
    "dpn": ("dpn48b", 224),
    "edgenext": ("edgenext_xx_small", 64),
    "efficientformer": ("efficientformer_l1", 224),
    "efficientformer_v2": ("efficientformerv2_s0", 224),
    "efficientnet": ("test_efficientnet", 160),
    "efficientvim": ("efficientvim_m1", 224),
    "efficientvit_mit": ("efficientvit_b0", 64),
    "efficientvit_msra": ("efficientvit_m0", 64),
    "eva": ("eva02_tiny_patch14_224", 224),
    "fasternet": ("fasternet_t0", 64),
    "fastvit": ("fastvit_t8", 256),
    "focalnet": ("focalnet_tiny_srf", 224),
    "gcvit": ("gcvit_xxtiny", 224),
    "gemma4_vit": ("gemma4_vit_167m", 64),
    "ghostnet": ("ghostnet_050", 64),
    "hardcorenas": ("hardcorenas_b", 64),
    "hgnet": ("hgnetv2_b0", 64),
    "hiera": ("hiera_tiny_224", 224),
    "hieradet_sam2": ("hieradet_small", 64),
    "hrnet": ("hrnet_w18_small", 224),
    "iformer": ("iformer_t", 64),
    "inception_next": ("inception_next_atto", 64),
    "inception_resnet_v2": ("inception_resnet_v2", 96),
    "inception_v3": ("inception_v3", 96),
    "inception_v4": ("inception_v4", 96),
    "lcnetv2": ("lcnetv2_small", 64),
    "levit": ("levit_128s", 224),
    "lowformer": ("lowformer_b0", 224),
    "mambaout": ("test_mambaout", 160),
    "maxxvit": ("test_coatnet", 160),
    "metaformer": ("poolformer_s12", 224),
    "mlp_mixer": ("gmlp_ti16_224", 224),
    "mobilenetv3": ("lcnet_035", 224),
    "mobilenetv5": ("mobilenetv5_base", 64),
    "mobilevit": ("mobilevit_xxs", 256),
    "mvitv2": ("mvitv2_tiny", 224),
    "naflexvit": ("naflexvit_base_patch16_parfac_gap", 384),
    "nasnet": ("nasnetalarge", 64),
    "nest": ("nest_tiny", 224),
    "nextvit": ("nextvit_small", 64),
    "nfnet": ("test_nfnet", 160),
    "pit": ("pit_ti_224", 224),
    "pnasnet": ("pnasnet5large", 64),
    "pvt_v2": ("pvt_v2_b0", 224),
    "qwen3_vit": ("qwen3_vit_88m", 64),
    "rdnet": ("rdnet_tiny", 64),
    "regnet": ("regnetx_002", 224),
    "repghost": ("repghostnet_050", 224),
    "repvit": ("repvit_m0_9", 224),
    "res2net": ("res2next50", 224),
    "resnest": ("resnest14d", 224),
    "resnet": ("test_resnet", 160),
    "resnetv2": ("resnetv2_18", 64),
    "rexnet": ("rexnet_100", 224),
    "selecsls": ("selecsls42", 64),
    "senet": ("legacy_seresnet18", 64),
    "sequencer": ("sequencer2d_s", 64),
    "shvit": ("shvit_s1", 64),
    "sknet": ("skresnet18", 64),
    "starnet": ("starnet_s050", 64),
    "swiftformer": ("swiftformer_xs", 64),
    "swin_transformer": ("swin_tiny_patch4_window7_224", 224),
    "swin_transformer_v2": ("swinv2_tiny_window16_256", 256),
    "swin_transformer_v2_cr": ("swinv2_cr_tiny_224", 224),
    "tiny_vit": ("tiny_vit_5m_224", 64),
    "tnt": ("tnt_s_legacy_patch16_224", 224),
    "tresnet": ("tresnet_m", 64),
    "twins": ("twins_pcpvt_small", 64),
    "vgg": ("vgg11", 224),
    "visformer": ("visformer_tiny", 224),
    "vision_transformer": ("test_vit", 160),
    "vision_transformer_hybrid": ("vit_tiny_r_s16_p8_224", 224),
    "vision_transformer_relpos": ("test_vit_relpos", 160),
    "vision_transformer_sam": ("samvit_base_patch16_224", 64),
    "vitamin": ("vitamin_small_224", 224),
    "volo": ("volo_d1_224", 224),
    "vovnet": ("ese_vovnet19b_slim_dw", 64),
    "xception": ("legacy_xception", 64),
    "xception_aligned": ("xception41", 64),
    "xcit": ("xcit_nano_12_p16_224", 224),
}


@dataclass(frozen=True)
class Checked:
    """What was seen of one model; None: not looked at."""

    trains: bool | None = None
    # With gradient checkpointing, bit for bit.
    equal: bool | None = None
    predicts: bool | None = None
    exports: bool | None = None
    problem: str = ""


def main(words: Sequence[str]) -> int:
    """Print the table; return how many models have failed."""
    chosen = [word for word in words if not word.startswith("--")] or list(FAMILIES)
    if "--table" in words:
        _print_abilities(chosen)
        return 0
    table = Table(box=None)
    for column in ("file", "model", "px", "trains", "checkpointed", "predicts", "onnx", ""):
        table.add_column(column)
    failed = 0
    screen = Console()
    for number, file in enumerate(chosen, start=1):
        screen.print(f"{number}/{len(chosen)} {file}", highlight=False)
        name, size = FAMILIES[file]
        found = check(name, size, export="--fast" not in words)
        parts = (found.trains, found.equal, found.predicts, found.exports)
        failed += False in parts or bool(found.problem)
        marks = [{True: "yes", False: "NO", None: "-"}[part] for part in parts]
        table.add_row(file, name, str(size), *marks, found.problem)
    screen.print(table)
    screen.print(f"{failed} of {len(chosen)} failed")
    return failed


def check(name: str, size: int, *, export: bool = True) -> Checked:
    """Train, score, predict and export one model."""
    found = abilities(ModelConfig(name), size)
    result = Checked()
    try:
        made = compose_for(name, size)
        if found.parameters > MOST_PARAMETERS:
            return result
        images = _images(size)
        plain, scored = _train(made, images)
        result = replace(result, trains=bool(np.isfinite(scored).all()))
        if found.checkpointing:
            again = made.copy()
            again.model.grad_checkpointing = True
            other, _ = _train(again, images)
            result = replace(result, equal=all(torch.equal(plain[k], other[k]) for k in plain))
        model = TrainedModel(made, images.classes, (), plain)
        with torch.no_grad():
            said = model(torch.from_numpy(images.images).permute(0, 3, 1, 2)).numpy()
        result = replace(result, predicts=bool(np.abs(said - scored).max() < 2e-3))
        if export:
            predictor = Predictor([model], [1.0], torch.device("cpu"))
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "model.onnx"
                write_onnx(predictor, path)
                near = largest_difference(predictor, path) <= TOLERANCE
            result = replace(result, exports=near)
    except Exception as error:
        reason = next(iter(str(error).splitlines()), "")
        return replace(result, problem=f"{type(error).__name__}: {reason}"[:90])
    return result


def compose_for(name: str, size: int) -> DictConfig:
    """Return the config of a run with all on that can be searched in a model."""
    found = abilities(ModelConfig(name), size)
    rates = [
        f"model.{key}=0.1"
        for key, acting in (("drop_path_rate", found.drop_path), ("drop_rate", found.dropout))
        if acting
    ]
    pooling = f"model.pooling={found.poolings[-1]}" if found.poolings else "model.pooling=null"
    with initialize_config_dir(CONF):
        return compose(
            "train",
            [
                *("gpu=cpu", f"model.name={name}", f"data.img_size={size}", "data.batch_size=4"),
                *("logger=none", "callbacks.progress=false", pooling, *rates),
            ],
        )


def _images(size: int) -> ImageSet:
    labels = np.arange(8) % 2
    images = np.random.default_rng(0).integers(0, 255, (8, size, size, 3), dtype=np.uint8)
    return ImageSet(images, labels, ("a", "b"))


def _train(cfg: DictConfig, images: ImageSet) -> tuple[dict[str, torch.Tensor], Any]:
    """Return the weights after two steps, and the probabilities [N, C] of all images."""
    kept = KeepScores()
    done = fit(cfg, images, images, max_epochs=1, seed=0, output_dir=None, callbacks=[kept])
    return done.module.model.state_dict(), np.exp(kept.scores())


def _print_abilities(files: Sequence[str]) -> None:
    """Print a table in Markdown."""
    print("| timm file | seen with | drop path | pooling | layer scale | checkpointing | besides |")
    print("|---|---|---|---|---|---|---|")
    for file in files:
        name, size = FAMILIES[file]
        cfg = ModelConfig(name)
        found, words = abilities(cfg, size), in_words(cfg, size)
        fixed = found.fixed_masks
        besides = [f"dropout of {max(fixed):g} stays"] if fixed else []
        besides += ["no dropout"] if words["dropout"] is None else []
        pooling = words["pooling"] or "its own"
        cells = [file, f"`{name}`", words["drop path"] or "-", pooling]
        cells += ["yes" if words[key] is not None else "-" for key in ("layer scale",)]
        cells += ["yes" if words["gradient checkpointing"] is not None else "-"]
        print("| " + " | ".join([*cells, ", ".join(besides)]) + " |", flush=True)


if __name__ == "__main__":
    sys.exit(min(main(sys.argv[1:]), 1))
