"""Ranges around the best of an earlier study: the rule, the record, and a sweep that follows."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import create_trial
from rich.console import Console

from doctune.errors import UserError
from doctune.space.focus import focus_on
from doctune.space.focus_rule import FocusRule
from doctune.space.follow import follow, show_focus
from doctune.space.record import record_space, recorded_space
from doctune.space.search_space import Branch, SearchSpace, build_search_space
from doctune.study.storage import open_storage
from tests.doctune.conftest import sqlite
from tests.doctune.sweeper.in_process import Searches
from tests.doctune.sweeper.in_process import search as search

LR = FloatDistribution(1e-5, 1e-1, log=True)
SPACE = {
    "lr": LR,
    "decay": FloatDistribution(0.0, 1.0),
    "batch": CategoricalDistribution([16, 32, 64]),
    "epochs": IntDistribution(0, 10, step=2),
}


def study_of(
    space: SearchSpace, trials: list[dict[str, Any]], url: str | None = None
) -> optuna.Study:
    """Return a study in which each trial is better than the one behind it."""
    storage = open_storage(url) if url else None
    study = optuna.create_study(study_name="earlier", storage=storage, direction="maximize")
    record_space(study, space)
    for rank, params in enumerate(trials):
        known = {name: space.distributions[name] for name in params}
        study.add_trial(create_trial(params=params, distributions=known, value=-float(rank)))
    return study


def flat(**changes: Any) -> list[dict[str, Any]]:
    """Return ten trials in the middle of the space, five of them with other values."""
    middle = {"lr": 1e-3, "decay": 0.5, "batch": 32, "epochs": 4}
    return [{**middle, **changes}] * 5 + [{**middle, "lr": 1e-5, "batch": 16}] * 5


def now(trials: list[dict[str, Any]], **rule: Any) -> dict[str, Any]:
    found = focus_on(
        study_of(SearchSpace({}, {(): Branch(dict(SPACE))}), trials), FocusRule(**rule)
    )
    assert found.best == min(len(trials), FocusRule(**rule).count(len(trials)))
    return found.space.distributions


def test_ranges_narrow_on_their_own_scale() -> None:
    found = now(flat())
    assert found["lr"] == FloatDistribution(3.98e-4, 2.51e-3, log=True)
    assert found["decay"] == FloatDistribution(0.4, 0.6)
    assert found["batch"] == CategoricalDistribution([32])
    assert found["epochs"] == IntDistribution(2, 6, step=2)


def test_a_range_stops_at_its_old_end_unless_the_best_press_against_it() -> None:
    near = flat(decay=0.93)
    assert now(near)["decay"] == FloatDistribution(0.83, 1.0)
    pressed = flat(decay=0.99, lr=9e-2)
    assert now(pressed)["decay"] == FloatDistribution(0.89, 1.25)
    assert now(pressed)["lr"].high == pytest.approx(1.0)
    assert now(pressed, widen=0.0)["decay"].high == 1.0


def test_nothing_is_made_where_there_is_nothing_to_follow(tmp_path: Path) -> None:
    url = sqlite(tmp_path)
    for source, told in ((None, "null: name the study .* there is none yet"), ("x", "none yet")):
        with pytest.raises(UserError, match=told):
            follow(source, url, "focus", FocusRule(), {})
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_negative_stays_at_zero() -> None:
    assert now(flat(decay=0.01))["decay"].low == 0.0


def test_limits_cut_ranges_and_choices() -> None:
    found = now(
        flat(decay=0.99, batch=64) + flat(), at_least=20, limits={"decay": 0.95, "batch": 32}
    )
    assert found["decay"].high == 0.95
    assert found["batch"] == CategoricalDistribution([16, 32])
    with pytest.raises(UserError, match=r"batch: .* more than the 32 that focus\.limits allows"):
        now(flat(batch=64), limits={"batch": 32})


def test_the_share_decides_who_counts() -> None:
    assert now(flat(), at_least=1, share=1.0)["batch"] == CategoricalDistribution([16, 32])
    assert now(flat(), at_least=1, share=0.5)["batch"] == CategoricalDistribution([32])


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"share": 1.5}, "focus.share=1.5: must be from 0 to 1"),
        ({"margin": -1}, "focus.margin=-1"),
        ({"at_least": 0}, "focus.at_least=0"),
        ({"shar": 0.5}, "focus.shar: unknown; did you mean share?"),
    ],
)
def test_wrong_rules_are_named(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError) as error:
        FocusRule.read(keys)
    assert told in str(error.value)


def tree() -> SearchSpace:
    """Return a space over two models, `cnx` with a parameter of its own."""
    decay = SPACE["decay"]
    return SearchSpace(
        {"model": CategoricalDistribution(["cnx", "eff"])},
        {
            ("cnx",): Branch({"lr[cnx]": LR, "scale[cnx]": LR, "decay": decay}),
            ("eff",): Branch({"lr[eff]": LR, "decay": decay}),
        },
    )


CNX = {"model": "cnx", "lr[cnx]": 1e-4, "scale[cnx]": 1e-3, "decay": 0.2}
EFF = {"model": "eff", "lr[eff]": 1e-2, "decay": 0.8}


def job(overrides: list[str]) -> Any:
    config = OmegaConf.create({"lr": 0.1, "hydra": {"sweeper": {"search_space": None}}})
    config.hydra.runtime = {"choices": {"model": "cnx"}}
    return config


def test_a_study_remembers_what_it_has_searched() -> None:
    study = study_of(tree(), [])
    assert recorded_space(study) == tree()
    study = optuna.create_study(study_name="old")
    with pytest.raises(UserError, match="does not say what it has searched"):
        recorded_space(study)


def test_each_model_keeps_ranges_of_its_own() -> None:
    found = focus_on(study_of(tree(), [CNX, EFF, CNX, EFF]), FocusRule()).space
    space = build_search_space(None, [], [], job([]), job, base=found)
    assert list(space.roots["model"].choices) == ["cnx", "eff"]
    known = space.distributions
    assert set(known) == {"model", *tree().distributions, "decay[cnx]", "decay[eff]"} - {"decay"}
    assert known["lr[cnx]"].high < known["lr[eff]"].low  # type: ignore[attr-defined]
    space.suggest(study_of(space, []).ask())


def test_a_model_without_good_trials_is_searched_no_more() -> None:
    found = focus_on(study_of(tree(), [EFF, EFF, CNX]), FocusRule(at_least=2)).space
    space = build_search_space(None, [], [], job([]), job, base=found)
    assert set(space.distributions) == {"model", "lr", "decay"}
    assert space.roots["model"].choices == ("eff",)


def test_the_command_line_is_stronger_than_the_earlier_study() -> None:
    found = focus_on(study_of(tree(), [CNX, EFF]), FocusRule()).space
    fixed = build_search_space(None, [], ["model=eff", "decay=0.1"], job([]), job, base=found)
    assert set(fixed.distributions) == {"lr"}
    swept = build_search_space(None, [], ["decay=interval(0.3,0.4)"], job([]), job, base=found)
    assert swept.distributions["decay[cnx]"] == FloatDistribution(0.3, 0.4)
    with pytest.raises(UserError, match="model=swin: nothing is known about that; there is model"):
        build_search_space(None, [], ["model=swin"], job([]), job, base=found)


def test_a_study_that_has_begun_keeps_its_ranges(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    space = SearchSpace({}, {(): Branch(dict(SPACE))})
    earlier = study_of(space, flat(), url)
    first = follow("earlier", url, "focus", FocusRule(), {})
    record_space(optuna.create_study(study_name="focus", storage=open_storage(url)), first.space)
    better = {"lr": 0.05, "decay": 0.1, "batch": 16, "epochs": 10}
    known = dict(SPACE)
    for _ in range(9):
        earlier.add_trial(create_trial(params=better, distributions=known, value=1.0))
    assert follow("earlier", url, "focus", FocusRule(), {}).space == first.space
    assert follow("earlier", url, "another", FocusRule(), {}).space != first.space


def test_mistakes_are_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    optuna.create_study(study_name="empty", storage=open_storage(url))
    earlier = study_of(SearchSpace({}, {(): Branch(dict(SPACE))}), flat(), url)
    earlier.set_user_attr("settings", {"model": "resnet50"})
    rule = dataclasses.replace(FocusRule(), same=["model"])
    for source, told in (
        (None, "optuna.from_study=null: name the study to look closer at; there are: earlier"),
        ("best.yaml", "optuna.from_study=best.yaml: name the study"),
        ("new", "optuna.from_study=new: name the study"),
        ("earlie", "did you mean earlier?"),
        ("empty", "no complete trial yet"),
        ("earlier", "it was searched with model resnet50, now it is swin_base"),
    ):
        with pytest.raises(UserError) as error:
            follow(source, url, "new", rule, {"model": "swin_base"})
        assert told in str(error.value)
        assert len(str(error.value).splitlines()) == 1


def test_the_table_shows_old_and_new_ranges(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    study_of(SearchSpace({}, {(): Branch(dict(SPACE))}), flat(decay=0.99), url)
    found = follow("earlier", url, "new", FocusRule(), {})
    space = build_search_space(None, [], ["lr=0.1", "+new=interval(0.0,2.0)"], base=found.space)
    console = Console(width=100, record=True, quiet=False)
    show_focus(found, space, console)
    shown = {line.split()[0]: line for line in console.export_text().splitlines() if line.strip()}
    assert "around the best 5 of 10 complete trials of earlier" in shown["around"]
    assert "not searched" in shown["lr"]
    assert "0..1" in shown["decay"]
    assert "0.89..1.25" in shown["decay"]
    assert "wider above" in shown["decay"]
    assert "1 of 3" in shown["batch"]
    assert "0..2" in shown["+new"]


def test_the_table_leaves_models_out_that_are_gone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    study_of(tree(), [EFF, EFF, CNX], url)
    found = follow("earlier", url, "new", FocusRule(at_least=2), {})
    space = build_search_space(None, [], [], job([]), job, base=found.space)
    console = Console(width=100, record=True)
    show_focus(found, space, console)
    shown = console.export_text()
    assert "lr[eff]" in shown
    assert "cnx" not in shown.replace("{cnx, eff}", "")


def test_a_sweep_follows_another(search: Searches, tmp_path: Path) -> None:
    """Its trials stay near the best of the first, which are tried first."""
    storage = f"hydra.sweeper.storage='{sqlite(tmp_path)}'"
    search(
        "+x=interval(-9.0,9.0)", storage, "hydra.sweeper.study_name=a", "hydra.sweeper.n_trials=9"
    )
    words = (
        *(storage, "hydra.sweeper.study_name=sweep", "hydra.sweep.dir=b"),
        *("hydra.sweeper.from_study=a", "hydra.sweeper.from_study_trials=2"),
        "+hydra.sweeper.focus={share: 0.2, at_least: 1}",
    )
    done = search(*words, "hydra.sweeper.n_trials=4")
    assert "around the best 2 of 9 complete trials of a" in done.said
    study = done.study
    earlier = optuna.load_study(study_name="a", storage=study._storage)
    best = sorted((t for t in earlier.trials), key=lambda t: -(t.value or -math.inf))[:2]
    assert {t.params["+x"] for t in study.trials[:2]} <= {t.params["+x"] for t in best}
    for trial in study.trials:
        range_now = trial.distributions["+x"]
        assert isinstance(range_now, FloatDistribution)
        assert range_now.high - range_now.low < 18
    again = search(*words, "hydra.sweeper.n_trials=5")
    assert "goes on: 4 of 5" in again.said
    ranges = {str(trial.distributions["+x"]) for trial in again.study.trials}
    assert len(ranges) == 1
