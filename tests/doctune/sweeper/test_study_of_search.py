"""Where the study of a search lies, and which command finds it again."""

import pytest
from hydra.core.utils import setup_globals
from omegaconf import OmegaConf

from doctune.sweeper.config import OptunaAsyncSweeperConf
from doctune.sweeper.study_of_search import StudyOfSearch

BY_TIME = "multirun/${now:%Y}/a=b"


@pytest.mark.parametrize(
    ("folder", "storage", "name", "is_told"),
    [
        (BY_TIME, None, "mine", True),
        (BY_TIME, "sqlite:///mine.db", None, True),
        (BY_TIME, "sqlite:///mine.db", "mine", False),
        ("multirun/mine", None, None, False),
    ],
)
def test_the_command_that_goes_on_names_a_folder_that_is_named_by_the_time(
    folder: str, storage: str | None, name: str | None, is_told: bool
) -> None:
    setup_globals()
    sweeper = {"storage": storage, "study_name": name}
    hydra = {"sweep": {"dir": folder}, "sweeper": sweeper, "runtime": {"cwd": "."}}
    config = OmegaConf.create({"hydra": hydra})
    said = StudyOfSearch(OptunaAsyncSweeperConf(), config).how_it_goes_on()
    assert said.startswith("The same command in this folder goes on:" if is_told else "The same ")
    told = f"\"hydra.sweep.dir='{config.hydra.sweep.dir}'\""
    assert said.endswith(f" {told}") == is_told
