"""Where configs are found: those of the program, and a folder that the command line names."""

import sys
from collections.abc import Sequence
from pathlib import Path

# By its whole path: whoever imports a door may be anywhere.
CONF = str(Path(__file__).parents[2] / "conf")


def config_folders() -> list[Path]:
    """Return the folders of configs, the user's own first."""
    own = value_of_flag(sys.argv[1:], "--config-dir", "-cd")
    return [*([Path(own)] if own else []), Path(CONF)]


def config_file(name: str) -> Path | None:
    """Return the file of a config by its name as Hydra has it, `experiment/mine`."""
    paths = (folder / f"{name}.yaml" for folder in config_folders())
    return next((path for path in paths if path.is_file()), None)


def all_choices() -> dict[str, list[str]]:
    """Return group -> its choices, of all groups that have a folder."""
    found: dict[str, list[str]] = {}
    for folder in config_folders():
        for path in folder.rglob("*.yaml"):
            group = path.parent.relative_to(folder).as_posix()
            if group != ".":
                found.setdefault(group, []).append(path.stem)
    return found


def value_of_flag(words: Sequence[str], *names: str) -> str | None:
    """Return what a flag is given, `--config-dir=DIR` or `--config-dir DIR`; None: it is not."""
    for word, after in zip(words, [*words[1:], ""], strict=False):
        flag, equals, value = word.partition("=")
        if flag in names:
            return value if equals else after
    return None
