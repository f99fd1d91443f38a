"""What reaches the optimizer, and when its step may not be fused."""

from fnmatch import fnmatch
from typing import Any

import pytest
import timm
import torch
from hydra import compose, initialize_config_dir
from lightning_fabric.plugins.precision.amp import _optimizer_handles_unscaling
from timm.models._registry import _model_to_module
from timm.optim import param_groups_weight_decay  # type: ignore[attr-defined]

from doctune.errors import UserError
from doctune.space.entries import typed_distributions
from src.training.config import OptimizerConfig
from src.training.module import Classifier
from src.training.optimizer import build_optimizer, check_optimizer, undecayed
from src.training.shapes_alone import shapes_alone
from tests.conftest import CONF, Compose
from tests.timm_files import SMALLEST


def test_arguments_reach_the_optimizer() -> None:
    cfg = OptimizerConfig("sgd", lr=0.3, kwargs={"momentum": 0.7})
    optimizer = build_optimizer(torch.nn.Linear(2, 2), cfg)
    assert isinstance(optimizer, torch.optim.SGD)
    assert {group["lr"] for group in optimizer.param_groups} == {0.3}
    assert {group["momentum"] for group in optimizer.param_groups} == {0.7}


def test_beta2_reaches_the_optimizer_and_is_searched_for_adamw_alone() -> None:
    made = build_optimizer(torch.nn.Linear(2, 2), OptimizerConfig(beta2=0.95))
    assert {group["betas"] for group in made.param_groups} == {(0.9, 0.95)}
    both = OptimizerConfig(beta2=0.95, kwargs={"betas": (0.8, 0.9)})
    made = build_optimizer(torch.nn.Linear(2, 2), both)
    assert {group["betas"] for group in made.param_groups} == {(0.8, 0.9)}
    for name, searched in (("adamw", True), ("sgd", False)):
        with initialize_config_dir(CONF):
            words = ["gpu=cpu", "+search_space=optimizer", f"optimizer={name}"]
            config = compose("train", words, return_hydra_config=True)
        found = typed_distributions(config.search_space, config)
        assert ("optimizer.beta2" in found) is searched


@pytest.mark.parametrize(
    ("precision", "inside"), [("16-mixed", False), ("bf16-mixed", True), ("32-true", True)]
)
def test_scaled_gradients_are_unscaled_before_they_are_clipped(
    cfg: Compose, precision: str, inside: bool
) -> None:
    # Lightning leaves gradients scaled for an optimizer that unscales them inside its step,
    # and clipping comes before the step; without scaling a fused step is the faster one.
    module = Classifier(cfg(f"trainer.precision={precision}"), ["a", "b"], 1, 1)
    made = module.configure_optimizers()
    assert isinstance(made, dict)
    assert _optimizer_handles_unscaling(made["optimizer"]) is inside


def test_a_fused_step_with_scaled_gradients_is_refused() -> None:
    with pytest.raises(UserError, match=r"optimizer\.kwargs\.fused"):
        build_optimizer(torch.nn.Linear(2, 2), OptimizerConfig(kwargs={"fused": True}), "16-mixed")


@pytest.mark.parametrize(
    ("cfg", "message"),
    [
        (OptimizerConfig("adamx"), r"optimizer\.name=adamx.*adam"),
        (OptimizerConfig("adamw", kwargs={"speed": 1}), r"optimizer\.kwargs.*speed"),
        (OptimizerConfig(beta2=1.0), r"optimizer\.beta2=1\.0: must be from 0 up to"),
        (OptimizerConfig("sgd", beta2=0.9), r"optimizer\.beta2=0\.9: sgd keeps no mean"),
        (
            OptimizerConfig("sgd", kwargs={"momentum": 0}),
            r"optimizer\.kwargs.*momentum.*nesterov=f",
        ),
    ],
)
def test_mistakes_are_named(cfg: OptimizerConfig, message: str) -> None:
    with pytest.raises(UserError, match=message):
        check_optimizer(cfg, "32-true")


# Models with parameters of their own -> how the names of some of them end that are no matrix, and
# of some that are one. Seen in the source of timm 1.0.31.
OWN_PARAMETERS = {
    "nfnet_l0": ((".gain",), ("conv1.weight",)),
    "fastvit_t8": (("layer_scale.gamma", "mixer.conv_scale.conv.weight"), ("fc1.weight",)),
    "swiftformer_xs": (("layer_scale_2.gamma",), ("attn.w_g",)),
    "resmlp_12_224": (("norm1.alpha", "norm1.beta"), ("linear_tokens.weight",)),
    "xcit_nano_12_p16_224": (("temperature", "cls_token", "gamma1"), ("attn.qkv.weight",)),
    "edgenext_xx_small": (("temperature", "gamma"), ("xca.qkv.weight",)),
    "visformer_tiny": (("pos_embed1", "pos_embed3"), ("qkv.weight",)),
    "samvit_base_patch16": (("rel_pos_h", "rel_pos_w", "pos_embed"), ("qkv.weight",)),
    "botnet26t_256": (("height_rel", "width_rel"), ("self_attn.qkv.weight",)),
    "lambda_resnet26t": (("norm_v.weight",), ("conv_lambda.weight", "qkv.weight")),
    "efficientvim_m1": (("alpha",), ("ffn.fc1.conv.weight",)),
    "swin_tiny_patch4_window7_224": (("relative_position_bias_table",), ("qkv.weight",)),
    "levit_128s": (("attention_biases",), ("qkv.linear.weight",)),
    "vit_base_patch16_siglip_224": (("attn_pool.latent", "pos_embed"), ("attn_pool.q.weight",)),
    "sequencer2d_s": (("norm1.weight", "bias_hh_l0"), ("weight_hh_l0", "weight_ih_l0_reverse")),
    "tf_efficientnet_cc_b0_4e": (("bn1.weight",), ("conv_pwl.weight",)),
    "coat_tiny": (("cls_token1",), ("crpe2.qkv.weight",)),
    # A convolution that gives each channel one number is a gain.
    "repvit_m0_9": (("token_mixer.conv1.weight",), ("token_mixer.conv.c.weight",)),
}
# Matrices of modules that are no layers of torch.
OWN_MATRICES = {("EfficientAdditiveAttention", "w_g"), ("CondConv2d", "weight")}


def is_matrix(part: torch.nn.Module, name: str) -> bool:
    """Tell by the type of the module, and not by names, whether it is what an input meets."""
    if isinstance(part, torch.nn.modules.conv._ConvNd):
        one_number = part.weight[0].numel() == 1 and part.in_channels > 1
        return name == "weight" and not one_number
    if isinstance(part, torch.nn.RNNBase):
        return name.startswith("weight")
    if isinstance(part, torch.nn.Linear):
        return name == "weight"
    return (type(part).__name__, name) in OWN_MATRICES


def test_a_model_of_every_file_of_timm() -> None:
    assert set(SMALLEST) == {_model_to_module[name] for name in timm.list_models()}


# Its cells are those of pnasnet5large.
LARGE = {"nasnetalarge"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.thorough] if name in LARGE else [])
        for name in sorted({*OWN_PARAMETERS, *(name for name, _ in SMALLEST.values())})
    ],
)
def test_decayed_are_the_matrices_of_layers_whatever_their_shape(name: str) -> None:
    with shapes_alone():
        # One class: the classifier's matrix has as many numbers as its longest side.
        model = timm.create_model(name, num_classes=1)
    left_out = undecayed(model)
    # xcit itself asks for no decay of the matrix that makes its table of positions.
    asked: set[str] = getattr(model, "no_weight_decay", set)()
    for prefix, part in model.named_modules():
        for found, _ in part.named_parameters(prefix, recurse=False):
            kept = any(fnmatch(found, pattern) for pattern in asked)
            decayed = is_matrix(part, found.rpartition(".")[2]) and not kept
            assert (found not in left_out) is decayed, found
    timms: Any = param_groups_weight_decay(model, no_weight_decay_list=asked)
    theirs = {id(p) for group in timms if not group["weight_decay"] for p in group["params"]}
    assert {found for found, p in model.named_parameters() if id(p) in theirs} <= left_out
    plain, matrices = OWN_PARAMETERS.get(name, ((), ()))
    names = [found for found, _ in model.named_parameters()]
    for ending in (*plain, *matrices):
        matching = [found for found in names if found.endswith(ending)]
        assert matching, ending
        assert {found in left_out for found in matching} == {ending in plain}, ending


def test_a_rate_for_each_layer_acts_and_what_is_not_decayed_stays_so() -> None:
    model = timm.create_model("test_vit", num_classes=3)
    cfg = OptimizerConfig(lr=0.1, weight_decay=0.3, kwargs={"layer_decay": 0.5})
    optimizer = build_optimizer(model, cfg)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    decay = {
        id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]
    }
    found = dict(model.named_parameters())
    assert rates[id(found["head.weight"])] == 0.1
    assert rates[id(found["blocks.0.attn.qkv.weight"])] < 0.01
    kept = undecayed(model)
    assert {name for name, p in found.items() if not decay[id(p)]} == kept


def test_muon_is_for_matrices_alone() -> None:
    model = timm.create_model("test_vit", num_classes=3)
    made = build_optimizer(model, OptimizerConfig("muon"))
    others = {
        id(p) for group in made.param_groups if group.get("use_fallback") for p in group["params"]
    }
    names = {name for name, parameter in model.named_parameters() if id(parameter) in others}
    assert {"pos_embed", "cls_token", "norm.weight"} <= names
    assert "blocks.0.attn.qkv.weight" not in names
