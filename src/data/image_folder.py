"""`data=image_folder`: a folder a class, alone or below train, val and test."""

from pathlib import Path

from doctune.errors import UserError
from src.data.config import DataConfig
from src.data.files import Listing, describe_others, image_files, other_files, visible

# What people call the splits.
SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}


def list_image_folder(cfg: DataConfig, root: Path) -> Listing:
    """List the images of each class, those in its subfolders too.

    A split whose images are in no class folders (a competition's test images) is not used, nor is
    a folder beside the splits.

    Raises:
        UserError: there are no images, only of one class, or splits without classes to train on;
            or two folders are the same split.
    """
    found, listing = _split_folders(root), Listing(root, [], [], ())
    splits = {"": root}
    if any(_subfolders(folder) for folder in found["train"]):
        splits = {split: _only_one(root, folders) for split, folders in found.items() if folders}
        listing.notes += _unused(root, splits)
        splits = {split: folder for split, folder in splits.items() if _subfolders(folder)}
    else:
        _check_classes(root)
    classes = sorted({name for folder in splits.values() for name in _subfolders(folder)})
    listing.classes = tuple(classes)
    targets = {name: target for target, name in enumerate(classes)}
    others: list[str] = []
    loose: list[str] = []
    for split, folder in splits.items():
        prefix = f"{folder.name}/" if split else ""
        others += [prefix + name for name in other_files(folder)]
        for name in image_files(folder):
            label, _, rest = name.partition("/")
            if not rest:
                loose.append(prefix + name)
                continue
            listing.names.append(prefix + name)
            listing.targets.append(targets[label])
            if split:
                listing.splits.append(split)
    _check(listing, root)
    listing.notes += describe_others(others)
    if loose:
        more = ", ..." if len(loose) > 1 else ""
        listing.notes.append(
            f"in no folder of a class, so left out: {len(loose)} ({loose[0]}{more})"
        )
    return listing


def _split_folders(root: Path) -> dict[str, list[Path]]:
    folders = [root / name for name in _subfolders(root)]
    return {
        split: [folder for folder in folders if folder.name.lower() in names]
        for split, names in SPLIT_FOLDERS.items()
    }


def _only_one(root: Path, folders: list[Path]) -> Path:
    if len(folders) > 1:
        names = " and ".join(folder.name for folder in folders)
        raise UserError(
            f"data.root={root}: {names} are one split by their names; put their images into one "
            "of them, or rename the others"
        )
    return folders[0]


def _unused(root: Path, splits: dict[str, Path]) -> list[str]:
    """Say which folders of images are not used."""
    notes = [
        f"{folder.name}: has no folders of classes, so it is not used"
        for folder in splits.values()
        if not _subfolders(folder)
    ]
    beside = [name for name in _subfolders(root) if root / name not in splits.values()]
    return notes + [
        f"{name}: is a folder beside {splits['train'].name}, but no split, so it is not used"
        for name in beside
        if image_files(root / name)
    ]


def _check_classes(root: Path) -> None:
    """Refuse splits as classes; one class may be called so beside others."""
    names = _subfolders(root)
    if names and len(names) == sum(map(len, _split_folders(root).values())):
        raise UserError(
            f"data.root={root}: holds splits ({', '.join(names)}), but no train/CLASS/IMAGE; sort "
            "the images of train into folders of classes, or take data=csv where a table says "
            "their classes; folders of classes need other names"
        )


def _subfolders(folder: Path) -> list[str]:
    return visible([path.name for path in folder.iterdir() if path.is_dir()])


def _check(listing: Listing, root: Path) -> None:
    if not listing.names:
        raise UserError(
            f"data.root={root}: there are no images in folders of classes; "
            "expected is CLASS/IMAGE, or train/CLASS/IMAGE"
        )
    if len(listing.classes) < 2:
        raise UserError(f"data.root={root}: has only one folder of a class, {listing.classes[0]}")
    there = set(listing.targets)
    empty = [name for target, name in enumerate(listing.classes) if target not in there]
    if empty:
        raise UserError(
            f"data.root={root}: no images in the folder of {', '.join(empty)}; "
            "add some, or remove the folder"
        )
