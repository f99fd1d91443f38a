"""The decision that a study leads to, in a headline and a few sentences."""

from collections.abc import Sequence
from dataclasses import dataclass

from optuna.trial import FrozenTrial

from doctune.commands import command
from doctune.words import counted, score
from src.before.objectives import EACH_FOLD, MEAN
from src.results.choose import folds_behind
from src.results.confirmation.full_length import FullLength
from src.results.confirmation.judge import Confirmation, PairedDifference
from src.results.summary import ENOUGH_FOLDS, Summary, epochs_of


@dataclass(frozen=True)
class Verdict:
    """What the report opens with."""

    headline: str
    detail: str
    # How sure it is and how that was worked out; empty where there is nothing to be sure of.
    method: str = ""
    # good, unsure or none: the colour that it is shown in.
    tone: str = "none"


def trial_to_train(found: Summary, confirmations: Sequence[Confirmation]) -> FrozenTrial | None:
    """Return the trial to train with: the best of the search.

    Where fresh runs have been made, the best of those instead, which may be the defaults; and the
    defaults where the best is not ahead of them in full.
    """
    for one in confirmations:
        if not one.other_data:
            number = one.winner.trial if one.winner.gain > 0 else one.defaults_trial
            return next((t for t in found.ranked if t.number == number), found.best)
    if found.in_full is not None and found.in_full.mean <= 0:
        return found.defaults
    return found.best


def verdict(found: Summary, confirmations: Sequence[Confirmation] = ()) -> Verdict:
    """Say what the search has found, as plainly as the figures allow."""
    for one in confirmations:
        if not one.other_data:
            return _confirmed(one)
    best, defaults = found.best, found.defaults
    name = found.objectives[0]
    if best is None:
        return _without_result(found)
    if found.all_equal:
        return Verdict(
            "Nothing that was searched made a difference",
            f"All {len(found.ranked)} complete trials have {name} {best.values[0]:.4f}.",
            tone="unsure",
        )
    if defaults is None:
        headline = f"Best {name}: {best.values[0]:.4f}"
        if len(found.objectives) > 1:
            headline = _sentence(_scores(found, best))
        detail = f"{_sentence(_scores(found, best))} in trial {best.number}. {_no_defaults(found)}"
        return Verdict(headline, f"{detail} {rule_in_words(found)}".strip())
    if best.number == defaults.number:
        return _defaults_chosen(found, defaults)
    return _against_defaults(found, best, defaults)


def in_full_sentence(found: Summary, confirmations: Sequence[Confirmation] = ()) -> str:
    """Say that trials were shorter than what follows, where the defaults may catch up.

    On scikit-learn's digits a gain of 0.05 after 5 epochs was 0.0005 after 15 (docs/measured.md).
    """
    best, defaults = found.best, found.defaults
    is_told = any(one.test_winner and not one.other_data for one in confirmations)
    if best is None or defaults is None or best.number == defaults.number or is_told:
        return ""
    if found.in_full is not None or not _is_shorter(found, best):
        return ""
    return (
        f"Trials trained {counted(epochs_of_a_fold(best), 'epoch')} a fold, a full training has "
        f"{found.epochs_in_full} (trainer.max_epochs): who only learns sooner is ahead no more by "
        f"then. '{command('src.confirm', study=found.name)}' trains both in full."
    )


def epochs_of_a_fold(trial: FrozenTrial) -> int:
    """Return the epochs that a complete trial has trained a fold."""
    return epochs_of(trial) // max(1, len(trial.user_attrs.get("folds", ())))


def _is_shorter(found: Summary, best: FrozenTrial) -> bool:
    """Tell whether trials were shorter than the training that follows."""
    return 0 < epochs_of_a_fold(best) < found.epochs_in_full


def rule_in_words(found: Summary) -> str:
    """Say by what rule the trial was chosen; empty where that is the best mean and no more."""
    if found.best is None:
        return ""
    if len(found.objectives) == 1:
        return _rule_of_folds(found, found.best)
    first, others = found.objectives[0], " and ".join(found.objectives[1:])
    top = found.highest
    where = f"{top.values[0]:.4f} in trial {top.number}"
    chosen = f"Trial {found.best.number} was chosen by optuna.choose={found.rule}"
    if found.rule == "best_first":
        return f"{chosen}: the best {first}."
    if found.rule == "knee":
        return f"{chosen}: nearest to having the best of everything. The best {first} is {where}."
    return (
        f"{chosen}: the best in {others} among the trials whose {first} is within "
        f"{100 * found.tolerance:.3g}% of the best, {where}."
    )


def _rule_of_folds(found: Summary, chosen: FrozenTrial) -> str:
    """Say that the folds were asked, and of what scored better who was not chosen for it."""
    defaults, top = found.defaults, found.highest
    if found.chosen_by != EACH_FOLD or defaults is None or not defaults.user_attrs.get("folds"):
        return ""
    key = f"optuna.choose_by={EACH_FOLD}"
    if chosen.number != defaults.number and chosen.values[0] == top.values[0]:
        return f"It is behind them on no fold ({key})."
    behind = folds_behind(top, defaults, found.maximize)
    if not behind:  # the defaults, and nothing scored better
        return ""
    which = f"fold{'s' * (len(behind) > 1)} {', '.join(map(str, behind))}"
    most = "highest" if found.maximize else "lowest"
    return (
        f"It is the best of those that are behind the defaults on no fold ({key}); the {most}, "
        f"{top.values[0]:.4f} in trial {top.number}, is behind them on {which}."
    )


def _without_result(found: Summary) -> Verdict:
    if found.running:
        return Verdict("No result yet", "Trials are still running.")
    if found.finished and len(found.failed) == found.finished:
        reason, numbers = found.failure_reasons[0]
        said = "The only one" if found.finished == 1 else f"All {found.finished} trials"
        how = "" if len(numbers) == found.finished else f" {len(numbers)} of them"
        return Verdict("No result: every trial failed", f"{said} failed,{how} with: {reason}")
    ends = [
        *([f"{len(found.failed)} failed"] if found.failed else []),
        *([f"the pruner ended {len(found.by_pruner)}"] if found.by_pruner else []),
        *(f"{key} ended {len(trials)}" for key, trials in found.out_of_time.items()),
        *([f"{len(found.lost)} lost their process"] if found.lost else []),
    ]
    if not ends:
        return Verdict("No result yet", "No trial has run to the end.")
    return Verdict(
        "No result: no trial ran to the end",
        f"Of {counted(found.finished + len(found.lost), 'trial')}, {', '.join(ends)}.",
    )


def _defaults_chosen(found: Summary, defaults: FrozenTrial) -> Verdict:
    name, score = found.objectives[0], defaults.values[0]
    top = found.highest
    if top.values[0] != score and len(found.objectives) == 1:
        most = "highest" if found.maximize else "lowest"
        behind = len(folds_behind(top, defaults, found.maximize))
        return Verdict(
            "Nothing was gained",
            f"The config's own values stay, with {name} {score:.4f} in trial {defaults.number}: "
            "each trial with a better mean is behind them on a fold "
            f"(optuna.choose_by={EACH_FOLD}). The {most} has {top.values[0]:.4f}, in trial "
            f"{top.number}, and is behind on {counted(behind, 'fold')}.",
            "The best of many trials is partly luck, and a fold that says otherwise shows it. "
            f"'{command('src.confirm', study=found.name)}' measures the best few with fresh seeds "
            f"and folds; optuna.choose_by={MEAN} takes the best mean all the same.",
            tone="unsure",
        )
    if top.values[0] != score:
        return Verdict(
            "The defaults are chosen",
            f"Trial {defaults.number} has the config's own values: {_scores(found, defaults)}. "
            f"{rule_in_words(found)}",
            tone="unsure",
        )
    count = counted(len(found.ranked), "complete trial")
    return Verdict(
        "Nothing beats the defaults so far",
        f"The config's own values are the best of {count}, with {name} {score:.4f}.",
        tone="unsure",
    )


def _against_defaults(found: Summary, best: FrozenTrial, defaults: FrozenTrial) -> Verdict:
    if found.in_full is not None:
        return _trained_in_full(found, found.in_full, best, defaults)
    name, gain = found.objectives[0], found.gain
    rule = rule_in_words(found)
    theirs = _scores(found, defaults, named=False)
    detail = (
        f"{_sentence(_scores(found, best))} in trial {best.number}; the defaults have {theirs} on "
        f"the same folds. {rule}"
    ).strip()
    if not found.maximize:
        detail += f" Of {name}, lower is better."
    difference = best.values[0] - defaults.values[0]
    better = difference if found.maximize else -difference
    if gain is None:
        headline = f"{difference:+.4f} over the defaults"
        if not found.maximize or better <= 0:
            way = "below" if difference < 0 else "above"
            headline = f"{_sentence(name)} {abs(difference):.4f} {way} the defaults"
        return Verdict(
            headline,
            detail,
            f"With fewer than {ENOUGH_FOLDS} folds nothing says how sure this is: "
            f"'{command('src.confirm', study=found.name)}' measures it with fresh seeds and folds.",
            tone="unsure",
        )
    method = _from_folds(gain, found)
    if gain.mean <= 0:
        return Verdict(f"Not better than the defaults in {name}", detail, method, "unsure")
    if gain.is_clear and _is_shorter(found, best):
        # Nobody knows yet whether it stays so.
        after = f" after {counted(epochs_of_a_fold(best), 'epoch')}"
        headline = f"Better than the defaults by {gain.mean:.4f}{after}"
        return Verdict(headline, detail, method, "unsure")
    if gain.is_clear:
        return Verdict(f"Better than the defaults by {gain.mean:.4f}", detail, method, "good")
    return Verdict(
        "Perhaps better than the defaults",
        f"{detail} The gain of {gain.mean:+.4f} is within what folds differ by.",
        method,
        "unsure",
    )


def _trained_in_full(
    found: Summary, full: FullLength, best: FrozenTrial, defaults: FrozenTrial
) -> Verdict:
    """Say what full trainings have made of what the trials said."""
    short = counted(epochs_of_a_fold(best), "epoch")
    trials = (
        f"After {short} they had {_scores(found, best)} and {_scores(found, defaults, False)}. "
        f"{rule_in_words(found)}"
    ).strip()
    method = (
        f"Of {counted(len(full.best_scores), 'fold')}, each trained twice, from the seeds that the "
        "trials had"
    )
    if full.gain is not None:
        method += (
            ", by the corrected resampled t-test (Nadeau & Bengio 2003), which allows for the "
            "training images that folds share. The trial was picked by its score on these folds, "
            "so its gain is a little too good"
        )
    method += (
        f": '{command('src.confirm', study=found.name)}' measures it again with fresh seeds and "
        "folds, and on the test split."
    )
    if full.mean <= 0:
        said = f"{full.sentence} So the defaults are what to train with. {trials}"
        return Verdict(f"Better after {short} alone", said, method, "unsure")
    if full.is_clear:
        headline = f"Better than the defaults by {full.mean:.4f}, trained in full"
        return Verdict(headline, f"{full.sentence} {trials}", method, "good")
    unsure = "One fold says" if full.gain is None else f"{len(full.best_scores)} folds say"
    said = f"{full.sentence} {unsure} too little to rule out luck. {trials}"
    return Verdict("Perhaps better than the defaults", said, method, "unsure")


def _scores(found: Summary, trial: FrozenTrial, named: bool = True) -> str:
    """Write all objectives of a trial."""
    return " and ".join(
        f"{f'{name} ' * named}{f'{value:.4f}' if i == 0 else score(value)}"
        for i, (name, value) in enumerate(zip(found.objectives, trial.values, strict=True))
    )


def _sentence(words: str) -> str:
    """Begin with a capital letter, where that is no key such as `log_loss`."""
    first = words.split()[0]
    return words if "_" in first else words[:1].upper() + words[1:]


def _no_defaults(found: Summary) -> str:
    """Say why there are no defaults to compare with."""
    for trials, what in (
        (found.running, "are still running"),
        (found.failed, "failed"),
        (found.pruned, "were ended early"),
        (found.lost, "lost their process"),
    ):
        if any(trial.user_attrs.get("defaults") for trial in trials):
            return f"The defaults {what}, so there is nothing to compare with."
    return "The defaults did not run."


def _from_folds(gain: PairedDifference, found: Summary) -> str:
    best = "highest" if found.maximize else "lowest"
    picked = (
        f"The best trial was also picked because it scored {best}, so its score is"
        if len(found.objectives) == 1
        else "The trial was also picked by what it scored on these folds, so its scores are"
    )
    return (
        f"95 % interval of the gain: {gain.low:+.4f} to {gain.high:+.4f}. From the differences on "
        f"{gain.pairs} folds, each trained twice, by the corrected resampled t-test (Nadeau & "
        f"Bengio 2003), which allows for the training images that folds share. With {gain.pairs} "
        f"folds it is wide. {picked} a little too good: "
        f"'{command('src.confirm', study=found.name)}' measures it again with fresh seeds and "
        "folds, and on the test split."
    )


def _confirmed(one: Confirmation) -> Verdict:
    best = one.winner
    method = (
        f"Confirmed with {one.pairs} pairs of fresh seeds and folds, {one.folds} folds of "
        f"{one.epochs} epochs each, by the corrected resampled t-test (Nadeau & Bengio 2003), "
        f"one-sided, corrected for {counted(len(one.contenders), 'configuration')} (Holm 1979)."
    )
    if best.holds and one.is_gone_in_full:
        headline = f"Better after {counted(one.epochs, 'epoch')} alone"
        return Verdict(headline, one.sentence, method, "unsure")
    if best.holds:
        headline = f"Confirmed: better than the defaults by {best.gain:.4f}"
        return Verdict(headline, one.sentence, method, "good")
    return Verdict("Not confirmed", one.sentence, method, "unsure")
