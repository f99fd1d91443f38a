"""What the pages name is there: files, modules, make's targets, and places on other pages."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from src.before import config as config
from src.hardware import profile as profile
from tests.conftest import CONF

HOUSE = Path(__file__).parents[1]
PAGES = {
    path.relative_to(HOUSE).as_posix(): path.read_text(encoding="utf-8")
    for folder in (".", "conf", "docs")
    for path in sorted((HOUSE / folder).glob("*.md"))
}
# Where paths on pages count from: `conf/` has its own page, and some are named in front of code.
ROOTS = ("", "conf/", "doctune/", "tests/")
# What is made by running something, or by a user.
MADE = ("multirun/", "outputs/", "data_cache/", "dist/", "scans/")
EXTENSIONS = "py|yaml|yml|toml|md|sh|json|ipynb|j2|jpg|png|svg|cfg"
FOLDERS = "conf|docs|doctune|findings|portfolio|src|tests"
PATH = re.compile(rf"`((?:[\w.-]+/)+[\w.-]+\.(?:{EXTENSIONS})|(?:{FOLDERS})/(?:[\w-]+/)*)`")
IN_CODE = re.compile(rf"(?<![\w/.{{}}-])(?:{FOLDERS})/(?:[\w-]+/)*[\w-]+\.(?:py|yaml|md)\b")
MODULE = re.compile(r"python -m ((?:src|tests|doctune|portfolio|findings)[\w.]*)")
LINK = re.compile(r"\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]+))?\)")
CODE = re.compile(r"`([^`\n]+)`|^    (.*)$", re.MULTILINE)
KEY = re.compile(r"(?<![\w./~-])[~+]*([a-z]\w*(?:\.[a-z]\w*)+)(?=[=`\s'\",;)\]]|$)", re.MULTILINE)
# What looks like a key, and is of Optuna's package, or a file.
NO_KEYS = {"optuna.db", "optuna.pruners"}
TARGET = re.compile(r"(?:^    |`)make ([a-z][\w-]*)", re.MULTILINE)


def _named(pattern: "re.Pattern[str]") -> list[tuple[str, str]]:
    """Return (page, what it names), each once."""
    return sorted(
        {(page, match[1]) for page, text in PAGES.items() for match in pattern.finditer(text)}
    )


def _is_there(page: str, path: str) -> bool:
    roots = [*ROOTS, f"{Path(page).parent.as_posix()}/"]
    return path.startswith(MADE) or any((HOUSE / f"{root}{path}").exists() for root in roots)


def test_files_that_are_named_are_there() -> None:
    named = _named(PATH)
    assert len(named) > 50
    assert [(page, path) for page, path in named if not _is_there(page, path)] == []


@pytest.mark.parametrize("folder", ["conf", "doctune", "findings", "portfolio", "src", "tests"])
def test_files_that_comments_name_are_there(folder: str) -> None:
    missing = [
        f"{path.relative_to(HOUSE)}: {named}"
        for ending in ("py", "yaml", "toml")
        for path in (HOUSE / folder).rglob(f"*.{ending}")
        for named in IN_CODE.findall(path.read_text(encoding="utf-8"))
        if not (HOUSE / named).exists()
    ]
    assert missing == []


def test_modules_that_are_named_can_be_run() -> None:
    named = _named(MODULE)
    assert len(named) > 20
    missing = []
    for page, module in named:
        path = HOUSE / module.rstrip(".").replace(".", "/")
        if not path.with_suffix(".py").exists() and not (path / "__main__.py").exists():
            missing.append((page, module))
    assert missing == []


def test_make_has_the_targets_that_are_named() -> None:
    there = set(re.findall(r"^([\w-]+):", (HOUSE / "Makefile").read_text(), re.MULTILINE))
    there |= {preset.stem for preset in (HOUSE / "conf" / "hparams_search").glob("*.yaml")}
    assert [(page, name) for page, name in _named(TARGET) if name not in there] == []


def _anchors(page: str) -> set[str]:
    """Return the places of a page: headings as GitHub calls them, and those that have an id."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    plain = [re.sub(r"[`*]|\[([^]]*)\]\([^)]*\)", r"\1", one).strip().lower() for one in headings]
    kept = ["".join(c for c in one if c in " -_" or c.isalnum()) for one in plain]
    return {one.replace(" ", "-") for one in kept} | set(re.findall(r'<a id="([^"]+)">', page))


@pytest.mark.parametrize("page", sorted(PAGES))
def test_links_lead_somewhere(page: str) -> None:
    broken = []
    for file, anchor in LINK.findall(PAGES[page]):
        target = (HOUSE / page).parent / file if file else HOUSE / page
        if not target.exists():
            broken.append(file)
        elif anchor and anchor not in _anchors(target.read_text(encoding="utf-8")):
            broken.append(f"{file}#{anchor}")
    assert broken == []


def _keys(config: DictConfig, above: str = "") -> Iterator[str]:
    """Yield the keys of a config, whole."""
    for name in map(str, config):
        yield f"{above}{name}"
        node = config._get_node(name)
        if isinstance(node, DictConfig) and not (node._is_none() or node._is_interpolation()):
            yield from _keys(node, f"{above}{name}.")


def test_keys_that_are_named_are_there() -> None:
    entries = "+search_space=[advanced,optimizer,imbalance,augment]"
    with initialize_config_dir(CONF):
        configs = [
            compose("train", words, return_hydra_config=True)
            for words in (
                ["hparams_search=fast", entries, "data=csv"],
                ["hparams_search=focus", "data=image_folder", "hydra/launcher=submitit_slurm"],
            )
        ]
    keys = {key for config in configs for key in _keys(config)}
    groups = {key.partition(".")[0] for key in keys if "." in key}
    named = {
        (page, key)
        for page, text in PAGES.items()
        for code in CODE.findall(text)
        for key in KEY.findall("".join(code))
        if key.partition(".")[0] in groups - {"hydra"}
    }
    assert len(named) > 150
    assert [(page, key) for page, key in sorted(named) if key not in keys | NO_KEYS] == []
