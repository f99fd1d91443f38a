"""From the `data` group to images, cut into train, validation and test."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from doctune.errors import UserError
from doctune.words import nearest
from src.data.cache import Pixels, cached_array
from src.data.config import DataConfig
from src.data.decode import FITS
from src.data.decoded import short_hash
from src.data.documents.generate import (
    DRAWING_VERSION,
    FLAT,
    MIXED,
    class_sizes,
    draw_documents,
)
from src.data.documents.worn import HANDLINGS
from src.data.formats import PAGED
from src.data.image_files import SOURCES, find_images, list_images, load_image_files
from src.data.image_set import ImageSet
from src.data.labels import changes, decided, read_decisions, with_decisions
from src.data.splits import Splits, cut

NO_WEAR = "none"
CHOICES = {
    "source": ("documents", *SOURCES),
    "fit": FITS,
    "on_bad_image": ("error", "skip"),
    "sampling": ("shuffle", "balanced"),
    "wear_test": (NO_WEAR, *HANDLINGS),
}


def load_splits(cfg: DataConfig) -> Splits:
    """Load or draw the images at `cfg.img_size` and cut them, the same way every time.

    Raises:
        UserError: names the key of `data` that makes no sense, or what is wrong with the images.
    """
    check_keys(cfg)
    splits = _load_documents(cfg) if cfg.source == "documents" else load_image_files(cfg)
    return replace(splits, fingerprint=_fingerprint(cfg, splits.fingerprint))


def check_listing(cfg: DataConfig) -> dict[str, int]:
    """Check what can be told of the images without opening one: folders, tables, names, shares.

    Returns the most images of each class that there can be to train on; nothing where files may
    have several pages, or a table moves images to other classes.

    Raises:
        UserError: names the key of `data` that makes no sense, or what is wrong with the images.
    """
    check_keys(cfg)
    if cfg.source == "documents":
        sizes = class_sizes(cfg.n_images)
        _check_sizes(cfg, sizes)
        return {} if cfg.labels else dict(sizes)
    listing = list_images(cfg)
    if cfg.labels or any(ending in name.lower() for name in listing.names for ending in PAGED):
        return {}
    splits = listing.splits or ["train"] * len(listing.names)
    to_train = Counter(
        target for target, split in zip(listing.targets, splits, strict=True) if split == "train"
    )
    return {listing.classes[target]: size for target, size in to_train.items()}


def data_fingerprint(cfg: DataConfig) -> str:
    """Return a short hash of what the images and splits are, not of `img_size` or `batch_size`.

    Raises:
        UserError: as in `load_splits`.
    """
    check_keys(cfg)
    return _fingerprint(cfg, "" if cfg.source == "documents" else find_images(cfg).fingerprint())


def _fingerprint(cfg: DataConfig, files: str) -> str:
    facts: list[object] = [files, cfg.seed]
    if cfg.source == "documents":
        facts = [*_drawing_facts(cfg)]
        if cfg.wear_test != NO_WEAR:
            facts.append(cfg.wear_test)
        if cfg.labels is not None:
            sizes = class_sizes(cfg.n_images)
            labels = np.repeat(np.arange(len(sizes)), list(sizes.values()))
            changed = changes(labels, decided(cfg.labels, names_of(sizes), labels, tuple(sizes)))
            facts += [changed] if changed else []
    return short_hash([*facts, cfg.val_fraction, cfg.test_fraction])


def _load_documents(cfg: DataConfig) -> Splits:
    sizes = class_sizes(cfg.n_images)
    _check_sizes(cfg, sizes)
    classes = tuple(sizes)
    labels = np.repeat(np.arange(len(classes)), list(sizes.values()))
    files = names_of(sizes)

    def drawn(taken: str) -> ImageSet:
        def fill(out: Pixels) -> None:
            out[:] = draw_documents(sizes, cfg.img_size, cfg.seed, taken)

        side, facts = cfg.img_size, _drawing_facts(cfg)
        name = f"documents-{short_hash(facts if taken == MIXED else [*facts, taken])}-{side}px"
        images = cached_array(cfg.cache_dir, name, (len(labels), side, side, 3), fill)
        return ImageSet(images, labels, classes, files=files, stored_as=name)

    if cfg.wear_test == NO_WEAR:
        splits = cut(drawn(MIXED), cfg)
    else:
        splits, worn = cut(drawn(FLAT), cfg), drawn(cfg.wear_test)
        splits = replace(splits, test=replace(worn, rows=splits.test.rows))
    corrected = decided(cfg.labels, files, labels, classes)
    return with_decisions(splits, corrected, cfg.labels)


def _drawing_facts(cfg: DataConfig) -> list[str | int | float]:
    return [cfg.source, cfg.n_images, cfg.seed, DRAWING_VERSION]


def names_of(sizes: Mapping[str, int]) -> list[str]:
    """Return what the pages of the built-in documents are called."""
    return [f"{name}-{number}" for name, size in sizes.items() for number in range(size)]


def check_keys(cfg: DataConfig) -> None:
    """Refuse values that make no sense.

    Raises:
        UserError: names the key of `data`.
    """
    for key, choices in CHOICES.items():
        value = getattr(cfg, key)
        if value not in choices:
            near = nearest(str(value), choices)
            hint = f"did you mean {near[0]}?" if near else f"choose {', '.join(choices)}"
            raise UserError(f"data.{key}={value}: unknown; {hint}")
    for key in ("val_fraction", "test_fraction"):
        value = getattr(cfg, key)
        if not 0 < value < 1:
            raise UserError(f"data.{key}={value}: must be between 0 and 1")
    if cfg.val_fraction + cfg.test_fraction >= 0.9:
        raise UserError(
            f"data.val_fraction={cfg.val_fraction} and data.test_fraction={cfg.test_fraction} "
            "leave too little to train on; together they must stay below 0.9"
        )
    if cfg.seed < 0:
        raise UserError(f"data.seed={cfg.seed}: must be 0 or more")
    if cfg.labels is not None:
        read_decisions(Path(cfg.labels).expanduser())
    if cfg.to_classify is not None and not Path(cfg.to_classify).expanduser().exists():
        raise UserError(
            f"data.to_classify={cfg.to_classify}: there is no such folder, table or file"
        )


def _check_sizes(cfg: DataConfig, sizes: Mapping[str, int]) -> None:
    """Every split has to hold images of the rarest class."""
    name, size = min(sizes.items(), key=lambda item: item[1])
    shares = {
        "val": cfg.val_fraction,
        "test": cfg.test_fraction,
        "train": 1 - cfg.val_fraction - cfg.test_fraction,
    }
    for split, share in shares.items():
        if size * share < 1:
            raise UserError(
                f"data.n_images={cfg.n_images}, data.val_fraction={cfg.val_fraction}, "
                f"data.test_fraction={cfg.test_fraction}: {size} images of {name} leave none for "
                f"{split}; raise n_images or that split's share"
            )
