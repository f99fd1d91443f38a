"""The rooms of the house and the arrows between them: drawn from the imports, held against
CONTRIBUTING.md."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1]
CONTRIBUTING = (HOUSE / "CONTRIBUTING.md").read_text(encoding="utf-8")
PACKAGES = ("doctune", "src")


@functools.cache
def _files() -> list[str]:
    return sorted(
        path.relative_to(HOUSE).as_posix()
        for package in PACKAGES
        for path in (HOUSE / package).rglob("*.py")
    )


def _room(file: str) -> str:
    """Return the room of a file: a folder that is drawn, the doors, or the ground floor."""
    package, *folders = file.split("/")[:-1]
    if not folders:
        if package == "src":
            return "doors"
        return "doctune/trial" if file == "doctune/trial.py" else "ground"
    within = f"{package}/{'/'.join(folders)}"
    return within if within in _drawn() else f"{package}/{folders[0]}"


@functools.cache
def _drawn() -> list[str]:
    return [room for floor in _floors() for room in floor]


@functools.cache
def _text(file: str) -> str:
    return (HOUSE / file).read_text(encoding="utf-8")


@functools.cache
def _nodes(file: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(_text(file))))


@functools.cache
def _modules() -> dict[str, str]:
    return {file.removesuffix(".py").replace("/", "."): file for file in _files()}


def _imported(file: str, known: dict[str, str]) -> Iterator[str]:
    """Yield the files of the house that a file imports, also within functions."""
    for node in _nodes(file):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        yield from (known[name] for name in names if name in known)


def _arrows() -> set[tuple[str, str]]:
    """Return (from, to) of every import that leaves its room."""
    known = _modules()
    pairs = {(_room(file), _room(other)) for file in _files() for other in _imported(file, known)}
    return {(mine, theirs) for mine, theirs in pairs if mine != theirs}


@functools.cache
def _floors() -> list[list[str]]:
    """Return the rooms of CONTRIBUTING.md, from the top floor to the ground."""
    drawing = CONTRIBUTING.split("```text\n")[1].split("```")[0]
    return [re.findall(r"[\w/]+", line) for line in drawing.splitlines() if line.strip()]


def test_every_room_stands_on_its_floor() -> None:
    assert sorted(_drawn()) == sorted({_room(file) for file in _files()})


def test_arrows_go_down_alone() -> None:
    floor_of = {room: number for number, floor in enumerate(_floors()) for room in floor}
    climbing = [
        f"{mine} -> {theirs}"
        for mine, theirs in sorted(_arrows())
        if floor_of[theirs] <= floor_of[mine]
    ]
    assert not climbing


def test_no_file_imports_itself_around_a_circle() -> None:
    known = _modules()
    needs = {file: set(_imported(file, known)) - {file} for file in _files()}
    while free := [file for file, others in needs.items() if not others & needs.keys()]:
        for file in free:
            del needs[file]
    assert not needs


def test_arguments_of_a_call_are_not_folded_into_a_tuple() -> None:
    folded = [
        f"{file}:{argument.lineno}"
        for file in _files()
        for call in _nodes(file)
        if isinstance(call, ast.Call)
        for argument in call.args
        if isinstance(argument, ast.Starred) and isinstance(argument.value, ast.Tuple)
    ]
    assert not folded


@pytest.mark.parametrize(
    ("written", "file"),
    [
        ("difflib", "doctune/words.py"),
        ("os.replace", "doctune/files.py"),
        (":02d}", "doctune/words.py"),
        ("://[^", "doctune/passwords.py"),
    ],
)
def test_what_all_rooms_need_stands_once(written: str, file: str) -> None:
    assert [path for path in _files() if written in _text(path)] == [file]


@pytest.mark.parametrize("package", ["torch", "timm", "pytorch_lightning", "torchmetrics", "src"])
def test_what_serves_any_app_knows_no_images(package: str) -> None:
    users = [
        file
        for file in _files()
        if file.startswith("doctune/")
        and re.search(rf"^\s*(from|import) {package}\b", _text(file), re.MULTILINE)
    ]
    assert not users
