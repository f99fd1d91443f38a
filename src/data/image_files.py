"""From a folder or table of image files to splits: found, judged, decoded and cut."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from doctune.errors import UserError
from src.data.config import DataConfig
from src.data.csv_table import list_csv
from src.data.decode import UnreadableImageError, open_image, split_page
from src.data.decoded import RowsAhead, decoded, decoded_name, short_hash
from src.data.duplicates import group_same
from src.data.files import Listing
from src.data.image_folder import list_image_folder
from src.data.image_set import ImageSet, Indices
from src.data.inspection import FileFacts, inspect_files, seen_file
from src.data.labels import changes, decided, with_decisions
from src.data.processes import near_file
from src.data.reading import Page
from src.data.same_images import describe_same, equal_images, same_images
from src.data.same_page import SIDE
from src.data.splits import Splits, cut

SOURCES = {"image_folder": list_image_folder, "csv": list_csv}

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")
# What is said of images with such a word; others are numbers of bits.
WORDS = {
    "turned": "turned upright as their files say",
    "white is zero": "with white as zero",
    "smaller copies": "without the smaller copies beside them",
    "blank": "blank",
}

# Names in a message; all of them are in a file.
EXAMPLES = 10


@dataclass(frozen=True)
class FoundImages:
    """The images of a data set that can be read, with what is known of them unseen.

    Args:
        root: the folder that the names are relative to.
        names: `#page=2` behind a file that has pages.
        targets: int64 [N].
        classes: their names.
        codes: what the source calls each class where that is not its name.
        splits: train, val or test of each, where given.
        contents: what tells an image from any other.
        groups: int64 [N]; the images of a group stay in one fold.
        notes: what a user should know, a line each.
        pages: what is known of each.
        same: int64 [N], equal for images that show the same.
        faults: images that are left out, with the reason.
        corrected: int64 [N], the classes after `data.labels`, -1 for images that it leaves out.
    """

    root: Path
    names: list[str]
    targets: Indices
    classes: tuple[str, ...]
    codes: tuple[str, ...]
    splits: list[str]
    contents: list[str]
    groups: Indices
    notes: list[str]
    pages: list[Page]
    same: Indices
    faults: list[tuple[str, str]]
    corrected: Indices

    def fingerprint(self) -> str:
        """Return a hash of everything that decides about the images, labels and splits."""
        facts = [self.names, self.contents, self.targets.tolist(), self.classes, self.splits]
        # Nothing more where no label was changed, as in studies of before.
        changed = changes(self.targets, self.corrected)
        return short_hash([*facts, self.groups.tolist(), *([changed] if changed else [])])


def load_image_files(cfg: DataConfig) -> Splits:
    """Load the images of `data.root`, decoded before or now, and cut them.

    Raises:
        UserError: names what is wrong with the data.
    """
    found = find_images(cfg, decode=True)
    files = [file_of(found.root, name) for name in found.names]
    try:
        pixels = decoded(cfg, found.contents, [(found.root / file, page) for file, page in files])
    except UnreadableImageError as error:
        raise UserError(f"data.root={cfg.root}: changed while it was read: {error}") from error
    alone = len(np.unique(found.groups)) == len(found.groups)
    everything = ImageSet(
        pixels,
        found.targets,
        found.classes,
        files=found.names,
        codes=found.codes,
        group_of=np.empty(0, np.int64) if alone else found.groups,
        stored_as=decoded_name(cfg, found.contents),
    )
    splits = cut(everything, cfg, found.splits, found.notes)
    splits = with_decisions(splits, found.corrected, cfg.labels)
    return replace(splits, fingerprint=found.fingerprint())


def list_images(cfg: DataConfig) -> Listing:
    """List the images of `data.root` with their classes; none is opened.

    Raises:
        UserError: names what is wrong with the folder or the table.
    """
    return SOURCES[cfg.source](cfg, _root(cfg))


def find_images(cfg: DataConfig, *, decode: bool = False) -> FoundImages:
    """List the images of `data.root`, and read those that are new.

    Args:
        cfg: the `data` group.
        decode: their pixels will be needed, so of a new data set they are put into the cache, too.

    Raises:
        UserError: names what is wrong with the data.
    """
    listing = list_images(cfg)
    files = [file_of(listing.root, name)[0] for name in listing.names]
    with RowsAhead(cfg, listing.root) as ahead:
        facts = inspect_files(listing.root, files, cfg.cache_dir, ahead if decode else None)
        names, origin, pages = _pages(listing, facts)
        faults = [(name, page.fault) for name, page in zip(names, pages, strict=True) if page.fault]
        notes = [*listing.notes, *_judge(faults, len(names), cfg), *_describe_words(pages)]
        good = [i for i, page in enumerate(pages) if not page.fault]
        if not good:
            raise UserError(f"data.root={cfg.root}: none of its {len(names)} images can be read")
        names, origin = [names[i] for i in good], [origin[i] for i in good]
        pages = [pages[i] for i in good]
        # Of a file with pages its number belongs to the content.
        contents = [
            f"{facts[files[i]].digest}{_page_suffix(n)}" for n, i in zip(names, origin, strict=True)
        ]
        ahead.keep(contents, (file_of(listing.root, name) for name in names))
    same = _same(names, contents, listing.root, pages, cfg)
    targets = np.array([listing.targets[i] for i in origin], np.int64)
    unreadable = [name for name, _ in faults]
    corrected = decided(
        cfg.labels, names, targets, listing.classes, listing.codes, unreadable=unreadable
    )
    splits = [listing.splits[i] for i in origin] if listing.splits else []
    return FoundImages(
        root=listing.root,
        names=names,
        targets=targets,
        classes=listing.classes,
        codes=listing.codes,
        splits=splits,
        contents=contents,
        groups=group_same(
            [
                [str(number) for number in same],
                [files[i] for i in origin],
                [listing.groups[i] if listing.groups else "" for i in origin],
            ]
        ),
        notes=[*notes, *describe_same(same, corrected, names, listing.classes, splits)],
        pages=pages,
        same=same,
        faults=faults,
        corrected=corrected,
    )


def _root(cfg: DataConfig) -> Path:
    if cfg.root is None:
        raise UserError(f"data.root: not given; data={cfg.source} needs the folder of the images")
    root = Path(cfg.root).expanduser()
    if root.is_file():
        hint = (
            "unpack it first"
            if root.suffix.lower() in ARCHIVES
            else "give the folder that it is in"
        )
        raise UserError(f"data.root={cfg.root}: is a file, not a folder; {hint}")
    if "://" in cfg.root:
        raise UserError(f"data.root={cfg.root}: is an address; download it, and give the folder")
    if not root.is_dir():
        raise UserError(f"data.root={cfg.root}: there is no such folder")
    return root


def file_of(root: Path, name: str) -> tuple[str, int]:
    """Return the file of an image and the index of its page."""
    file, page = split_page(name)
    return (name, 0) if file != name and (root / name).exists() else (file, page)


def _page_suffix(name: str) -> str:
    return name[len(split_page(name)[0]) :]


def _pages(
    listing: Listing, facts: dict[str, FileFacts]
) -> tuple[list[str], list[int], list[Page]]:
    """Return all images: their names, the index of each in the listing, what is known."""
    names: list[str] = []
    origin: list[int] = []
    pages: list[Page] = []
    for index, name in enumerate(listing.names):
        file, _ = file_of(listing.root, name)
        found = facts[file].pages
        suffix = name[len(file) :]
        if suffix and suffix not in found:
            whole = suffix == "#page=1" and "" in found
            known = found[""] if whole or ("" in found and found[""].fault) else None
            found = {suffix: known or Page(fault=f"it has only {len(found)} pages")}
        elif suffix:
            found = {suffix: found[suffix]}
        for page_suffix, page in found.items():
            names.append(file + page_suffix)
            origin.append(index)
            pages.append(page)
    return names, origin, pages


def _judge(faults: list[tuple[str, str]], total: int, cfg: DataConfig) -> list[str]:
    """Refuse unreadable images, or say that they are left out."""
    if not faults:
        return []
    complete = Path(cfg.cache_dir) / "bad_images.txt"
    complete.write_text("".join(f"{name}: {fault}\n" for name, fault in faults), encoding="utf-8")
    kinds = Counter(fault for _, fault in faults)
    told = [f"  {name}: {fault}" for name, fault in faults[:EXAMPLES]]
    if len(faults) > EXAMPLES:
        told.append(f"  ... all of them are in {complete}")
    if cfg.on_bad_image == "skip":
        reasons = ", ".join(f"{count} x {kind}" for kind, count in kinds.most_common(3))
        return [f"{len(faults)} of {total} images are left out ({reasons}), see {complete}"]
    raise UserError(
        f"data.root={cfg.root}: {len(faults)} of {total} images cannot be read; mend or remove "
        "them, or leave them out with data.on_bad_image=skip\n" + "\n".join(told)
    )


def _describe_words(pages: Sequence[Page]) -> list[str]:
    """Say what had to be done to the images, in a line or none."""
    counts = Counter(word for page in pages for word in page.words)
    told = [
        f"{count} {WORDS.get(word, f'of {word}, brought to 8')}"
        for word, count in counts.most_common()
    ]
    if not told:
        return []
    return [f"of {len(pages)} images: {'; '.join(told)} (python -m src.look shows them)"]


def _same(
    names: list[str], contents: list[str], root: Path, pages: list[Page], cfg: DataConfig
) -> Indices:
    """Number the images that are the same.

    Raises:
        UserError: an image was changed meanwhile.
    """

    def open_page(index: int) -> Image.Image:
        file, page = file_of(root, names[index])
        path = root / file
        return near_file(path, open_image, path, SIDE // 2, page, names[index]).image

    try:
        if not cfg.near_duplicates:
            return equal_images(contents, cfg.cache_dir)
        seen = seen_file(root, cfg.cache_dir).all
        return same_images(contents, pages, seen, open_page, cfg.cache_dir)
    except UnreadableImageError as error:
        raise UserError(f"data.root={cfg.root}: changed while it was read: {error}") from error
