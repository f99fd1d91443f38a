"""The door that predicts, as a user opens it: every kind of source, every wish for the table."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

from tests.conftest import Door
from tests.trained_run import COLOURS, train_run


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def colour_of(name: str) -> str:
    return Path(name).stem.split("_")[1]


def test_a_folder_becomes_a_table_and_its_probabilities(
    door: Door, run_folder: Path, scans: Path, tmp_path: Path
) -> None:
    said = door("src.predict", f"run={run_folder}", f"data={scans}", "output=out/p.csv")
    rows = table(tmp_path / "out" / "p.csv")
    names = [str(path.relative_to(scans)) for path in scans.rglob("*.png")]
    assert [row["ID"] for row in rows] == sorted(names)
    assert all(row["target"] == colour_of(row["ID"]) for row in rows)
    shares = table(tmp_path / "out" / "p_probabilities.csv")
    assert list(shares[0]) == ["ID", *COLOURS]
    for row, share in zip(rows, shares, strict=True):
        values = {name: float(share[name]) for name in COLOURS}
        assert row["ID"] == share["ID"]
        assert max(values, key=lambda name: values[name]) == row["target"]
        assert sum(values.values()) == pytest.approx(1, abs=1e-5)
    assert "30 images: out/p.csv (ID,target)" in said
    # As the model gives them, they are others, and the classes are the same.
    kept = json.loads((run_folder / "calibration.json").read_text())
    assert f"temperature {kept['temperature']:.2f}" in said
    words = ("src.predict", f"run={run_folder}", f"data={scans}", "output=out/raw.csv")
    assert "temperature" not in door(*words, "calibrated=false")
    assert table(tmp_path / "out" / "raw.csv") == rows
    for raw, share in zip(table(tmp_path / "out" / "raw_probabilities.csv"), shares, strict=True):
        logs = np.log([float(raw[name]) for name in COLOURS]) / kept["temperature"]
        wanted = np.exp(logs) / np.exp(logs).sum()
        assert [float(share[name]) for name in COLOURS] == pytest.approx(wanted, abs=1e-3)
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {
        f"{each}{end}.csv" for each in ("p", "raw") for end in ("", "_probabilities")
    }


@pytest.mark.parametrize("batch_size", [1, 7])
def test_a_table_of_names_is_answered_in_its_order_as_a_competition_wants(
    door: Door, run_folder: Path, scans: Path, tmp_path: Path, batch_size: int
) -> None:
    names = [path.name for path in sorted(scans.glob("*.png"), reverse=True)]
    (tmp_path / "sample.csv").write_text(
        "file,target\n" + "".join(f"{name},0\n" for name in names), encoding="utf-8"
    )
    mistaken = door(
        *("src.predict", f"run={run_folder}", "data=sample.csv", "data.id_column=file"), code=1
    )
    assert "data=sample.csv: no image can be read in .; data.image_dir=FOLDER says" in mistaken
    door(
        *("src.predict", f"run={run_folder}", "data=sample.csv", f"data.image_dir={scans}"),
        *("data.id_column=file", "id_column=file", "target_as=id", "probabilities=none"),
        *("output=submission.csv", f"batch_size={batch_size}"),
    )
    lines = (tmp_path / "submission.csv").read_text().splitlines()
    expected = [f"{name},{COLOURS.index(colour_of(name))}" for name in names]
    assert lines == ["file,target", *expected]
    assert not (tmp_path / "submission_probabilities.csv").exists()


def test_pages_of_a_pdf_and_images_that_cannot_be_read(
    door: Door, run_folder: Path, scans: Path, tmp_path: Path
) -> None:
    pages = [Image.open(path) for path in sorted(scans.glob("*.png"))[:3]]
    (tmp_path / "in").mkdir()
    pages[0].save(tmp_path / "in" / "b.pdf", save_all=True, append_images=pages[1:])
    (tmp_path / "in" / "a.jpg").write_bytes(b"no image")
    (tmp_path / "in" / "c.pdf").write_bytes(b"%PDF-1.4 broken")
    words = ("src.predict", f"run={run_folder}", "data=in", "output=out.csv")
    said = door(*words)
    ids = [row["ID"] for row in table(tmp_path / "out.csv")]
    assert ids == ["b.pdf#page=1", "b.pdf#page=2", "b.pdf#page=3"]
    for word in ("not readable, left out", "a.jpg: no image", "c.pdf:", "default_class=NAME"):
        assert word in said
    unreadable = table(tmp_path / "out_unreadable.csv")
    assert [row["ID"] for row in unreadable] == ["a.jpg", "c.pdf"]
    said = door(*words, "default_class=blue", "probabilities=columns")
    rows = table(tmp_path / "out.csv")
    assert [row["ID"] for row in rows] == ["a.jpg", *ids, "c.pdf"]
    assert rows[0] == {"ID": "a.jpg", "target": "blue", "red": "", "green": "", "blue": ""}
    assert "called blue: 2 images" in said
    (tmp_path / "in" / "a.jpg").unlink()
    (tmp_path / "in" / "c.pdf").unlink()
    door(*words)
    assert not (tmp_path / "out_unreadable.csv").exists()


def test_an_ensemble_is_the_weighted_mean_and_may_mix_image_sizes(
    door: Door, run_folder: Path, scans: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "ensemble"
    other = train_run(folder / "other", "model.name=test_vit", size=48, epochs=1)
    shutil.copytree(run_folder, folder / "first")
    members = [{"run": "first", "weight": 3}, {"run": "other", "weight": 1}]
    kept = {"members": members, "tta": {"margin": 0.0}}
    (folder / "ensemble.json").write_text(json.dumps(kept))
    found = {}
    for name, run in (("first", run_folder), ("other", other), ("both", folder)):
        words = ("src.predict", f"run={run}", f"data={scans}", f"output={name}.csv")
        said = door(*words, "calibrated=false")
        rows = table(tmp_path / f"{name}_probabilities.csv")
        found[name] = np.array([[float(row[c]) for c in COLOURS] for row in rows])
    assert np.abs(found["first"] - found["other"]).max() > 0.01
    expected = 0.75 * found["first"] + 0.25 * found["other"]
    np.testing.assert_allclose(found["both"], expected, atol=3e-6)
    assert "ensemble of 2: test_resnet + test_vit, 32/48 px" in said
    assert "more views help on no page" not in said
    said = door(*words, "calibrated=false", "tta=true")
    assert "more views help on no page, so there are none" in said
    assert "9.0 times the work" not in said
    of_study = door("src.predict", f"run={tmp_path}", f"data={scans}", code=1)
    assert f"the ensemble of this study is run={folder}" in of_study
    refused = door("src.predict", f"run={folder}", "export=onnx", code=1)
    assert "different sizes (32, 48)" in refused


def test_nothing_is_left_when_a_prediction_breaks_off(
    door: Door, run_folder: Path, scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from src.inference.predictor import Predictor

    (tmp_path / "out.csv").write_text("of an earlier time")
    calls: list[Any] = []
    ours = Predictor.with_cost

    def interrupted(self: Predictor, images: Any) -> Any:
        calls.append(images)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return ours(self, images)

    monkeypatch.setattr(Predictor, "with_cost", interrupted)
    words = (f"run={run_folder}", f"data={scans}", "output=out.csv", "batch_size=8")
    assert "no table was written" in door("src.predict", *words, code=1)
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]
    assert (tmp_path / "out.csv").read_text() == "of an earlier time"


WRONG = [
    ([], "run=FOLDER and data=PATH are needed"),
    (["run=nowhere", "data=SCANS"], "run=nowhere: there is no such folder"),
    (["run=SCANS", "data=SCANS"], "there is no config.yaml in it"),
    (["run=RUN", "data=nothing"], "nothing: there is no such file or folder"),
    (["run=RUN", "data=SCANS", "default_class=pink"], "default_class=pink: no class of the model"),
    (["run=RUN", "data=SCANS", "target_as=word"], "target_as=word: choose auto, name, id"),
    (["run=RUN", "data=SCANS", "probabilities=x"], "probabilities=x: choose file, columns, none"),
    (["run=RUN", "data=SCANS", "batch_size=0"], "batch_size=0"),
    (["run=RUN", "data=SCANS", "accelerator=tpu"], "accelerator=tpu: choose auto"),
    (["run=RUN", "data=SCANS", "output=/proc/no/p.csv"], "output=/proc/no/p.csv: cannot be"),
    (["run=RUN", "export=tflite"], "export=tflite: choose onnx"),
    (["run=RUN", "export=onnx", "tta=true"], "tta=true cannot be exported"),
    (["run=RUN", "data=PATH", "tta=true", "tta_margin=2"], "tta_margin=2.0: must be above 0"),
]


@pytest.mark.parametrize(("words", "told"), WRONG, ids=lambda value: str(value)[:50])
def test_mistakes_are_told_in_a_line(
    door: Door, run_folder: Path, scans: Path, words: list[str], told: str
) -> None:
    words = [w.replace("RUN", str(run_folder)).replace("SCANS", str(scans)) for w in words]
    said = door("src.predict", *words, code=1)
    assert told in said
    assert "Traceback" not in said


def test_targets_are_written_as_the_training_table_had_them(
    door: Door, run_folder: Path, scans: Path, tmp_path: Path
) -> None:
    """A competition's targets may be any words; the classes' names come from its meta file."""
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    cfg = OmegaConf.load(folder / "config.yaml")
    cfg.data.update({"source": "csv", "id_column": "file", "target_column": "kind"})
    OmegaConf.save(cfg, folder / "config.yaml")
    named = {"classes": list(COLOURS), "codes": ["3", "7", "17"]}
    (folder / "classes.json").write_text(json.dumps(named))
    written = {}
    for wish in ("auto", "name", "id"):
        door(
            *("src.predict", f"run={folder}", f"data={scans}", f"output={wish}.csv"),
            *(f"target_as={wish}", "default_class=7"),
        )
        rows = table(tmp_path / f"{wish}.csv")
        # And so are its columns.
        written[wish] = {colour_of(row["file"]): row["kind"] for row in rows}
    assert written["auto"] == {"red": "3", "green": "7", "blue": "17"}
    assert written["name"] == {"red": "red", "green": "green", "blue": "blue"}
    assert written["id"] == {"red": "0", "green": "1", "blue": "2"}
