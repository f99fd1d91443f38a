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
from src.before.typed_words import from_home
from tests.conftest import REPOSITORY, Door

# They take from a third of a second to several, which nobody waits for to be told of a mistake.
HEAVY = (
    *("torch", "timm", "torchvision", "torchmetrics", "pytorch_lightning", "sklearn", "pandas"),
    *("plotly", "ray", "submitit", "wandb", "mlflow", "onnx"),
)
# For help not even Optuna and its database.
OF_SEARCHES = ("optuna", "sqlalchemy", "scipy", "matplotlib")

REPORT_MODULES = """
import atexit, runpy, sys
def tell():
    print("LOADED", *[name for name in {names} if name in sys.modules])
atexit.register(tell)
sys.argv = {words}
runpy.run_module(sys.argv[0], run_name="__main__")
"""

SEARCH = ("-m", "hparams_search=precise", "gpu=cpu", "data.n_images=480", "data.img_size=32")
FILES = (*SEARCH[:-2], "data.img_size=32")
# A mistake that a model is not needed for -> what is told.
AT_ONCE = {
    ("optimizer.lr=-1", "gpu=cpu"): "optimizer.lr=-1",
    (*SEARCH, "quick_validation.folds=0"): "quick_validation.folds=0",
    (*SEARCH, "optuna.storage=nosuchdb://x"): "optuna.storage=nosuchdb://x",
    (*SEARCH, "optuna.from_study=none"): "optuna.from_study=none",
    (*SEARCH, "optuna.objectives=[f2]"): "'f2' is unknown",
    # Of the search space, and of what it makes of a job.
    (*SEARCH, "search_space.learning_rate.low=1"): "search_space.learning_rate: low 1",
    (*SEARCH, "search_space.drop_path.high=-1"): "search_space.drop_path: low 0",
    (*SEARCH, "search_space.drop_path.high=2"): "model.drop_path_rate=2",
    (*SEARCH, "optimizer.lr=interval(1,0.1)"): "optimizer.lr=interval(1,0.1)",
    (*SEARCH, "data.batch_size=choice(0,16)"): "data.batch_size=0",
    (
        *SEARCH,
        "model.name=resnet51",
    ): "did you mean resnet51q",
    (*SEARCH, "model.name=choice(test_resnet,vitt)"): "model.name=vitt",
    (*SEARCH, "model.checkpoint_path=/none"): "model.checkpoint_path=/none",
    # Of the images, which are listed.
    (*FILES, "data=image_folder", "data.root=/none"): "data.root=/none",
    (*FILES, "data=csv", "data.root=table"): "has no column 'ID'",
    (*SEARCH, "quick_validation.folds=500"): "images, and not all to train on",
    (*SEARCH, "logger=tensorboard", "logger.name=paper"): "logger.name=paper",
    # Of a card's sizes, which follow from the model.
    (
        *("-m", "hparams_search=fast", "gpu=rtx4090", "trainer.accelerator=cpu"),
        *("data=image_folder", "data.root=/none"),
    ): "data.root=/none",
}
# What is told of those that get furthest: of a key, a study, a job, files and images.
FURTHEST = {
    *("optimizer.lr=-1", "optuna.from_study=none", "model.drop_path_rate=2"),
    *("has no column 'ID'", "images, and not all to train on"),
}
OTHER_DOORS = dict.fromkeys(("report", "confirm", "ensemble"), "study=none")
# Each as in a process of its own; what they compose is read and put together once.
REPORT_MISTAKES = """
import sys
from tests.composed_once import composed_once
import src.confirm, src.ensemble, src.report, src.train
doors = [(src.train, words) for words in {commands}]
doors += [(getattr(src, name), [word]) for name, word in {others}.items()]
with composed_once():
    for door, words in doors:
        try:
            door.main(words)
        except SystemExit as end:
            print(str(end.code).splitlines()[0] if isinstance(end.code, str) else end.code)
        print("LOADED", *[name for name in {names} if name in sys.modules])
"""


def in_fresh_python(code: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("src.train", "--help"), HEAVY + OF_SEARCHES),
        (("src.predict", "--help"), HEAVY + OF_SEARCHES),
    ],
    ids=lambda part: " ".join(part)[:50],
)
def test_nothing_heavy_is_imported_before_it_is_needed(
    tmp_path: Path, words: tuple[str, ...], names: tuple[str, ...]
) -> None:
    code = REPORT_MODULES.format(words=list(words), names=names)
    done = in_fresh_python(code, tmp_path)
    last = done.stdout.splitlines()[-1]
    assert last == "LOADED", f"{last}\n{done.stderr}"
    assert "Traceback" not in done.stderr


def mistakes(rows: dict[tuple[str, ...], str], folder: Path, cache: str) -> str:
    """Return the code that makes them, and leave the table that they name."""
    (folder / "table").mkdir()
    (folder / "table" / "train.csv").write_text("file,kind\na.png,x\n")
    commands = [[*words, *([cache] if words[: len(SEARCH)] == SEARCH else [])] for words in rows]
    return REPORT_MISTAKES.format(commands=commands, others=OTHER_DOORS, names=(*HEAVY, "scipy"))


def assert_told(done: "subprocess.CompletedProcess[str]", told: list[str]) -> None:
    """All is told, and nothing heavy had been imported then."""
    said = done.stdout + done.stderr
    assert "Traceback" not in said
    loaded = [line for line in done.stdout.splitlines() if line.startswith("LOADED")]
    told = [*told, *OTHER_DOORS.values()]
    assert loaded[: len(told)] == ["LOADED"] * len(told), said
    for words in told:
        assert words in said


# What the others say is in test_mistakes, and when, of the furthest, below.
@pytest.mark.thorough
def test_what_needs_no_model_is_told_before_torch_is_imported(
    tmp_path: Path, cache_dir: Path
) -> None:
    code = mistakes(AT_ONCE, tmp_path, f"data.cache_dir={cache_dir}")
    assert_told(in_fresh_python(code, tmp_path), list(AT_ONCE.values()))


# Nobody answers what is asked where torch is.
NOBODY_BESIDE = """
import src.before.asked_of_timm, src.before.checks
asked = []
def beside(function, *given):
    asked.append(function.__name__)
    return {"check_models": [], "_look_for_effect": False}.get(function.__name__)
src.before.asked_of_timm.call_beside = src.before.checks.call_beside = beside
"""
# A search up to its first trial.
SEARCH_ALONE = """
import src.results.finish
from doctune.sweeper.sweeper import AsyncSweeper
AsyncSweeper._search = lambda *given: None
asked.clear()
src.train.main({words})
print("ASKED", *asked)
print("LOADED", *[name for name in {names} if name in sys.modules])
"""
# The report at its end takes the others.
FOR_TRAINING = HEAVY[: HEAVY.index("sklearn")]


def test_the_process_of_a_search_imports_nothing_that_trains_nor_do_mistakes(
    tmp_path: Path, cache_dir: Path
) -> None:
    rows = {words: told for words, told in AT_ONCE.items() if told in FURTHEST}
    assert len(rows) == len(FURTHEST)
    cache = f"data.cache_dir={cache_dir}"
    words = ["-m", "hparams_search=fast", *SEARCH[2:], "hydra/launcher=basic", cache]
    search = SEARCH_ALONE.format(words=words, names=FOR_TRAINING)
    code = f"{NOBODY_BESIDE}{mistakes(rows, tmp_path, cache)}{search}"
    done = in_fresh_python(code, tmp_path)
    assert_told(done, list(rows.values()))
    asked = "ASKED _look_for_effect check_models fetch_weights job_needs"
    assert done.stdout.splitlines()[-2:] == [asked, "LOADED"], done.stderr


# Sends Ctrl-C when a module is about to be imported.
STOP_AT = """
import os, runpy, signal, sys
class Stop:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Stop())
sys.argv = {words}
sys.orig_argv = ["python", "-m", *sys.argv]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


# While a door is imported; it is as then while the sweeper is set up, in the checks, and while
# images are read.
@pytest.mark.parametrize(
    "module",
    [
        "hydra",
        *(
            pytest.param(name, marks=pytest.mark.thorough)
            for name in ("optuna", "src.before.checks", "sklearn")
        ),
    ],
)
def test_ctrl_c_in_the_first_seconds_is_a_line(
    tmp_path: Path, cache_dir: Path, module: str
) -> None:
    # Another test may have cut those images, for which scikit-learn is imported.
    cache = tmp_path / "cache" if module == "sklearn" else cache_dir
    words = ["src.train", *SEARCH, f"data.cache_dir={cache}"]
    code = STOP_AT.format(module=module, words=words)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
        # Whoever runs the tests in the background has switched it off for all that they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert done.returncode == 128 + signal.SIGINT, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("stopped")
    assert "the same command" in done.stderr.splitlines()[-1]


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


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("data.root=~/scans", "data.root=/home/me/scans"),
        ("data.root='~/my scans'", "data.root='/home/me/my scans'"),
        ("data=~/a=b.csv", "data='/home/me/a=b.csv'"),
        ("data.root=/a/~/b", "data.root=/a/~/b"),
        ("~data.root=~", "~data.root=~"),
        ("data.root=~/a,~/b", "data.root=~/a,~/b"),
        ("-m", "-m"),
    ],
)
def test_a_path_from_home_is_written_out(
    monkeypatch: pytest.MonkeyPatch, word: str, meant: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert from_home(word) == meant


def test_a_door_writes_no_folder_called_tilde(
    door: Door, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for word in ("data.root=~/none", "data.root='~/none'"):
        said = door("src.look", "data=image_folder", word, code=1)
        assert f"data.root={tmp_path}/home/none: there is no such folder" in said


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
