"""What the pruner did, and whether that was right, in words."""

from doctune.study.pruning_safety import ENOUGH_TO_WARN, PruningSafety, clear_from
from doctune.words import counted, duration
from src.results.summary import Summary


def what_was_ended(found: Summary) -> str:
    """Say which trials were ended early, by what, and what the pruner has saved."""
    said = []
    if found.by_pruner:
        saved = found.epochs_without_pruning - found.epochs
        count = len(found.by_pruner)
        words = f"The pruner ended {counted(count, 'trial')} early"
        if saved:
            words += (
                f", which saved {saved} of {found.epochs_without_pruning} epochs "
                f"({found.saved_share:.0%})"
            )
        if found.seconds_saved:
            words += f", about {duration(found.seconds_saved)} of one worker's training"
        said.append(f"{words}.")
    for key, trials in found.out_of_time.items():
        ends = "trial that had" if len(trials) == 1 else "trials that had"
        said.append(f"{key} ended {len(trials)} {ends} not come to the end.")
    return " ".join(said) or "No trial was ended early."


def was_it_safe(found: Summary) -> str:
    """Say what complete trials tell of those that were ended; empty where they tell nothing."""
    safety = found.pruning
    if safety is None:
        return ""
    return " ".join(filter(None, (_order(found, safety), _spared(safety), _lost(safety))))


def unsafe_pruning(found: Summary) -> list[str]:
    """Say that pruning does harm, with the key that mends it; empty where nothing shows it."""
    safety = found.pruning
    if safety is None or not safety.is_unsafe:
        return []
    later = clear_from(found.ranked, found.maximize)
    mend = (
        f"Set pruning.patience={later} in the next study"
        if later is not None and later > safety.step
        else "Set pruning.enabled=false in the next study, or make its trials longer "
        f"({found.length_key})"
    )
    why = _spared(safety) if safety.has_lost_the_best else _order(found, safety)
    if not safety.has_lost_the_best and safety.chance > 0.5:
        why = _lost(safety)
    return [f"Pruning may do harm. {why} {mend}."]


def _order(found: Summary, safety: PruningSafety) -> str:
    if safety.tau is None:
        return ""
    said = (
        f"After {found.in_steps(safety.step + 1)}, where half of them had ended, the order of "
        f"{safety.complete} complete trials was {safety.alike} that of the end (Kendall's tau "
        f"{safety.tau:+.2f}; 1 is the same order, 0 chance"
    )
    if not safety.is_clear and safety.complete >= ENOUGH_TO_WARN:
        said += ", which this may be"
    return f"{said})."


def _spared(safety: PruningSafety) -> str:
    ranks = sorted(safety.let_through.values())
    if not ranks:
        return ""
    count = f"{counted(len(ranks), 'trial')} that it would have ended"
    place = f"rank {ranks[0]} of {safety.complete}"
    if len(ranks) == 1:
        return f"{count} was let through and came to {place}."
    return f"{count} were let through; the best of them came to {place}."


def _lost(safety: PruningSafety) -> str:
    if not safety.ended:
        return ""
    if not safety.chance:
        return (
            "None of those ended would have come past the best trial, even had it gained as much "
            "from there as any complete trial did."
        )
    return (
        "Had those ended gained from there what one complete trial or another did, one of them "
        f"would have come past the best with {safety.chance:.0%}."
    )
