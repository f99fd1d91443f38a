"""Every preset of `conf/hparams_search/` runs on a CPU, and every file of `conf/` composes."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf
from PIL import Image

from doctune.space.search_space import build_search_space
from src.before.values import check_values
from src.data import look_config
from src.inference import config as predict_config
from src.results import config as study_doors_config
from src.results.ensemble import config as ensemble_config
from tests.conftest import CONF, Door
from tests.test_phases import explore
from tests.test_train import study_of

# Those of the guide, and phase 2 and the families of models.
PRESETS = (
    *("prototype", "fast", "balanced", "ultimate", "precise", "large_scale"),
    *("convnext", "efficientnet", "swin", "focus"),
)

# Each registers the schema of its door.
SCHEMAS = (look_config, predict_config, study_doors_config, ensemble_config)

# What the presets of a family would take hours with on a CPU, a small sibling shows in seconds.
SMALL = {
    "convnext": ("model.name=test_convnext", "model.pretrained=false"),
    "efficientnet": ("model.name=test_efficientnet", "model.pretrained=false"),
    "swin": (
        "model.pretrained=false",
        "+model.kwargs={embed_dim: 16, depths: [1, 1, 1, 1], num_heads: [1, 1, 2, 2]}",
    ),
    "focus": ("optuna.from_study=explored",),
}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of 96 noisy images in two classes, one brighter than the other."""
    root = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for name, number in product(("dark", "light"), range(48)):
        (root / name).mkdir(exist_ok=True)
        pixels = rng.integers(0, 100, (64, 64, 3)) + 120 * (name == "light")
        Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Compute on one thread: for so little work others would mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# They search what `ultimate` or `fast` searches, or a part of it. Of these `fast`
# runs in test_train; what the others search is composed and checked below, and each of its keys is
# trained with in tests/training. What `focus` searches is planned in test_phases.
@pytest.mark.thorough
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_runs_anywhere(
    door: Door, tmp_path: Path, images: Path, cache_dir: Path, preset: str
) -> None:
    explore(tmp_path, "augment=light")
    door(
        *("src.train", "-m", f"hparams_search={preset}", "gpu=cpu", "optuna.n_trials=2"),
        *("data=image_folder", f"data.root={images}", f"data.cache_dir={cache_dir}"),
        *("quick_validation.epochs=1", "quick_validation.folds=2", "optuna.in_full=0"),
        *("hydra/launcher=basic", "optuna.study_name=tried", *SMALL.get(preset, ())),
    )
    study = study_of(tmp_path, "tried")
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2
    folder = tmp_path / "multirun" / "tried"
    assert len(list(folder.glob("train_optimized_*.yaml"))) == 1
    assert f"{study.best_value:.4f}" in (folder / "optuna_study_report.html").read_text()


def test_every_preset_is_tried_here() -> None:
    assert sorted((*PRESETS, "base")) == options("hparams_search")


# The least steps are told and counted in test_trial_length.
@pytest.mark.thorough
@pytest.mark.usefixtures("one_thread")
def test_one_split_of_as_many_epochs_as_make_the_least_steps(
    door: Door, tmp_path: Path, images: Path, cache_dir: Path
) -> None:
    said = door(
        *("src.train", "-m", "hparams_search=fast", "gpu=cpu", "optuna.n_trials=2"),
        *("data=image_folder", f"data.root={images}", f"data.cache_dir={cache_dir}"),
        *("quick_validation.epochs=1", "quick_validation.folds=1", "data.img_size=32"),
        *("quick_validation.min_steps=3", "search_space.batch_size.choices=[16,32]"),
        *("hydra/launcher=basic", "optuna.study_name=tried", "optuna.in_full=0"),
    )
    # 57 images to train on, 45 without the fifth: one step of 32 and two of 16.
    assert "an epoch has 1 step of 32 images, so trials train 3 epochs a fold and not 1" in said
    for trial in study_of(tmp_path, "tried").trials:
        assert trial.state.name == "COMPLETE"
        assert len(trial.user_attrs["folds"]) == 1
        assert trial.value == pytest.approx(trial.user_attrs["folds"][0])
        assert sorted(trial.intermediate_values) == [0, 1, 2]
    (report,) = (tmp_path / "multirun" / "tried").glob("optuna_study_report.html")
    assert "1 fold of 3 epochs" in report.read_text(encoding="utf-8")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_reads_in_one_screen_and_says_for_whom_it_is(preset: str) -> None:
    lines = Path(CONF, "hparams_search", f"{preset}.yaml").read_text().splitlines()
    assert len(lines) <= 40
    assert lines[0] == "# @package _global_"
    assert lines[1].startswith("# For ")
    assert all(len(line) <= 100 for line in lines)


def options(group: str) -> list[str]:
    return sorted(path.stem for path in Path(CONF, group).glob("*.yaml"))


# Parts of a search space are lists of entries; the rest of `hydra/` belongs to presets.
GROUPS = sorted(
    path.name for path in Path(CONF).iterdir() if path.is_dir() and path.name != "hydra"
)


# Of every model that a file is for, what a search would ask of it is known without it, too
# (test_abilities, test_space_of_models); to look at the large ones takes the time.
@pytest.mark.parametrize("models", [False, pytest.param(True, marks=pytest.mark.thorough)])
def test_every_choice_of_every_group_composes_and_is_valid(models: bool) -> None:
    """Everything is resolved against the typed schemas, a choice of each group at a time."""
    others = set(GROUPS) - {"model", "search_space"}
    chosen = {group: options(group) for group in (["model"] if models else sorted(others))}
    if not models:
        chosen["+search_space"] = options("search_space")
        chosen["hparams_search"].remove("base")
    for turn in range(max(map(len, chosen.values()))):
        # Once each, as what acts on a model is looked at for each model, size and space.
        words = [f"{group}={names[turn]}" for group, names in chosen.items() if turn < len(names)]
        presets = chosen.get("hparams_search", [])
        if turn >= len(presets):
            words.append("hparams_search=fast")
        elif presets[turn] != "focus":
            # What acts on the large model of a family is asked with `models`.
            words += SMALL.get(presets[turn], ())
        # Of a card that this machine lacks, and data that is not there, only the check is left.
        if turn < len(chosen.get("data", ())) and "data=documents" not in words:
            words.append("data.root=/data")
        with initialize_config_dir(CONF):
            cfg = compose("train", words, return_hydra_config=True)
            HydraConfig.instance().set_config(cfg)
            for node in (*(cfg[key] for key in cfg if key != "hydra"), cfg.hydra.sweeper):
                if OmegaConf.is_config(node):
                    OmegaConf.to_container(node, resolve=True)
            check_values(cfg)
            build_search_space(cfg.search_space, [], [], cfg)


@pytest.mark.parametrize("door", ["report", "confirm", "ensemble", "predict", "look"])
def test_the_configs_of_the_other_doors_compose(door: str) -> None:
    with initialize_config_dir(CONF):
        OmegaConf.to_container(compose(door), resolve=False, throw_on_missing=True)


def test_every_file_of_conf_is_reached_by_these_tests() -> None:
    doors = {"train", "report", "confirm", "ensemble", "predict", "look"}
    for path in Path(CONF).rglob("*.yaml"):
        part = path.relative_to(CONF)
        assert part.parts[0] in {*GROUPS, "hydra", *(f"{door}.yaml" for door in doors)}


def test_every_choice_of_hydras_own_groups_composes() -> None:
    folder = Path(CONF, "hydra")
    for path in folder.rglob("*.yaml"):
        group = path.parent.relative_to(CONF).as_posix()
        words = ["gpu=cpu", f"{group}={path.stem}"]
        # A preset chooses a pruner, which the stock sweeper does not know.
        words += ["hparams_search=fast"] if group != "hydra/sweeper" else []
        with initialize_config_dir(CONF):
            cfg = compose("train", words, return_hydra_config=True)
        assert cfg.hydra.runtime.choices[group] == path.stem
