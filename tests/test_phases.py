"""Phase 2 through the main door: a study of another model and data is followed."""

from pathlib import Path

import optuna
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from doctune.space.record import record_space
from doctune.space.search_space import Branch, SearchSpace
from doctune.study.storage import open_storage
from src.before.earlier_search import in_full, taken_over
from tests.conftest import TINY, Door
from tests.test_train import study_of

SPACE = {
    "optimizer.lr": FloatDistribution(1e-4, 1e-2, log=True),
    "data.batch_size": CategoricalDistribution([16, 32, 64]),
    "model.drop_rate": FloatDistribution(0.0, 0.2),
}
DATA = tuple(word for word in TINY if word.startswith("data."))


def explore(folder: Path, *overrides: str, complete: int = 6) -> optuna.Study:
    """Leave a finished study in `folder`, as the first phase would."""
    storage = open_storage(f"sqlite:///{folder / 'multirun' / 'optuna.db'}")
    study = optuna.create_study(study_name="explored", storage=storage, direction="maximize")
    study.set_user_attr("overrides", list(overrides))
    study.set_user_attr("choices", {"model": "tiny", "augment": "light"})
    study.set_user_attr("settings", {"model": "test_resnet", "optuna.objectives": ["f1"]})
    record_space(study, SearchSpace({}, {(): Branch(dict(SPACE))}))
    for rank in range(complete):
        params = {"optimizer.lr": 2e-3, "data.batch_size": 16, "model.drop_rate": 0.199}
        trial = create_trial(params=params, distributions=dict(SPACE), value=-float(rank))
        study.add_trial(trial)
    return study


# As test_focus has it of any app; words and plan of the preset are looked at below.
@pytest.mark.thorough
def test_a_focus_goes_on_from_the_command_of_the_earlier_study(door: Door, tmp_path: Path) -> None:
    explore(tmp_path, "gpu=cpu", *DATA, "scheduler.warmup_epochs=0", "optuna.n_trials=99")
    said = door(
        *("src.train", "-m", "hparams_search=focus", "optuna.from_study=explored", "gpu=cpu"),
        *("optuna.n_trials=2", "optuna.n_jobs=1", "hydra/launcher=basic"),
        *("quick_validation.epochs=1", "quick_validation.folds=2", "optuna.in_full=0"),
    )
    told = f"as in explored: augment=light {' '.join(DATA)} scheduler.warmup_epochs=0"
    assert told in said
    assert "around the best 5 of 6 complete trials of explored" in said
    assert "1 of 3" in said
    trials = study_of(tmp_path, "focus-tiny-documents").trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2
    assert trials[0].params["optimizer.lr"] == pytest.approx(2e-3)
    now = trials[1].distributions
    assert now["data.batch_size"] == CategoricalDistribution([16])
    assert now["model.drop_rate"] == FloatDistribution(0.179, 0.25)
    job = (tmp_path / "multirun/focus-tiny-documents/1/.hydra/overrides.yaml").read_text()
    assert "augment=light" in job
    assert "n_trials=99" not in job


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "optuna.from_study=null: name the study to look closer at; there are: explored"),
        (("optuna.from_study=explord",), "did you mean explored?"),
        (("optuna.from_study=explored", "model=resnet50"), "searched with model test_resnet, now"),
        (
            ("optuna.from_study=explored", "gpu.max_batch_size=8"),
            "data.batch_size=32: gpu=cpu is safe up to 8",
        ),
    ],
)
def test_mistakes_are_told_before_any_trial(
    door: Door, tmp_path: Path, words: tuple[str, ...], told: str
) -> None:
    explore(tmp_path)
    said = door("src.train", "-m", "hparams_search=focus", "gpu=cpu", *words, code=1)
    assert told in said
    assert "Traceback" not in said
    assert not list((tmp_path / "multirun").glob("*/0"))


def test_an_earlier_study_without_results_cannot_be_followed(door: Door, tmp_path: Path) -> None:
    explore(tmp_path, complete=0)
    words = ("-m", "hparams_search=focus", "gpu=cpu", "optuna.from_study=explored")
    assert "explored: the study has no complete trial yet" in door("src.train", *words, code=1)


def test_a_focus_is_planned_like_any_search(door: Door, tmp_path: Path) -> None:
    explore(tmp_path, *DATA)
    words = ("hparams_search=focus", "gpu=cpu", "optuna.from_study=explored")
    said = door("src.plan", *words)
    assert "batch 16" in said
    assert "batch 64" not in said


def test_what_is_typed_now_is_stronger_than_what_the_earlier_command_had() -> None:
    def taken(before: list[str], *given: str) -> list[str]:
        found = {"overrides": before, "choices": {"model": "tiny", "augment": "light"}}
        parsed = OverridesParser.create().parse_overrides(list(given))
        return taken_over(found, parsed, {"model": "resnet50", "augment": "light"})

    assert taken([]) == ["model=tiny"]
    assert taken([], "model=swin_base") == []
    before = ["data=csv", "data.root=/a", "optimizer.lr=choice(1,2)", "+a=1", "~logger", "seed=3"]
    assert taken(before, "model=tiny") == ["data=csv", "data.root=/a", "+a=1", "~logger", "seed=3"]
    assert taken(before, "model=tiny", "data=image_folder", "seed=4") == ["+a=1", "~logger"]
    assert taken(before, "model=tiny", "data.root=/b")[0] == "data=csv"
    search = ["hparams_search=fast", "+search_space=advanced", "optuna.n_jobs=2", "gpu=t4"]
    kept = ["optuna.objectives=[f1,train_seconds]", "quick_validation.batch_size_override=16"]
    assert taken([*search, *kept], "model=tiny") == kept


def test_an_ordinary_search_is_left_as_it_is() -> None:
    words = ["-m", "hparams_search=fast", "optuna.from_study=explored"]
    assert in_full(words) == words
