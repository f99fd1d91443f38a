"""The sweeper through its door: real processes, a real storage."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig
from optuna.trial import TrialState

from doctune.study.study import is_complete
from tests.doctune.conftest import Sweep, run_sweep, sqlite
from tests.doctune.sweeper.in_process import Searches
from tests.doctune.sweeper.in_process import search as search

Load = Callable[[], optuna.Study]
SPACE = "+x=interval(-5.0,5.0)"


def states(study: optuna.Study) -> Counter[str]:
    return Counter(trial.state.name for trial in study.trials)


@pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)
# As test_faults has it of five trials on two workers, each in its folder, and test_kills of their
# values; test_drop_in of a server, and test_many_processes.
@pytest.mark.thorough
def test_finishes_n_trials_each_in_its_own_folder(sweep: Sweep, load: Load, tmp_path: Path) -> None:
    sweep(SPACE, "hydra.sweeper.n_trials=5")
    study = load()
    assert states(study) == {"COMPLETE": 5}
    for trial in study.trials:
        assert (tmp_path / "sweep" / str(trial.number) / ".hydra" / "overrides.yaml").exists()
        assert trial.value == pytest.approx(-((trial.params["+x"] - 1) ** 2))
    assert {trial.user_attrs["worker"] for trial in study.trials} == {"cpu 0", "cpu 1"}


def test_same_command_again_says_complete_and_more_trials_continue(search: Searches) -> None:
    # A seed, as in all presets: the same draws again would be duplicates.
    command = (SPACE, "hydra.sweeper.sampler.seed=1")
    search(*command, "hydra.sweeper.n_trials=3")
    again = search(*command, "hydra.sweeper.n_trials=3")
    assert "has its 3 trials already" in again.said
    assert "hydra.sweeper.n_trials=6" in again.said
    study = search(*command, "hydra.sweeper.n_trials=5").study
    assert states(study) == {"COMPLETE": 5}
    assert len({trial.params["+x"] for trial in study.trials}) == 5


def test_the_jobs_of_a_search_are_composed_once(
    search: Searches, monkeypatch: pytest.MonkeyPatch
) -> None:
    composed = []
    compose = ConfigLoaderImpl.load_sweep_config

    def count(self: ConfigLoaderImpl, master: DictConfig, words: list[str]) -> DictConfig:
        composed.append(words)
        return compose(self, master, words)

    monkeypatch.setattr(ConfigLoaderImpl, "load_sweep_config", count)
    done = search("+x=choice(1.0,2.0,3.0)", "+y=interval(0,1)", "hydra.sweeper.n_trials=2")
    assert states(done.study) == {"COMPLETE": 2}
    assert composed == [[]]


def test_fewer_trials_than_there_are_change_nothing() -> None:
    assert is_complete("s", 5, 3).startswith("study s has 5 of 3 trials already; extend it with ")


def test_pruned_job_is_pruned_in_the_study_with_its_reports(search: Searches) -> None:
    done = search(
        "+x=choice(1.0,4.0)",
        "hydra.sweeper.n_trials=8",
        "+steps=4",
        "hydra/sweeper/sampler=grid",
        "hydra.sweeper.sampler.seed=1",
        "+hydra.sweeper.pruner={_target_: optuna.pruners.ThresholdPruner, lower: -5}",
    )
    by_x = {trial.params["+x"]: trial for trial in done.study.trials}
    assert by_x[1.0].state is TrialState.COMPLETE
    assert len(by_x[1.0].intermediate_values) == 4
    assert by_x[4.0].state is TrialState.PRUNED
    assert by_x[4.0].intermediate_values == {0: -9.0}
    assert by_x[4.0].user_attrs["stopped"] == "pruner"


def test_timeout_ends_a_running_trial_as_pruned(search: Searches) -> None:
    done = search(
        *(
            SPACE,
            "hydra.sweeper.n_trials=50",
            "+seconds=30",
            "+steps=60",
            "hydra.sweeper.timeout=2",
        ),
        "hydra.sweeper.on_complete=tests.doctune.app.note_the_end",
    )
    assert "time is over" in done.said
    assert states(done.study) == {"PRUNED": 1}
    assert [trial.user_attrs["stopped"] for trial in done.study.trials] == ["timeout"]


def test_a_search_that_would_gain_too_little_ends_and_stays_ended(search: Searches) -> None:
    words = (SPACE, "hydra.sweeper.n_trials=40", "hydra.sweeper.stop_when=1000")
    done = search(*words)
    assert 15 <= len(done.study.trials) < 19
    assert f"enough after {len(done.study.trials)} of 40 trials: 10 more are expected" in done.said
    assert "less than hydra.sweeper.stop_when=1000" in done.said
    again = search(*words)
    assert "enough after" in again.said
    assert len(again.study.trials) == len(done.study.trials)
    two = search(SPACE, "hydra.sweeper.stop_when=1", "hydra.sweeper.direction=[minimize,minimize]")
    assert two.code == 1
    assert "hydra.sweeper.stop_when=1: what more trials would gain" in two.said


def test_the_folders_of_another_study_are_not_overwritten(search: Searches, tmp_path: Path) -> None:
    study = search(SPACE, "hydra.sweeper.n_trials=2").study
    optuna.delete_study(study_name="sweep", storage=study._storage)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "sweep" / "1").rglob("*")}
    done = search(SPACE, "hydra.sweeper.n_trials=2")
    assert done.code == 1
    line = done.said.splitlines()[-1]
    assert "sweep holds trial 1 of another study" in line
    assert "hydra.sweeper.study_name=NAME" in line
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_mistake_that_is_found_while_workers_start_leaves_nothing(tmp_path: Path) -> None:
    words = (SPACE, "hydra.sweeper.n_trials=2", "hydra.sweeper.on_start=tests.doctune.app.refuse")
    done = run_sweep(tmp_path, *words, code=1)
    assert done.stderr.splitlines()[-1] == "x: makes no sense"
    assert not (tmp_path / "sweep").exists()


def test_failures_over_the_rate_stop_the_sweep_in_one_line(search: Searches) -> None:
    done = search(SPACE, "hydra.sweeper.n_trials=9", "+fail=-100")
    assert done.code == 1
    assert "max_failure_rate" in done.said
    assert "x is too large" in done.said
    assert "Traceback" not in done.said
    assert states(done.study)["FAIL"] == 1


def test_custom_search_space_adds_parameters(search: Searches) -> None:
    custom = "hydra.sweeper.custom_search_space=tests.doctune.app.extend"
    for trial in search(SPACE, "hydra.sweeper.n_trials=4", custom).study.trials:
        assert 0 <= trial.params["+y"] <= abs(trial.params["+x"])
        assert trial.value == pytest.approx(-((trial.params["+x"] - 1) ** 2) - trial.params["+y"])


def test_params_in_the_config_and_several_objectives(search: Searches) -> None:
    done = search(
        *("+hydra.sweeper.params={+x: 'interval(-1.0, 2.0)'}", "+two=1", "+steps=2"),
        *("hydra.sweeper.direction=[minimize,minimize]", "hydra.sweeper.n_trials=4"),
    )
    assert len(done.study.trials) == 4
    for trial in done.study.trials:
        x = trial.params["+x"]
        assert trial.values == pytest.approx([x**2, (x - 1) ** 2])


def test_a_study_starts_from_the_best_of_another(search: Searches, tmp_path: Path) -> None:
    # A seed, as in all presets: the second study must not draw what the first has drawn.
    named = (
        *("hydra.sweeper.n_trials=3", f"hydra.sweeper.storage='{sqlite(tmp_path)}'"),
        "hydra.sweeper.sampler.seed=1",
    )
    search(SPACE, *named, "hydra.sweeper.study_name=earlier")
    done = search(
        *(SPACE, *named, "hydra.sweeper.study_name=sweep", "hydra.sweep.dir=second"),
        *("hydra.sweeper.from_study=earlier", "hydra.sweeper.from_study_trials=1"),
    )
    assert "the best 1 of earlier run first" in done.said
    later = done.study
    earlier = optuna.load_study(study_name="earlier", storage=later._storage)
    assert later.trials[0].params == earlier.best_params
    drawn = {trial.params["+x"] for study in (earlier, later) for trial in study.trials}
    assert len(drawn) == 5


def test_not_enabled_runs_once_without_a_study(search: Searches, tmp_path: Path) -> None:
    assert search(SPACE, "hydra.sweeper.enabled=false").code == 0
    assert (tmp_path / "sweep" / "0" / ".hydra").exists()
    assert not (tmp_path / "sweep" / "optuna.db").exists()


def test_other_settings_are_refused_with_the_difference(search: Searches) -> None:
    search(SPACE, "hydra.sweeper.n_trials=1", "+hydra.sweeper.settings.epochs=3")
    done = search(
        *(SPACE, "hydra.sweeper.n_trials=2", "+hydra.sweeper.settings.epochs=5"),
        *("+hydra.sweeper.settings.wear=new", "+hydra.sweeper.assumed_settings.wear=old"),
    )
    assert done.code == 1
    assert "epochs was 3, now 5" in done.said
    # What the study did not know of is what it was then.
    assert "wear was 'old', now 'new'" in done.said
    assert "hydra.sweeper.study_name=NAME" in done.said
    assert "hydra.sweeper.accept_changes=true" in done.said
    assert "Traceback" not in done.said
