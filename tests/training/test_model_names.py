"""What timm's files say of its models, held against timm."""

import sys

import pytest
import timm
from timm.models._registry import _model_entrypoints

from doctune.errors import UserError
from src.training.model_names import check_known, registered


def test_the_files_name_timms_models(monkeypatch: pytest.MonkeyPatch) -> None:
    # Other tests may have registered some of their own.
    ours = {name for name, make in _model_entrypoints.items() if "timm." not in make.__module__}
    assert registered() == set(timm.list_models()) - ours
    monkeypatch.delitem(sys.modules, "timm")
    # An older name, which timm still takes, and weights, which are its own affair.
    for name in ("vit_base_patch16_224_in21k", "resnet50.nonsense", "tiny_vit_5m_224"):
        check_known(name)
    for name in ("resnet51", "no_model("):
        with pytest.raises(UserError, match="timm has no such model"):
            check_known(name)
