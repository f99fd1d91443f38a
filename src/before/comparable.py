"""What makes the scores of a study comparable: its images, and the code that scores a trial.

Importing this file registers the resolvers `${code_version:}`, `${data_fingerprint:}` and
`${wear_in_words:}`, whose values a study remembers. A checkout changes without a new version
number, so every statement of the rooms that score a trial, and of what says which score it is and
how long a trial trains, is part of the version of the code. Paths, imports, docstrings and comments
are not, so that code may be moved and explained while a study runs.
"""

import ast
import functools
import hashlib
import tokenize
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from doctune.errors import UserError
from src.data.wear_presets import wear_in_words

SOURCES = Path(__file__).parents[1]
# What scores a trial.
ROOMS = ("data", "training", "trial")
FILES = ("before/objectives.py", "before/trial_length.py")


@functools.cache
def code_version() -> str:
    """Return the package's version and the fingerprint of what scores a trial; read once."""
    try:
        number = version("doctune")
    except PackageNotFoundError:
        number = "0"
    return f"{number} ({fingerprint(scoring_files())})"


def scoring_files() -> list[Path]:
    """Return the files of which every statement may change a score."""
    in_rooms = [path for room in ROOMS for path in (SOURCES / room).rglob("*.py")]
    return in_rooms + [SOURCES / name for name in FILES]


def fingerprint(files: Iterable[Path]) -> str:
    """Return a short hash of the statements in Python files, whatever file each stands in."""
    found = {text for path in files for text in _statements(path.read_text(encoding="utf-8"))}
    digest = hashlib.sha256()
    for text in sorted(found):
        digest.update(text.encode() + b"\0")
    return digest.hexdigest()[:12]


def _statements(source: str) -> Iterator[str]:
    """Yield the statements of a module without what does nothing."""
    tree = ast.parse(source)
    lines = source.splitlines()
    spans = []
    for node in tree.body:
        # Decorators stand above the line that a definition begins with.
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
        spans.append(slice(first - 1, node.end_lineno))
        lines[spans[-1]] = _without_comments(lines[spans[-1]])
    for part in (tree, *_within(tree)):
        for idle in _idle(part):
            lines[idle.lineno - 1 : idle.end_lineno] = [""] * _height(idle)
    for span in spans:
        text = "\n".join(line for line in lines[span] if line)
        if text:
            yield text


def _without_comments(lines: list[str]) -> list[str]:
    lines = list(lines)
    # Reading them for comments takes longer than all else here.
    if any("#" in line for line in lines):
        for token in tokenize.generate_tokens(iter([f"{line}\n" for line in lines]).__next__):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column]
    return [line.rstrip() for line in lines]


def _within(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements in a node, and in these, without their expressions."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for part in getattr(node, field, ()):
            yield part
            yield from _within(part)


def _idle(node: ast.AST) -> Iterator[ast.stmt]:
    """Yield a node that is an import, or the docstring of one that has any."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        yield node
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
        yield node.body[0]


def _height(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _fingerprint_of_data(*, _root_: DictConfig) -> str:
    # Imported here: the images are read for it, and scikit-learn comes along.
    from src.data.load import data_fingerprint

    try:
        return data_fingerprint(_root_.data)
    except UserError:
        # Told with its reason by the checks before the start.
        return "unreadable"


def _wear_in_words(*, _root_: DictConfig) -> str:
    return wear_in_words(_root_)


OmegaConf.register_resolver("code_version", code_version, replace=True, use_cache=True)
OmegaConf.register_resolver("data_fingerprint", _fingerprint_of_data, replace=True)
OmegaConf.register_resolver("wear_in_words", _wear_in_words, replace=True)
