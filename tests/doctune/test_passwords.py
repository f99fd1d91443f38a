"""The password of a storage URL reaches no file, no screen and no study."""

import json
from pathlib import Path

import optuna
import pytest
from omegaconf import OmegaConf
from sqlalchemy import make_url

from doctune.errors import UserError
from doctune.passwords import VARIABLE, StoragePassword, without_passwords
from doctune.study.location import parse_url
from doctune.study.storage import open_storage
from tests.conftest import TINY, Door, Run

SECRET = "s3cr3t-pa:ss"
QUOTED = "s3cr3t-pa%3Ass"


def holds_secret(content: str) -> bool:
    return "s3cr3t" in content


# What workers are given is what jobs of Slurm are given, in test_submitted.
@pytest.mark.parametrize("launcher", ["basic", pytest.param("workers", marks=pytest.mark.thorough)])
def test_a_search_and_its_report_keep_the_password(
    run: Run,
    door: Door,
    tmp_path: Path,
    postgresql: str,
    launcher: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The server of the tests trusts everybody, whatever the password.
    url = make_url(postgresql).set(password=SECRET).render_as_string(hide_password=False)
    assert QUOTED in url
    storage = f"optuna.storage='{url}'"
    words = (
        *("src.train", "-m", "hparams_search=fast", *TINY, "optuna.n_trials=1", storage),
        *("optuna.study_name=hidden", "quick_validation.epochs=1"),
    )
    if launcher == "workers":
        done = run(*words)
        search = done.stdout + done.stderr
    else:
        here = (*words, f"hydra/launcher={launcher}")
        monkeypatch.setattr("sys.orig_argv", ["python", "-m", *here])
        search = door(*here)
    report = door("src.report", "study=hidden", storage)
    assert "hidden" in report
    for told in (search, report):
        assert not holds_secret(told)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert names >= {"search.log", "config.yaml", "overrides.yaml", "hydra.yaml"}
    assert "optuna_study_report.html" in names
    assert ("worker-0.log" in names) == (launcher == "workers")
    assert [path for path in files if holds_secret(path.read_bytes().decode("latin-1"))] == []
    study = optuna.load_study(study_name="hidden", storage=open_storage(postgresql))
    assert "optuna.storage=" in study.user_attrs["command"]
    kept = [study.user_attrs, *(trial.user_attrs for trial in study.trials)]
    assert not holds_secret(json.dumps(kept))


def test_a_server_that_does_not_answer_is_told_without_the_password(door: Door) -> None:
    url = f"postgresql://me:{QUOTED}@127.0.0.1:1/studies"
    told = door("src.report", "study=hidden", f"optuna.storage='{url}'", code=1)
    assert "postgresql" in told
    assert not holds_secret(told)


@pytest.mark.parametrize(
    "url",
    [
        # Each is refused for another reason.
        "grpc://me:s3cr3t@host:13000",
        "postgresql://me:s3cr3t@host:port/studies",
        "sqlite://me:s3cr3t@host/studies.db",
        "journal://me:s3cr3t@host/studies.log",
        "postgresql//me:s3cr3t@host/studies",
        "postgresql:me:s3cr3t@host/studies",
        "me:s3cr3t@host/studies",
    ],
)
def test_a_storage_that_cannot_be_is_told_without_the_password(url: str) -> None:
    with pytest.raises(UserError, match=r"storage=.*host") as refused:
        parse_url(url)
    assert not holds_secret(str(refused.value))


def test_the_password_moves_into_the_environment() -> None:
    url = "postgresql://me:s3cr3t@host/studies"
    config = OmegaConf.create(
        {
            "optuna": {"storage": url},
            "hydra": {
                "sweeper": {"storage": "${optuna.storage}"},
                "overrides": {"task": [f"optuna.storage={url}"]},
            },
        }
    )
    OmegaConf.set_readonly(config.hydra, True)
    environment: dict[str, str] = {}
    assert StoragePassword(config).hide(environment) == [
        "optuna.storage='postgresql://me@host/studies'"
    ]
    assert environment == {VARIABLE: "s3cr3t"}
    assert not holds_secret(OmegaConf.to_yaml(config))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://me:pw@host/db", "postgresql://me@host/db"),
        ("postgresql+psycopg://me:pw@host/db", "postgresql+psycopg://me@host/db"),
        ("PostgreSQL://me:pw@host/db", "PostgreSQL://me@host/db"),
        ("storage='mysql://me:p%40w@host/db?a=b'", "storage='mysql://me@host/db?a=b'"),
        ("postgresql://me:pw@/db?host=/tmp", "postgresql://me@/db?host=/tmp"),
        ("postgresql://me:p/w@host/db", "postgresql://me@host/db"),
        ("no answer of sql://me:pw@host/db (late)", "no answer of sql://me@host/db (late)"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("postgresql://host:5432/db", "postgresql://host:5432/db"),
        ("sqlite:///a.db", "sqlite:///a.db"),
    ],
)
def test_urls_without_their_passwords(text: str, expected: str) -> None:
    assert without_passwords(text) == expected
