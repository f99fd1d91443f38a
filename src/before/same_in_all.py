"""Keys that all trials of a search share, as their scores are compared with one another."""

from collections.abc import Iterable, Iterator

from omegaconf import DictConfig, OmegaConf

from doctune.errors import UserError

# What a score stands for: how long a trial trains, on which parts, and how it is scored.
SAME_IN_ALL = (
    *(f"quick_validation.{name}" for name in ("epochs", "folds", "min_steps", "seconds")),
    *(f"quick_validation.{name}" for name in ("wear", "wear_strength", "wear_draws")),
    *("trainer.precise_bn", "data.seed", "data.n_images"),
)


def compared(jobs: Iterable[DictConfig]) -> Iterator[DictConfig]:
    """Yield the configs of jobs, each as soon as it is compared with the first.

    Raises:
        UserError: they differ in a key that trials have to share; names it, two of its values and
            what to do.
    """
    first: DictConfig | None = None
    for job in jobs:
        first = job if first is None else first
        _check_same(first, job)
        yield job


def _check_same(one: DictConfig, other: DictConfig) -> None:
    for key in SAME_IN_ALL:
        values = [OmegaConf.select(cfg, key) for cfg in (one, other)]
        if values[0] != values[1]:
            said = " and ".join(str(value) for value in values)
            raise UserError(
                f"{key}: trials with {said} cannot be compared with one another; give one value, "
                "and another study (optuna.study_name=NAME) for each other one"
            )
