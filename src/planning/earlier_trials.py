"""What this machine measured: how long trials of earlier studies took, against the estimate."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from doctune.study.location import counted_from
from doctune.study.storage import existing_storage
from src.hardware.detect import cards

log = logging.getLogger(__name__)

# Newest trials that are looked at; machines and drivers change.
NEWEST = 50
# Where this model was never trained, the newest so many others stand in, each at its image size.
OTHER_MODELS = 2


@dataclass(frozen=True)
class Correction:
    """A factor for estimated times, and where it is from."""

    factor: float = 1.0
    trials: int = 0
    # Whether those trials trained the same model.
    same_model: bool = True


def correction(
    trials: Iterable[FrozenTrial],
    model: str,
    on_device: Callable[[str], bool],
    estimate: Callable[[dict[str, Any]], float | None],
) -> Correction:
    """Compare the seconds that trials took with the estimate for them.

    The median of measured over estimated, of trials of the same model where there are some.

    Args:
        trials: of any studies.
        model: timm's name.
        on_device: tells by its name whether a device is the one that is planned for.
        estimate: seconds for what a trial notes of itself; None where it cannot tell.
    """
    usable = [trial for trial in trials if _is_usable(trial, on_device)]
    usable.sort(key=lambda trial: trial.datetime_complete or trial.datetime_start, reverse=True)  # type: ignore[arg-type, return-value]
    same = [t for t in usable if t.user_attrs["workload"]["model"] == model]
    if not same:
        kinds = dict.fromkeys(_kind(t) for t in usable)
        chosen = set(list(kinds)[:OTHER_MODELS])
        usable = [t for t in usable if _kind(t) in chosen]
    ratios = []
    for trial in (same or usable)[:NEWEST]:
        seconds = estimate(trial.user_attrs)
        if seconds:
            ratios.append(trial.user_attrs["train_seconds"] / seconds)
    if not ratios:
        return Correction()
    return Correction(median(ratios), len(ratios), same_model=bool(same))


def stored_trials(url: str) -> Iterator[FrozenTrial]:
    """Yield the trials of all studies of a storage; none where there is none yet.

    Raises:
        UserError: it cannot be one, or cannot be opened.
    """
    storage = existing_storage(counted_from(Path.cwd(), url))
    if storage is None:
        return
    for study in storage.get_all_studies():
        yield from storage.get_all_trials(study._study_id, deepcopy=False)


def is_device_of(profile: Any) -> Callable[[str], bool]:
    """Return whether the name of a device, as trials note it, is that of a profile.

    A profile of a CPU is any machine without a card; `auto` is this machine's own.
    """
    name = str(profile.name)
    if name == "auto":
        name = cards()[0].name.lower().replace(" ", "") if cards() else "cpu"

    def matches(device: str) -> bool:
        if name == "cpu":
            return "core" in device
        return name in device.lower().replace(" ", "")

    return matches


def _is_usable(trial: FrozenTrial, on_device: Callable[[str], bool]) -> bool:
    attrs = trial.user_attrs
    return (
        trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
        and all(attrs.get(name) for name in ("workload", "train_seconds", "epochs"))
        and on_device(str(attrs.get("environment", {}).get("device", "")))
    )


def _kind(trial: FrozenTrial) -> tuple[str, int]:
    load = trial.user_attrs["workload"]
    return load["model"], load["img_size"]
