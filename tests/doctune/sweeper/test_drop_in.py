"""An app written for the stock sweeper runs with only the sweeper's name changed."""

import runpy
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import pytest
from omegaconf import OmegaConf

from tests.doctune.conftest import app_environment
from tests.doctune.postgresql import new_database
from tests.doctune.sweeper.in_process import Searches
from tests.doctune.sweeper.in_process import search as search

NAMES = ("optuna", "optuna_async")


@dataclass
class Ended:
    """What a sweep has left behind."""

    code: int
    output: str
    study: optuna.Study
    results: Any

    @property
    def params(self) -> list[dict[str, Any]]:
        return [trial.params for trial in self.study.trials]

    @property
    def values(self) -> list[list[float] | None]:
        return [trial.values for trial in self.study.trials]


def as_main() -> None:
    """Run the app as `python -m` does, which is how it finds its config."""
    runpy.run_module("tests.doctune.sweeper.stock_app", run_name="__main__")


def run_both(
    search: Searches, folder: Path, *overrides: str, urls: Sequence[str] | None = None
) -> tuple[Ended, Ended]:
    """Run the app under both names, each in an empty folder.

    Args:
        search: runs it.
        folder: for both.
        overrides: of the command line.
        urls: a storage for each; None: the app's own.
    """
    ended = []
    for number, name in enumerate(NAMES):
        here = folder / name
        here.mkdir()
        stored = [f"hydra.sweeper.storage='{urls[number]}'"] if urls else []
        sweeper = (f"hydra/sweeper={name}",)
        done = search(*overrides, *stored, sweeper=sweeper, main=as_main, folder=here)
        url = urls[number] if urls else f"sqlite:///{here / 'study.db'}"
        study = optuna.load_study(study_name="sphere", storage=url)
        results = here / "sweep" / "optimization_results.yaml"
        read = OmegaConf.to_container(OmegaConf.load(results)) if results.exists() else None
        ended.append(Ended(done.code, done.said, study, read))
    stock, ours = ended
    assert stock.code == ours.code, stock.output + ours.output
    return stock, ours


def test_params_of_the_config_and_of_the_command_line(search: Searches, tmp_path: Path) -> None:
    stock, ours = run_both(
        search,
        tmp_path,
        *("z=tag(log, interval(0.1, 10.0))", "w=range(1, 5)", "name=choice(a, b)"),
        # Takes the key out of the search.
        "y=2",
    )
    # With the same seed and one job at a time even the proposals are the same.
    assert ours.params == stock.params
    assert ours.values == stock.values
    assert ours.results == stock.results
    assert set(ours.params[0]) == {"x", "z", "w", "name"}
    # Both say it on the screen, too.
    assert f"Best value: {stock.results['best_value']}" in stock.output
    assert f"best {ours.results['best_value']:.4f} in trial {ours.study.best_trial.number}: x=" in (
        ours.output
    )
    assert "optimization_results.yaml" in ours.output
    for theirs, mine in zip(stock.study.trials, ours.study.trials, strict=True):
        assert mine.distributions == theirs.distributions
        assert mine.user_attrs["y"] == theirs.user_attrs["y"]


def test_several_objectives(search: Searches, tmp_path: Path) -> None:
    stock, ours = run_both(
        search, tmp_path, "hydra.sweeper.direction=[minimize,minimize]", "two=true"
    )
    assert ours.params == stock.params
    assert ours.values == stock.values
    assert ours.results == stock.results
    assert set(ours.results) == {"name", "solutions"}
    assert f"Pareto front of {len(ours.results['solutions'])}:" in ours.output


def test_on_a_server(search: Searches, tmp_path: Path, postgresql_server: str) -> None:
    # With the driver's name, which only ours does without.
    urls = [
        new_database(postgresql_server).replace("postgresql://", "postgresql+psycopg://")
        for _ in NAMES
    ]
    stock, ours = run_both(search, tmp_path, urls=urls)
    assert ours.params == stock.params
    assert ours.values == stock.values
    assert ours.results == stock.results


def test_a_grid(search: Searches, tmp_path: Path) -> None:
    grid = (
        "hydra/sweeper/sampler=grid",
        "x=range(0, 2)",
        "y=choice(-5, 5)",
        "hydra.sweeper.n_trials=6",
    )
    stock, ours = run_both(search, tmp_path, *grid)
    points = [Counter(tuple(params.items()) for params in each.params) for each in (stock, ours)]
    assert points[0] == points[1]
    assert len(points[1]) == 4
    assert ours.results == stock.results


def test_a_custom_search_space(search: Searches, tmp_path: Path) -> None:
    custom = "hydra.sweeper.custom_search_space=tests.doctune.sweeper.stock_app.configure"
    stock, ours = run_both(search, tmp_path, custom)
    assert ours.params == stock.params
    assert ours.values == stock.values
    assert set(ours.params[0]) == {"x", "y", "z", "+more"}


@pytest.mark.parametrize(("rate", "code"), [(1, 0), (0, 1)])
def test_max_failure_rate(search: Searches, tmp_path: Path, rate: float, code: int) -> None:
    stock, ours = run_both(
        search,
        tmp_path,
        "x=choice(1, 2)",
        "fails_above=1",
        f"hydra.sweeper.max_failure_rate={rate}",
    )
    assert ours.code == code
    assert [trial.state for trial in ours.study.trials] == [
        trial.state for trial in stock.study.trials
    ]
    assert "x is too large" in ours.output
    if code == 0:
        assert ours.results == stock.results
    else:
        failed = ours.study.get_trials(states=(optuna.trial.TrialState.FAIL,))[-1].number
        told = f"the last, trial {failed} (its folder has its log), with RuntimeError: x is too"
        assert told in ours.output
        (logged,) = (tmp_path / "optuna_async" / "sweep" / str(failed)).glob("*.log")
        assert "Traceback" in logged.read_text()


def test_sweep_and_launch_import_neither_torch_nor_the_rest(tmp_path: Path) -> None:
    imported = """
import pkgutil, sys, importlib, logging
import doctune.sweeper, doctune.launcher
from doctune.study.storage import import_ahead
logging.basicConfig(level=logging.INFO)
import_ahead()
for package in (doctune.sweeper, doctune.launcher):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
print(*sorted(name for name in sys.modules if name.split(".")[0] in ("torch", "src", "timm")))
"""
    done = subprocess.run(
        [sys.executable, "-c", imported],
        cwd=tmp_path,
        env=app_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []
    # As Hydra's own logging shows it, where an app has none: no word of Alembic on its parts.
    assert "alembic" not in done.stderr
