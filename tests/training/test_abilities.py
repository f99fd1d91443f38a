"""What acts on a model is what a training of it shows."""

from typing import Any

import pytest
import torch
from torch import nn

from doctune.errors import UserError
from src.training import shapes_alone
from src.training.abilities import Abilities, abilities, poolings_of, without_effect
from src.training.backbone import channels_last, check_backbone, create_backbone
from src.training.config import ModelConfig
from src.training.model_notes import check_acting, in_words, notes_on

# Blocks that are alike act alike; what a model is given for fewer of them.
FEWER: dict[str, dict[str, Any]] = {
    "tresnet_m": {"layers": [1, 1, 1, 1]},
    # The first of them never drops.
    "test_vit": {"depth": 2},
    "beit_base_patch16_224": {"depth": 1},
    "vit_base_patch16_siglip_224": {"depth": 1},
    "swin_tiny_patch4_window7_224": {"depths": [1, 1, 1, 1]},
}

# Of a CrossViT, one block of the two sizes of patches.
CROSSED = {"depth": [[1, 1, 0]]}

# Model, image size -> number of places that drop, of modules that could, and the shares of the rate
# of the first and the last.
DROP_PATH = {
    ("test_resnet", 64): (3, 3, 0.3333, 1.0),
    ("test_vit", 64): (10, 10, 0.2, 1.0),
    ("lcnet_050", 64): (0, 12, None, None),
    ("hgnetv2_b0", 64): (1, 4, 0.75, 0.75),
    ("levit_128s", 224): (20, 20, 1.0, 1.0),
    ("vgg11", 64): (0, 0, None, None),
}


@pytest.mark.parametrize(("name", "size"), DROP_PATH, ids=[name for name, _ in DROP_PATH])
def test_drop_path_acts_where_masks_are_drawn(name: str, size: int) -> None:
    places, modules, first, last = DROP_PATH[name, size]
    cfg = ModelConfig(name)
    found = abilities(cfg, size)
    assert found.drop_path is not None
    assert (len(found.drop_path), found.drop_path_places) == (places, modules)
    assert without_effect("drop_path", cfg, size) is (places == 0)
    if places:
        assert (found.drop_path[0], found.drop_path[-1]) == (first, last)


@pytest.mark.parametrize(
    ("name", "size", "rates", "varies"),
    [
        ("test_vit", 32, {"drop_path_rate": 0.5}, True),
        ("test_resnet", 32, {"drop_rate": 0.5}, True),
        ("test_resnet", 32, {}, False),
        ("lcnet_035", 32, {"drop_path_rate": 0.5}, False),
        # Dropout of 0.125 that no argument sets.
        ("coatnet_rmlp_nano_rw_224", 64, {}, True),
        # timm's own default is 0.1.
        ("swin_tiny_patch4_window7_224", 64, {}, False),
    ],
)
def test_masks_of_a_model_are_what_makes_two_forwards_differ(
    name: str, size: int, rates: dict[str, float], varies: bool
) -> None:
    cfg = ModelConfig(name, kwargs=FEWER.get(name, {}))
    found = abilities(cfg, size)
    acting = found.drop_path if "drop_path_rate" in rates else found.dropout
    seen = bool(acting) if rates else bool(found.fixed_masks)
    assert seen is varies
    made = ModelConfig(name, drop_rate=rates.get("drop_rate", 0.0), kwargs=cfg.kwargs)
    made.drop_path_rate = rates.get("drop_path_rate", 0.0)
    model = create_backbone(made, 2, size).train()
    images = torch.randn(4, 3, size, size)
    with torch.no_grad():
        scores = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            scores.append(model(images))
    assert torch.equal(*scores) is not varies


@pytest.mark.parametrize(
    ("name", "size", "poolings", "fresh"),
    [
        # What timm calls fast is the mean.
        ("tresnet_m", 64, ["fast", "max"], []),
        ("test_resnet", 64, ["avg", "max"], []),
        # The last norm, which its weights have for the token alone.
        ("test_vit", 64, ["token", "avg", "max"], ["fc_norm.weight", "fc_norm.bias"]),
        ("beit_base_patch16_224", 224, ["avg"], []),
        ("levit_128s", 224, ["avg"], []),
        (
            "vit_base_patch16_siglip_224",
            224,
            ["map", "avg", "max"],
            ["fc_norm.weight", "fc_norm.bias"],
        ),
    ],
)
def test_poolings_are_those_that_a_model_takes_its_own_first(
    name: str, size: int, poolings: list[str], fresh: list[str]
) -> None:
    fewer = FEWER.get(name, {})
    cfg = ModelConfig(name, kwargs=fewer)
    assert poolings_of(cfg, size) == poolings
    assert list(abilities(cfg, size).fresh_with(poolings[-1])) == fresh
    for kind in poolings:
        check_backbone(ModelConfig(name, pooling=kind, kwargs=fewer), size)
    assert without_effect("pooling", cfg, size) is (len(poolings) == 1)
    assert poolings_of(ModelConfig(name, poolings=["avgmax"], kwargs=fewer), size) == ["avgmax"]


def test_a_model_is_looked_at_with_images_that_it_takes() -> None:
    # At least 75 px, as its strides leave nothing of less.
    cfg = ModelConfig("inception_v3")
    with pytest.raises(UserError, match="cannot take images"):
        check_backbone(cfg, 64)
    assert abilities(cfg, 64).dropout
    assert poolings_of(cfg, 64) == ["avg", "max"]


def test_pooling_over_one_place_is_not_searched() -> None:
    # Five halvings leave one place of 32 px, and four of 64 px.
    cfg = ModelConfig("lcnet_035")
    assert (poolings_of(cfg, 32), poolings_of(cfg, 64)) == (["avg"], ["avg", "max"])
    assert notes_on(cfg, 32, ["model.pooling"]) == [
        "model.pooling is left out of the search: lcnet_035 leaves one place of 32 px to pool over"
    ]
    assert notes_on(cfg, 64, ["model.pooling"]) == []


LAYER_SCALES = {
    "convnext_atto": "ls_init_value",
    "vit_tiny_patch16_224": "init_values",
    "fastvit_t8": "layer_scale_init_value",
    "caformer_s18": "layer_scale_init_values",
    "swiftformer_xs": "layer_scale_init_value",
}


@pytest.mark.parametrize("name", LAYER_SCALES)
def test_layer_scale_starts_at_the_value_given_whatever_timm_calls_it(name: str) -> None:
    assert abilities(ModelConfig(name), 224).layer_scale == LAYER_SCALES[name]
    check_acting(ModelConfig(name, layer_scale=0.0123), 224)
    model = create_backbone(ModelConfig(name, layer_scale=0.0123), 2, 224)
    filled = [name for name, p in model.named_parameters() if bool((p == 0.0123).all())]
    assert filled


@pytest.mark.parametrize(
    ("cfg", "told"),
    [
        (
            ModelConfig("lcnet_050", drop_path_rate=0.1),
            "model.drop_path_rate=0.1: lcnet_050 has no",
        ),
        # It takes the word and does nothing with it.
        (ModelConfig("lcnet_050", layer_scale=1e-5), "model.layer_scale=1e-05: lcnet_050 has no"),
    ],
)
def test_values_without_effect_are_refused(cfg: ModelConfig, told: str) -> None:
    with pytest.raises(UserError, match=told):
        check_acting(cfg, 64)


def test_what_differs_from_what_the_keys_say_is_told() -> None:
    keys = ("model.drop_path_rate", "model.drop_rate", "model.pooling")

    def notes(name: str, size: int = 64, searched: tuple[str, ...] = keys, **more: Any) -> str:
        return "\n".join(notes_on(ModelConfig(name, **more), size, searched))

    assert notes("test_resnet") == ""
    assert "model.drop_path_rate is left out of the search: lcnet_050 has no" in notes("lcnet_050")
    assert "hgnetv2_b0 drops at 1 of its 4 places" in notes("hgnetv2_b0")
    assert "dropout of 0.125 at 9 places" in notes("coatnet_rmlp_nano_rw_224", 64, ())
    assert "levit_128s has one kind of pooling" in notes("levit_128s", 224)
    assert "takes no max" in notes("crossvit_9_240", 240, keys[2:], kwargs=CROSSED)
    assert "avg and max start with a handicap: fc_norm" in notes("test_vit", pretrained=True)
    assert "handicap" not in notes("test_vit")
    named = "the weights r160_in1k are not used, as model.pretrained=false"
    assert named in notes("test_resnet.r160_in1k")
    assert named not in notes("test_resnet.r160_in1k", pretrained=True)


def test_what_a_model_has_in_words() -> None:
    assert in_words(ModelConfig("hgnetv2_b0"), 64) == {
        "drop path": "at 1 of 4 places, 0.75 of the rate",
        "dropout": "",
        "pooling": "avg, max",
        "layer scale": None,
        "gradient checkpointing": "",
    }
    levit = in_words(ModelConfig("levit_128s"), 224)
    assert (levit["drop path"], levit["pooling"]) == ("at 20 places, the rate", None)
    assert in_words(ModelConfig("test_resnet"), 64)["drop path"] == (
        "at 3 places, rising from 0.33 of the rate to the rate"
    )
    assert in_words(ModelConfig("vgg11"), 64)["drop path"] is None


def test_only_weights_of_images_get_another_order() -> None:
    model = create_backbone(ModelConfig("lambda_resnet26t"), 2, 64)
    assert any(isinstance(part, nn.Conv3d) for part in model.modules())
    channels_last(model)
    for part in model.modules():
        if isinstance(part, nn.Conv2d):
            assert part.weight.is_contiguous(memory_format=torch.channels_last)


def test_a_model_that_takes_a_size_only_untold_gets_it_so() -> None:
    cfg = ModelConfig("crossvit_tiny_240", kwargs=CROSSED)
    check_backbone(cfg, 128)
    with torch.device("meta"):
        model = create_backbone(cfg, 3, 128).eval()
        assert model(torch.empty(1, 3, 128, 128)).shape == (1, 3)


def test_a_look_at_a_model_draws_nothing_from_the_generator() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    abilities(ModelConfig("test_vit2"), 96).poolings  # noqa: B018
    with torch.device("meta"):
        create_backbone(ModelConfig("test_vit3"), 2, 96)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(("name", "more"), [("test_vit", {"depth": 1}), ("test_resnet", {})])
def test_what_acts_is_seen_without_drawing_weights(
    monkeypatch: pytest.MonkeyPatch, name: str, more: dict[str, Any]
) -> None:
    cfg = ModelConfig(name, kwargs=more)

    def seen() -> tuple[object, ...]:
        found = Abilities(cfg, 64)
        return found.drop_path, found.dropout, found.poolings, found.parameters

    quick = seen()
    for shortened in ("DRAWING", "SHAPE_STAYS"):
        monkeypatch.setattr(shapes_alone, shortened, frozenset())
    assert seen() == quick
    weights = torch.empty(3, 4)
    with shapes_alone.shapes_alone():
        # Those that are real are drawn as ever.
        assert not torch.equal(nn.init.normal_(weights).clone(), weights.normal_())


def test_what_torch_refuses_it_refuses_of_shapes_alone() -> None:
    with shapes_alone.shapes_alone():
        one_place = torch.empty(1, 3, 1, 1)
        assert nn.BatchNorm2d(3).eval()(one_place).shape == one_place.shape
        assert nn.BatchNorm2d(3, track_running_stats=False)(torch.empty(2, 3, 4, 4)).shape[1] == 3
        with pytest.raises(ValueError, match="more than 1 value per channel"):
            nn.BatchNorm2d(3)(one_place)
        with pytest.raises(RuntimeError):
            nn.BatchNorm2d(4)(torch.empty(2, 3, 4, 4))
        with pytest.raises(RuntimeError):
            nn.LayerNorm(4)(torch.empty(2, 3))
