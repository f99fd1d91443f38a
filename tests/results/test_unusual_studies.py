"""The report is true of every study: what it says, and what its plots are drawn from."""

import datetime
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from src.results.confusions import MOST_CLASSES, Mistakes
from src.results.importances import ENOUGH_FOR_IMPORTANCES, Importances
from src.results.plots import confusion, parameters, progress
from src.results.pressed_ends import edges
from src.results.summary import summarize
from src.results.time_spent import Span, runs
from src.results.write import trials_table
from tests.results import unusual_studies as unusual
from tests.results.unusual_studies import MODELS, START, rate, rates, seconds_of, study_of, trial_of

# What is said of a study, and what is not.
Said = tuple[Callable[[], optuna.Study], list[str], list[str]]

SAID: dict[str, Said] = {
    "killed": (
        lambda: unusual.killed(),
        [
            "cut off , 2 trials without a process",
            "The search was cut off: 2 trials lost their process. Start the same command again",
            "1 min 40 s of searching",
        ],
        ["still running"],
    ),
    "not silent for long": (
        lambda: unusual.killed(silent=20),
        ["still running , 1 trial in flight", "1 trial lost their process; those that still run"],
        [],
    ),
    "all pruned": (
        lambda: unusual.ended_early({"pruner": 3, "trial_timeout": 9}),
        [
            "No result: no trial ran to the end",
            "Of 12 trials, the pruner ended 3, optuna.trial_timeout ended 9.",
            # 3 of 9 epochs each; without the pruner its three would have had 18 more.
            "33 % of epochs saved",
            "saved 18 of 54 epochs (33%), about 18 s of one worker's training.",
            "optuna.trial_timeout ended 9 trials that had not come to the end.",
            "9 of 12 trials had not ended when optuna.trial_timeout was over, half of them after 3",
        ],
        ["No trial was ended early", "pruning.patience"],
    ),
    "pruned, and the search's own limit": (
        lambda: unusual.ended_early({"pruner": 3, "timeout": 1}, complete=12),
        # A worker's start of 40 s is not trained time: 3 trials, 6 epochs each, 1 s an epoch.
        ["1 ended by optuna.timeout", "about 18 s of one worker's training"],
        ["had not ended when optuna.timeout"],
    ),
    "no pruner": (lambda: unusual.ended_early({}, complete=12), ["No trial was ended early."], []),
    "the search's limit alone": (
        lambda: unusual.ended_early({"timeout": 1}),
        [
            "Of 1 trial, optuna.timeout ended 1.",
            "1 of 1 trial had not ended when optuna.timeout was over",
        ],
        ["1 trials"],
    ),
    "all failed": (
        lambda: unusual.failed(
            ["RuntimeError: no driver", "RuntimeError: no driver", "OSError: full"]
        ),
        [
            "No result: every trial failed",
            "All 3 trials failed, 2 of them with: RuntimeError: no driver",
            "What to change All 3 trials failed, 2 of them with: RuntimeError: no driver. Mend",
        ],
        ["run the same command again", "n_trials and"],
    ),
    "one failed": (
        lambda: unusual.failed(["OSError: full"]),
        ["The only one failed, with: OSError: full", "The only trial failed, with: OSError: full."],
        ["All 1", "1 trials"],
    ),
    "most failed": (
        lambda: unusual.failed(["OSError: full"] * 3, complete=1),
        ["What to change 3 trials of 4 failed, with: OSError: full. All reasons are listed under"],
        [],
    ),
    "constant": (
        lambda: unusual.constant_scores(),
        [
            "Nothing that was searched made a difference",
            "All 20 complete trials have the same score, 0.2500: nothing that was searched",
            "Too few to say what mattered",
        ],
        ["Widen", "Noise is larger"],
    ),
    "one": (
        lambda: study_of([trial_of(rate(1e-3))]),
        ["1 trial 1 complete", "The only complete trial", "Only 1 trial has run to the end"],
        ["1 trials", "1 best trials"],
    ),
    "tolerance": (
        lambda: unusual.score_and_time(),
        [
            "F1 0.8950 and train_seconds 50.0 in trial 2; the defaults have 0.8800 and 90.0",
            "Trial 2 was chosen by optuna.choose=tolerance : the best in train_seconds among the "
            "trials whose f1 is within 1% of the best, 0.9000 in trial 1.",
            "The trial was also picked by what it scored on these folds",
            "First the trial that was chosen, then the others by f1.",
        ],
        ["scored highest"],
    ),
    "knee": (
        lambda: unusual.score_and_time("knee"),
        ["chosen by optuna.choose=knee : nearest to having the best of everything", "0.9000 in"],
        ["scored highest"],
    ),
    "best_first": (lambda: unusual.score_and_time("best_first"), ["best_first : the best f1."], []),
    # The defaults take less time than all that is within 3 % of the best.
    "defaults by the rule": (
        lambda: study_of(
            [
                trial_of(rate(1e-3), values=[0.88, 40.0], defaults=True),
                trial_of(rate(1e-4), values=[0.9, 100.0]),
            ],
            ("maximize", "minimize"),
            choose={"rule": "tolerance", "tolerance": 0.03},
        ),
        ["The defaults are chosen", "is within 3% of the best, 0.9000 in trial 1"],
        ["Nothing beats the defaults"],
    ),
    "log loss": (
        lambda: unusual.log_loss(),
        ["Better than the defaults by 0.", "Of log_loss, lower is better.", "scored lowest"],
        [],
    ),
    "the defaults failed": (
        lambda: study_of(
            [trial_of(rate(1e-3)), trial_of(rate(1e-4), TrialState.FAIL, defaults=True)]
        ),
        ["The defaults failed, so there is nothing to compare with."],
        ["The defaults did not run"],
    ),
    "resumed": (
        lambda: unusual.resumed_over_days(),
        # Three runs of 40 s, and 5 s of what was cut off.
        ["2 min 05 s of searching", "The search ran 3 times; dotted lines stand for the pauses"],
        ["had nothing to do"],
    ),
    "several models": (
        lambda: unusual.several_models(),
        [
            f"Among the 24 complete trials, {MODELS[1]}",
            f"Among the 4 complete trials, {MODELS[2]} Too few trials to say",
            f"All together, {MODELS[0]}",
            "The same in all of them, and so without an axis: model.",
        ],
        [],
    ),
}


@pytest.mark.parametrize("name", SAID)
def test_what_is_said(name: str) -> None:
    make, told, untold = SAID[name]
    said = unusual.sentences(make())
    for words in told:
        assert words in said, words
    for words in untold:
        assert words not in said, words


def test_trials_without_a_process_are_no_running_ones_in_the_table() -> None:
    states = list(trials_table(unusual.killed())["state"])
    assert states == ["COMPLETE"] * 9 + ["INTERRUPTED"] * 2
    assert list(trials_table(unusual.killed(silent=20))["state"])[-2:] == ["INTERRUPTED", "RUNNING"]


def test_a_score_below_the_defaults_is_not_called_better() -> None:
    made = [
        trial_of(rate(1e-3), values=[0.9, 90.0], defaults=True, folds=[0.89, 0.9, 0.91]),
        trial_of(rate(1e-4), values=[0.895, 50.0], folds=[0.885, 0.895, 0.905]),
    ]
    said = unusual.sentences(study_of(made, ("maximize", "minimize")))
    assert "Not better than the defaults in objective 0" in said
    assert "Perhaps better" not in said


@pytest.mark.parametrize("classes", [[str(i) for i in range(12)], ["2024-01-02", "2023-05", "7"]])
def test_names_that_look_like_numbers_are_names(classes: list[str]) -> None:
    confusions = np.eye(len(classes), dtype=np.int64)
    figure = confusion.confusion_matrix(Mistakes(0, tuple(classes), confusions, [], 9, 9))
    for axis in (figure.layout.xaxis, figure.layout.yaxis):
        assert list(axis.ticktext) == classes
        assert axis.type == "linear"
    choices = CategoricalDistribution(classes)
    trials = [
        trial_of({"data.fold": (choices, name)}, values=[0.1 * i]) for i, name in enumerate(classes)
    ]
    (_, figure), *_ = parameters.slices(summarize(study_of(trials)))
    assert list(figure.layout.xaxis.ticktext) == classes
    assert figure.layout.xaxis.type == "linear"
    assert list(figure.data[0].x) == [*range(len(classes))][::-1]


@pytest.mark.parametrize("count", [100, 300])
def test_many_long_names_all_have_room(count: int) -> None:
    names = tuple(
        f"{i}: an agreement between a landlord and one of many tenants" for i in range(count)
    )
    wrong = np.eye(count, dtype=np.int64)
    wrong[7, 250 % count] = 5
    found = Mistakes(0, names, wrong, [], count, count)
    figure = confusion.confusion_matrix(found)
    shown = min(count, MOST_CLASSES)
    assert len(set(figure.layout.xaxis.ticktext)) == shown
    assert names[7] in figure.data[0].meta["names"]
    assert names[250 % count] in figure.data[0].meta["names"]
    # A line of text each.
    inside = figure.layout.height - figure.layout.margin.t - figure.layout.margin.b
    assert inside / shown >= figure.layout.font.size


def test_the_strongest_blue_is_the_best() -> None:
    """The surface is darkest where the loss is low, though that is the low end of its scale."""
    found = summarize(unusual.log_loss())
    figure = parameters.contour(found, found.groups[0])
    assert figure is not None
    assert figure.data[0].reversescale
    surface = np.array(figure.data[0].z)
    # The best learning rates are the high ones.
    keys = list(found.groups[0].importances)[:2]
    mean = surface.mean(axis=0 if keys[0] == "optimizer.lr" else 1)
    assert mean[-1] < mean[0]
    best = summarize(unusual.several_models())
    upwards = parameters.contour(best, best.groups[0])
    assert upwards is not None
    assert not upwards.data[0].reversescale


@pytest.mark.parametrize(("second", "shape"), [("minimize", "hv"), ("maximize", "vh")])
def test_the_line_of_the_front_promises_nothing(second: unusual.Direction, shape: str) -> None:
    values = [(0.9, 10.0), (0.8, 5.0)] if second == "minimize" else [(0.9, 5.0), (0.8, 10.0)]
    made = [trial_of(rate(1e-3), values=pair) for pair in values]
    study = study_of(made, ("maximize", second))
    line = progress.pareto(study, summarize(study)).data[-1]
    assert line.line.shape == shape
    assert sorted(line.y) == [0.8, 0.9]


def test_slices_are_on_one_scale() -> None:
    study = unusual.several_models()
    found = summarize(study)
    ranges = {tuple(figure.layout.yaxis.range) for _, figure in parameters.slices(found)}
    assert len(ranges) == 1
    low, high = ranges.pop()
    assert all(low < trial.values[0] < high for trial in found.ranked)


def test_an_end_that_is_pressed_against_is_told_of_its_model() -> None:
    name, entries = f"optimizer.lr[{MODELS[0]}]", {"optimizer.lr": "search_space.learning_rate"}
    made = [
        trial_of({name: (unusual.RATE, value)}, values=[math.log10(value)]) for value in rates(20)
    ]
    (said,) = edges(summarize(study_of(made)).ranked, entries)
    assert said.startswith(f"Widen optimizer.lr of {MODELS[0]} upwards")
    assert said.endswith(f"in another study, of {MODELS[0]} alone.")
    assert "search_space.learning_rate.high=0.0" in said


def test_a_model_is_weighed_against_what_each_has_of_its_own() -> None:
    found = summarize(unusual.several_models())
    assert next(iter(found.importances)) == "model"
    assert set(found.importances) == {
        *("model", "optimizer.lr", "data.batch_size", "model.drop_rate")
    }
    assert [group.name for group in found.groups] == [MODELS[1], MODELS[0], MODELS[2]]
    for group in found.groups[:2]:
        assert next(iter(group.importances)) == f"optimizer.lr[{group.name}]"
    assert not found.groups[2].importances


def test_the_report_of_several_models_is_headed_by_none_of_them(tmp_path: Path) -> None:
    page = unusual.page_of(unusual.several_models(16), tmp_path, ["a", "b"])
    head = page.partition("</h1>")[0]
    assert re.search(r"\b3 models ·|\b3 models<", head), head[-300:]


def test_keys_that_not_all_trials_have_part_them_into_groups() -> None:
    short = [trial_of(rate(value), values=[value]) for value in rates(3)]
    scale = {"model.layer_scale": (unusual.RATE, 1e-4)}
    more = [trial_of({**rate(value), **scale}, values=[2 * value]) for value in rates(3)]
    groups = summarize(study_of([*short, *more])).groups
    assert [group.name for group in groups] == [
        "with model.layer_scale",
        "without model.layer_scale",
    ]
    assert [len(group.trials) for group in groups] == [3, 3]


def test_importances_need_enough_trials_and_count_the_pruned() -> None:
    def trials(count: int, state: TrialState = TrialState.COMPLETE) -> list[Any]:
        return [trial_of(rate(value), state, values=[value]) for value in rates(count)]

    few = trials(ENOUGH_FOR_IMPORTANCES - 1)
    assert not Importances(few, [], maximize=True).of_all()
    assert Importances(few, trials(1, TrialState.PRUNED), maximize=True).of_all()
    assert Importances(trials(ENOUGH_FOR_IMPORTANCES), [], maximize=True).of_all()


def test_the_config_as_it_is_keeps_no_choice_from_mattering() -> None:
    choices = CategoricalDistribution(MODELS)
    found = [
        trial_of({**rate(value), "model.name": (choices, MODELS[i % 3])}, values=[0.1 * (i % 3)])
        for i, value in enumerate(rates(15))
    ]
    # Its own model is none of the choices, so that it has no such parameter.
    as_it_is = trial_of(rate(1e-3), values=[0.05], as_in_config=["model.name"], defaults=True)
    important = Importances([*found, as_it_is], [], maximize=True).of_all()
    assert next(iter(important)) == "model.name"
    assert important["model.name"] > 0.5


def test_runs_are_parted_by_long_pauses_alone() -> None:
    def spans(*starts: float) -> list[Span]:
        return [
            Span(START + seconds_of(start), START + seconds_of(start + 100)) for start in starts
        ]

    # Two workers at once, and a worker's start between.
    assert len(runs(spans(0, 10, 150))) == 1
    assert len(runs(spans(0, 10, 86400))) == 2
    # A pause of three minutes is long for minutes, and short for a night.
    assert len(runs(spans(0, 280))) == 2
    night = Span(START - datetime.timedelta(hours=8), START)
    assert len(runs([night, *spans(180)])) == 1
    assert runs([]) == []


def test_the_workers_time_is_drawn_without_its_pauses() -> None:
    figure = progress.timeline(summarize(unusual.resumed_over_days()))
    ends = [base + long for bar in figure.data for base, long in zip(bar.base, bar.x, strict=True)]
    assert max(ends) == pytest.approx(figure.layout.xaxis.range[1], abs=0.1)
    assert max(ends) < 140
    assert [bar.name for bar in figure.data] == ["complete", "cut off"]
    assert len(figure.layout.shapes) == 2
    dates = [text.split("<br>")[1] for text in figure.layout.xaxis.ticktext if "<br>" in text]
    assert dates == ["Nov 20", "Nov 22", "Nov 25"]


def test_a_page_of_every_study_is_whole(tmp_path: Path) -> None:
    page = unusual.page_of(unusual.several_models(), tmp_path, ["a", "b", "c", "d"])
    assert page.endswith("</html>")
    for plot in ("parallel-1", "parallel-2", "parallel-3", "importances-1", "importances-2"):
        assert f'id="{plot}"' in page
        assert f'"{plot}": {{' in page
