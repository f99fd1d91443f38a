"""What is told of an exception in a line."""

import pytest

from doctune.errors import UserError, first_line
from doctune.named_in_config import told_by_key
from doctune.study.outage import reason_of


@pytest.mark.parametrize(
    ("said", "told"), [("", "OSError"), ("\n", "OSError"), ("\na disk\nis full", "a disk")]
)
def test_the_first_line_of_an_exception_or_its_kind(said: str, told: str) -> None:
    assert first_line(OSError(said)) == reason_of(OSError(said)) == told


def test_what_a_config_names_may_refuse_its_values_without_a_word() -> None:
    with (
        pytest.raises(UserError, match=r"^optuna\.pruner: ValueError$"),
        told_by_key("optuna.pruner"),
    ):
        raise ValueError
