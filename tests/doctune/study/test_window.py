"""What is kept up from look to look is what a whole count gives, and TPE sees a window of it."""

import random
from collections import Counter
from collections.abc import Iterable
from typing import Literal

import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from doctune.study.study import was_interrupted
from doctune.study.tally import Tally
from doctune.study.window import WindowedSampler, windowed

Direction = Literal["minimize", "maximize"]
SPACE: dict[str, BaseDistribution] = {"x": FloatDistribution(-1.0, 1.0)}


def grow(study: optuna.Study, draw: random.Random) -> None:
    """Let something happen in a study: a trial begins, ends, is lost or is continued."""
    running = [one for one in study.trials if one.state is TrialState.RUNNING]
    if not running or draw.random() < 0.5:
        lost = [one.number for one in study.trials if was_interrupted(one)]
        attrs = {"continues": draw.choice(lost)} if lost and draw.random() < 0.5 else {}
        state = draw.choice((TrialState.WAITING, TrialState.RUNNING, TrialState.RUNNING))
        params = {"x": round(draw.uniform(-1.0, 1.0), 1)} if draw.random() < 0.8 else {}
        ranges = {name: SPACE[name] for name in params}
        study.add_trial(
            create_trial(state=state, params=params, distributions=ranges, user_attrs=attrs)
        )
        return
    trial = draw.choice(running)
    state = draw.choice((TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL))
    if state is TrialState.FAIL and draw.random() < 0.7:
        study._storage.set_trial_user_attr(trial._trial_id, "interrupted", True)
    values = [draw.random()] if state is TrialState.COMPLETE else None
    study._storage.set_trial_state_values(trial._trial_id, state, values)


def not_continued(trials: Iterable[FrozenTrial]) -> set[int]:
    continued = {trial.user_attrs.get("continues") for trial in trials}
    return {
        one.number
        for one in trials
        if was_interrupted(one) and one.params and one.number not in continued
    }


@pytest.mark.parametrize("seed", range(5))
def test_a_tally_says_what_a_whole_count_says(seed: int) -> None:
    study, draw, tally = optuna.create_study(), random.Random(seed), Tally()
    ended: list[int] = []
    for _ in range(60):
        for _ in range(draw.randint(1, 4)):
            grow(study, draw)
        trials = study.get_trials(deepcopy=False)
        ended += [trial.number for trial in tally.look(trials)]
        finished = [one for one in trials if one.state.is_finished()]
        assert sorted(ended) == [one.number for one in finished]
        assert tally.unfinished(trials) == [one for one in trials if not one.state.is_finished()]
        counted = Counter(one.state for one in finished if not was_interrupted(one))
        assert tally.by_state == {state: counted[state] for state in TrialState}
        assert tally.not_continued == not_continued(trials)
        some = draw.choice(trials).params
        alike = [one.number for one in finished if one.params == some and not was_interrupted(one)]
        assert tally.alike(some) == alike
        # Looked at once more, nothing is new.
        assert tally.look(trials) == []


def filled(count: int, direction: Direction = "minimize") -> optuna.Study:
    study = optuna.create_study(direction=direction)
    draw = random.Random(0)
    for number in range(count):
        x = draw.uniform(-1.0, 1.0)
        is_pruned = number % 3 == 1
        study.add_trial(
            create_trial(
                state=TrialState.PRUNED if is_pruned else TrialState.COMPLETE,
                value=None if is_pruned else x**2,
                params={"x": x},
                distributions=SPACE,
                intermediate_values={0: x**2},
            )
        )
    return study


def shown(study: optuna.Study, most: int) -> list[FrozenTrial]:
    sampler = windowed(optuna.samplers.TPESampler(), most)
    assert isinstance(sampler, WindowedSampler)
    study._thread_local.cached_all_trials = None
    found: list[FrozenTrial] = sampler._view(study)._get_trials()
    return found


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
def test_the_best_the_latest_and_those_that_run_are_shown(direction: Direction) -> None:
    study = filled(300, direction)
    study.add_trial(create_trial(state=TrialState.RUNNING))
    study.add_trials(filled(200).trials)
    sign = 1 if direction == "minimize" else -1
    complete = study.get_trials(states=(TrialState.COMPLETE,))
    best = sorted(complete, key=lambda trial: sign * trial.values[0])[:10]
    numbers = [trial.number for trial in shown(study, 100)]
    assert numbers == sorted(set(numbers))
    assert set(numbers) >= {trial.number for trial in best}
    assert set(numbers) >= {300, *range(411, 501)}
    assert len(numbers) <= 101


def test_pruned_ones_that_came_far_stand_in_for_complete_ones() -> None:
    study = optuna.create_study()
    for number in range(200):
        steps = dict.fromkeys(range(9 if number == 5 else 2), 1.0)
        study.add_trial(create_trial(state=TrialState.PRUNED, intermediate_values=steps))
    assert 5 in [trial.number for trial in shown(study, 100)]


def test_a_short_study_is_shown_whole_and_its_proposals_are_the_samplers_own() -> None:
    asked = []
    for most in (None, 100):
        tpe = optuna.samplers.TPESampler(seed=3, multivariate=True, group=True, constant_liar=True)
        study = filled(90)
        study.sampler = windowed(tpe, most)
        asked.append([study.ask(SPACE).params for _ in range(3)])
    assert asked[0] == asked[1]


def test_a_grid_is_shown_every_trial() -> None:
    grid = optuna.samplers.GridSampler({"x": [1, 2]})
    assert windowed(grid, 100) is grid
