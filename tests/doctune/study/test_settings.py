"""What a study remembers of how its trials were scored."""

import optuna
import pytest

from doctune.errors import UserError
from doctune.study.settings import check_settings

ASSUMED = {"wear": "none"}


def test_a_setting_that_came_later_is_what_it_was_before() -> None:
    older = optuna.create_study()
    older.set_user_attr("settings", {"epochs": 3})
    with pytest.raises(UserError, match="wear was 'none', now 'document'"):
        check_settings(older, {"epochs": 3, "wear": "document"}, False, ASSUMED)
    check_settings(older, {"epochs": 3, "wear": "none", "folds": 2}, False, ASSUMED)
    assert older.user_attrs["settings"] == {"epochs": 3, "wear": "none", "folds": 2}
    check_settings(older, {"wear": "document"}, True, ASSUMED)
    assert older.user_attrs["settings"]["wear"] == "document"


def test_a_new_study_takes_any_setting_on() -> None:
    study = optuna.create_study()
    check_settings(study, {"wear": "document"}, False, ASSUMED)
    with pytest.raises(UserError, match="wear was 'document', now 'none'"):
        check_settings(study, {"wear": "none"}, False, ASSUMED)
