"""The plan on the screen, and as JSON."""

import dataclasses
import json
import math

from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table
from rich.text import Text

from doctune.words import counted, duration
from src.before.models import notes_on_model
from src.before.trial_length import images_between
from src.hardware.memory import GIB
from src.planning.advice import advice
from src.planning.search_plan import Cell, SearchPlan
from src.training.model_notes import in_words

# What a model lacks, where that is not simply the thing.
LACKING = {"pooling": "choice of pooling"}


def print_plan(plan: SearchPlan, cfg: DictConfig, console: Console) -> None:
    """Print what is planned, the table, the times, and what to change."""
    console.print(_head(plan, cfg), highlight=False, soft_wrap=True)
    for note in plan.few_images:
        console.print(note, markup=False, highlight=False, soft_wrap=True)
    console.print(_model(cfg), highlight=False, soft_wrap=True)
    console.print(_table(plan))
    console.print(_legend(plan), highlight=False, soft_wrap=True)
    console.print(_times(plan, cfg), highlight=False, soft_wrap=True)
    found = advice(plan, cfg)
    for line in found or ["nothing to change"]:
        style = "yellow" if found else "green"
        console.print(f"> {line}", style=style, markup=False, highlight=False, soft_wrap=True)


def to_json(plan: SearchPlan, cfg: DictConfig) -> str:
    """Return the plan for programs: bytes, seconds, and the advice as printed."""
    found = dataclasses.asdict(plan)
    if math.isinf(plan.available):
        found["available"] = None
    found["model"] = in_words(cfg.model, cfg.data.img_size)
    found["seconds"] = plan.seconds
    found["in_time"] = plan.in_time
    found["trials_in_time"] = plan.trials_in_time
    found["advice"] = advice(plan, cfg)
    return json.dumps(found, indent=2)


def _head(plan: SearchPlan, cfg: DictConfig) -> Text:
    text = Text(f"{cfg.model.name} on {cfg.gpu.name}", style="bold")
    quick = cfg.quick_validation
    epochs = counted(quick.epochs, "epoch")
    length = epochs if quick.seconds is None else duration(quick.seconds / quick.folds)
    text.append(
        f"  {plan.parameters / 1e6:.1f} million parameters, {cfg.trainer.precision}, "
        f"{plan.images.train} images to train on, {plan.images.classes} classes\n"
        f"{counted(plan.n_trials, 'trial')} of {length} x "
        f"{counted(quick.folds, 'fold')}, "
        f"{plan.n_jobs} at a time",
        style="not bold",
    )
    return text


def _model(cfg: DictConfig) -> Text:
    """Say what of the model can be searched, what cannot, and what is different in it."""
    # That of the config, as what is left out of the search space follows from it.
    found = in_words(cfg.model, cfg.data.img_size)
    can = [f"{name} ({how})" if how else name for name, how in found.items() if how is not None]
    cannot = [LACKING.get(name, name) for name, how in found.items() if how is None]
    text = Text("the model has " + ("; ".join(can) or "nothing to search"))
    if cannot:
        text.append(f"\nit has no {', no '.join(cannot)}")
    for note in notes_on_model(cfg):
        text.append(f"\n{note}", style="yellow")
    return text


def _table(plan: SearchPlan) -> Table:
    is_timed = len({cell.epochs for cell in plan.cells}) > 1
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("px", justify="right", no_wrap=True)
    for batch in plan.searched.batch_sizes:
        table.add_column(f"batch {batch}", justify="right", no_wrap=True)
    if not math.isinf(plan.available):
        table.add_column("largest", justify="right", no_wrap=True)
        if plan.largest_checkpointing:
            table.add_column("with checkpointing", justify="right", max_width=13)
    for side in plan.searched.img_sizes:
        row = [Text(str(side))]
        row += [_cell(cell, is_timed) for cell in plan.cells if cell.img_size == side]
        row.append(Text(str(plan.largest[side])))
        row.append(Text(str(plan.largest_checkpointing.get(side, "-"))))
        table.add_row(*row[: len(table.columns)])
    return table


def _cell(cell: Cell, tell_epochs: bool) -> Text:
    mark, style = ("", "green")
    if not cell.fits:
        mark, style = ("c", "yellow") if cell.fits_checkpointing else ("!", "red")
    epochs = f"\n{counted(cell.epochs, 'epoch')} a fold" if tell_epochs else ""
    return Text(f"{cell.needed / GIB:.1f} GB{mark}\n{duration(cell.seconds)}{epochs}", style=style)


def _legend(plan: SearchPlan) -> str:
    parts = ["memory of a step and time of a trial that is not pruned"]
    if not math.isinf(plan.available):
        parts.append(f"{plan.available / GIB:.3g} GB for a trial")
    if any(not cell.fits for cell in plan.cells):
        parts.append("c fits with gradient checkpointing only, ! does not")
    return "; ".join(parts)


def _times(plan: SearchPlan, cfg: DictConfig) -> Text:
    text = Text("a trial ")
    text.append(duration(plan.seconds_a_trial), style="bold")
    text.append(" on average, the search ")
    text.append(duration(plan.seconds), style="bold")
    if plan.is_pruned:
        saved, trials = plan.pruning.share, plan.pruning.trials
        told = (
            f"saves {saved:.0%}, as in {trials} earlier trials"
            if trials
            else (f"may save {saved:.0%}")
        )
        first = "one" if plan.unpruned == 1 else str(plan.unpruned)
        text.append(f" (pruning {told}, after the first {first})")
    if plan.timeout is not None:
        text.append(", within " if plan.in_time else ", more than ")
        text.append(f"optuna.timeout ({duration(plan.timeout)})")
    folds = cfg.quick_validation.folds
    in_full = min(cfg.optuna.in_full, folds)
    if in_full and max(cell.epochs for cell in plan.cells) < cfg.trainer.max_epochs:
        seconds = plan.seconds_in_full(cfg.trainer.max_epochs, in_full / folds)
        text.append(
            f"\nthen the best and the defaults train in full on {counted(in_full, 'fold')} "
            f"(optuna.in_full): up to {duration(seconds)}, where so much time is left"
        )
    if plan.statistics:
        most, fewer = cfg.trainer.precise_bn, images_between(cfg)
        text.append(
            f"\n{plan.statistics:.0%} of it for batch norm's statistics before each validation, "
            f"over {most} images (trainer.precise_bn)"
        )
        if fewer < most:
            text.append(f"; {fewer} where no trials are compared (quick_validation.precise_bn)")
    found = plan.correction
    if not found.trials:
        source = "from the card's data sheet" if cfg.gpu.memory_gb else "a guess for a CPU"
        text.append(f"\ntimes are {source}: no earlier trial to correct them by")
    else:
        of = "of this model" if found.same_model else "of other models"
        source = "the data sheet's" if cfg.gpu.memory_gb else "the guess"
        earlier = counted(found.trials, "earlier trial")
        text.append(
            f"\ntimes are {source} x {found.factor:.2f}, as {earlier} {of} took on this "
            "kind of device"
        )
    return text
