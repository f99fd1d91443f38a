"""What looks wrong with a search, in words, and the key that mends it (guide section 9)."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from doctune.commands import command
from doctune.words import counted
from src.results.pressed_ends import FEW_FINISHED, edges
from src.results.pruning import unsafe_pruning
from src.results.summary import ENOUGH_FOLDS, Summary, epochs_of
from src.results.unequal_time import unequal_time

# Above this share of pruned trials, good ones may be among them.
MANY_PRUNED = 0.6
# Above this share of trials that a limit of their own has ended, it is too low.
MANY_OUT_OF_TIME = 0.2
# Above this share of failed trials the reasons come first.
MANY_FAILED = 0.5
# Below this share of the epochs pruning is not worth having; judged from so many trials on.
LITTLE_SAVED = 0.05
ENOUGH_FOR_PRUNING = 15


def advice(found: Summary, entries: Mapping[str, str], confirmed: bool) -> list[str]:
    """Say what looks wrong and which key to change.

    Args:
        found: the study.
        entries: parameter -> the node that holds its range, `search_space.<name>`.
        confirmed: fresh runs have said how sure the gain is.
    """
    pressed = [] if found.all_equal else edges(found.ranked, entries, len(found.by_pruner))
    many_failed = len(found.failed) > MANY_FAILED * found.finished
    return [
        *(_failures(found) if many_failed else ()),
        *_cut_off(found),
        *_out_of_time(found),
        *unequal_time(found),
        *unsafe_pruning(found),
        *_too_many_pruned(found),
        *_little_saved(found),
        *_guessing(found),
        *_all_equal(found),
        *_too_few(found),
        *([] if confirmed or found.all_equal else _noise(found)),
        *pressed,
        *(_focus(found) if pressed else ()),
        *_out_of_memory(found),
        *(() if many_failed else _failures(found)),
    ]


def _failures(found: Summary) -> list[str]:
    if not found.failed:
        return []
    reason, numbers = found.failure_reasons[0]
    trials = counted(len(found.failed), "trial")
    often = "with" if len(numbers) == len(found.failed) else f"{len(numbers)} of them with"
    whole = f"All {trials}" if len(found.failed) == found.finished else None
    if found.finished == 1:
        whole = "The only trial"
    first = f"{whole or f'{trials} of {found.finished}'} failed, {often}: {reason.rstrip('.')}."
    if found.ranked:
        return [f"{first} All reasons are listed under Failures."]
    return [
        f"{first} Mend that first; then start the search again, with another optuna.study_name "
        "or a larger optuna.n_trials."
    ]


def _cut_off(found: Summary) -> list[str]:
    if not found.lost:
        return []
    trials = counted(len(found.lost), "trial")
    if found.running:
        return [f"{trials} lost their process; those that still run take them over."]
    lost = "lost its process" if len(found.lost) == 1 else "lost their process"
    again = "it runs" if len(found.lost) == 1 else "they run"
    return [
        f"The search was cut off: {trials} {lost}. Start the same command again; it goes on from "
        f"here, and {again} again."
    ]


def _out_of_time(found: Summary) -> list[str]:
    said = []
    for key, trials in found.out_of_time.items():
        # The end of a whole search always meets the last trials.
        few = len(trials) <= MANY_OUT_OF_TIME * found.finished or key == "optuna.timeout"
        if found.ranked and few:
            continue
        steps = [epochs_of(trial) for trial in trials]
        said.append(
            f"{len(trials)} of {counted(found.finished, 'trial')} had not ended when {key} was "
            f"over, half of them after {counted(round(median(steps)), 'epoch')}. Raise it, or "
            f"make trials shorter: {found.length_key}, quick_validation.folds."
        )
    return said


def _all_equal(found: Summary) -> list[str]:
    if not found.all_equal:
        return []
    score = found.ranked[0].values[0]
    return [
        f"All {len(found.ranked)} complete trials have the same {found.objectives[0]}, "
        f"{score:.4f}: nothing that was searched mattered. Either there is nothing left to gain, "
        "or the models learn nothing: look at the learning curves, and raise "
        f"{found.length_key} if they are flat."
    ]


def _guessing(found: Summary) -> list[str]:
    """Say so where no trial has learnt more than guesses have: any order of them is chance."""
    classes = found.ranked[0].user_attrs.get("classes") if found.ranked else None
    if not classes or found.objectives[0] != "f1" or found.highest.values[0] > 1 / classes:
        return []
    eased = ""
    if found.wear:
        eased = (
            " train on milder pages (augment.strength), score milder ones (quick_validation.wear),"
        )
    return [
        f"No trial is better than guessing: f1 {found.highest.values[0]:.4f}, and guesses among "
        f"{classes} classes have up to {1 / classes:.4f}. Which is best says nothing. In another "
        f"study{eased} raise quick_validation.epochs, or start from trained weights."
    ]


def _too_many_pruned(found: Summary) -> list[str]:
    # What ran out of time says nothing about the pruner.
    pruned = found.by_pruner
    if not found.finished or len(pruned) / found.finished <= MANY_PRUNED:
        return []
    # Which ends most trials once they have a whole fold, and is to.
    if _noted(found, "pruner") == {"promoted"}:
        return []
    steps = [epochs_of(trial) for trial in pruned]
    when = f", half of them within {counted(round(median(steps)), 'epoch')}" if steps else ""
    return [
        f"{len(pruned)} of {counted(found.finished, 'trial')} were pruned{when}. Raise "
        "pruning.patience or pruning.n_startup_trials so that more of them are seen to the end."
    ]


def _little_saved(found: Summary) -> list[str]:
    is_patient = "patient" in _noted(found, "pruner")
    if found.finished < ENOUGH_FOR_PRUNING or found.saved_share >= LITTLE_SAVED or not is_patient:
        return []
    epochs = max(len(trial.intermediate_values) for trial in found.ranked)
    return [
        f"Pruning saved {found.saved_share:.0%} of the epochs: a trial has {epochs}, and is given "
        f"{max(_noted(found, 'patience')) + 1} without a gain before it may be pruned. "
        "hydra/sweeper/pruner=median ends bad trials sooner, as does a lower pruning.patience."
    ]


def _noted(found: Summary, name: str) -> set[Any]:
    """Return what complete trials have noted of how the search prunes."""
    ways = [trial.user_attrs.get("workload", {}).get("pruning") for trial in found.ranked]
    return {way[name] for way in ways if way}


def _too_few(found: Summary) -> list[str]:
    count = len(found.ranked)
    # Those that the pruner has ended had a value too.
    judged = count + len(found.by_pruner) * (_noted(found, "pruner") == {"promoted"})
    # Without any, what has ended the others is told.
    if not count or judged >= FEW_FINISHED:
        return []
    return [
        f"Only {counted(count, 'trial')} {'has' if count == 1 else 'have'} run to the end: too few "
        "to trust small differences. Raise optuna.n_trials and run the same command again; it goes "
        "on from here."
    ]


def _out_of_memory(found: Summary) -> list[str]:
    ended = [*found.ranked, *found.pruned, *found.failed, *found.running]
    met = [t for t in ended if t.user_attrs.get("out_of_memory")]
    if not met:
        return []
    trials = counted(len(met), "trial")
    lost = len({t.number for t in met} & {t.number for t in found.failed})
    fate = f"{lost} failed" if lost else "none was lost"
    said = [
        f"{trials} ran out of memory and went on with fewer images at a time, at the same "
        f"effective batch; {fate}."
    ]
    if any("foreseen" in t.user_attrs for t in met):
        said.append(
            "The forecast should have seen it coming: it is wrong for this model, or other "
            "programs take memory of the card (lower gpu.usable_gb to what they leave)."
        )
    if any(t.user_attrs.get("batch_norm_on_micro_batches") for t in met):
        said.append(
            "The model has batch norm, which saw the smaller number: compare those trials with the "
            "others with care."
        )
    return [" ".join(said)]


def _noise(found: Summary) -> list[str]:
    gain = found.gain
    if gain is None:
        return _too_few_folds(found)
    if gain.is_clear:
        return []
    return [
        f"Noise is larger than the difference: the best trial's gain over the defaults is "
        f"{gain.mean:+.4f}, with a 95 % interval from {gain.low:+.4f} to {gain.high:+.4f}. "
        f"Raise quick_validation.folds or {found.length_key} in the next study, and let "
        f"'{command('src.confirm', study=found.name)}' say whether this gain holds."
    ]


def _too_few_folds(found: Summary) -> list[str]:
    best, defaults = found.best, found.defaults
    if best is None or defaults is None or best.number == defaults.number:
        return []
    count = len(best.user_attrs.get("folds") or [])
    if not 0 < count < ENOUGH_FOLDS:
        return []
    return [
        f"{'One fold says' if count == 1 else f'{count} folds say'} nothing about how sure the "
        f"gain is. Set quick_validation.folds={ENOUGH_FOLDS} or more in the next study, or run "
        f"'{command('src.confirm', study=found.name)}'."
    ]


def _focus(found: Summary) -> list[str]:
    return [
        "To widen what is pressed against and narrow the rest around the best trials: "
        f"'{command('src.train', '-m', 'hparams_search=focus', optuna__from_study=found.name)}'."
    ]
