"""Studies of which a report says something wrong easily, as searches leave them."""

import datetime
import html
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from doctune.study.ownership import this_process
from src.results.advice import advice
from src.results.confusions import find_mistakes
from src.results.in_full import in_full
from src.results.report import Decision, render_report
from src.results.stored_study import StoredStudy
from src.results.summary import summarize
from src.results.verdict import verdict
from src.trial.out_of_fold import OutOfFold, log_of

RATE = FloatDistribution(1e-5, 1e-2, log=True)
MODELS = ("convnext_tiny", "convnext_base.fb_in1k", "swin_base")
# Epochs of a trial, of all folds.
EPOCHS = 9
START = datetime.datetime(2026, 11, 20, 9, 0)

Direction = Literal["maximize", "minimize"]
Params = dict[str, tuple[BaseDistribution, Any]]
Draw = Callable[[int, np.random.Generator], Params]


def study_of(
    trials: Sequence[FrozenTrial], directions: Sequence[Direction] = ("maximize",), **attrs: Any
) -> optuna.Study:
    """Return a study of these trials."""
    study = optuna.create_study(
        storage=InMemoryStorage(), study_name="unusual", directions=list(directions)
    )
    study.add_trials(trials)
    for name, value in attrs.items():
        study.set_user_attr(name, value)
    return study


def trial_of(
    params: Params,
    state: TrialState = TrialState.COMPLETE,
    values: Sequence[float] | None = (0.5,),
    steps: int = EPOCHS,
    start: datetime.datetime = START,
    seconds: float = 10.0,
    **attrs: Any,
) -> FrozenTrial:
    """Return a trial of a few epochs."""
    complete = state is TrialState.COMPLETE
    trial = create_trial(
        state=state,
        values=list(values) if values and complete else None,
        params={name: value for name, (_, value) in params.items()},
        distributions={name: dist for name, (dist, _) in params.items()},
        intermediate_values={i: 0.1 + 0.01 * i for i in range(steps)},
        user_attrs={"worker": "gpu 0", "workload": {"epochs": EPOCHS}, **attrs},
    )
    trial.datetime_start = start
    ended = state is not TrialState.RUNNING
    trial.datetime_complete = start + datetime.timedelta(seconds=seconds) if ended else None
    return trial


def rate(value: float) -> Params:
    """Return a learning rate alone."""
    return {"optimizer.lr": (RATE, value)}


def rates(count: int) -> list[float]:
    """Return learning rates, evenly from low to high."""
    return [float(10**power) for power in np.linspace(-5, -2, count)]


def several_models(trials: int = 48) -> optuna.Study:
    """Return a search over three models, each with ranges of its own; the last one has 4 trials."""
    rng = np.random.default_rng(1)
    made = []
    for number in range(trials):
        place = 2 if number % 12 == 0 else number % 2
        model, low = MODELS[place], 10.0 ** (place - 5)
        own: Params = {
            "optimizer.lr": (
                FloatDistribution(low, 100 * low, log=True),
                low * 10 ** rng.uniform(0, 2),
            ),
            "data.batch_size": (
                CategoricalDistribution([16, 32, 64]),
                int(rng.choice([16, 32, 64])),
            ),
            "model.drop_rate": (FloatDistribution(0, 0.3), float(rng.uniform(0, 0.3))),
        }
        params: Params = {"model": (CategoricalDistribution(MODELS), model)}
        params |= {f"{key}[{model}]": range_and_value for key, range_and_value in own.items()}
        off = np.log10(own["optimizer.lr"][1] / low) - 1
        score = 0.7 + 0.15 * (place == 1) - 0.1 * off**2 + rng.normal(0, 0.01)
        made.append(trial_of(params, values=[float(score)], start=START + seconds_of(10 * number)))
    return study_of(made)


def seconds_of(seconds: float) -> datetime.timedelta:
    """Return a length of time."""
    return datetime.timedelta(seconds=seconds)


def resumed_over_days() -> optuna.Study:
    """Return a search of two minutes that was cut off and went on two and five days later."""
    made = []
    for number, value in enumerate(rates(12)):
        day = (0, 2, 5)[number // 4]
        start = START + datetime.timedelta(days=day, seconds=10 * (number % 4))
        made.append(trial_of(rate(value), values=[value], start=start, worker=f"gpu {number % 2}"))
    # What was running when the search was killed for the first time, found two days later.
    start = START + seconds_of(40)
    cut = trial_of(rate(1e-3), TrialState.FAIL, steps=1, start=start, seconds=2 * 86400)
    cut.user_attrs |= {"interrupted": True, "heartbeat": (start + seconds_of(5)).timestamp()}
    return study_of([*made, cut])


def killed(silent: float = 3600.0) -> optuna.Study:
    """Return a search that was killed an hour ago, two trials of it still marked as running.

    One was run by this machine, where the process is gone, and one by another.
    """
    now = datetime.datetime.now()
    begun = now - seconds_of(silent + 100)
    here = {**this_process(), "pid": 2**22 + os.getpid()}
    made = [
        trial_of(rate(value), values=[value], start=begun + seconds_of(10 * i))
        for i, value in enumerate(rates(9))
    ]
    last: dict[str, Any] = {
        "steps": 2,
        "start": begun + seconds_of(90),
        "heartbeat": time.time() - silent,
    }
    for owner in (here, {**here, "place": "another machine"}):
        made.append(trial_of(rate(1e-3), TrialState.RUNNING, **last, owner=owner))
    return study_of(made)


def ended_early(stopped: Mapping[str, int], complete: int = 0) -> optuna.Study:
    """Return a search of which so many trials were ended by the pruner, or by a time limit."""
    full: dict[str, Any] = {"train_seconds": 9.0, "epochs": EPOCHS}
    short: dict[str, Any] = {"steps": 3, "train_seconds": 3.0, "epochs": 3}
    made = [trial_of(rate(value), values=[value], **full) for value in rates(complete)]
    for reason, count in stopped.items():
        made += [
            trial_of(rate(1e-3), TrialState.PRUNED, **short, stopped=reason) for _ in range(count)
        ]
    for trial in made:
        # Every trial waits 40 s for its worker.
        trial.datetime_complete = START + seconds_of(50)
    return study_of(made)


def failed(reasons: Sequence[str], complete: int = 0) -> optuna.Study:
    """Return a search of which trials failed with these reasons."""
    made = [trial_of(rate(v), values=[v]) for v in rates(complete)]
    made += [trial_of(rate(1e-3), TrialState.FAIL, steps=0, error=reason) for reason in reasons]
    return study_of(made)


def constant_scores(trials: int = 20) -> optuna.Study:
    """Return a search in which nothing mattered."""
    return study_of([trial_of(rate(v), values=[0.25], folds=[0.25] * 3) for v in rates(trials)])


def score_and_time(rule: str = "tolerance", **choose: Any) -> optuna.Study:
    """Return a search for F1 and time; the best F1, 0.9, takes 100 s, 0.895 half of that.

    The defaults, trial 0, have 0.88.
    """
    values = [(0.88, 90.0), (0.9, 100.0), (0.895, 50.0), (0.8, 10.0)]
    made = [
        trial_of(rate(v), values=pair, folds=[pair[0] + off for off in (-0.001, 0.0, 0.0012 * i)])
        for i, (v, pair) in enumerate(zip(rates(4), values, strict=True))
    ]
    made[0].user_attrs["defaults"] = True
    chosen = {"rule": rule, "tolerance": 0.01, **choose}
    study = study_of(made, ("maximize", "minimize"), choose=chosen)
    study.set_metric_names(["f1", "train_seconds"])
    return study


def log_loss(trials: int = 24) -> optuna.Study:
    """Return a search for a low log loss, which falls with the learning rate."""
    rng = np.random.default_rng(1)
    made = []
    for number, value in enumerate(rates(trials)):
        drop = float(rng.uniform(0, 0.3))
        params = {**rate(value), "model.drop_rate": (FloatDistribution(0, 0.3), drop)}
        loss = 2 - 0.3 * np.log10(value / 1e-5) + drop
        folds = [loss - 0.01, loss, loss + 0.01 + 0.001 * number]
        made.append(trial_of(params, values=[float(np.mean(folds))], folds=folds))
    made[0].user_attrs["defaults"] = True
    study = study_of(made, ("minimize",))
    study.set_metric_names(["log_loss"])
    return study


def predictions(classes: Sequence[str], images: int = 12) -> OutOfFold:
    """Return predictions in which the images of each class are taken for the next one, one in 4.

    The last class is taken for the first one most often.
    """
    labels = np.repeat(np.arange(len(classes)), images)
    guessed = labels.copy()
    guessed[::4] = (guessed[::4] + 1) % len(classes)
    guessed[-images // 2 :] = 0
    probabilities = np.eye(len(classes), dtype=np.float16)[guessed]
    rows = np.arange(len(labels))
    return OutOfFold(rows, labels, rows % 3, log_of(probabilities), tuple(classes))


def page_of(study: optuna.Study, folder: Path, classes: Sequence[str] = ()) -> str:
    """Return the report of a study; with the mistakes of its best trial, where there are classes.

    Args:
        study: any.
        folder: gets the predictions.
        classes: their names.
    """
    found = summarize(study)
    mistakes = None
    if classes and found.best is not None:
        best = found.best.number
        (folder / str(best) / ".hydra").mkdir(parents=True)
        (folder / str(best) / ".hydra" / "config.yaml").touch()
        predictions(classes).save(folder / str(best))
        mistakes = find_mistakes(StoredStudy(study, folder), best, examples=0)
    said = advice(found, {"optimizer.lr": "search_space.learning_rate"}, confirmed=False)
    command = "python -m src.train"
    decision = Decision(found.best, verdict(found), command, [], None, said)
    chosen = found.best.number if found.best else None
    trials = in_full(StoredStudy(study, folder), found, command, chosen)
    return render_report(study, found, decision, mistakes, trials)


def sentences(study: optuna.Study) -> str:
    """Return all that is said of a study on the page, outside of its plots."""
    page = page_of(study, Path())
    unseen = r"<style>.*?</style>|<script[^>]*>.*?</script>|<[^>]*>"
    text = re.sub(unseen, " ", page, flags=re.DOTALL)
    return " ".join(html.unescape(text).split())
