"""Mistakes in a YAML file of one's own are told by file, line and reason."""

from pathlib import Path

import pytest

from tests.conftest import Door

GLOBAL = "# @package _global_\n"
FILES = {
    "a tab": (GLOBAL + "optimizer:\n\tlr: 0.01\n", "line 3: a tab; indent with spaces"),
    "deeper than above": (
        GLOBAL + "optimizer:\n  lr: 0.01\n    weight_decay: 0.1\n",
        "line 4: indented more than line 3, which has a value already",
    ),
    "less deep than above": (
        GLOBAL + "optimizer:\n    lr: 0.01\n  weight_decay: 0.1\n",
        "line 4: indented unlike line 3; keys of one section stand in a column",
    ),
    "a key twice": (GLOBAL + "optimizer:\n  lr: 0.01\n  lr: 0.1\n", "line 4: lr is there twice"),
    "no package": (
        "optimizer:\n  lr: 0.01\n",
        "(experiment=mine): its first line must be '# @package _global_'",
    ),
    "no space behind a colon": (
        GLOBAL + "optimizer:\n  lr:0.01\n",
        "line 3: 'lr:0.01' is no section; write 'lr: 0.01' with a space",
    ),
    "a word for a number": (
        GLOBAL + "trainer:\n  max_epochs: ten\n",
        "line 3: trainer.max_epochs: 'ten' is not a whole number",
    ),
    "another program's key": (
        GLOBAL + "optimizer:\n  learning_rate: 0.1\n",
        "line 3: there is no key optimizer.learning_rate; did you mean optimizer.lr?",
    ),
    "a brace": (
        GLOBAL + "optimizer: {lr: 0.1\n",
        "line 2: a quote or bracket is opened here and not closed",
    ),
    "a quote": (
        GLOBAL + 'model:\n  name: "resnet50\n',
        "line 3: a quote or bracket is opened here and not closed",
    ),
    "two colons": (
        GLOBAL + "model:\n  name: a: b\n",
        "line 3: a second ': ' in the line; put quotes around the value",
    ),
    "a group as a key": (
        GLOBAL + "data: image_folder\n",
        "line 2: 'image_folder' is no section; write 'override /data: image_folder' under defaults",
    ),
    "a list": ("- a\n- b\n", "its first line must be '# @package _global_'"),
}


def write(folder: Path, text: str) -> None:
    (folder / "mine" / "experiment").mkdir(parents=True)
    (folder / "mine" / "experiment" / "mine.yaml").write_text(text)


@pytest.mark.parametrize("fault", FILES)
def test_a_mistake_in_a_file(door: Door, tmp_path: Path, fault: str) -> None:
    text, told = FILES[fault]
    write(tmp_path, text)
    words = ("gpu=cpu", "--config-dir", "mine", "experiment=mine", "--cfg", "job")
    (line,) = door("src.train", *words, code=1).splitlines()
    assert line.startswith("mine/experiment/mine.yaml")
    assert line.endswith(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (GLOBAL + "defaults:\n  - override /model: resnet5\n", "model=resnet5: there is no such"),
        (
            GLOBAL + "defaults:\n  - model: resnet50\n",
            "in a file of experiment/ write 'override /model: resnet50'",
        ),
    ],
)
def test_a_mistake_among_its_defaults(door: Door, tmp_path: Path, text: str, told: str) -> None:
    write(tmp_path, text)
    words = ("gpu=cpu", "--config-dir=mine", "experiment=mine", "--cfg", "job")
    (line,) = door("src.train", *words, code=1).splitlines()
    assert told in line
