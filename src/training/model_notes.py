"""What is said of a model before it is trained: what can be searched, and what does nothing."""

import itertools
from collections.abc import Collection, Iterator

from doctune.errors import UserError
from doctune.words import counted
from src.training.abilities import POOLINGS, Abilities, abilities, poolings_of, without_effect
from src.training.config import ModelConfig


def check_acting(cfg: ModelConfig, img_size: int) -> None:
    """Refuse values that the model takes and that do nothing in it.

    Raises:
        UserError: names the key, the value and what to do.
    """
    found = abilities(cfg, img_size)
    if cfg.drop_path_rate and found.drop_path == ():
        raise UserError(
            f"model.drop_path_rate={cfg.drop_path_rate}: {cfg.name} has no residual to drop, so it "
            "would do nothing; set it to 0 or take another model"
        )
    if cfg.layer_scale is not None and found.layer_scale is None:
        raise UserError(
            f"model.layer_scale={cfg.layer_scale}: {cfg.name} has no layer scale; leave it null or "
            "take another model"
        )


def in_words(cfg: ModelConfig, img_size: int) -> dict[str, str | None]:
    """Return what can be searched or set in a model, by name, None where it cannot.

    Args:
        cfg: the `model` group.
        img_size: side of the images in pixels.
    """
    found = abilities(cfg, img_size)
    poolings = poolings_of(cfg, img_size)
    return {
        "drop path": _drop_path_in_words(found),
        "dropout": "" if found.dropout or found.dropout is None else None,
        "pooling": ", ".join(poolings) if len(poolings) > 1 else None,
        "layer scale": "when trained from scratch" if found.layer_scale else None,
        "gradient checkpointing": "" if found.checkpointing else None,
    }


def _drop_path_in_words(found: Abilities) -> str | None:
    shares = found.drop_path
    if shares is None:
        return ""
    if not shares:
        return None
    if len(shares) < found.drop_path_places:
        places = f"at {len(shares)} of {found.drop_path_places} places"
    else:
        places = f"at {counted(len(shares), 'place')}"
    low, high = min(shares), max(shares)
    if low == high:
        return f"{places}, {_share(high)}"
    rising = all(a <= b for a, b in itertools.pairwise(shares))
    return f"{places}, {'rising ' if rising else ''}from {low:.2g} of the rate to {_share(high)}"


def _share(share: float) -> str:
    return "the rate" if share == 1 else f"{share:.2g} of the rate"


def notes_on(cfg: ModelConfig, img_size: int, searched: Collection[str] = ()) -> list[str]:
    """Return what is different in a model from what its keys say.

    Args:
        cfg: the `model` group.
        img_size: side of the images in pixels.
        searched: config keys that a search space names.
    """
    found, name, notes = abilities(cfg, img_size), cfg.name, []
    one_pooling = "has one kind of pooling"
    if cfg.poolings is None and "model.pooling" in searched and found.one_place:
        one_pooling = f"leaves one place of {img_size} px to pool over"
    for key, parameter, lack in (
        ("model.drop_path_rate", "drop_path", "has no drop path"),
        ("model.drop_rate", "dropout", "has no dropout"),
        ("model.pooling", "pooling", one_pooling),
    ):
        if key in searched and without_effect(parameter, cfg, img_size):
            notes.append(f"{key} is left out of the search: {name} {lack}")
    acting, places = found.drop_path, found.drop_path_places
    if (
        acting
        and len(acting) < places
        and ("model.drop_path_rate" in searched or cfg.drop_path_rate)
    ):
        notes.append(f"model.drop_path_rate: {name} drops at {len(acting)} of its {places} places")
    tag = name.partition(".")[2]
    if tag and not (cfg.pretrained or cfg.checkpoint_path):
        notes.append(
            f"model.name={name}: the weights {tag} are not used, as model.pretrained=false; it "
            "starts from scratch"
        )
    if found.fixed_masks:
        rates = ", ".join(f"{rate:g}" for rate in sorted(set(found.fixed_masks)))
        notes.append(
            f"model.drop_rate: {name} has dropout of {rates} at "
            f"{counted(len(found.fixed_masks), 'place')} besides, which no key sets"
        )
    if "model.pooling" in searched and not without_effect("pooling", cfg, img_size):
        notes += _notes_on_pooling(cfg, img_size)
    return notes


def _notes_on_pooling(cfg: ModelConfig, img_size: int) -> Iterator[str]:
    found, chosen = abilities(cfg, img_size), poolings_of(cfg, img_size)
    refused = [kind for kind in POOLINGS if kind not in chosen]
    if refused and cfg.poolings is None:
        yield (
            f"model.pooling is searched over {', '.join(chosen)}: {cfg.name} takes no "
            f"{' and no '.join(refused)}"
        )
    if not (cfg.pretrained or cfg.checkpoint_path):
        return
    fresh = {kind: found.fresh_with(kind) for kind in chosen if found.fresh_with(kind)}
    if fresh:
        names = sorted({name for of_kind in fresh.values() for name in of_kind})
        yield (
            f"model.pooling={' and '.join(fresh)} start with a handicap: {names[0]} and the like "
            f"({len(names)} tensors) have no trained values there, as the model was trained with "
            f"{found.own_pooling}"
        )
