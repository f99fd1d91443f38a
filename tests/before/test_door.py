"""Doors answer at once, from wherever they are entered."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import src.report
import src.train
from doctune.sweeper.records import shell_command
from src.before.door import typed
from src.before.starting import end_at_once
from tests.conftest import REPOSITORY

# They take from a third of a second to several, which nobody waits for to be told of a mistake.
HEAVY = (
    *("torch", "timm", "torchvision", "torchmetrics", "pytorch_lightning", "sklearn", "pandas"),
    *("plotly", "ray", "submitit", "wandb", "mlflow", "onnx"),
)
# What acts on a model decides what is searched, and timm has to make the model for it: torch is
# there by the time that folders are looked at.
OF_TRAINING = ("torchmetrics", "pytorch_lightning", "sklearn", "pandas", "plotly", "ray")
# For help, and for a mistake that needs no study, not even Optuna and its database.
OF_SEARCHES = ("optuna", "sqlalchemy", "scipy", "matplotlib")

REPORT_MODULES = """
import atexit, runpy, sys
def tell():
    print("LOADED", *[name for name in {names} if name in sys.modules])
atexit.register(tell)
sys.argv = {words}
runpy.run_module(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("src.train", "--help"), HEAVY + OF_SEARCHES),
        (("src.train", "optimizer.lr=-1", "data.n_images=480"), HEAVY),
        (("src.train", "-m", "hparams_search=fast", "optuna.storage=nosuchdb://x"), HEAVY),
        (("src.train", "-m", "hparams_search=fast", "data=csv", "data.root=/none"), OF_TRAINING),
        (("src.predict", "--help"), HEAVY + OF_SEARCHES),
    ],
    ids=lambda part: " ".join(part)[:50],
)
def test_nothing_heavy_is_imported_before_it_is_needed(
    tmp_path: Path, words: tuple[str, ...], names: tuple[str, ...]
) -> None:
    code = REPORT_MODULES.format(words=list(words), names=names)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    last = done.stdout.splitlines()[-1]
    assert last == "LOADED", f"{last}\n{done.stderr}"
    assert "Traceback" not in done.stderr


def test_a_script_or_notebook_calls_main_with_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # A kernel's own words, which are no business of ours.
    monkeypatch.setattr("sys.argv", ["ipykernel_launcher.py", "-f", "kernel.json"])
    src.train.main(["optimizer.lr=3e-4", "gpu=cpu", "--cfg", "job"])
    assert "lr: 0.0003" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        src.train.main(["optimizer.lrr=1"])
    assert "did you mean optimizer.lr?" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="write study=mine"):
        src.report.main(["mine"])
    assert sys.argv[0] == "ipykernel_launcher.py"
    # Ctrl-C stays what it was, as it would end the kernel.
    assert signal.getsignal(signal.SIGINT) is not end_at_once


def test_a_notebook_without_words_takes_none_of_the_kernels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.argv", ["ipykernel_launcher.py", "-f", "kernel.json"])
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    with typed("src.train", None):
        assert sys.argv == ["src.train"]
    with typed("src.train", ["-m", "optuna.study_name='my study'"]):
        # What a search says goes on with it.
        assert shell_command() == "python -m src.train -m \"optuna.study_name='my study'\""


def test_help_that_is_cut_off_by_head_is_no_traceback(tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -m src.train --cfg job | head -1",
        shell=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("fast", "gpu=cpu", "optuna.n_trials=3"), 'ARGS="'),
        (("fast", "args=gpu=cpu"), 'make fast ARGS="gpu=cpu"'),
        (("fast", "ARGS=gpu=cpu", "optuna.n_trials=3"), 'ARGS="optuna.n_trials=3"'),
    ],
)
def test_make_refuses_overrides_that_it_would_drop(words: tuple[str, ...], told: str) -> None:
    done = subprocess.run(
        ["make", "--dry-run", *words], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert told in done.stderr
