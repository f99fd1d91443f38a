"""The numbers of the optimization guide, against the configs; and `conf/README.md`, which maps it.

The guide's tables are written down here as they stand there.
"""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import CONF, REPOSITORY, Compose

# preset: trials, timeout in seconds, patience, startup trials, epochs, folds
NUMBERS = {
    "prototype": (15, 1800, 3, 5, 3, 3),
    "fast": (20, 3600, 3, 5, 3, 3),
    "balanced": (50, 5400, 5, 15, 5, 3),
    "ultimate": (150, 14400, 7, 30, 10, 5),
    "precise": (100, 7200, 5, 15, 5, 3),
    "large_scale": (500, 86400, 7, 30, 10, 5),
    "convnext": (50, 5400, 5, 15, 5, 3),
    "swin": (50, 5400, 5, 15, 5, 3),
    "efficientnet": (50, 5400, 5, 15, 5, 3),
}

# preset: entry -> range or choices, on a card that none of them is too much for
SPACES: dict[str, dict[str, Any]] = {
    "prototype": {
        "learning_rate": (1e-4, 1e-2),
        "batch_size": [32, 48],
        "weight_decay": (0.01, 0.05),
    },
    "fast": {"learning_rate": None, "batch_size": None, "weight_decay": None, "dropout": None},
    "balanced": {
        "learning_rate": (5e-6, 5e-3),
        "batch_size": [16, 32, 48, 64],
        "img_size": [320, 384],
        "dropout": (0.05, 0.15),
        "drop_path": (0.05, 0.2),
        "weight_decay": None,
    },
    "ultimate": {
        "learning_rate": (1e-6, 1e-2),
        "batch_size": [16, 24, 32, 40, 48, 56, 64],
        "img_size": [224, 288, 320, 384, 448],
        "label_smoothing": (0, 0.2),
        "mixup_alpha": (0, 1.5),
        "gradient_clip_norm": (0.5, 2.0),
        "warmup_epochs": [0, 1, 2, 3, 5],
        **dict.fromkeys(("weight_decay", "dropout", "drop_path", "pooling", "layer_scale")),
    },
    "precise": {
        "learning_rate": (1e-5, 5e-3),
        "batch_size": [16, 32, 48, 64],
        "img_size": [224, 320, 384, 512],
        "weight_decay": (0.01, 0.1),
        "dropout": (0.01, 0.15),
        "drop_path": (0.0, 0.3),
        "label_smoothing": (0.05, 0.15),
        "gradient_clip_norm": (0.8, 1.5),
        "mixup_alpha": (0.4, 1.2),
        "warmup_epochs": [0, 1, 2, 3],
        "pooling": None,
        "layer_scale": (1e-6, 1e-4),
    },
    "convnext": {
        "learning_rate": (1e-5, 5e-4),
        "drop_path": (0.1, 0.4),
        "layer_scale": (1e-6, 1e-4),
        **dict.fromkeys(("batch_size", "img_size", "weight_decay", "dropout")),
    },
}
SPACES["large_scale"] = SPACES["ultimate"]

# card: memory in GB, batch sizes, largest safe batch, image sizes
CARDS = {
    "rtx4090": (24, [48, 64, 80, 96], 128, [384, 448, 512]),
    "rtx3080": (10, [24, 32, 40, 48], 64, [320, 384]),
    "rtx3070": (8, [16, 20, 24], 48, [224, 288, 320]),
}

# model: learning rates of its own range, where it is best
MODELS = {
    "efficientnet_b3": (5e-4, 5e-3, 1e-3),
    "convnext_base": (1e-5, 1e-3, 5e-5),
    "swin_base": (1e-5, 1e-3, 1e-4),
}

LOGARITHMIC = ("learning_rate", "layer_scale")


@pytest.mark.parametrize("preset", NUMBERS)
def test_presets_have_the_guides_numbers(cfg: Compose, preset: str) -> None:
    found = cfg(f"hparams_search={preset}")
    assert NUMBERS[preset] == (
        *(found.optuna.n_trials, found.optuna.timeout),
        *(found.pruning.patience, found.pruning.n_startup_trials),
        *(found.quick_validation.epochs, found.quick_validation.folds),
    )
    if preset in ("prototype", "precise"):
        assert found.data.batch_size == 32


@pytest.mark.parametrize("preset", SPACES)
def test_presets_have_the_guides_ranges(cfg: Compose, preset: str) -> None:
    """With a model that has no range of its own, which would go before the preset's."""
    model = () if preset == "convnext" else ("model=resnet50",)
    space = cfg(f"hparams_search={preset}", "gpu=a100", *model).search_space
    assert set(space) == set(SPACES[preset])
    for name, wanted in SPACES[preset].items():
        check_range(name, space[name], wanted)


def check_range(name: str, entry: Any, wanted: Any) -> None:
    if isinstance(wanted, tuple):
        assert (float(entry.low), float(entry.high)) == pytest.approx(wanted)
        assert entry.type == ("loguniform" if name in LOGARITHMIC else "uniform")
    elif wanted is not None:
        assert entry.type == "categorical"
        assert list(entry.choices) == wanted


def test_the_search_space_has_the_guides_ranges(cfg: Compose) -> None:
    parts = "core,image_size,regularization,advanced,layer_scale"
    space = cfg(f"+search_space=[{parts}]", "model=resnet50", "gpu=a100").search_space
    wanted = {**SPACES["precise"], "batch_size": None}
    assert set(space) == set(wanted)
    for name, ends in wanted.items():
        check_range(name, space[name], ends)


@pytest.mark.parametrize("card", CARDS)
def test_profiles_have_the_guides_numbers(cfg: Compose, card: str) -> None:
    gpu = cfg(f"gpu={card}").gpu
    sizes = (list(gpu.batch_sizes), gpu.max_batch_size, list(gpu.img_sizes))
    assert (gpu.memory_gb, *sizes) == CARDS[card]
    space = cfg(f"gpu={card}", "hparams_search=fast").search_space
    assert list(space.batch_size.choices) == CARDS[card][1]
    if card == "rtx3080":
        assert gpu.precision == "16-mixed"
    if card == "rtx3070":
        assert gpu.checkpointing


@pytest.mark.parametrize("model", MODELS)
def test_models_have_the_guides_ranges(cfg: Compose, model: str) -> None:
    low, high, best = MODELS[model]
    found = cfg(f"model={model}", "hparams_search=fast").search_space.learning_rate
    assert (float(found.low), float(found.high)) == (low, high)
    family = model.partition("_")[0]
    special = cfg(f"hparams_search={family}")
    assert special.model.name.startswith(family)
    rate = special.search_space.learning_rate
    assert low <= float(rate.low) < best < float(rate.high) <= high


README = (Path(CONF) / "README.md").read_text()


def test_every_file_that_the_map_names_is_there() -> None:
    named = set(re.findall(r"`([\w/]+\.yaml)`", README))
    assert len(named) > 30
    for name in named:
        assert (Path(CONF) / name).is_file(), name
    for folder in ("hparams_search", "search_space"):
        missing = {path.name for path in (Path(CONF) / folder).glob("*.yaml")}
        missing -= {Path(name).name for name in named if name.startswith(folder)}
        # Beyond the guide: augmentation, uneven classes, the optimizer, what presets share.
        assert missing <= {"augment.yaml", "imbalance.yaml", "optimizer.yaml", "base.yaml"}


def test_every_key_that_the_map_names_is_there(cfg: Compose) -> None:
    found = cfg("hparams_search=fast")
    for key in re.findall(r"`((?:optuna|pruning|quick_validation|data|trainer)\.\w+)`", README):
        group, _, name = key.partition(".")
        assert name in found[group], key


def test_every_test_that_the_map_names_is_there() -> None:
    tests = "\n".join(path.read_text() for path in (REPOSITORY / "tests").rglob("test_*.py"))
    named = set(re.findall(r"`(test_\w+)`", README))
    assert len(named) > 40
    missing = [name for name in sorted(named) if f"def {name}(" not in tests]
    assert not missing


def test_every_row_of_the_map_has_a_file_or_a_command_and_a_test() -> None:
    rows = [line for line in README.splitlines() if line.startswith("|") and "---" not in line]
    bodies = [row for row in rows if "`test_" in row]
    # A heading a table.
    assert len(rows) - len(bodies) == README.count("|---|\n")
    for row in bodies:
        assert ".yaml`" in row or "python -m" in row, row
