"""What many tests need: the composed config, a tiny data set, the command line."""

import functools
import gc
import logging
import os
import pickle
import runpy
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import settings
from omegaconf import DictConfig
from optuna.storages._rdb.storage import _VersionManager
from sqlalchemy import Engine, event

from doctune import shown_keys
from doctune.launcher.workers.fork_server import ForkServer
from doctune.launcher.workers.place import Place
from src.before import config as config
from src.data.image_set import ImageSet
from src.hardware import profile as profile
from tests import preloaded
from tests.composed_once import composed_once
from tests.trained_run import run_folder as run_folder
from tests.trained_run import scans as scans
from tests.trained_run import sorted_scans as sorted_scans

REPOSITORY = Path(__file__).parents[1]
CONF = str(REPOSITORY / "conf")

# A search that takes seconds: few and small images, one epoch on two folds.
PAGES = "data.n_images=480"
TINY = (
    "gpu=cpu",
    PAGES,
    "data.img_size=32",
    "quick_validation.epochs=2",
    "quick_validation.folds=2",
    "optuna.in_full=0",
)

# Files whose tests take longest, half a minute and more for a part of them.
LONGEST = {
    *("test_distribution.py", "test_job_ends.py", "test_kills.py", "test_submitted.py"),
    *("test_card.py", "test_confirm.py", "test_many_processes.py", "test_train.py"),
    "test_every_engine.py",
}

# An example is no slower for being on a busy machine.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

Compose = Callable[..., Any]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def pytest_configure(config: pytest.Config) -> None:
    """Start one server for all processes of this run; one alone starts it where it needs it."""
    if config.getoption("numprocesses", None) and not hasattr(config, "workerinput"):
        preloaded.preload_xdist()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: begun last, it would keep one process when others are done."""
    items.sort(key=lambda item: item.path.name not in LONGEST)


def pytest_collection_finish() -> None:
    """Leave what is there out of all searches for garbage, and have fewer of them.

    They took a twentieth of the tests' time.
    """
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)


@pytest.fixture(scope="session", autouse=True)
def _packages_are_looked_through_once() -> Iterator[None]:
    """Lightning asks all that are installed for callbacks at every training, 0.02 s each time."""
    registry = sys.modules.get("lightning_fabric.utilities.registry")
    with pytest.MonkeyPatch.context() as here:
        if registry is not None:
            here.setattr(registry, "entry_points", functools.cache(registry.entry_points))
        yield


@pytest.fixture(scope="session", autouse=True)
def _migrations_are_read_once() -> Iterator[None]:
    """Optuna reads its thirty files of migrations anew for every database, 0.1 s each time."""
    made, kept = _VersionManager._create_alembic_script, list[Any]()

    def once(self: Any) -> Any:
        if not kept:
            kept.append(made(self))
        return kept[0]

    with pytest.MonkeyPatch.context() as here:
        here.setattr(_VersionManager, "_create_alembic_script", once)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_debugger_is_looked_for() -> Iterator[None]:
    """Hydra does so at every mistake, in the sources of the whole stack, which is pytest's here."""
    with pytest.MonkeyPatch.context() as here:
        here.setattr("hydra._internal.utils.is_under_debugger", lambda: False)
        yield


@pytest.fixture(scope="session", autouse=True)
def _configs_are_composed_once() -> Iterator[None]:
    with composed_once():
        yield


@pytest.fixture(scope="session", autouse=True)
def _sqlite_waits_for_no_disk() -> Iterator[None]:
    """A new study of Optuna's does so thirteen times; only a power failure shows the difference."""

    def relax(connection: Any, _: Any) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.execute("PRAGMA synchronous=OFF")

    event.listen(Engine, "connect", relax)
    yield
    event.remove(Engine, "connect", relax)


@pytest.fixture(autouse=True)
def _hydra_is_left_as_it_was() -> Iterator[None]:
    """What a test tells it of choices and words would be known to whatever comes next."""
    before = HydraConfig.instance().cfg
    yield
    HydraConfig.instance().cfg = before


@functools.cache
def _of_groups(words: tuple[str, ...]) -> bytes:
    with initialize_config_dir(CONF):
        return pickle.dumps(compose("train", ["gpu=cpu", *words]))


def _chooses_of_a_group(word: str) -> bool:
    key = word.lstrip("+~").partition("=")[0]
    return key.startswith("hydra") or "@" in key or Path(CONF, key).is_dir()


@pytest.fixture
def cfg() -> Compose:
    """Return a function that composes `conf/train.yaml` with overrides, on a CPU.

    What the groups make is composed once a process, and values are set in a copy, as Hydra itself
    sets them at the end of composing: that takes a twentieth of the time.
    """

    def make(*overrides: str) -> Any:
        groups = tuple(word for word in overrides if _chooses_of_a_group(word))
        config: DictConfig = pickle.loads(_of_groups(groups))
        values = [word for word in overrides if word not in groups]
        parsed = OverridesParser.create().parse_overrides(values)
        ConfigLoaderImpl._apply_overrides_to_config(parsed, config)
        return config

    return make


@pytest.fixture
def blobs() -> ImageSet:
    """Return 90 images of 3 classes that a small model tells apart by their colour."""
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = rng.integers(0, 60, (90, 32, 32, 3), dtype=np.uint8)
    for row, label in enumerate(labels):
        images[row, :, :, label] += 120
    return ImageSet(images, labels, ("red", "green", "blue"))


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder for decoded images that all tests share, those of other processes too."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Above is the folder of the whole run; a file's lock lets one process draw.
        folder = tmp_path_factory.getbasetemp().parent / "cache"
        folder.mkdir(exist_ok=True)
        return folder
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(tmp_path: Path, cache_dir: Path) -> Run:
    """Return a function that runs a door in an empty folder, as a user would.

    With `cached`, its pages are in the folder that all tests share.
    """

    def call(*words: str, code: int = 0, cached: bool = True) -> subprocess.CompletedProcess[str]:
        given = any(word.startswith("data.cache_dir=") for word in words)
        cache = [f"data.cache_dir={cache_dir}"] if cached and not given else []
        done = preloaded.run(
            [sys.executable, "-m", *words, *cache],
            tmp_path,
            {**os.environ, "PYTHONPATH": str(REPOSITORY)},
            seconds=280,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return call


Door = Callable[..., str]


@pytest.fixture
def door(
    tmp_path: Path,
    cache_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Door]:
    """Return a function that runs a light door in this process, and returns what it has said."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level

    def call(module: str, *words: str, code: int = 0) -> str:
        monkeypatch.chdir(tmp_path)
        # Of pages that many tests look at, which take seconds to draw.
        given = PAGES not in words or any(word.startswith("data.cache_dir=") for word in words)
        cache = [] if given else [f"data.cache_dir={cache_dir}"]
        monkeypatch.setattr(sys, "argv", [module, *words, *cache])
        # What a search asks of the process that workers are copies of is known here as well; that
        # process would import torch anew for every mistake.
        monkeypatch.setattr(ForkServer, "_launch", lambda _: False)
        # Workers begin with their first job, as most commands here have none.
        monkeypatch.setattr(Place, "start", lambda _: None)
        # A sweep names keys for all messages of its process.
        monkeypatch.setattr(shown_keys, "_names", {})
        ended: Any = 0
        try:
            runpy.run_module(module, run_name="__main__")
        except SystemExit as end:
            ended = end.code
        said = capsys.readouterr()
        told = f"{said.out}{said.err}{ended if isinstance(ended, str) else ''}"
        assert bool(ended) == bool(code), told
        return told

    yield call
    # Hydra's own write to a screen that is gone with the test.
    root.handlers[:] = handlers
    root.setLevel(level)
