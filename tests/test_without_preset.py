"""Sweeps without a preset: in which direction, into which folder."""

import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.hydra_config import HydraConfig

from src.before import earlier_search
from src.before.earlier_search import in_full
from tests.conftest import CONF, Door


def composed(*words: str) -> Any:
    """Compose as the door does, and return what Hydra knows."""
    with initialize_config_dir(CONF):
        cfg = compose("train", ["gpu=cpu", *words], return_hydra_config=True)
    HydraConfig.instance().set_config(cfg)
    return HydraConfig.get()


@pytest.mark.parametrize("sweeper", ["optuna", "optuna_async"])
@pytest.mark.parametrize(
    ("objectives", "direction"),
    [("[f1]", "maximize"), ("[log_loss]", "minimize"), ("[f1,train_seconds]", None)],
)
def test_the_direction_is_that_of_the_objective(
    sweeper: str, objectives: str, direction: str | None
) -> None:
    hydra = composed(f"hydra/sweeper={sweeper}", f"optuna.objectives={objectives}")
    expected = ["maximize", "minimize"] if direction is None else direction
    assert hydra.sweeper.direction == expected


def test_a_preset_and_none_reach_the_sweeper_in_the_same_way() -> None:
    none, preset = composed("hydra/sweeper=optuna_async"), composed("hparams_search=fast")
    for key in (
        "storage",
        "n_jobs",
        "on_command",
        "on_start",
        "on_end",
        "on_complete",
        "start_with_defaults",
        "metric_names",
    ):
        assert none.sweeper[key] == preset.sweeper[key]
    assert set(none.sweeper.settings) == set(preset.sweeper.settings)


@pytest.mark.parametrize("words", [("seed=1",), ("hydra/sweeper=optuna",)])
def test_other_sweeps_have_a_folder_of_their_own(words: tuple[str, ...]) -> None:
    first = composed(*words).sweep.dir
    # As a second command would, started at once.
    time.sleep(0.002)
    second = composed(*words).sweep.dir
    assert first != second
    assert Path(first).parent == Path("multirun")
    assert "None" not in first + second


def test_searches_share_the_folder_of_their_study() -> None:
    assert composed("hydra/sweeper=optuna_async").sweep.dir == "multirun/search-tiny-documents"
    assert composed("hparams_search=fast").sweep.dir == "multirun/fast-tiny-documents"
    named = composed("hparams_search=fast", "optuna.study_name=mine", "model=resnet50")
    assert named.sweep.dir == "multirun/mine"


def test_an_interval_without_a_search_is_told(door: Door) -> None:
    said = door("src.train", "-m", "optimizer.lr=interval(1e-4,1e-2)", code=1)
    assert "Traceback" not in said
    assert "hparams_search=fast" in said


def test_nothing_to_search_is_told_before_the_data_are_read(door: Door, tmp_path: Path) -> None:
    missing = ("data=image_folder", f"data.root={tmp_path / 'none'}")
    said = door("src.train", "-m", "hydra/sweeper=optuna_async", *missing, "gpu=cpu", code=1)
    assert "there is nothing to search: choose a preset (hparams_search=fast)" in said


@pytest.mark.parametrize(
    "flags",
    [
        ("--config-dir=DIR",),
        ("--config-dir", "DIR"),
        ("-cd", "DIR"),
        ("-cn", "train"),
        ("--config-name", "train", "--multirun"),
        ("-m",),
    ],
)
def test_flags_may_have_their_value_apart(
    flags: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the earlier study had is taken over all the same."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine.yaml").write_text("source: documents\n")
    found = {"overrides": ["data=mine", "data.n_images=77"], "choices": {"augment": "light"}}
    monkeypatch.setattr(earlier_search, "_attributes", lambda cfg: found)
    words = [flag.replace("DIR", str(tmp_path)) for flag in flags]
    full = in_full([*words, "hparams_search=focus", "optuna.from_study=s"])
    taken = ["augment=light", "data=mine", "data.n_images=77"]
    assert [word for word in full if word in taken] == taken
    # What is typed comes last, and flags keep their values.
    assert full[-len(words) - 2 :] == [*words, "hparams_search=focus", "optuna.from_study=s"]
    if "DIR" in "".join(flags):
        full = in_full([*words, "hparams_search=focus", "optuna.from_study=s", "data=mine"])
        assert "augment=light" in full


def test_a_wrong_flag_is_left_to_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "exit", lambda *_: pytest.fail("it has ended the program"))
    words = ["--cfg", "nonsense", "hparams_search=focus"]
    assert in_full(words) == words
