"""The door that confirms a study: a small one, whose trials are made up and really run again."""

import csv
import json
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from tests.conftest import Door, Run
from tests.results.confirmation.small_study import study as study


# That trainings share a machine, tests/doctune/launcher holds of all that is launched.
@pytest.mark.usefixtures("study")
@pytest.mark.parametrize(
    "side_by_side", [False, pytest.param(True, marks=pytest.mark.thorough)], ids=str
)
def test_what_has_run_is_kept_and_the_report_shows_the_verdict(
    door: Door, run: Run, tmp_path: Path, side_by_side: bool
) -> None:
    folder = tmp_path / "multirun" / "small"
    words = ("src.confirm", "study=small", "top=1", "epochs=1", "test_seeds=1", "max_epochs=1")
    said = door(*words, "repeats=1", "n_jobs=1")
    assert "1 configuration and the defaults, 1 fresh seed, " in said
    kept = (folder / "confirm_runs.jsonl").read_text().splitlines()
    assert len(kept) == 2 * 2 + 2
    # A process that was killed while it wrote.
    (folder / "confirm_runs.jsonl").write_text("\n".join(kept) + '\n{"key": "ab')
    # The study's own config says where the pages are.
    if side_by_side:
        said = run(*words, "repeats=2", "n_jobs=2", cached=False).stdout
    else:
        said = door(*words, "repeats=2", "n_jobs=1")
    lines = (folder / "confirm_runs.jsonl").read_text().splitlines()
    runs = [json.loads(line) for line in lines if "macro_f1" in line]
    assert len(runs) == len(lines) - 1 == 2 * 2 * 2 + 2
    assert [run["kind"] for run in runs].count("test") == 2
    fresh = {(run["trial"], run["repeat"], run["fold"]) for run in runs if run["kind"] == "folds"}
    assert fresh == {(t, r, f) for t in (0, 3) for r in (1, 2) for f in (0, 1)}
    assert {run["cut_seed"] for run in runs if run["kind"] == "folds"} == {1000, 2000}
    found = json.loads((folder / "confirm.json").read_text())
    assert found["sentence"] in said.replace("\n", " ")
    assert found["pairs"] == 4
    assert found["contenders"][0]["trial"] == 3
    with (folder / "confirm.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 8
    assert "python -m src.train --config-dir=" in said
    assert found["sentence"].split(":")[0] in (folder / "optuna_study_report.html").read_text()


@pytest.mark.usefixtures("study")
def test_other_images_are_confirmed_beside_the_studys_own(
    door: Door, tmp_path: Path, sorted_scans: Path
) -> None:
    folder = tmp_path / "multirun" / "small"
    said = door(
        *(
            "src.confirm",
            "study=small",
            "top=1",
            "repeats=1",
            "epochs=1",
            "test_seeds=0",
            "n_jobs=1",
        ),
        *("data=image_folder", f"data.root={sorted_scans}", f"data.cache_dir={tmp_path}"),
    )
    assert "on other data" in said
    assert not (folder / "confirm.json").exists()
    (written,) = folder.glob("confirm_*.json")
    assert json.loads(written.read_text())["other_data"]
    assert (
        "fresh seeds and folds, on other data" in (folder / "optuna_study_report.html").read_text()
    )


def test_mistakes_are_told_in_a_line(door: Door, study: optuna.Study) -> None:
    for words, told in (
        (["study=smal"], "did you mean small?"),
        (["study=small", "repeats=0"], "repeats=0"),
        (["study=small", "folds=1"], "folds=1"),
    ):
        said = door("src.confirm", *words, code=1)
        assert told in said
        assert "Traceback" not in said
    storage = study._storage
    empty = optuna.create_study(storage=storage, study_name="empty", direction="maximize")
    empty.add_trial(create_trial(state=TrialState.PRUNED))
    assert "defaults is not complete" in door("src.confirm", "study=empty", code=1)
