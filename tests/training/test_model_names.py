"""What timm's files say of its models, held against timm."""

import sys

import pytest
import timm
from timm.models._registry import _model_entrypoints

from doctune.errors import UserError
from src.training.model_names import check_known, no_such_model, registered


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


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ResNet-50", "resnet50, "),
        ("google/vit-base-patch16-224", "vit_base_patch16_224?"),
        ("hf_hub:timm/resnet50.a1_in1k", "resnet50.a1_in1k?"),
        ("swin_t", "swin_tiny_patch4_window7_224?"),
        ("convnext", "convnext_tiny, "),
        ("dinov2", "vit_base_patch14_dinov2, "),
        ("vit_base", "or another of "),
    ],
)
def test_names_as_others_write_them_are_understood(typed: str, meant: str) -> None:
    said = str(no_such_model(typed, registered()))
    assert f"model.name={typed}: timm has no such model; did you mean " in said
    assert meant in said
