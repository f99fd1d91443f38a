"""The wheel, installed in another environment, serves an app whose own package is called src."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

import optuna
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.waiting import PATIENCE

REPOSITORY = Path(__file__).parents[2]

SCORE = """
def score(x: float) -> float:
    return -((x - 1) ** 2)
"""
JOB = """
import sys

import hydra
from doctune.trial import current_trial
from omegaconf import DictConfig

from src.score import score


@hydra.main(config_path=None, config_name=None)
def main(cfg: DictConfig) -> float:
    trial = current_trial()
    assert trial is not None
    assert "torch" not in sys.modules
    trial.report(score(cfg.x) - 1, step=0)
    trial.raise_if_over()
    return score(cfg.x)


if __name__ == "__main__":
    main()
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of an environment that holds the wheel and what it depends on."""
    folder = tmp_path_factory.mktemp("wheel")
    # Built from a copy, as building leaves files beside the sources.
    shutil.copytree(REPOSITORY / "doctune", folder / "sources" / "doctune")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, folder / "sources")
    # What pip itself asks for, which takes long to start.
    build = f"from setuptools.build_meta import build_wheel; build_wheel({str(folder)!r})"
    subprocess.run(
        [sys.executable, "-c", build],
        cwd=folder / "sources",
        check=True,
        timeout=120,
        stdout=subprocess.DEVNULL,
    )
    (wheel,) = folder.glob("doctune-*.whl")
    venv.create(folder / "env", with_pip=False, symlinks=True)
    (site,) = (folder / "env").glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as file:
        assert not [name for name in file.namelist() if name.startswith(("src/", "tests/"))]
        file.extractall(site)
    # Of the packages here the others, without the link to this checkout, which a .pth file is.
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return folder / "env" / "bin" / "python"


def _installed_with(name: str, found: dict[str, Distribution]) -> dict[str, Distribution]:
    """Return the packages that pip installs for one, itself among them, by their names."""
    name = canonicalize_name(name)
    if name not in found:
        found[name] = distribution(name)
        for text in found[name].requires or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                _installed_with(needed.name, found)
    return found


def _bytes_of(packages: Iterable[Distribution]) -> int:
    """Return what packages take as pip lays them down, without bytecode."""
    files = [
        Path(str(package.locate_file(file)))
        for package in packages
        for file in package.files or ()
        if file.suffix != ".pyc"
    ]
    return sum(file.stat().st_size for file in files if file.exists())


def test_the_wheel_alone_takes_less_than_100_mb() -> None:
    """Nearly all of it is what Optuna and its Hydra plugin need; bytecode is 40 MB more."""
    found = _installed_with("doctune", {})
    assert {"optuna", "hydra-core", "numpy"} <= found.keys()
    assert not {"torch", "timm", "pandas", "plotly"} & found.keys()
    # Here it is linked, of its own files there are a few.
    del found["doctune"]
    assert 50e6 < _bytes_of(found.values()) < 100e6
    theirs = _installed_with("optuna", _installed_with("hydra-optuna-sweeper", {}))
    added = {name: found[name] for name in found.keys() - theirs.keys()}
    assert {"rich", "pebble"} <= added.keys()
    assert _bytes_of(added.values()) < 10e6


# As test_job_ends has it of joblib and Ray, of an app of this checkout.
@pytest.mark.parametrize(
    "launcher",
    [
        "workers",
        pytest.param("joblib", marks=pytest.mark.thorough),
        pytest.param("ray", marks=pytest.mark.thorough),
    ],
)
def test_an_app_with_a_package_called_src(python: Path, tmp_path: Path, launcher: str) -> None:
    if launcher == "ray":
        pytest.importorskip("ray")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "__init__.py").touch()
    (tmp_path / "src" / "score.py").write_text(SCORE, encoding="utf-8")
    (tmp_path / "src" / "job.py").write_text(JOB, encoding="utf-8")
    words: tuple[str, ...] = ("hydra/sweeper=optuna_async", f"hydra/launcher={launcher}")
    words = (*words, "hydra.sweeper.n_jobs=1")
    search = ("hydra.sweeper.n_trials=2", "hydra.sweeper.direction=maximize", "+x=interval(0,2)")
    if launcher == "ray":
        words = (*words, "+hydra.launcher.ray.init.include_dashboard=false")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["RAY_AUTH_MODE"] = "disabled"
    done = subprocess.run(
        [python, "-m", "src.job", "-m", *words, *search, "hydra.sweep.dir=sweep"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    storage = f"sqlite:///{tmp_path / 'sweep' / 'optuna.db'}"
    study = optuna.load_study(study_name="sweep", storage=storage)
    assert [trial.state.name for trial in study.trials] == ["COMPLETE"] * 2
