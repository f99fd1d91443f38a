"""What a search has to train: images, folds, epochs, and the sizes that are searched."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from doctune.errors import UserError
from doctune.space.focus_rule import FocusRule
from doctune.space.follow import follow
from doctune.space.search_space import SearchSpace, build_search_space
from doctune.study.location import counted_from
from src.data.documents.generate import class_sizes
from src.data.image_files import find_images

IMG_SIZE, BATCH_SIZE = "data.img_size", "data.batch_size"
# So many sizes stand for a range of them.
SHOWN = 6


@dataclass(frozen=True)
class Images:
    """How many images a search trains on, and of how many classes."""

    train: int
    classes: int


def count_images(cfg: DictConfig) -> Images:
    """Count the train split without decoding it.

    Raises:
        UserError: names what is wrong with the data.
    """
    data = cfg.data
    if data.source == "documents":
        sizes = class_sizes(data.n_images)
        share = 1 - data.val_fraction - data.test_fraction
        return Images(round(sum(sizes.values()) * share), len(sizes))
    found = find_images(data)
    given = set(found.splits)
    if given:
        train = found.splits.count("train")
        train -= round(train * data.val_fraction) if "val" not in given else 0
        train -= round(train * data.test_fraction) if "test" not in given else 0
    else:
        train = round(len(found.names) * (1 - data.val_fraction - data.test_fraction))
    return Images(train, len(found.classes))


@dataclass(frozen=True)
class Searched:
    """The image and batch sizes that a trial may have."""

    img_sizes: tuple[int, ...]
    batch_sizes: tuple[int, ...]
    # Whether the batch size is searched at all.
    batch_is_searched: bool


def searched_sizes(cfg: DictConfig, arguments: Sequence[str]) -> Searched:
    """Read the sizes from the search space and from the overrides of the command line.

    Raises:
        UserError: an entry of the search space is wrong.
        UserError: several models are searched.
    """
    base = _around_earlier(cfg)
    found = build_search_space(cfg.search_space, [], arguments, base=base).distributions
    found = {**(base.roots if base else {}), **found}
    for key in ("model", "model.name"):
        if key in found:
            raise UserError(
                f"{key} is searched: a plan is for one model; give model=NAME, one after the other"
            )
    override = cfg.quick_validation.batch_size_override
    batch = found.get(BATCH_SIZE) if override is None else None
    return Searched(
        img_sizes=_values(found.get(IMG_SIZE), cfg.data.img_size),
        batch_sizes=_values(batch, override or cfg.data.batch_size),
        batch_is_searched=batch is not None,
    )


def _around_earlier(cfg: DictConfig) -> SearchSpace | None:
    """Return the ranges of `hparams_search=focus`; None in any other search."""
    keys = HydraConfig.get().sweeper.get("focus") if HydraConfig.initialized() else None
    if keys is None:
        return None
    rule: Any = OmegaConf.to_container(keys, resolve=True)
    study = cfg.optuna
    url = counted_from(Path.cwd(), study.storage)
    return follow(study.from_study, url, study.study_name, FocusRule.read(rule), {}).space


def _values(distribution: BaseDistribution | None, fixed: int) -> tuple[int, ...]:
    """Return the values of a parameter, evenly spaced ones of a wide range."""
    if isinstance(distribution, CategoricalDistribution):
        return tuple(sorted({int(str(choice)) for choice in distribution.choices}))
    if isinstance(distribution, IntDistribution | FloatDistribution):
        low, high = math.ceil(distribution.low), math.floor(distribution.high)
        step = max(int(distribution.step or 1), math.ceil((high - low) / (SHOWN - 1)), 1)
        return tuple(sorted({*range(low, high + 1, step), high}))
    return (int(fixed),)
