"""Predicting in a stream: what is in memory at a time does not depend on how many images come."""

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from src.data.decode import UnreadableImageError
from src.inference import predict as module
from src.inference.config import ImagesConfig, PredictConfig, in_full
from src.inference.predict import count_images


class Watched(np.ndarray[Any, Any]):
    """An array that can be counted while it lives."""


def most_alive(
    count: int, run_folder: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, int]:
    """Predict `count` images; return the most of them that were alive at once, and the rows."""
    alive: set[int] = set()
    most = 0

    def stream(*_: Any, **__: Any) -> Iterator[Any]:
        nonlocal most
        for i in range(count):
            if i % 10 == 3:
                yield f"{i}.png", UnreadableImageError(f"{i}.png", "broken")
                continue
            image = np.zeros((32, 32, 3), np.uint8).view(Watched)
            alive.add(i)
            weakref.finalize(image, alive.discard, i)
            most = max(most, len(alive))
            yield f"{i}.png", image
            del image

    monkeypatch.setattr(module, "stream_images", stream)
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "0.png").touch()
    cfg = PredictConfig(
        run=str(run_folder),
        data=ImagesConfig(root=str(folder / "images")),
        output=str(folder / "out.csv"),
        batch_size=16,
        default_class="red",
    )
    gc.collect()
    module.predict(cfg, Console(quiet=True))
    return most, len((folder / "out.csv").read_text().splitlines()) - 1


def test_ten_times_the_images_need_no_more_memory(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few, few_rows = most_alive(100, run_folder, tmp_path / "few", monkeypatch)
    many, many_rows = most_alive(1000, run_folder, tmp_path / "many", monkeypatch)
    assert (few_rows, many_rows) == (100, 1000)
    assert few >= 16
    assert many <= few + 1


@given(st.text(st.characters(exclude_categories=["C"]), min_size=1).filter(lambda t: t.strip()))
def test_any_path_survives_the_command_line(path: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    if path in ("csv", "image_folder") or path.strip("'\"") != path:
        return
    words = in_full([f"data={path}", "run=x"])
    parsed = OverridesParser.create().parse_overrides(words)
    values = {override.key_or_group: str(override.value()) for override in parsed}
    if Path(path).suffix.lower() == ".csv":
        assert Path(values["data.root"]) / values["data.csv_file"] == Path(path)
    else:
        assert values["data.root"] == str(Path(path))


def test_short_forms() -> None:
    assert in_full(["run=x", "data=csv", "data.root=y"]) == [
        "data.source=csv",
        "run=x",
        "data.root=y",
    ]
    assert in_full(["data.image_dir=test", "data=a/b.csv"])[-1] == "data.image_dir=test"


def test_images_are_counted_ahead_where_that_is_possible(tmp_path: Path) -> None:
    for name in ("a.png", "b.JPG", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "t.csv").write_text("ID\na\nb\n\n")
    assert count_images(ImagesConfig(root=str(tmp_path))) == 2
    table = ImagesConfig(source="csv", root=str(tmp_path), csv_file="t.csv", id_column="ID")
    assert count_images(table) == 2
    (tmp_path / "c.pdf").touch()
    assert count_images(ImagesConfig(root=str(tmp_path))) is None


def test_what_is_counted_ahead_is_what_is_read(tmp_path: Path) -> None:
    """Not hidden files, but those behind a link; of a table records, and names of pages."""
    for name in ("images/a.png", "images/.ipynb_checkpoints/a.png", "images/._b.png", "more/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "images" / "more").symlink_to(tmp_path / "more")
    assert count_images(ImagesConfig(root=str(tmp_path / "images"))) == 2
    written = 'ID,note\na.png,"two\nlines"\nscan.pdf#page=2,\n'
    (tmp_path / "t.csv").write_text(written, encoding="utf-16")
    table = ImagesConfig(
        source="csv", root=str(tmp_path), csv_file="t.csv", image_dir="images", id_column="ID"
    )
    assert count_images(table) == 2
    (tmp_path / "t.csv").write_text("ID\na.png\nscan.pdf\n")
    assert count_images(table) is None
