"""A config from somebody else runs no code of their choosing, whichever door reads it."""

import subprocess
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, TINY, Door

DOORS = (
    ("src.train",),
    ("src.plan",),
    ("src.report", "study=any"),
    ("src.confirm", "study=any"),
    ("src.ensemble", "study=any"),
    ("src.predict", "run=any"),
    ("src.look",),
)
# Where Hydra itself calls what a config names.
OF_HYDRA = {
    "callbacks": "callbacks: {theirs: {_target_: os.system, command: touch ran}}",
    "logging": "job_logging: {handlers: {theirs: {(): os.system, command: touch ran}}, "
    "root: {handlers: [theirs]}}",
}
# Where the sweeper does.
OF_THE_SWEEPER = {
    "hydra.sweeper.pruner": "{_target_: os.system, command: touch ran}",
    "hydra.sweeper.on_command": "os.system",
    "hydra.sweeper.on_start": "os.system",
    "hydra.sweeper.custom_search_space": "os.system",
}


def share(folder: Path, hydra: str) -> tuple[str, ...]:
    """Write a file as others share it; return the words that take it in."""
    (folder / "shared").mkdir()
    (folder / "shared" / "theirs.yaml").write_text(f"# @package _global_\nhydra: {{{hydra}}}\n")
    return "--config-dir", str(folder), "+shared=theirs"


@pytest.mark.parametrize("words", DOORS, ids=lambda words: words[0])
@pytest.mark.parametrize("where", OF_HYDRA)
def test_no_door_calls_what_a_shared_file_names(
    door: Door, tmp_path: Path, words: tuple[str, ...], where: str
) -> None:
    told = door(*words, *share(tmp_path, OF_HYDRA[where]), code=1)
    (line,) = told.splitlines()
    assert line.startswith(f"hydra.{where}")
    assert "Target 'os.system' cannot be authorized by the" in line
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("words", DOORS, ids=lambda words: words[0])
def test_no_door_takes_environment_variables_from_it(
    door: Door, tmp_path: Path, words: tuple[str, ...]
) -> None:
    # With these, git would run a command for us.
    variables = "GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: core.fsmonitor, GIT_CONFIG_VALUE_0: x"
    told = door(*words, *share(tmp_path, f"job: {{env_set: {{{variables}}}}}"), code=1)
    (line,) = told.splitlines()
    assert line.startswith("hydra.job.env_set: a config may not set GIT_CONFIG_COUNT, GIT_CONFIG_")


@pytest.mark.parametrize(
    ("hydra", "told"),
    [
        ("job: {env_set: {PATH: theirs}}", "hydra.job.env_set: a config may not set PATH"),
        ("launcher: {preload: [this]}", "hydra.launcher.preload: 'this' is not in the execution"),
    ],
)
def test_a_search_prepares_no_worker_as_it_says(
    door: Door, tmp_path: Path, hydra: str, told: str
) -> None:
    search = ("src.train", "-m", "hparams_search=fast", "gpu=cpu")
    (line,) = door(*search, *share(tmp_path, hydra), code=1).splitlines()
    assert line.startswith(told)


def test_a_log_is_no_script(door: Door, tmp_path: Path) -> None:
    shared = "job_logging: {handlers: {file: {filename: profile}}}"
    door("src.train", "trainer.max_epochs=0", *share(tmp_path, shared), code=1)
    assert (tmp_path / "profile.log").exists()
    assert not (tmp_path / "profile").exists()


@pytest.mark.parametrize("key", OF_THE_SWEEPER)
def test_nor_does_a_search_and_it_says_so_in_one_line(door: Door, tmp_path: Path, key: str) -> None:
    name = key.rsplit(".", 1)[1]
    shared = share(tmp_path, f"sweeper: {{{name}: {OF_THE_SWEEPER[key]}}}")
    told = door("src.train", "-m", "hparams_search=fast", *TINY, *shared, code=1)
    # Before it, a slow machine tells how far it is with the pages.
    line = told.splitlines()[-1]
    assert line.startswith(f"{key}: Target 'os.system' cannot be authorized")
    assert not (tmp_path / "ran").exists()


def test_the_dashboard_is_for_this_machine_alone() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "--always-make", "dashboard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [line for line in done.stdout.splitlines() if "optuna-dashboard" in line]
    assert "--host 127.0.0.1" in line
