"""How a search went, as plots show it."""

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial

from src.results.plots.progress import history, learning_curves
from src.results.summary import summarize


@pytest.mark.parametrize(("trials", "epochs", "between"), [(3, 12, (1, None)), (12, 4, (None, 1))])
def test_no_tick_lies_between_two_trials_or_two_epochs(
    trials: int, epochs: int, between: tuple[int | None, int | None]
) -> None:
    """Where there are few, Plotly would have ticks at halves."""
    study = optuna.create_study(direction="maximize")
    study.add_trials(
        create_trial(
            params={"x": 0.1 * number},
            distributions={"x": FloatDistribution(0, 2)},
            value=0.5,
            intermediate_values={epoch: 0.01 * epoch for epoch in range(epochs)},
        )
        for number in range(trials)
    )
    found = summarize(study)
    figures = history(study, found), learning_curves(found)
    assert tuple(figure.layout.xaxis.dtick for figure in figures) == between
