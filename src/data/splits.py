"""A data set cut into train, validation and test, the same way every time."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from doctune.errors import UserError
from doctune.words import counted
from src.data.config import DataConfig
from src.data.files import SPLITS
from src.data.image_set import ImageSet, Indices
from src.data.kept_cuts import kept_cut

# Shares that are proposed where those given do not work, and what is left to train on at least.
SHARES = tuple(percent / 100 for percent in range(5, 50, 5))
LEAST_TO_TRAIN = 0.3
# Random cuts to choose from where groups hold several classes.
DRAWS = 200


@dataclass(frozen=True)
class Splits:
    """The three parts of a data set; a search sees `train` alone."""

    train: ImageSet
    val: ImageSet
    test: ImageSet
    # What a user should know about the data, a line each.
    notes: tuple[str, ...] = ()
    # What the images and splits are, see `data_fingerprint`.
    fingerprint: str = ""


def cut(
    everything: ImageSet, cfg: DataConfig, given: Sequence[str] = (), notes: Sequence[str] = ()
) -> Splits:
    """Cut a data set by the shares of `cfg`, with the classes in equal shares everywhere.

    Images of a group stay together.

    Args:
        everything: all images.
        cfg: the `data` group.
        given: train, val or test for each image, where the source says so; a split that is
            not among them is cut out of train.
        notes: are passed on.

    Raises:
        UserError: a class is too small for it.
    """
    rows = {split: np.flatnonzero(np.array(given) == split) for split in SPLITS} if given else {}
    if not given:
        rows["train"] = np.arange(len(everything))
    to_cut = [split for split in ("test", "val") if not len(rows.get(split, ()))]
    pool = _Pool.of(everything, rows["train"], to_cut)
    share_of_rest = cfg.val_fraction
    if "test" in to_cut:
        rows["train"], rows["test"] = _halves(everything, rows["train"], "test", cfg, pool)
        if not given:
            share_of_rest /= 1 - cfg.test_fraction
    if "val" in to_cut:
        rows["train"], rows["val"] = _halves(
            everything, rows["train"], "val", cfg, pool, share_of_rest
        )
    train, val, test = (everything.subset(np.sort(rows[split])) for split in SPLITS)
    unseen = np.setdiff1d(everything.targets, train.labels)
    if len(unseen):
        names = ", ".join(everything.classes[target] for target in unseen)
        notes = [*notes, f"there are no images of {names} to train on"]
    return Splits(train, val, test, tuple(notes))


def _halves(
    everything: ImageSet,
    rows: Indices,
    split: str,
    cfg: DataConfig,
    pool: "_Pool",
    share: float | None = None,
) -> tuple[Indices, Indices]:
    """Cut a share off the rows.

    Raises:
        UserError: a class would be missing on one side.
    """
    share = share or getattr(cfg, f"{split}_fraction")
    labels = everything.targets[rows]
    groups = np.arange(len(rows)) if everything.groups is None else everything.groups[rows]
    pairs = np.unique(np.stack([labels, groups], 1), axis=0)
    mixed = len(pairs) > len(np.unique(groups))
    _check_sizes(pairs[:, 0], everything.classes, split, share, cfg, pool)
    where = cfg.cache_dir if everything.stored_as else None
    kept, taken = _cut_share(labels, groups, share, cfg.seed, mixed=mixed, cache_dir=where)
    for name, side in (("train", kept), (split, taken)):
        missing = np.setdiff1d(labels, labels[side])
        if len(missing):
            raise UserError(
                f"{_key(split, cfg)}: images that belong together leave no image "
                f"of {everything.classes[missing[0]]} for {name}; change the share or the groups"
            )
    return rows[kept], rows[taken]


def _cut_share(
    labels: Indices,
    groups: Indices,
    share: float,
    seed: int,
    *,
    mixed: bool,
    cache_dir: str | None,
) -> tuple[Indices, Indices]:
    """Return what is kept and what is cut off, in the order in which they are drawn."""

    def make() -> Indices:
        kept, taken = (_cut_mixed if mixed else _cut_pure)(labels, groups, share, seed)
        return np.array([len(kept), *kept, *taken], np.int64)

    depends_on = [labels, groups, share, seed, int(mixed)]
    count, *both = kept_cut(cache_dir, "cut", depends_on, len(labels) + 1, make).tolist()
    return np.array(both[:count], np.int64), np.array(both[count:], np.int64)


def _cut_pure(labels: Indices, groups: Indices, share: float, seed: int) -> tuple[Indices, Indices]:
    """Cut groups that hold one class each."""
    # Imported here, as pandas comes along: mistakes in a table are told before.
    from sklearn.model_selection import train_test_split

    _, firsts, group_of = np.unique(groups, return_index=True, return_inverse=True)
    kept, taken = train_test_split(
        np.arange(len(firsts)), test_size=share, random_state=seed, stratify=labels[firsts]
    )
    if len(firsts) == len(labels):
        return kept, taken
    return np.flatnonzero(np.isin(group_of, kept)), np.flatnonzero(np.isin(group_of, taken))


def _cut_mixed(
    labels: Indices, groups: Indices, share: float, seed: int
) -> tuple[Indices, Indices]:
    """Cut groups that hold several classes: of many random cuts the one nearest to the share."""
    from sklearn.model_selection import GroupShuffleSplit

    wanted = share * np.bincount(labels)

    def distance(cut: tuple[Indices, Indices]) -> float:
        taken = np.bincount(labels[cut[1]], minlength=len(wanted))
        return float((np.abs(taken - wanted) / np.maximum(wanted, 1)).sum())

    cuts = GroupShuffleSplit(DRAWS, test_size=share, random_state=seed)
    nearest: tuple[Indices, Indices] = min(cuts.split(labels, groups=groups), key=distance)
    return nearest


def _if_alike(cfg: DataConfig) -> str:
    if cfg.source == "documents" or not cfg.near_duplicates:
        return ""
    return "; data.near_duplicates=false counts images apart that are alike but not equal"


def _key(split: str, cfg: DataConfig) -> str:
    """Name the key as it was set; the share that is cut off may be of the rest."""
    return f"data.{split}_fraction={getattr(cfg, f'{split}_fraction')}"


def _check_sizes(
    labels: Indices,
    classes: Sequence[str],
    split: str,
    share: float,
    cfg: DataConfig,
    pool: "_Pool",
) -> None:
    """Every split has to hold images of the rarest class; counted is one of each group."""
    present, counts = np.unique(labels, return_counts=True)
    rarest, size = present[counts.argmin()], counts.min()
    if all(size * wanted >= 1 for wanted in (share, 1 - share)):
        return
    images, different = int(pool.images[rarest]), int(pool.different[rarest])
    told = counted(images, "image")
    if different < images:
        told += f", {different} of them different"
    shares = _working_shares(different, cfg, pool.splits)
    hint = f"{shares} leave some for each split; or add images" if shares else "add images"
    raise UserError(
        f"{_key(split, cfg)}: class {classes[rarest]} has {told}, too few for these shares; "
        f"{hint}, or take the class out{_if_alike(cfg)}"
    )


@dataclass(frozen=True)
class _Pool:
    """What is cut: for each class its images, and how many of them differ; and what is cut off."""

    images: Indices
    different: Indices
    splits: Sequence[str]

    @classmethod
    def of(cls, everything: ImageSet, rows: Indices, splits: Sequence[str]) -> "_Pool":
        labels = everything.targets[rows]
        groups = np.arange(len(rows)) if everything.groups is None else everything.groups[rows]
        pairs = np.unique(np.stack([labels, groups], 1), axis=0)
        size = len(everything.classes)
        counted = [np.bincount(kind, minlength=size) for kind in (labels, pairs[:, 0])]
        return cls(counted[0], counted[1], splits)


def _working_shares(size: int, cfg: DataConfig, splits: Sequence[str]) -> str:
    """Return the keys with the shares nearest to those given that a class of that size can bear.

    Empty where there are none. How a class is shared out may differ by one image from its share,
    so the worst of it counts.
    """
    given = [getattr(cfg, f"{split}_fraction") for split in splits]
    best: tuple[float, tuple[float, ...]] | None = None
    for shares in itertools.product(SHARES, repeat=len(splits)):
        left, of_all, bearable = size, 1.0, True
        for share in shares:
            of_rest = share / of_all
            bearable &= left * of_rest >= 1 and left * (1 - of_rest) >= 1
            left, of_all = left - math.ceil(left * of_rest), of_all - share
        distance = sum(abs(share - was) for share, was in zip(shares, given, strict=True))
        if bearable and of_all > LEAST_TO_TRAIN and (best is None or (distance, shares) < best):
            best = (distance, shares)
    if best is None:
        return ""
    pairs = zip(splits, best[1], strict=True)
    return " ".join(f"data.{split}_fraction={share:g}" for split, share in pairs)
