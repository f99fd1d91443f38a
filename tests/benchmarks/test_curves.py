"""The table of learning curves, and searches replayed on it."""

from pathlib import Path

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.pruners import MedianPruner, NopPruner
from optuna.samplers import RandomSampler, TPESampler

from doctune.study.pruners import PromotedPruner
from doctune.study.warm_start import warm_start
from tests.benchmarks.curves import portfolio
from tests.benchmarks.curves.configurations import DEFAULTS, configuration
from tests.benchmarks.curves.overtuning import MOST_STUDIES, RULES, gains, studies, well_tuned
from tests.benchmarks.curves.ranks import groups, last, of_prefixes, reported
from tests.benchmarks.curves.replay import SPACE, Replay
from tests.benchmarks.curves.rules import Rule, quiet
from tests.benchmarks.curves.table import STORED, Key, Row, pack, rows_in
from tests.benchmarks.curves.tables import BUDGETS, MORE_THAN_FIT, lacking_after

FOLDS, EPOCHS = 2, 3
STEPS = FOLDS * EPOCHS


def made(count: int) -> list[Row]:
    """Return rows whose curves never cross, in an order of their own."""
    levels = [(7 * number) % count / count for number in range(count)]
    return [
        Row(
            Key("test_resnet", "digits", number, EPOCHS),
            vars(configuration(number)),
            "cpu",
            [[level * share for share in (0.6, 0.8, 1.0)] for _ in range(FOLDS)],
            [level] * FOLDS,
            [1.0] * FOLDS,
        )
        for number, level in enumerate(levels)
    ]


def test_rows_come_back_as_they_were_packed(tmp_path: Path) -> None:
    rows = made(5)
    pack(rows, tmp_path / "rows.jsonl.xz")
    found = rows_in(tmp_path / "rows.jsonl.xz")
    assert list(found) == [row.key for row in rows]
    assert found[rows[3].key].curves[0] == pytest.approx(rows[3].curves[0], abs=1e-4)
    assert found[rows[3].key].params == rows[3].params


def test_what_is_stored_is_whole() -> None:
    assert STORED.stat().st_size < 2 * 1024**2
    for key, row in rows_in(STORED).items():
        assert [len(curve) for curve in row.curves] == [key.epochs] * len(row.test)
        assert all(0 <= value <= 1 for curve in row.curves for value in curve)
        assert row.params == vars(configuration(key.number))


def test_configurations_begin_with_the_defaults_and_are_all_different() -> None:
    found = [configuration(number) for number in range(200)]
    assert found[0] == DEFAULTS
    assert len(set(found)) == 200
    for one in found:
        for name, space in SPACE.items():
            space.to_internal_repr(getattr(one, name))  # raises where a choice is none of them
    rates = sorted(one.lr for one in found[1:])
    assert 1e-4 <= rates[0] < 2e-4
    assert 2e-2 < rates[-1] <= 3e-2


@pytest.mark.parametrize("workers", [1, 3, 64])
def test_a_replay_without_pruning_trains_everything(workers: int) -> None:
    quiet()
    rows = made(9)
    found = Replay(rows, Rule("none", NopPruner()), RandomSampler(seed=1), workers, 1).run()
    assert found.epochs == found.planned == 9 * STEPS
    assert found.seconds == -(-9 // workers) * STEPS
    assert (found.saved, found.lost) == (0, 0)
    assert found.found == last(max(rows, key=last))
    assert len(found.history) == 9


def test_pruning_saves_epochs_and_keeps_the_best_where_curves_do_not_cross() -> None:
    rows = made(12)
    found = Replay(rows, Rule("median", MedianPruner(2, 1)), RandomSampler(seed=2), 2, 2).run()
    assert 0 < found.saved < 1
    assert found.lost == 0
    through = Rule("all let through", MedianPruner(2, 1), let_through=1.0)
    assert Replay(rows, through, RandomSampler(seed=2), 2, 2).run().saved == 0


@pytest.mark.parametrize("workers", [1, 2, 64])
def test_promoted_trials_are_judged_at_the_end_of_a_fold_and_the_defaults_never(
    workers: int,
) -> None:
    rows = made(12)
    rule = Rule("promoted", PromotedPruner(), at_rungs=True)
    replay = Replay(rows, rule, RandomSampler(seed=3), workers, 3, trials=9)
    found = replay.run()
    lengths = {len(trial.intermediate_values) for trial in replay._study.trials}
    assert lengths == {EPOCHS, STEPS}
    assert (found.planned, found.lost) == (9 * STEPS, 0)
    assert found.best <= found.best_of_all
    # Number 0 is the worst of all, comes first and is complete.
    first = replay._study.trials[0]
    assert first.params["lr"] == DEFAULTS.lr
    assert len(first.intermediate_values) == STEPS


@pytest.mark.parametrize("workers", [1, 2, 64])
def test_i_epoch_trains_the_best_few_after_the_pause(workers: int) -> None:
    rows = made(10)
    found = Replay(
        rows, Rule("i", NopPruner(), 2, go_on=3), RandomSampler(seed=3), workers, 3
    ).run()
    assert found.epochs == 10 * 2 + 3 * (STEPS - 2)
    assert found.seconds == -(-10 // workers) * 2 + -(-3 // workers) * (STEPS - 2)
    assert (found.lost, len(found.history)) == (0, 3)


def test_tpe_takes_each_configuration_once() -> None:
    quiet()
    sampler = TPESampler(seed=4, multivariate=True, n_startup_trials=3)
    replay = Replay(made(10), Rule("none", NopPruner()), sampler, 1, 4)
    assert replay.run().epochs == 10 * STEPS


def test_the_order_of_curves_that_do_not_cross_is_known_at_once() -> None:
    rows = made(8)
    assert list(of_prefixes(rows, 1, EPOCHS).values()) == [pytest.approx(1)]
    for row in rows:
        assert reported(row.curves)[-1] == pytest.approx(last(row))


def test_small_studies_hold_the_defaults_and_a_cautious_rule_keeps_them_where_folds_disagree() -> (
    None
):
    rows = made(6)
    assert len(list(studies({row.key.number: row for row in rows}, 4))) == 10  # 3 of 5
    assert len(list(studies({row.key.number: row for row in made(30)}, 6))) == MOST_STUDIES
    good = well_tuned({row.key.number: row for row in made(12)}, 0.75)[0]
    assert sum(last(row) < last(good) for row in made(12)) == 8
    assert well_tuned({row.key.number: row for row in rows}, 0.75) == {}
    # Number 0 is the worst of these, on each fold and on the test split.
    assert all(min(gains(rows, rule, 4)["digits"]) > 0 for rule in RULES.values())
    # Now one is ahead in the mean, behind on a fold, and behind on the test split.
    lucky = [*rows[0].curves[:1], [0.0, 0.0, 0.5]]
    defaults = [[0.0, 0.0, 0.2], [0.0, 0.0, 0.2]]
    chosen = [
        Row(rows[n].key, rows[n].params, "cpu", curves, [score] * FOLDS, [1.0] * FOLDS)
        for n, (curves, score) in enumerate([(defaults, 0.2), *[(lucky, 0.1)] * 3])
    ]
    found = {name: gains(chosen, rule, 4)["digits"] for name, rule in RULES.items()}
    worst = {name: round(min(each), 3) for name, each in found.items()}
    assert worst["the highest mean (choose_by=mean)"] == -0.1
    assert worst["behind the defaults on no fold (each_fold)"] == 0


def test_the_portfolio_is_the_tables_and_a_search_reads_it() -> None:
    assert portfolio.SHIPPED.read_text(encoding="utf-8") == portfolio.text(rows_in(STORED))
    study = optuna.create_study(direction="maximize")
    rate = FloatDistribution(1e-4, 1e-2, log=True)
    space = {"optimizer.lr": rate, "data.batch_size": CategoricalDistribution([16, 32])}
    count = warm_start(study, space, str(portfolio.SHIPPED), 5, "sqlite://")
    first = [study.ask(space).params for _ in range(count)]
    assert {"optimizer.lr": 0.009086, "data.batch_size": 16} in first
    # What is beyond the range is moved to its end.
    assert {"optimizer.lr": 0.01, "data.batch_size": 32} in first


def test_a_portfolio_takes_what_adds_most_and_nothing_that_adds_nothing() -> None:
    rows = {row.key: row for row in made(6)}
    found = groups(rows.values())
    chosen = portfolio.choose(found, most=4)
    assert len(chosen) == 2
    assert chosen[0] == 0
    assert portfolio.mean_lacking(found, chosen) == 0
    assert portfolio.at_random(found, 5) == 0
    assert portfolio.at_random(found, 1) > 0


def test_who_ends_trials_early_has_found_more_in_as_many_epochs() -> None:
    """Where curves never cross; all trials of the set are more than fit."""
    quiet()
    rules = Rule("none", NopPruner()), Rule("promoted", PromotedPruner(), at_rungs=True)
    rows = made(MORE_THAN_FIT)
    lacks = [
        sum(
            lacking_after(
                Replay(rows, rule, RandomSampler(seed=seed), 2, seed, MORE_THAN_FIT).run(), epochs
            )
            for seed in range(5)
            for epochs in BUDGETS
        )
        for rule in rules
    ]
    assert lacks[1] < lacks[0]
