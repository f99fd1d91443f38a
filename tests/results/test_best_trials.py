"""The table of the best trials: whole words and numbers, on any screen."""

import io
import math
from typing import Any

import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import RandomSampler
from rich.console import Console

from doctune.words import short, show
from src.results.best_trials import print_best_trials
from src.results.summary import Summary, summarize

# The guide's, in the order of its table; `img_size` is the same in all trials here.
SPACE: dict[str, BaseDistribution] = {
    "optimizer.lr": FloatDistribution(1e-5, 5e-3, log=True),
    "data.batch_size": CategoricalDistribution([16, 32, 48, 64]),
    "data.img_size": CategoricalDistribution([224]),
    "optimizer.weight_decay": FloatDistribution(0.01, 0.1),
    "model.drop_rate": FloatDistribution(0.01, 0.15),
    "model.drop_path_rate": FloatDistribution(0.0, 0.3),
    "loss.label_smoothing": FloatDistribution(0.05, 0.15),
    "callbacks.gradient_clip_norm": FloatDistribution(0.8, 1.5),
    "augment.mixup_alpha": FloatDistribution(0.4, 1.2),
    "scheduler.warmup_epochs": CategoricalDistribution([0, 1, 2, 3]),
    "model.pooling": CategoricalDistribution(["avg", "max", "avgmax"]),
    "model.layer_scale": FloatDistribution(1e-6, 1e-4, log=True),
}


def searched(parameters: int, trials: int = 60) -> Summary:
    """Return a study of the first so many parameters, of which gradient clipping matters most."""
    study = optuna.create_study(direction="maximize", sampler=RandomSampler(seed=1))
    for _ in range(trials):
        trial = study.ask(dict(list(SPACE.items())[:parameters]))
        clip = trial.params.get("callbacks.gradient_clip_norm", 0)
        study.tell(trial, clip + 0.1 * math.log10(trial.params["optimizer.lr"]))
    return summarize(study)


def printed(found: Summary, width: int) -> tuple[str, list[str]]:
    """Return all that is shown, and the words of its first line."""
    console = Console(file=io.StringIO(), width=width)
    print_best_trials(found, console)
    shown: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(len(line) <= width for line in shown.splitlines())
    return shown, shown.splitlines()[0].split()


@pytest.mark.parametrize(("parameters", "width"), [(3, 80), (3, 160), (11, 200), (12, 300)])
def test_what_fits_is_shown_as_it_is(parameters: int, width: int) -> None:
    found = searched(parameters)
    shown, header = printed(found, width)
    names = [short(key) for key in SPACE][:parameters]
    assert header == ["trial", "score", *names]
    for line, trial in zip(shown.splitlines()[1:], found.top, strict=True):
        assert line.split()[3:] == [show(trial.params[key]) for key in trial.params]


def test_what_does_not_fit_is_named_below() -> None:
    found = searched(12)
    shown, header = printed(found, 80)
    below = " ".join(shown.splitlines()[1 + len(found.top) :])
    assert "all with img_size=224" in below
    assert "in the report and in trials.csv beside it" in below
    names = {short(key) for key in SPACE}
    left_out = set(below.partition("beside it: ")[2].replace(",", "").split())
    assert {*header[2:], "img_size"} | left_out == names
    assert not left_out & {*header, "img_size"}
    # What matters most comes first, and stays.
    assert header[2:] == [short(key) for key in found.importances][: len(header) - 2]
    assert header[2] == "gradient_clip_norm"
    for line, trial in zip(shown.splitlines()[1:], found.top, strict=False):
        by_name = {short(key): show(value) for key, value in trial.params.items()}
        assert line.split()[3:] == [by_name[name] for name in header[2:]]


def test_a_wider_screen_shows_more() -> None:
    found = searched(12)
    columns = [len(printed(found, width)[1]) for width in (40, 80, 120, 160)]
    assert columns == sorted(set(columns))


def test_few_trials_have_no_importances_and_keep_the_order_of_the_space() -> None:
    found = searched(12, trials=3)
    assert not found.importances
    _, header = printed(found, 80)
    names = [short(key) for key in SPACE if short(key) in header]
    assert header[2:] == names
    assert header[2] == "lr"


def test_a_single_trial_is_told_in_words() -> None:
    found = searched(12, trials=1)
    shown, header = printed(found, 80)
    assert header == ["trial", "score"]
    told: dict[str, Any] = found.top[0].params
    flat = " ".join(shown.split())
    assert all(f"{short(key)}={show(value)}" in flat for key, value in told.items())


def test_forty_columns_show_the_score_of_every_trial() -> None:
    found = searched(4)
    shown, _ = printed(found, 40)
    for trial in found.top:
        assert f"{trial.values[0]:.4f}" in shown
