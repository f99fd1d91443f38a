"""From a study's out-of-fold predictions to a table that a person decides on, and back."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from doctune.errors import UserError
from src.data.labels import read_decisions
from src.data.load import load_splits
from src.results.finish import print_summary
from src.results.stored_study import StoredStudy
from src.results.summary import summarize
from src.results.suspects.find import find_suspects, in_words
from src.results.write import write_results
from src.trial.out_of_fold import OutOfFold, log_of
from tests.data.pictures import page, write
from tests.results.example_study import make_study, written

# Rows of the train split that every trial takes for another class.
DOUBTED = (3, 40, 100)


def predictions(data: Any, doubted: tuple[int, ...], noise: int = 0) -> OutOfFold:
    """Return predictions that are right but for a few images."""
    images = load_splits(data).train
    guessed = images.labels.copy()
    guessed[list(doubted)] = (guessed[list(doubted)] + 1) % len(images.classes)
    rng = np.random.default_rng(noise)
    shares = rng.uniform(0, 0.02, (len(images), len(images.classes)))
    shares[np.arange(len(images)), guessed] = 0.8
    shares[list(doubted), guessed[list(doubted)]] = 2
    scores = log_of(shares / shares.sum(1, keepdims=True))
    return OutOfFold(images.rows, images.labels, images.rows % 2, scores, images.classes)


def lines(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def found(tmp_path: Path, cache_dir: Path, search_config: Any) -> Any:
    """Return a study of the built-in documents whose results are written, and its data."""
    study = make_study(9)
    search_config.data.cache_dir = str(cache_dir)
    for number, trial in enumerate(summarize(study).ranked[:3]):
        folder = tmp_path / str(trial.number)
        folder.mkdir()
        predictions(search_config.data, DOUBTED, number).save(folder)
    files, text = written(study, tmp_path, search_config)
    return StoredStudy(study, tmp_path), files, text, search_config.data


def test_a_table_and_a_section_of_the_report(found: Any, capsys: Any) -> None:
    stored, files, text, data = found
    images = load_splits(data).train
    told = lines(files.labels)
    assert files.labels == stored.folder / "suspect_labels.csv"
    assert {line["image"] for line in told} == {images.names[row] for row in DOUBTED}
    by_name = {line["image"]: line for line in told}
    for row in DOUBTED:
        line, label = by_name[images.names[row]], images.labels[row]
        assert line["label"] == images.classes[label]
        assert line["suggested"] == images.classes[(label + 1) % len(images.classes)]
        assert (line["agree"], line["trials"], line["accept"]) == ("3", "3", "")
        assert float(line["score"]) < -0.5
    assert "Labels that are probably wrong" in text
    section = text.split('id="labels"')[1].split("</section>")[0]
    # The page beside a typical one of either class.
    assert section.count('<img src="data:image/jpeg') == 3 * len(DOUBTED)
    print_summary(files, Console(width=200))
    assert "Labels: 3 labels are probably wrong" in capsys.readouterr().out
    without = write_results(stored, examples=0).report.read_text()
    assert "<img" not in without.split('id="labels"')[1].split("</section>")[0]


def test_decisions_are_kept_and_taken_back(found: Any) -> None:
    stored, files, _, data = found
    first, second, third = lines(files.labels)
    first["accept"], second["accept"], second["suggested"] = "keep", "relabel", "note"
    with files.labels.open("w", encoding="utf-8", newline="") as file:
        # As a spreadsheet of another country writes it.
        table = csv.DictWriter(file, list(first), delimiter=";")
        table.writeheader()
        table.writerows([first, second, third])
    written_again = write_results(stored, examples=0)
    again = lines(written_again.labels or Path())
    # Nobody is asked twice.
    left = written_again.suspects
    assert left is not None
    assert [line.image for line in left.lines] == [third["image"]]
    assert [line["accept"] for line in again] == ["keep", "relabel", ""]
    assert again[1]["suggested"] == "note"
    before = load_splits(data)
    data.labels = str(files.labels)
    after = load_splits(data)
    assert after.fingerprint != before.fingerprint
    changed = np.flatnonzero(before.train.labels != after.train.labels)
    assert [before.train.names[row] for row in changed] == [second["image"]]
    # What a person has written wrongly is neither lost nor taken.
    text = files.labels.read_text().replace("keep", "perhaps")
    files.labels.write_text(text)
    assert write_results(stored, examples=0).labels is None
    assert files.labels.read_text() == text
    with pytest.raises(UserError, match="accept=perhaps"):
        read_decisions(files.labels)


def test_one_sheet_with_two_labels_leads(tmp_path: Path, search_config: Any) -> None:
    root = write(tmp_path / "images", 24)
    # A scan that was made smaller and saved anew, in the folder of another class.
    page(0).resize((110, 138), Image.Resampling.LANCZOS).save(root / "note" / "again.jpg")
    search_config.data.source, search_config.data.root = "image_folder", str(root)
    search_config.data.cache_dir = str(tmp_path / "cache")
    search_config.data.val_fraction = search_config.data.test_fraction = 0.1
    study = make_study(3)
    best = tmp_path / str(summarize(study).ranked[0].number)
    best.mkdir()
    images = load_splits(search_config.data).train
    assert {"letter/00.png", "note/again.jpg"} <= set(images.names)
    # The trial knows the sheet, and is wrong about another one.
    again = images.names.index("note/again.jpg")
    kept = predictions(search_config.data, (5,))
    kept.scores[again] = np.log([0.05, 0.9, 0.05])
    kept.save(best)
    written(study, tmp_path, search_config)
    suspects = find_suspects(StoredStudy(study, tmp_path), pictures=False)
    assert suspects is not None
    first, second = suspects.lines
    assert (first.image, first.label, first.suggested) == ("note/again.jpg", "note", "letter")
    assert first.reason == "the same sheet as letter/00.png, which is letter"
    assert second.image == images.names[5]
    assert suspects.sheets == 1


def test_data_that_changed_are_not_judged(
    tmp_path: Path, cache_dir: Path, search_config: Any, caplog: pytest.LogCaptureFixture
) -> None:
    study = make_study(1)
    search_config.data.cache_dir = str(cache_dir)
    written(study, tmp_path, search_config)
    assert find_suspects(StoredStudy(study, tmp_path)) is None
    kept = predictions(search_config.data, DOUBTED)
    replace(kept, labels=np.roll(kept.labels, 1)).save(tmp_path / "0")
    assert find_suspects(StoredStudy(study, tmp_path)) is None
    assert "the images have changed since" in caplog.text


@pytest.mark.parametrize(
    ("odds", "agree", "trials", "said"),
    [
        (-4.9, 3, 5, "3 of 5 trials doubt it; letter: 43%"),
        (-4.219, 0, 1, "letter: 43%, 68 times as likely as note"),
        (-0.9, 0, 5, "letter: 43%, 2.5 times as likely as note"),
        (-4.912, 1, 1, "letter: 43%, 136 times as likely as note"),
        (-3.847, 1, 1, "letter: 43%, 47 times as likely as note"),
        (-9.2, 1, 1, "letter: 43%, more than 1,000 times as likely as note"),
        (0.3, 0, 1, "letter: 43%"),
    ],
)
def test_a_reason_never_says_that_no_trial_doubts(
    odds: float, agree: int, trials: int, said: str
) -> None:
    assert in_words("note", "letter", 0.43, odds=odds, agree=agree, trials=trials) == said
