"""What a trial keeps of the images that it was not trained on."""

from pathlib import Path

import numpy as np

from src.trial.out_of_fold import FILE, OutOfFold


def test_files_of_earlier_versions_are_read(tmp_path: Path) -> None:
    shares = np.array([[0.75, 0.25], [1.0, 0.0]], np.float16)
    rows = np.arange(2)
    classes = np.array(["a", "b"])
    file = tmp_path / FILE
    np.savez(file, rows=rows, labels=rows, folds=rows, probabilities=shares, classes=classes)
    found = OutOfFold.load(tmp_path)
    np.testing.assert_allclose(found.probabilities, shares, atol=1e-7)
    assert np.isfinite(found.scores).all()
    found.save(tmp_path)
    assert np.array_equal(OutOfFold.load(tmp_path).scores, found.scores)
