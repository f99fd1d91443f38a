"""A study goes on while code is moved and explained, and not when what scores a trial changes."""

from pathlib import Path

import pytest

from src.before.comparable import SOURCES, code_version, fingerprint, scoring_files

CODE = '''
"""A module."""

import math

RATE = 0.1


class Score:
    """A score."""

    def of(self, labels):
        """Return it."""
        import statistics

        return statistics.fmean(labels)  # of all


@property
def area(radius):
    return math.pi * radius**2
'''


def _version(folder: Path, **files: str) -> str:
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    return fingerprint(folder.iterdir())


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"""A module."""', '"""Another,\n\nlonger docstring."""'),
        ('    """A score."""\n\n', ""),
        ("import math\n", "import math\nimport os\nfrom somewhere import RATE as RATE\n"),
        ("        import statistics\n\n", ""),
        ("  # of all", "  # of them all\n        # and more"),
    ],
)
def test_words_and_imports_leave_it(tmp_path: Path, before: str, after: str) -> None:
    assert before in CODE
    changed = CODE.replace(before, after)
    assert _version(tmp_path / "a", score=CODE) == _version(tmp_path / "b", score=changed)


def test_code_may_move_to_other_files_and_be_put_together(tmp_path: Path) -> None:
    head, class_, rest = CODE.partition("class Score")
    moved = _version(tmp_path / "b", rates=head, score=f"import math\n\n{class_}{rest}")
    assert _version(tmp_path / "a", score=CODE) == moved


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("RATE = 0.1", "RATE = 0.4"),
        ("fmean(labels)", "median(labels)"),
        ("@property\n", ""),
        ("radius**2", "radius**3"),
    ],
)
def test_another_score_is_another_version(tmp_path: Path, before: str, after: str) -> None:
    assert before in CODE
    changed = CODE.replace(before, after)
    assert _version(tmp_path / "a", score=CODE) != _version(tmp_path / "b", score=changed)


def test_it_knows_all_that_scores_a_trial_and_nothing_that_only_checks() -> None:
    names = {path.relative_to(SOURCES).as_posix() for path in scoring_files()}
    assert {"data/augment.py", "training/loss.py", "before/objectives.py"} <= names
    assert "before/trial_length.py" in names
    assert names.isdisjoint({"before/checks.py", "before/told_of_length.py"})
    assert fingerprint(scoring_files()) in code_version()
