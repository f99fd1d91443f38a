"""Trials of earlier studies, looked for where a plan is told that they are."""

from pathlib import Path

import pytest

from doctune.errors import UserError
from src.planning.earlier_trials import stored_trials


@pytest.mark.parametrize("kind", ["sqlite", "sqlite+pysqlite", "journal"])
def test_nothing_is_made_where_no_study_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("new/folder", tmp_path / "new" / "folder"):
        assert list(stored_trials(f"{kind}:///{folder}/studies")) == []
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("postgresql://h:abc/db", "storage=postgresql://h:abc/db: 'abc' is no number"),
        ("nonsense", "storage=nonsense: this is no database URL"),
    ],
)
def test_a_wrong_storage_is_told_as_a_search_tells_it(url: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        list(stored_trials(url))
