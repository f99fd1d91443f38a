"""A run opened again gives what its training has measured, without network or pickle."""

import pickle
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from doctune.errors import UserError
from src.data.loader import BatchLoader
from src.inference.trained_model import TrainedModel, load_run, make_views
from src.training.config import ModelConfig
from src.training.fit import fit
from src.training.module import Classifier
from src.trial.kept_scores import KeepScores
from tests.conftest import Compose
from tests.trained_run import coloured, train_run


def test_probabilities_are_those_of_the_best_epoch(run_folder: Path) -> None:
    cfg: Any = OmegaConf.load(run_folder / "config.yaml")
    trained = Classifier(cfg, ["red", "green", "blue"], 1, 1).eval()
    kept = torch.load(run_folder / "best.ckpt", weights_only=True)["state_dict"]
    trained.load_state_dict(kept)
    images, _ = next(iter(BatchLoader(coloured(30, 32), 30, shuffle=False)))
    model = load_run(run_folder)
    with torch.no_grad():
        torch.testing.assert_close(model(images), trained(images).softmax(1))
    assert model.classes == ("red", "green", "blue")


def test_no_network_is_asked_for_the_weights_that_training_began_with(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    cfg: Any = OmegaConf.load(folder / "config.yaml")
    cfg.model.pretrained = True
    cfg.model.checkpoint_path = "/gone/with/the/wind.safetensors"
    OmegaConf.save(cfg, folder / "config.yaml")

    def refused(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refused)
    assert load_run(folder).classes == ("red", "green", "blue")


def test_a_checkpoint_runs_no_code(run_folder: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "was-run",))

    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    (folder / "best.ckpt").write_bytes(pickle.dumps({"state_dict": Evil()}, protocol=2))
    with pytest.raises(UserError, match=r"best\.ckpt: is no checkpoint of weights"):
        load_run(folder)
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize(
    ("name", "told"),
    [("best.ckpt", "callbacks.checkpoint=false"), ("classes.json", "has not ended")],
)
def test_what_is_missing_is_named(run_folder: Path, tmp_path: Path, name: str, told: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"no {name}.*{told}"):
        load_run(folder)


def test_a_run_of_another_version_is_refused(run_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    cfg: Any = OmegaConf.load(folder / "config.yaml")
    cfg.model.flux = 1
    OmegaConf.save(cfg, folder / "config.yaml")
    with pytest.raises(UserError, match=r"does not fit this version.*flux"):
        load_run(folder)


def test_views_are_small_changes_and_turned_only_as_in_training(cfg: Compose) -> None:
    images = torch.rand(2, 3, 32, 32)
    views = make_views(cfg().augment)
    assert len(views) == 5
    assert torch.equal(views[0](images), images)
    blob = torch.zeros(1, 1, 33, 33)
    blob[0, 0, 16, 26] = 1
    places = [divmod(int(view(blob).argmax()), 33) for view in views]
    assert places[0] == (16, 26)
    assert all(abs(row - 16) <= 1 and abs(column - 26) <= 1 for row, column in places)
    turned = make_views(cfg("augment.half_turn=0.5", "augment.hflip=0.5").augment)
    assert len(turned) == 7
    assert len(make_views(cfg("augment.hflip=0.5", "augment.strength=0").augment)) == 5
    assert len(make_views(cfg("augment.quarter_turn=0.5").augment)) == 7
    assert any(torch.equal(view(images), images.flip(2, 3)) for view in turned)
    assert any(torch.equal(view(images), images.flip(3)) for view in turned)


def test_test_time_augmentation_is_the_mean_over_the_views(run_folder: Path) -> None:
    model = load_run(run_folder)
    images, _ = next(iter(BatchLoader(coloured(6, 32), 6, shuffle=False)))
    with torch.no_grad():
        normal = model.normalize(images)
        expected = torch.stack([model.model(view(normal)).softmax(1) for view in model.views])
        torch.testing.assert_close(model(images, tta=True), expected.mean(0))


def test_a_transformer_at_its_own_size_comes_back(tmp_path: Path) -> None:
    folder = train_run(tmp_path / "vit", "model.name=test_vit", size=48, epochs=1)
    assert load_run(folder).format.size == 48
    assert ModelConfig().name != load_run(folder).name


@pytest.mark.filterwarnings("ignore:.*fp16 is not supported on CPU")
@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed", "bf16-true"])
def test_it_computes_in_the_precision_in_which_it_was_scored(cfg: Compose, precision: str) -> None:
    words = ("data.img_size=32", "data.batch_size=16", "optimizer.lr=5e-3", "logger=none")
    config = cfg(*words, f"trainer.precision={precision}", "trainer.accelerator=cpu")
    images, kept = coloured(30, 32), KeepScores()
    done = fit(config, images, images, max_epochs=1, seed=0, output_dir=None, callbacks=[kept])
    weights = done.module.model.state_dict()
    model = TrainedModel(config, images.classes, (), weights)
    pixels, _ = next(iter(BatchLoader(images, 30, shuffle=False)))
    with torch.no_grad():
        found = model(pixels)
        model.in_float32()
        exact = model(pixels)
    scored = torch.from_numpy(kept.scores()).exp()
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, scored, rtol=1e-5, atol=1e-7)
    assert not torch.allclose(exact, scored, rtol=1e-5, atol=1e-7)
