"""Tables of predictions whose columns can be told apart."""

from pathlib import Path

import pytest

from doctune.errors import UserError
from src.inference.tables import open_tables


@pytest.mark.parametrize(
    ("classes", "probabilities", "told"),
    [
        (["ID", "letter"], "columns", "id_column=ID"),
        (["letter", "target"], "columns", "target_column=target"),
        (["ID", "letter"], "file", "id_column=ID"),
        (["ID", "target"], "none", None),
        (["letter", "target"], "file", None),
    ],
)
def test_classes_called_as_a_column(
    tmp_path: Path, classes: list[str], probabilities: str, told: str | None
) -> None:
    tables = open_tables(
        tmp_path / "classes.csv",
        classes,
        classes,
        id_column="ID",
        target_column="target",
        target_as="auto",
        probabilities=probabilities,
    )
    if told is None:
        with tables:
            pass
        header = (tmp_path / "classes.csv").read_text(encoding="utf-8").splitlines()[0]
        assert len(set(header.split(","))) == len(header.split(","))
        return
    with pytest.raises(UserError, match=told), tables:
        pass
    assert not (tmp_path / "classes.csv").exists()
