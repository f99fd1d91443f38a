"""What timm's files say of its models, held against timm."""

import re
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


# What others write -> the model of timm that has to be named first.
WRITTEN_ELSEWHERE = {
    # torchvision
    "vit_b_16": "vit_base_patch16_224",
    "vit_l_32": "vit_large_patch32_224",
    "swin_t": "swin_tiny_patch4_window7_224",
    "swin_v2_t": "swinv2_tiny_window8_256",
    "efficientnet_v2_s": "efficientnetv2_s",
    "mobilenet_v3_large": "mobilenetv3_large_100",
    "mnasnet0_5": "mnasnet_050",
    "regnet_x_400mf": "regnetx_004",
    "regnet_y_1_6gf": "regnety_016",
    "regnet_y_128gf": "regnety_1280",
    # OpenAI and open_clip
    "ViT-B-32": "vit_base_patch32_clip_224",
    "ViT-L-14": "vit_large_patch14_clip_224",
    "ViT-L/14@336px": "vit_large_patch14_clip_336",
    "ViT-bigG-14": "vit_gigantic_patch14_clip_224",
    "ViT-B-16-SigLIP": "vit_base_patch16_siglip_224",
    "EVA02-L-14": "eva02_large_patch14_clip_224",
    "RN50x4": "resnet50x4_clip",
    "MobileCLIP-S1": "fastvit_mci1",
    # Hugging Face
    "google/vit-base-patch16-224": "vit_base_patch16_224",
    "google/vit-base-patch16-224-in21k": "vit_base_patch16_224",
    "microsoft/resnet-50": "resnet50",
    "microsoft/swinv2-tiny-patch4-window8-256": "swinv2_tiny_window8_256",
    "facebook/convnext-base-384-22k-1k": "convnext_base",
    "facebook/dinov2-with-registers-base": "vit_base_patch14_reg4_dinov2",
    "facebook/dinov3-vits16-pretrain-lvd1689m": "vit_small_patch16_dinov3",
    "google/mobilenet_v2_1.0_224": "mobilenetv2_100",
    "apple/mobilevit-xx-small": "mobilevit_xxs",
    "openai/clip-vit-large-patch14": "vit_large_patch14_clip_224",
    "laion/CLIP-ViT-B-32-laion2B-s34B-b79K": "vit_base_patch32_clip_224",
    "microsoft/dit-base-finetuned-rvlcdip": "beit_base_patch16_224",
    "timm/resnet50.a1_in1k": "resnet50.a1_in1k",
    "hf_hub:timm/resnet50.a1_in1k": "resnet50.a1_in1k",
    # torch.hub, Keras, segmentation_models_pytorch
    "dinov2_vitb14": "vit_base_patch14_dinov2",
    "EfficientNetB0": "efficientnet_b0",
    "MobileNet": "mobilenetv1_100",
    "ResNet50V2": "resnetv2_50",
    "Xception": "legacy_xception",
    "tu-resnet50": "resnet50",
    "se_resnet50": "seresnet50",
    # papers, memory and haste
    "resnet-50": "resnet50",
    "efficientnet-b0": "efficientnet_b0",
    "convnext-tiny": "convnext_tiny",
    "convnext": "convnext_tiny",
    "resnet": "resnet18",
    "vit_base": "vit_base_patch16_224",
    "convnxt_tinny": "convnext_tiny",
    "resnext50": "resnext50_32x4d",
}


@pytest.mark.parametrize("typed", WRITTEN_ELSEWHERE)
def test_names_as_others_write_them_are_understood(typed: str) -> None:
    said = str(no_such_model(typed, registered()))
    asked = f"model.name={typed}: timm has no such model; did you mean "
    assert said.startswith(asked)
    meant = WRITTEN_ELSEWHERE[typed]
    assert re.match(rf"{re.escape(meant)}(\?|, | or another of )", said.removeprefix(asked)), said


@pytest.mark.parametrize(
    "typed", ["alexnet", "squeezenet1_0", "nvidia/mit-b0", "yolov8n-cls", "no_model(", "", "timm/"]
)
def test_a_family_that_timm_has_not_is_not_taken_for_another(typed: str) -> None:
    assert str(no_such_model(typed, registered())).endswith("see timm.list_models()")


def test_so_many_are_named_as_can_be_read() -> None:
    said = str(no_such_model("resnet", registered()))
    assert re.search(r"mean resnet18, resnet26, resnet34 or another of \d+ like them\?$", said)
