"""What more trials would gain, in words."""

from src.results.summary import Summary

# Below this they are not worth their time: less than what one fold differs from another by.
LITTLE = 0.001


def more_trials(found: Summary) -> str:
    """Say what ten more trials are expected to gain; empty where nothing can be said."""
    said = found.expected
    if said is None or found.all_equal:
        return ""
    much = f"less than {LITTLE:g}" if said.gain < LITTLE else f"{said.gain:.4f}"
    return (
        f"{said.ahead} more trials of this search are expected to gain {much} in "
        f"{found.objectives[0]}; the chance that one of them is the best is {said.chance:.0%}."
    )
