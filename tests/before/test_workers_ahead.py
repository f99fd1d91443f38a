"""What a command's words start before all else is what its workers are copies of."""

import sys
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from doctune.launcher.workers.fork_server import ForkServer
from doctune.launcher.workers.surroundings import same_for_all
from src.before import workers_ahead
from src.before.places import CONF

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers start anew elsewhere")
SEARCH = ("-m", "hparams_search=fast")


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []
    monkeypatch.setattr(ForkServer, "start_ahead", lambda *given: found.append(given))
    monkeypatch.setattr(workers_ahead, "cores", lambda: 2)
    return found


@pytest.mark.parametrize(
    "more",
    [(), ("gpu=cpu", "optuna.n_jobs=3"), ("gpu=rtx4090", "trainer.accelerator=cpu")],
    ids=" ".join,
)
def test_it_imports_what_the_launcher_asks_for(begun: list[Any], more: tuple[str, ...]) -> None:
    workers_ahead.begin([*SEARCH, *more])
    with initialize_config_dir(CONF):
        cfg = compose("train", [SEARCH[1], *more], return_hydra_config=True)
    launcher = cfg.hydra.launcher
    shared = same_for_all(launcher.n_workers, launcher.devices)
    assert begun == [(tuple(launcher.preload), shared)]


@pytest.mark.parametrize(
    "words",
    [
        SEARCH[1:],
        SEARCH[:1],
        (*SEARCH, "--help"),
        (*SEARCH, "--cfg", "job"),
        (*SEARCH, "hydra/launcher=basic"),
        (*SEARCH, "hydra.launcher.preload=[]"),
        (*SEARCH, "optuna.enabled=false"),
    ],
    ids=" ".join,
)
def test_what_searches_nothing_here_starts_nothing(
    begun: list[Any], words: tuple[str, ...]
) -> None:
    workers_ahead.begin(words)
    assert begun == []


def test_one_core_is_left_to_what_comes_first(
    begun: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers_ahead, "cores", lambda: 1)
    workers_ahead.begin(SEARCH)
    assert begun == []
