"""Job configs that are set in a copy are those that Hydra composes."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.singleton import Singleton
from hydra.errors import HydraException
from hydra.types import RunMode
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from doctune.launcher.job.composing import JobComposer
from doctune.launcher.job.run import JobContext

FILES = {
    "app.yaml": """
defaults:
  - _self_
  - model: small
  - data@inner.data: here
x: 1
name: run ${x}
when: ${now:%f}
inner: {a: 1.5, b: [1, 2], c: {d: null}}
""",
    "model/small.yaml": "size: 1\nlayers: {first: 1, last: 2}\nwidth: ${x}",
    "model/large.yaml": "size: 9\nlayers: {first: 3}\nheads: 4",
    "data/here.yaml": "place: here",
    "data/there.yaml": "place: there\nfar: true",
}
# What may be given to a job: values, new keys, choices of files, Hydra's own, and mistakes in each.
WORDS = (
    *("x=2", "x=${inner.a}", "x='a, b'", "x=null", "x=[1,2]", "x={y: 1}", "x.y=1"),
    *(
        "inner.a=0.5",
        "inner.b=[3]",
        "inner.c.d=word",
        "inner.c={e: 1}",
        "inner={a: 3}",
        "+inner.z=1",
    ),
    *("++x=3", "++fresh.deep=1", "+fresh=1", "nowhere=1", "+x=1", "inner.b='[1]'"),
    *("model=large", "model=small", "model=nosuch", "model={size: 3}", "+model@other=large"),
    *("model.size=5", "model.layers.first=7", "model.heads=8", "+model.heads=8", "~model"),
    *("data@inner.data=there", "inner.data.place=moon", "+data=there", "~inner.c", "~x"),
    *("hydra.job.name=other", "hydra.verbose=true", "hydra.nosuch=1", "+hydra.fresh=1"),
    *("hydra/launcher=joblib", "x=choice(1,2)", "x=", "=x", "x"),
)


@pytest.fixture(scope="module")
def composed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, DictConfig]]:
    folder = tmp_path_factory.mktemp("conf")
    for name, text in FILES.items():
        path: Path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    with initialize_config_dir(str(folder)):
        hydra = GlobalHydra.instance().hydra
        assert hydra is not None
        words = ["hydra.job.chdir=false", "hydra/sweeper=optuna_async"]
        master = hydra.compose_config("app", words, run_mode=RunMode.MULTIRUN)
        # Worked out once for all jobs.
        assert master.when
        yield hydra.config_loader, master


def outcome(compose: Any, words: list[str]) -> tuple[Any, ...]:
    """Return all that is to be seen of a config, or of the error."""
    try:
        config = compose(words)
    except HydraException as error:
        return type(error), str(error)
    return (
        *(OmegaConf.to_container(config, resolve=False), list(config), config.when),
        *(OmegaConf.is_struct(config), OmegaConf.is_readonly(config.hydra)),
        *(OmegaConf.get_cache(config), config._metadata.flags, config.hydra._metadata.flags),
        OmegaConf.get_type(config.hydra.job),
    )


@given(jobs=st.lists(st.lists(st.sampled_from(WORDS), max_size=4), min_size=1, max_size=3))
@settings(max_examples=8, deadline=None)
def test_is_what_hydra_composes(composed: tuple[Any, DictConfig], jobs: list[list[str]]) -> None:
    loader, master = composed
    composer = JobComposer(loader, master)
    for words in jobs:
        expected = outcome(lambda given: loader.load_sweep_config(master, given), words)
        assert outcome(composer.compose, words) == expected


def test_one_job_leaves_nothing_to_the_next(composed: tuple[Any, DictConfig]) -> None:
    composer = JobComposer(*composed)
    first = composer.compose(["model=large", "inner.a=7", "inner.b=[9]"])
    first.inner.b.append(1)
    first.hydra.job.name = "other"
    second = composer.compose(["model=large", "x=3"])
    assert (second.inner.a, list(second.inner.b), second.x) == (1.5, [1, 2], 3)
    assert second.hydra.job.name != "other"


def test_files_are_read_once(
    composed: tuple[Any, DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    loader, master = composed
    composer = JobComposer(loader, master)
    composer.compose(["model=large", "x=1"])
    monkeypatch.setattr(loader, "load_sweep_config", None)
    assert composer.compose(["x=5", "model=large", "+new=1"]).model.size == 9


def test_a_worker_is_sent_what_is_composed_when_it_starts(
    composed: tuple[Any, DictConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    loader, master = composed
    hydra = SimpleNamespace(config_loader=loader)
    launcher = SimpleNamespace(hydra_context=hydra, task_function=len, config=master)
    context = JobContext.capture(launcher)
    context.composer = JobComposer(loader, master)
    context.composer.compose(["model=large", "x=1"])
    monkeypatch.setattr(type(loader), "load_sweep_config", None)
    # Of the process, which a worker has for itself.
    monkeypatch.setattr(Singleton, "_instances", dict(Singleton._instances))
    runner = pickle.loads(pickle.dumps(context)).restore()
    assert runner.composer.compose(["x=5", "model=large"]).model.size == 9
