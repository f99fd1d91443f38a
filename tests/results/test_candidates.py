"""Which trials may take part, and what is said of those that may not."""

from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from doctune.errors import UserError
from src.results.candidates import find_candidates
from src.results.stored_study import StoredStudy
from src.trial.out_of_fold import CLEAN, OutOfFold, log_of


def oof(rows: list[int], best: int = 0, classes: tuple[str, ...] = ("a", "b")) -> OutOfFold:
    indices = np.array(rows)
    shares = np.full((len(rows), len(classes)), 0.25, np.float16)
    shares[:, best] = rows
    return OutOfFold(indices, indices % 2, indices * 0, log_of(shares), classes)


def stored(folder: Path, trials: list[tuple[float, float, OutOfFold | None]]) -> StoredStudy:
    """Return a study of trials with a score, a parameter and out-of-fold predictions."""
    study = optuna.create_study(study_name="name", direction="maximize")
    for number, (score, lr, found) in enumerate(trials):
        study.enqueue_trial({"lr": lr})
        trial = study.ask()
        trial.suggest_float("lr", 0, 1)
        study.tell(trial, score)
        (folder / str(number) / ".hydra").mkdir(parents=True)
        (folder / str(number) / ".hydra" / "config.yaml").touch()
        if found is not None:
            found.save(folder / str(number))
    return StoredStudy(study, folder)


def test_the_best_come_first_with_their_images_in_the_same_order(tmp_path: Path) -> None:
    found = find_candidates(
        stored(tmp_path, [(0.5, 0.1, oof([3, 1, 2])), (0.7, 0.2, oof([1, 2, 3]))]), 10
    )
    assert [trial.number for trial in found.trials] == [1, 0]
    assert found.labels.tolist() == [1, 0, 1]
    for shares in found.probabilities:
        assert shares[:, 0] == pytest.approx([1, 2, 3])
    assert found.left_out == []


def test_no_more_than_asked_for(tmp_path: Path) -> None:
    trials = [(0.1 * i, 0.1 * i, oof([1, 2])) for i in range(5)]
    assert [t.number for t in find_candidates(stored(tmp_path, [*trials]), 2).trials] == [4, 3]


def test_trials_over_other_images_are_left_out_and_said_to_be(tmp_path: Path) -> None:
    study = stored(
        tmp_path,
        [
            (0.9, 0.1, oof([1, 2, 3])),
            (0.8, 0.2, oof([1, 2])),
            (0.7, 0.3, None),
            (0.6, 0.4, oof([1, 2, 3], classes=("a", "c"))),
            (0.5, 0.5, oof([3, 2, 1])),
        ],
    )
    found = find_candidates(study, 10)
    assert [trial.number for trial in found.trials] == [0, 4]
    assert len(found.left_out) == 3
    assert "trial 1: its out-of-fold predictions are over other images (2)" in found.left_out[0]
    assert "trial 2 has left no out-of-fold predictions" in found.left_out[1]
    assert "trial 3" in found.left_out[2]


def test_nothing_to_combine(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="none of its trials has left out-of-fold predictions"):
        find_candidates(stored(tmp_path, [(0.5, 0.1, None)]), 10)
    empty = optuna.create_study(study_name="empty")
    empty.tell(empty.ask(), state=TrialState.PRUNED)
    with pytest.raises(UserError, match="study=empty: no trial ran to the end"):
        find_candidates(StoredStudy(empty, tmp_path), 10)


def test_predictions_of_clean_pages_where_there_are_any(tmp_path: Path) -> None:
    study = stored(tmp_path, [(0.9, 0.1, oof([1, 2, 11, 12])), (0.8, 0.2, oof([1, 2, 11, 12]))])
    assert find_candidates(study, 2, clean=True).rows.tolist() == [1, 2, 11, 12]
    for number in ("0", "1"):
        oof([1, 2], best=1).save(tmp_path / number, CLEAN)
    assert find_candidates(study, 2).rows.tolist() == [1, 2, 11, 12]
    found = find_candidates(study, 2, clean=True)
    assert found.rows.tolist() == [1, 2]
    assert [shares.argmax(1).tolist() for shares in found.probabilities] == [[1, 1]] * 2
