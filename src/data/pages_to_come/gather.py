"""`data.to_classify=PATH`: the pages to come beside those to train on, compared once and kept."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf
from rich.console import Console

from doctune.errors import UserError
from doctune.files import write_text
from src.data.config import AugmentConfig, DataConfig
from src.data.decode import UnreadableImageError, decode_sized
from src.data.decoded import short_hash
from src.data.documents.generate import FLAT, MIXED, draw_page
from src.data.image_files import file_of, find_images
from src.data.load import NO_WEAR, check_keys, data_fingerprint, load_splits
from src.data.pages_to_come.compare import Comparison, Measure, Worn, compare
from src.data.pages_to_come.measures import Floats, Pixels
from src.data.stream import file_that_holds, list_files, stream_sized
from src.data.threads import map_ahead

log = logging.getLogger(__name__)

PRESETS = Path(__file__).parents[3] / "conf" / "augment"
# The mildest first; a user's own come behind.
MILDEST = ("light", "document", "heavy")
# Pages of either heap that are looked at, at most, and the side at which they are.
MOST, SIDE = 400, 128
# With fewer there is nothing to cross-validate.
FEWEST = 20
# Raised whenever the same pages would be judged differently.
VERSION = 4


def comparison(cfg: DataConfig, *, work_out: bool = True) -> Comparison | None:
    """Compare the pages of `data.to_classify` with those to train on.

    Args:
        cfg: the `data` group.
        work_out: whether to compare now what was not compared before, which takes about 20 s of one
            core; None is returned otherwise.

    Returns:
        None without `data.to_classify`.

    Raises:
        UserError: there is no such folder or table, or it holds too few pages that can be read.
    """
    if cfg.to_classify is None:
        return None
    path = Path(cfg.cache_dir) / f"pages-to-come-{_key(cfg)}.json"
    if path.is_file():
        return _read(path)
    if not work_out:
        return None
    Console(stderr=True).print(
        f"comparing the pages of {cfg.to_classify} with those to train on",
        highlight=False,
        soft_wrap=True,
        markup=False,
    )
    theirs, sizes = pages_to_classify(cfg)
    ours, our_sizes = pages_to_train(cfg)
    found = compare(ours, theirs, presets(), None if our_sizes is None else (our_sizes, sizes))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(asdict(found)))
    return found


def presets() -> dict[str, AugmentConfig]:
    """Return the choices of `augment` that wear pages, by name, the mildest first."""
    names = sorted(path.stem for path in PRESETS.glob("*.yaml"))
    names.sort(key=lambda name: MILDEST.index(name) if name in MILDEST else len(MILDEST))
    found = {}
    for name in names:
        values: Any = OmegaConf.merge(
            OmegaConf.structured(AugmentConfig), OmegaConf.load(PRESETS / f"{name}.yaml")
        )
        preset: Any = OmegaConf.to_object(values)
        # Mixing two pages is no wear.
        preset.mixup_alpha = 0.0
        if preset != AugmentConfig():
            found[name] = preset
    return found


def pages_to_train(cfg: DataConfig) -> tuple[Pixels, Floats | None]:
    """Return some pages with labels, uint8 [N, SIDE, SIDE, 3], spread evenly over all.

    And their widths and heights in the files, [N, 2]; None of pages that are drawn.
    """
    if cfg.source == "documents":
        names = [name.rpartition("-") for name in _some(load_splits(cfg).train.names)]
        taken = MIXED if cfg.wear_test == NO_WEAR else FLAT
        drawn = [draw_page(kind, int(n), SIDE, cfg.seed, taken) for kind, _, n in names]
        return np.stack(drawn), None
    found = find_images(cfg)
    of_train = [not found.splits or found.splits[row] == "train" for row in range(len(found.names))]
    chosen = _some([name for name, ours in zip(found.names, of_train, strict=True) if ours])

    def decoded(name: str) -> tuple[Pixels, tuple[int, int]]:
        file, page = file_of(found.root, name)
        return decode_sized(found.root / file, SIDE, fit=cfg.fit, page=page, name=name)

    return _stacked(list(map_ahead(decoded, chosen)))


def _stacked(pages: Sequence[tuple[Pixels, tuple[int, int]]]) -> tuple[Pixels, Floats]:
    return np.stack([page for page, _ in pages]), np.array([size for _, size in pages], np.float64)


def pages_to_classify(cfg: DataConfig) -> tuple[Pixels, Floats]:
    """Return some of the pages to classify, uint8 [N, SIDE, SIDE, 3], and their sizes [N, 2].

    Raises:
        UserError: too few of them can be read.
    """
    source, folder = _places(cfg)
    stream = stream_sized(source, SIDE, fit=cfg.fit, folder=folder, most=MOST)
    pages = [page for _, page in stream]
    good = [page for page in pages if not isinstance(page, UnreadableImageError)]
    bad = [page for page in pages if isinstance(page, UnreadableImageError)]
    if bad:
        log.warning("data.to_classify: %d pages cannot be read, as %s", len(bad), bad[0])
    if len(good) < FEWEST:
        told = f"data.to_classify={cfg.to_classify}: holds {len(good)} pages that can be read, too "
        told += f"few to compare; give {FEWEST} or more, or leave the key out"
        if source.suffix.lower() == ".csv" and not good:
            here = folder or source.parent
            told = f"data.to_classify={cfg.to_classify}: none of the files that it names can be "
            told += f"read in {here}; give the folder that they are in instead"
        raise UserError(told)
    return _stacked(good)


def _places(cfg: DataConfig) -> tuple[Path, Path | None]:
    """Return the source, and of a table the folder of its images: test/ beside test.csv."""
    check_keys(cfg)
    source = Path(str(cfg.to_classify)).expanduser()
    beside = source.with_suffix("")
    return source, beside if source.suffix.lower() == ".csv" and beside.is_dir() else None


def _some(names: list[str]) -> list[str]:
    if len(names) <= MOST:
        return names
    return [names[int(row)] for row in np.linspace(0, len(names) - 1, MOST)]


def _key(cfg: DataConfig) -> str:
    """Return a hash of both heaps and of all that they are compared by."""
    source, folder = _places(cfg)
    theirs = []
    for path, name in list_files(source, folder):
        file = file_that_holds(path)
        facts = file.stat() if file.exists() else None
        theirs.append([name, facts.st_size, facts.st_mtime_ns] if facts else [name])
    wears = {name: asdict(preset) for name, preset in presets().items()}
    return short_hash([VERSION, MOST, SIDE, _of_ours(cfg), cfg.fit, theirs, wears])


def _of_ours(cfg: DataConfig) -> str | list[list[str]]:
    """Return what decides about `pages_to_train`."""
    if cfg.source == "documents":
        return data_fingerprint(cfg)
    # Whatever is held out of them, and whatever they are called.
    found = find_images(cfg)
    return [found.names, found.contents, found.splits]


def _read(path: Path) -> Comparison:
    kept: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Comparison(
        ours=kept["ours"],
        theirs=kept["theirs"],
        measures=[Measure(**one) for one in kept["measures"]],
        tried=[Worn(**one) for one in kept["tried"]],
        chosen=Worn(**kept["chosen"]),
    )
