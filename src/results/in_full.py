"""All that is known of each trial: config, curves of its folds, confusions, log, command."""

import contextlib
import zipfile
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from doctune.commands import command, override
from doctune.passwords import without_passwords
from doctune.words import settings_of
from src.results.all_trials import state_of
from src.results.stored_study import CONFIG, StoredStudy
from src.results.summary import Summary
from src.results.train_config import SEARCH_KEYS
from src.trial.finished_folds import LOSSES
from src.trial.out_of_fold import OutOfFold

# Files are read of so many trials, the best and those that failed first; of the others the page
# has what the study itself holds.
MOST_WITH_FILES = 400
# The end of a log, where the reason of a failure stands.
LOG_CHARACTERS = 6_000
DIGITS = 4
# Of a search's command what a training run is scored under as well.
WEAR = tuple(f"quick_validation.{key}" for key in ("wear", "wear_strength", "wear_draws"))
SIZES = ("batch_size", "img_size")
# Facts of a trial that are worth a line, where it has them.
FACTS = {
    "stopped": "ended by",
    "continues": "continues trial",
    "out_of_memory": "out of memory with",
    "micro_batch": "images at a time",
    "attempts": "attempts",
}


def in_full(stored: StoredStudy, found: Summary, command: str | None, chosen: int | None) -> Any:
    """Return what the page shows of a trial when it is opened.

    Args:
        stored: the study.
        found: its summary.
        command: what trains with the chosen trial.
        chosen: its number.

    Returns:
        `trials` by number; `classes`, the names behind their confusions; `config`, the lines of
        the first trial's config, from which the others name their differences.
    """
    known = stored.study.get_trials(deepcopy=False)
    trials = [trial for trial in known if trial.state is not TrialState.WAITING]
    with_files = [t.number for t in [*found.ranked, *found.failed, *found.pruned, *found.running]]
    wanted = set(with_files[:MOST_WITH_FILES])
    shared: dict[str, Any] = {"classes": [], "config": [], "folder": str(stored.folder)}
    base = _command_without_parameters(stored)
    details = {}
    for trial in trials:
        told = _from_study(trial)
        if base is not None and trial.params:
            told["command"] = _command(base, trial)
        if trial.number in wanted:
            told |= _from_files(stored.folder / str(trial.number), shared)
        details[trial.number] = told
    if chosen is not None and command is not None:
        details[chosen]["command"] = command
    return {**shared, "trials": details}


def _from_study(trial: FrozenTrial) -> dict[str, Any]:
    attrs = trial.user_attrs
    facts = {
        told: ", ".join(map(str, attrs[name])) if isinstance(attrs[name], list) else attrs[name]
        for name, told in FACTS.items()
        if attrs.get(name) is not None
    }
    environment = attrs.get("environment") or {}
    if "device" in environment:
        facts["device"] = environment["device"]
    found: dict[str, Any] = {"facts": facts}
    if trial.datetime_start:
        facts["started"] = f"{trial.datetime_start:%Y-%m-%d %H:%M:%S}"
    if attrs.get("folds"):
        found["folds"] = _short(attrs["folds"])
    if attrs.get("curves"):
        found["curves"] = [_short(curve) for curve in attrs["curves"]]
    elif trial.intermediate_values:
        steps = sorted(trial.intermediate_values)
        found["estimates"] = _short([trial.intermediate_values[step] for step in steps])
    if any(attrs.get(LOSSES, {}).values()):
        found["losses"] = attrs[LOSSES]
    if "error" in attrs:
        found["error"] = without_passwords(str(attrs["error"]))
    if state_of(trial) == "running" and attrs.get("progress"):
        facts["now in"] = attrs["progress"]
    return found


def _short(values: list[float]) -> list[float]:
    return [round(value, DIGITS) for value in values]


def _command_without_parameters(stored: StoredStudy) -> list[str] | None:
    """Return what the search was given that a training run takes as well."""
    attrs = stored.study.user_attrs
    given = attrs.get("overrides")
    if given is None:
        return None
    kept = [word for word in given if _root(word) not in SEARCH_KEYS or _key(word) in WEAR]
    # The preset may have chosen it.
    model = (attrs.get("choices") or {}).get("model")
    named = any(_key(word) == "model" for word in kept)
    return kept if named or model is None else [f"model={model}", *kept]


def _command(base: list[str], trial: FrozenTrial) -> str:
    settings = settings_of(trial.params)
    workload = trial.user_attrs.get("workload") or {}
    # They may come from the preset, the card's profile or `quick_validation.batch_size_override`.
    settings |= {f"data.{size}": workload[size] for size in SIZES if size in workload}
    keys = {_key(key) for key in settings}
    kept = [word for word in base if _key(word) not in keys]
    words = [*kept, *(override(key, value) for key, value in settings.items())]
    return without_passwords(command("src.train", *words))


def _key(word: str) -> str:
    return word.partition("=")[0].lstrip("+~")


def _root(word: str) -> str:
    return _key(word).split(".")[0].split("/")[0]


def _from_files(folder: Path, shared: dict[str, Any]) -> dict[str, Any]:
    """Return what a trial left in its folder; whatever is not there is left out."""
    found: dict[str, Any] = {}
    with contextlib.suppress(OSError):
        text = without_passwords((folder / CONFIG).read_text(encoding="utf-8"))
        found["config"] = _differences(text.splitlines(), shared)
    logs = sorted(folder.glob("*.log"))
    with contextlib.suppress(OSError, IndexError):
        log = logs[0].read_text(encoding="utf-8", errors="replace")[-LOG_CHARACTERS:]
        found["log"] = without_passwords(log)
    with contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        kept = OutOfFold.load(folder)
        shared["classes"] = shared["classes"] or list(kept.classes)
        if list(kept.classes) == shared["classes"] and len(kept.labels):
            flat = kept.confusion().ravel()
            # [place, count, place, count, ...]; most are 0.
            found["confusion"] = [
                int(n) for place in flat.nonzero()[0] for n in (place, flat[place])
            ]
    return found


def _differences(lines: list[str], shared: dict[str, Any]) -> Any:
    """Return the lines of a config by their place where they differ from the first one's."""
    base = shared["config"] = shared["config"] or lines
    if len(base) != len(lines):
        return lines
    return {i: line for i, line in enumerate(lines) if line != base[i]}
