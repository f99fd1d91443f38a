"""What the plan would change, in words: the key, the value and why."""

from collections.abc import Iterator

from omegaconf import DictConfig

from doctune.words import duration
from src.before.trial_length import EPOCHS, SECONDS
from src.hardware import memory
from src.hardware.config import AUTO
from src.hardware.memory import GIB
from src.planning.search_plan import SearchPlan
from src.training.abilities import abilities

# A search that is expected to leave this share of its time unused could search more.
MUCH_TIME_LEFT = 0.5
# Trials that share a card are advised where they get through so many times as many.
WORTH_SHARING = 1.1


def advice(plan: SearchPlan, cfg: DictConfig) -> list[str]:
    """Return what to change, the most urgent first; empty where all is well."""
    return [*_memory(plan, cfg), *_time(plan, cfg), *_trial_time(plan, cfg), *_sharing(plan, cfg)]


def _memory(plan: SearchPlan, cfg: DictConfig) -> Iterator[str]:
    room = f"{plan.available / GIB:.3g} GB"
    too_large = one_card_is_not_enough = False
    for side in plan.searched.img_sizes:
        refused = [cell for cell in plan.cells if cell.img_size == side and not cell.fits]
        if not refused:
            continue
        largest, with_less = plan.largest[side], plan.largest_checkpointing.get(side, 0)
        if len(refused) == 1:
            text = f"{side} px: batch {refused[0].batch_size} does not fit in {room}"
        else:
            sizes = ", ".join(str(cell.batch_size) for cell in refused[:-1])
            text = f"{side} px: batches {sizes} and {refused[-1].batch_size} do not fit in {room}"
        text += f"; {largest} does" if largest else "; not even one image does"
        if with_less > largest:
            text += f", with gradient checkpointing {with_less}"
        yield text
        possible = max(largest, with_less) if cfg.gpu.checkpointing else largest
        too_large = too_large or not possible
        one_card_is_not_enough = one_card_is_not_enough or not max(largest, with_less)
    sharing = memory.sharing(cfg.gpu)
    if sharing > 1 and any(not cell.fits for cell in plan.cells):
        yield f"{sharing} trials share a card: gpu.trials_per_device=1 gives each of them all of it"
    if too_large and sharing > 1:
        return
    if too_large:
        ways = "take a smaller model, or leave these image sizes out"
        if not one_card_is_not_enough:
            ways = f"give gpu.checkpointing=true, {ways}"
        yield f"{cfg.model.name} is too large for gpu={cfg.gpu.name} at those sizes: {ways}"
        if one_card_is_not_enough:
            yield (
                "one card cannot hold it; several can, in a training without a search: "
                "python -m src.train trainer.devices=2 trainer.strategy=fsdp"
            )
    elif any(not cell.fits for cell in plan.cells):
        yield from _how_they_run(plan, cfg)
        fitting = [b for b in plan.searched.batch_sizes if b <= min(plan.largest.values())]
        if fitting and plan.searched.batch_is_searched:
            yield f"to search only what fits whole: search_space.batch_size.choices={fitting}"


def _how_they_run(plan: SearchPlan, cfg: DictConfig) -> Iterator[str]:
    """Say how trials run whose batch does not fit as it is."""
    refused = [cell for cell in plan.cells if not cell.fits]
    if any(cell.checkpointing and cell.micro_batch == cell.batch_size for cell in refused):
        yield "trials that fit with gradient checkpointing run with it: nothing to do, but slower"
    cut = [cell for cell in refused if cell.micro_batch < cell.batch_size]
    if cut:
        whole = not cfg.gpu.checkpointing and any(cell.fits_checkpointing for cell in cut)
        batch_norm = abilities(cfg.model, cut[0].img_size).batch_norm
        yield (
            "trials that do not fit run with the same effective batch, in pieces that fit: "
            "nothing to do, but they are slower"
            + (", and batch norm sees the pieces" if batch_norm else "")
            + ("; gpu.checkpointing=true runs those marked c whole" if whole else "")
        )


def _time(plan: SearchPlan, cfg: DictConfig) -> Iterator[str]:
    if plan.timeout is None:
        return
    if not plan.in_time:
        whole = round(plan.seconds / 60 + 0.5) * 60
        if not plan.trials_in_time:
            limit = duration(plan.timeout)
            yield f"not one trial finishes in {limit}: raise optuna.timeout={whole}"
            return
        yield (
            f"about {plan.trials_in_time} of {plan.n_trials} trials finish in "
            f"{duration(plan.timeout)}: raise optuna.timeout={whole} for all of them, or lower "
            f"optuna.n_trials={plan.trials_in_time}"
        )
    elif plan.seconds < MUCH_TIME_LEFT * plan.timeout:
        longer = EPOCHS if cfg.quick_validation.seconds is None else SECONDS
        yield (
            f"only {duration(plan.seconds)} of {duration(plan.timeout)} would be used: raise "
            f"optuna.n_trials, or {longer} for scores that can be trusted more"
        )


def _trial_time(plan: SearchPlan, cfg: DictConfig) -> Iterator[str]:
    limit = cfg.optuna.trial_timeout
    late = [cell for cell in plan.cells if limit is not None and cell.seconds > limit]
    if late:
        slowest = max(late, key=lambda cell: cell.seconds)
        whole = round(slowest.seconds / 60 + 0.5) * 60
        yield (
            f"a trial of batch {slowest.batch_size} at {slowest.img_size} px takes "
            f"{duration(slowest.seconds)}, but ends after optuna.trial_timeout="
            f"{duration(limit)}: raise optuna.trial_timeout={whole}"
        )


def _sharing(plan: SearchPlan, cfg: DictConfig) -> Iterator[str]:
    if plan.gain_of_sharing >= WORTH_SHARING and cfg.gpu.trials_per_device != AUTO:
        more = cfg.gpu.trials_per_device + 1
        yield (
            f"{plan.trials_a_card} trials fit on a card at a time, and one leaves it idle: "
            f"gpu.trials_per_device={more} may be {plan.gain_of_sharing - 1:.0%} faster"
        )
