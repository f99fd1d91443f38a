"""A run on several cards is the run on one, shared out."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import nn

from src.training.distribution import WrapBlocks
from src.training.optimizer import undecayed
from src.training.shapes_alone import shapes_alone
from tests import preloaded
from tests.conftest import REPOSITORY, Run
from tests.training.two_processes import VARIANTS, train

# Each of their words is in another variant, and the blocks of a ConvNeXt are seen below.
LONGER = {
    *("ddp", "class_weights", "one_batch", "fsdp_sgd", "fsdp_accumulated", "fsdp_statistics"),
    *("balanced_batches", "accumulated", "fsdp", "fsdp_convnext"),
}


@pytest.fixture(scope="module")
def shared_out(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of what two processes have trained together."""
    items: list[Any] = request.session.items
    wanted = [item.callspec.params["name"] for item in items if "shared_out" in item.fixturenames]
    folder = tmp_path_factory.mktemp("two")
    preloaded.server()  # its processes find it by its address
    done = preloaded.run(
        [sys.executable, "-m", "tests.training.two_processes", str(folder), *wanted],
        REPOSITORY,
        {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"},
        seconds=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.thorough] if name in LONGER else [])
        for name in VARIANTS
    ],
)
def test_two_processes_end_with_the_weights_of_one(
    shared_out: Path, tmp_path: Path, name: str
) -> None:
    alone = train(name, tmp_path, "trainer.strategy=auto")
    together: dict[str, Any] = torch.load(shared_out / "came_out.pt")[name]
    expected, found = (_weights(folder / name) for folder in (tmp_path, shared_out))
    assert found.keys() == expected.keys()
    for key, weight in expected.items():
        torch.testing.assert_close(found[key], weight, rtol=1e-3, atol=2e-4, msg=key)
    for split in ("validation", "test"):
        assert together[split] == pytest.approx(alone[split], rel=1e-3)
    assert together["confusion"] == alone["confusion"]
    # One of the processes has written them.
    assert [path.name for path in (shared_out / name).iterdir()] == ["best.ckpt"]


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = torch.load(folder / "best.ckpt")["state_dict"]
    return found


# As training leaves one file of weights above; what else a run leaves test_train has.
@pytest.mark.thorough
def test_a_run_on_two_processes_leaves_the_files_of_one(run: Run, tmp_path: Path) -> None:
    words = ("gpu=cpu", "data.n_images=480", "data.img_size=32", "trainer.max_epochs=2")
    preloaded.server()
    done = run(
        "tests.training.preloaded_cards",
        "src.train",
        *words,
        "trainer.devices=2",
        "trainer.strategy=ddp",
    )
    assert [line.split("  ")[0] for line in done.stdout.splitlines()[1:3]] == [
        *("epoch 1/2", "epoch 2/2"),
    ]
    assert done.stdout.count("macro-F1: validation") == 1
    (folder,) = (tmp_path / "outputs").iterdir()
    assert {"best.ckpt", "metrics.json", "config.yaml", "confusion_matrix.csv"} <= {
        path.name for path in folder.iterdir()
    }
    assert not list(folder.glob("best-v*"))
    scores = json.loads((folder / "metrics.json").read_text())["validation"]
    assert f"{scores['macro_f1']:.4f}" in done.stdout
    rows = (folder / "confusion_matrix.csv").read_text().splitlines()[1:]
    assert sum(int(count) for row in rows for count in row.split(",")[1:]) == 121
    assert "batch norm sees 16 images at a time instead of 32" in (folder / "train.log").read_text()


@pytest.mark.parametrize(
    "name", ["vit_tiny_patch16_224", "convnext_atto", "swin_tiny_patch4_window7_224", "resnet18"]
)
def test_units_are_blocks_and_hold_most_weights(name: str) -> None:
    with shapes_alone():
        model = timm.create_model(name, num_classes=3)
    policy, units = WrapBlocks(), []

    def walk(module: nn.Module) -> int:
        """Go through a model as `torch.distributed.fsdp.wrap` does; return what is wrapped."""
        size = sum(p.numel() for p in module.parameters())
        assert policy(module, recurse=True, nonwrapped_numel=size)
        wrapped = sum(walk(child) for child in module.children())
        if policy(module, recurse=False, nonwrapped_numel=size - wrapped):
            units.append(module)
            return size
        return wrapped

    wrapped = walk(model)
    assert wrapped > 0.8 * sum(p.numel() for p in model.parameters())
    assert not any(isinstance(unit, nn.Sequential | nn.ModuleList) for unit in units)


def test_what_is_not_decayed_has_the_names_of_norms_and_biases() -> None:
    names = undecayed(timm.create_model("test_vit"))
    assert {"pos_embed", "cls_token", "norm.weight", "blocks.0.attn.qkv.bias"} <= names
    assert "blocks.0.attn.qkv.weight" not in names


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_sharded_over_two_cards(run: Run, tmp_path: Path) -> None:
    words = ("gpu=auto", "data.n_images=480", "data.img_size=64", "trainer.max_epochs=2")
    more = ("model.name=vit_tiny_patch16_224", "trainer.devices=2", "trainer.strategy=fsdp")
    run("src.train", *words, *more)
    (folder,) = (tmp_path / "outputs").iterdir()
    assert (folder / "metrics.json").is_file()
