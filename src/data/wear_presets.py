"""`quick_validation.wear`: which wear pages are scored under, read without torch.

One rule, for whatever chooses: a trial's folds, the epoch that a full training keeps, a
confirmation, an ensemble's members and weights are all scored on the same pages, worn as the
config's `quick_validation.wear` says, in the same way for a page every time. `src/data/wear.py`
wears them.
"""

import functools
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from doctune.errors import UserError, first_line
from doctune.words import did_you_mean
from src.data.config import AugmentConfig

if TYPE_CHECKING:
    from src.data.pages_to_come.compare import Worn

PRESETS = Path(__file__).parents[2] / "conf" / "augment"
NONE, OWN, AUTO = "none", "own values", "auto"
KEY = "quick_validation.wear"
# They are no wear: mixing changes labels, and normalisation is no change.
NOT_WORN = ("mixup_alpha", "mean", "std")
# Raised whenever the same draw would wear a page differently, so that no cache is taken for new.
WEARING_VERSION = 1


@dataclass(frozen=True)
class Wear:
    """What happens to pages before they are scored.

    Args:
        name: of the preset.
        values: keys of the `augment` group, those that are no wear left out.
        draws: how many times each page is worn, in different ways.
    """

    name: str
    values: Mapping[str, float]
    draws: int

    @property
    def hash(self) -> str:
        """Return a short hash that no other wear has, whatever its name."""
        facts = [sorted(self.values.items()), self.draws, WEARING_VERSION]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:8]

    @property
    def in_words(self) -> str:
        """Say which it is, as in `document at strength 0.5, 2 draws`."""
        strength = self.values["strength"]
        much = "" if strength == 1 else f" at strength {strength:g}"
        return f"{self.name}{much}{'' if self.draws == 1 else f', {self.draws} draws'}"


def wear_of(cfg: DictConfig) -> Wear | None:
    """Return the wear under which pages are scored; None: as they are.

    Args:
        cfg: the whole config.

    Raises:
        UserError: there is no such preset, or it wears nothing.
    """
    quick = cfg.quick_validation
    given = quick.wear
    if given is None or given == NONE:
        return None
    strength = quick.wear_strength
    if given == AUTO:
        nearest = _nearest(cfg)
        if nearest.preset == NONE:
            return None
        given, strength = nearest.preset, nearest.strength if strength is None else strength
    if isinstance(given, str):
        name, values = given, _preset(given)
    else:
        values = _checked(OmegaConf.to_container(given, resolve=True), f"{KEY}={given}")
        name = _name_of(values)
    if strength is not None:
        values["strength"] = float(strength)
    acting = {key for key, value in values.items() if value and key != "strength"}
    if not acting or values["strength"] <= 0:
        raise UserError(
            f"{KEY}={given}, quick_validation.wear_strength={strength}: wears nothing; leave both "
            "out to score pages as they are"
        )
    return Wear(name, values, int(quick.wear_draws))


def _nearest(cfg: DictConfig) -> "Worn":
    """Return the wear that makes pages to train on most like those to classify."""
    # Imported here, as it brings torch along; compared once, and then kept in the cache.
    from src.data.pages_to_come.gather import comparison

    found = comparison(cfg.data)
    if found is None:
        raise UserError(
            f"{KEY}={AUTO}: is measured on the pages to come; give them, as in "
            f"data.to_classify=FOLDER, or choose a preset, as in {KEY}=document"
        )
    return found.chosen


def wear_in_words(cfg: DictConfig) -> str:
    """Return what a study remembers of the wear that its scores are under."""
    wear = wear_of(cfg)
    return NONE if wear is None else f"{wear.in_words} ({wear.hash})"


def written_out(cfg: DictConfig) -> dict[str, Any]:
    """Return the keys of `quick_validation` that mean the same wear without any preset."""
    wear = wear_of(cfg)
    if wear is None:
        return {}
    default = _defaults()
    values = {key: value for key, value in wear.values.items() if value != default[key]}
    return {"wear": values, "wear_draws": wear.draws}


def check_one_wear(jobs: Sequence[DictConfig]) -> None:
    """Refuse trials that would be scored under different wear.

    Raises:
        UserError: a key of it is searched.
    """
    found = sorted({wear_in_words(job) for job in jobs})
    if len(found) > 1:
        raise UserError(
            f"{KEY}: scores under different wear ({', '.join(found)}) do not compare, so it cannot "
            "be searched; give one, and search augment for what to train with"
        )


def notes_on_wear(cfg: DictConfig, jobs: Sequence[DictConfig]) -> list[str]:
    """Say so where pages are trained worn and scored as they are.

    Args:
        cfg: the config of a search.
        jobs: of its trials.
    """
    if wear_of(cfg) is not None or not any(map(_trains_worn, jobs)):
        return []
    chosen = HydraConfig.get().runtime.choices.get("augment") if HydraConfig.initialized() else None
    return [
        f"{KEY}=none: pages are worn for training but scored as they are, so trials are ranked by "
        "clean pages; where the pages to come are worn, score them so: "
        f"{KEY}={'document' if chosen in (None, NONE) else chosen}"
    ]


def _trains_worn(cfg: DictConfig) -> bool:
    augment: Any = cfg.augment
    return augment.strength > 0 and any(augment[key] for key in _defaults() if key != "strength")


@functools.cache
def _preset_file(name: str, folders: tuple[Path, ...]) -> Mapping[str, Any]:
    """Return what the file of a preset sets, with what its list of defaults brings along."""
    path = next((found for each in folders if (found := each / f"{name}.yaml").is_file()), None)
    if path is None:
        names = sorted({found.stem for each in folders for found in each.glob("*.yaml")})
        raise UserError(
            f"{KEY}={name}: there is no such file in conf/augment"
            f"{did_you_mean(name, names) or '; choose ' + ', '.join(names)}"
        )
    content: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False) or {}
    values: dict[str, Any] = {}
    for base in content.pop("defaults", []):
        if isinstance(base, str) and base != "_self_":
            values |= _preset_file(base, folders)
    values |= content
    return values


def _preset(name: str) -> dict[str, float]:
    folders = [PRESETS]
    if HydraConfig.initialized():
        # Those of --config-dir and of searchpath among them.
        sources = HydraConfig.get().runtime.config_sources
        folders = [Path(each.path) / "augment" for each in sources if each.schema == "file"]
    return _checked(_preset_file(name, (*folders, PRESETS)), f"{KEY}={name}")


def _name_of(values: Mapping[str, float]) -> str:
    """Return the preset that has these values, at whatever strength."""
    for path in sorted(PRESETS.glob("*.yaml")):
        preset = _preset(path.stem)
        if {**preset, "strength": values["strength"]} == values:
            return path.stem
    return OWN


def _checked(given: Any, told: str) -> dict[str, float]:
    """Return all keys that are wear.

    Raises:
        UserError: one is unknown or no number.
    """
    kept = {key: value for key, value in dict(given).items() if key not in NOT_WORN}
    try:
        whole = OmegaConf.merge(OmegaConf.structured(AugmentConfig), kept)
        values: Any = OmegaConf.to_container(whole, resolve=True)
    except OmegaConfBaseException as error:
        raise UserError(f"{told}: {first_line(error)}") from error
    return {key: value for key, value in values.items() if key not in NOT_WORN}


def _defaults() -> dict[str, float]:
    return {
        field.name: float(str(field.default))
        for field in fields(AugmentConfig)
        if field.name not in NOT_WORN
    }
