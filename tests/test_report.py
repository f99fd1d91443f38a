"""The door that shows a study again."""

from pathlib import Path

import optuna
import pytest

from tests.conftest import Door

STORAGE = "multirun/optuna.db"


@pytest.fixture
def studies(tmp_path: Path) -> None:
    (tmp_path / "multirun").mkdir()
    for name in ("fast-tiny-documents", "other"):
        optuna.create_study(storage=f"sqlite:///{tmp_path / STORAGE}", study_name=name)


WRONG = [
    ([], ["study=NAME", "fast-tiny-documents", "other"]),
    (["study=fast-tiny-document"], ["did you mean fast-tiny-documents?"]),
    (["study=x", "optuna.storage=sqlite:///none.db"], ["optuna.storage", "none.db"]),
    (["study=x", "optuna.storage=journal:///new/none.log"], ["new/none.log: no such file"]),
    (["study=x", "optuna.storage=nonsense"], ["optuna.storage", "sqlite:///"]),
    (["stud=x"], ["stud"]),
    (["study=[]"], ["study=NAME", "fast-tiny-documents, other"]),
    (["study=[other,others]"], ["study=others", "did you mean other?"]),
    (["study=[other,other]"], ["study=[other,other]", "name each study once"]),
]


@pytest.mark.usefixtures("studies")
@pytest.mark.parametrize(("words", "told"), WRONG, ids=str)
def test_mistakes_are_told_in_a_line(
    door: Door, tmp_path: Path, words: list[str], told: list[str]
) -> None:
    said = door("src.report", *words, code=1)
    for word in told:
        assert word in said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["multirun"]


@pytest.mark.usefixtures("studies")
def test_a_study_without_trials_has_a_report(door: Door, tmp_path: Path) -> None:
    assert "nothing to train with" in door("src.report", "study=other")
    assert "No result yet" in (tmp_path / "multirun/other/optuna_study_report.html").read_text()
    assert not (tmp_path / "multirun/fast-tiny-documents").exists()


@pytest.mark.usefixtures("studies")
def test_two_studies_without_trials_are_told_beside_one_another(door: Door, tmp_path: Path) -> None:
    assert "Nothing to compare yet" in door("src.report", "study=[other,fast-tiny-documents]")
    page = (tmp_path / "multirun/other_and_fast-tiny-documents.html").read_text()
    assert "Nothing to compare yet" in page
