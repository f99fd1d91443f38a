"""Suspects as confident learning finds them, held against its authors' package."""

import numpy as np

from src.results.suspects.ranking import confident_classes, rank_labels, worth_asking


def test_doubts_are_those_of_the_authors_package() -> None:
    """cleanlab 2.9.0: `compute_confident_joint` off the diagonal."""
    rng = np.random.default_rng(3)
    shares = rng.dirichlet([0.4] * 4, 40)
    labels = shares.argmax(1)
    labels = np.where(rng.random(40) < 0.3, rng.integers(0, 4, 40), labels)
    found = rank_labels([shares], labels)
    doubted = [0, 4, 5, 12, 13, 16, 26, 28, 30, 32, 33, 38]
    assert np.flatnonzero(found.agree).tolist() == doubted
    assert found.expected == len(doubted)


def test_what_is_wrong_comes_before_what_is_hard() -> None:
    """A hard page has two likely classes, a wrong label nearly no probability."""
    labels = np.array([0] * 12 + [1] * 12)
    shares = np.eye(3)[labels] * 0.7 + 0.1
    shares[3], shares[17] = [0.2, 0.79, 0.01], [0.46, 0.001, 0.539]
    assert shares[3, 0] - shares[3, 1] < shares[17, 1] - shares[17, 2]
    found = rank_labels([shares], labels)
    assert np.argsort(found.odds)[:2].tolist() == [17, 3]


def test_a_class_of_which_nobody_is_sure_keeps_its_images() -> None:
    """The likeliest class is the frequent one for all images, but never by much."""
    labels = np.array([0] * 6 + [1] * 3)
    shares = np.array([[0.9, 0.1]] * 6 + [[0.55, 0.45]] * 3)
    assert (shares.argmax(1) == 0).all()
    assert confident_classes(shares, labels).tolist() == labels.tolist()


def test_as_many_are_listed_as_models_count_the_surest_first() -> None:
    labels = np.array([0] * 10 + [1] * 10)
    right = np.eye(2)[labels] * 0.8 + 0.1
    one, two, three = right.copy(), right.copy(), right.copy()
    # Image 4 is doubted by all, image 15 by two, image 7 by one.
    for shares, rows in ((one, (4, 15, 7)), (two, (4, 15)), (three, (4,))):
        for row in rows:
            shares[row] = shares[row, ::-1]
    found = rank_labels([one, two, three], labels)
    assert found.suspects().tolist() == [4, 15]
    assert found.agree[[4, 15, 7]].tolist() == [3, 2, 1]
    assert found.suggested[[4, 15]].tolist() == [1, 0]


def test_a_class_without_images_is_suggested_for_none() -> None:
    shares = np.array([[0.3, 0.1, 0.6], [0.8, 0.1, 0.1], [0.2, 0.7, 0.1]])
    assert confident_classes(shares, np.array([0, 0, 1])).tolist() == [0, 0, 1]


def test_a_model_that_is_much_worse_is_not_asked() -> None:
    """It finds hard what the others know."""
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(4), 25)
    good = [np.eye(4)[labels] * 0.7 + rng.uniform(0, 0.1, (100, 4)) for _ in range(2)]
    for shares in good:
        shares[17] = [0.01, 0.97, 0.01, 0.01]
    good = [shares / shares.sum(1, keepdims=True) for shares in good]
    # Sure of another class for a third of the images, and a little less right than the others.
    weak = np.where(np.arange(100)[:, None] % 3 == 0, np.eye(4)[(labels + 2) % 4], good[0])
    near = np.where(np.arange(100)[:, None] % 20 == 0, np.eye(4)[(labels + 2) % 4], good[0])
    assert worth_asking([good[0], weak, near, good[1]], labels) == [0, 2, 3]
    assert rank_labels(good, labels).suspects().tolist() == [17]
    assert rank_labels([*good, weak], labels).expected > 5
