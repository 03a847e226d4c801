"""pool_recall: the score of a filter without a classifier."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit

from skprune import AnchorFilter, PrunedQuery, RandomFilter, SEALSFilter, pool_recall
from skprune.strategies import RandomSampling


@pytest.fixture(scope="module")
def rare():
    """600 rows, 30 of which belong to a rare class that is separated from the rest."""
    rng = np.random.default_rng(0)
    y = (np.arange(600) % 20 == 0).astype(int)
    return rng.normal(size=(600, 4)) + 2.5 * y[:, None], y


class First(RandomFilter):
    """Keeps the rows with the lowest values in the first column."""

    def _uniforms(self, pool, rows):
        return (pool.vectors[rows, 0] + 100) / 200


def test_the_score_of_all_and_of_no_rare_rows():
    X = np.arange(100.0)[:, None]
    y = np.r_[np.ones(10, dtype=int), np.zeros(90, dtype=int)]
    fitted = First(keep=10).fit(X[:12] - 0.5, [0, 1] * 6)
    assert pool_recall(fitted, X, y) == 1
    assert pool_recall(fitted, X, y[::-1]) == pytest.approx((0 - 0.1) / 0.9)
    assert pool_recall(fitted, X, y, n_rows=5) == pytest.approx((0.5 - 0.05) / 0.95)
    assert pool_recall(fitted, X, y, n_rows=20) == 1  # more rows than its keep
    assert pool_recall(fitted, X, y, n_rows=5, adjusted=False) == 0.5
    assert pool_recall(fitted, X, y, minority=0) == pytest.approx((0 - 0.1) / 0.9)
    assert pool_recall(clone(fitted).set_params(keep=1.0).fit(X[:12] - 0.5, [0, 1] * 6), X, y) == 0


@pytest.mark.parametrize(("copies", "n_rows"), [(1, None), (4, None), (4, 100)])
def test_random_rows_score_zero_on_average(rare, copies, n_rows):
    repeats = np.where(np.arange(600) % 3 == 0, copies, 1)  # copies are rows, in recall and in the share
    X, y = (np.repeat(part, repeats, axis=0) for part in rare)

    def score(seed, share):
        fitted = RandomFilter(keep=share, random_state=seed).fit(X[:2] + 50, [0, 1])
        return pool_recall(fitted, X, y, n_rows=n_rows)

    # The two shares of a seed depend on each other.
    scores = [(score(seed, 0.1) + score(seed, 0.5)) / 2 for seed in range(200)]
    assert abs(np.mean(scores)) < 3 * np.std(scores) / np.sqrt(len(scores))


def test_it_counts_the_rows_that_the_first_query_of_a_loop_would_see(rare):
    X, y = rare
    seeds, pool = np.arange(0, 60), np.arange(60, 600)
    for pruner in (AnchorFilter(3, 8, random_state=0), SEALSFilter(5, random_state=0)):

        class Learner(LogisticRegression):
            X_training, y_training = X[seeds], y[seeds]

        query = PrunedQuery(pruner, RandomSampling(random_state=0))
        query(Learner().fit(X[seeds], y[seeds]), X[pool], n_instances=1)
        found = y[pool][query.subpool_].sum() / y[pool].sum()
        fitted = clone(pruner).fit(X[seeds], y[seeds])
        assert pool_recall(fitted, X[pool], y[pool], adjusted=False) == found


def test_a_grid_search_over_a_filter_alone(rare):
    X, y = rare
    cv = StratifiedShuffleSplit(3, train_size=60, random_state=0)
    grid = {"n_anchors": [1, 10], "n_neighbors": [5, 20]}
    scores = []
    for rows in (X, sp.csr_array(X), pd.DataFrame(X, columns=list("abcd"))):
        search = GridSearchCV(
            AnchorFilter(random_state=0),
            grid,
            scoring=partial(pool_recall, n_rows=40),
            cv=cv,
            refit=False,
            error_score="raise",
        ).fit(rows, y)
        scores.append(search.cv_results_["mean_test_score"])
    assert np.allclose(scores[0], scores[2])
    assert scores[0].max() > 0.2
    random = GridSearchCV(
        RandomFilter(0.1), {"random_state": range(5)}, scoring=pool_recall, cv=cv, refit=False
    )
    assert abs(random.fit(X, y).cv_results_["mean_test_score"].mean()) < 0.15


def test_texts_with_copies_and_string_labels():
    texts = [f"{kind} {i % 40}" for i in range(80) for kind in ("common words", "rare things")][:120]
    y = np.array(["rare" if "rare" in t and i % 3 == 0 else "common" for i, t in enumerate(texts)])
    fitted = AnchorFilter(random_state=0).fit(texts[:20], y[:20])
    assert -1 < pool_recall(fitted, texts[20:], y[20:].tolist(), n_rows=20) <= 1


def test_a_pool_without_the_rare_class_is_refused(rare):
    X, y = rare
    fitted = RandomFilter().fit(X, y)
    with pytest.raises(ValueError, match="y has no row of the class minority=2"):
        pool_recall(fitted, X, y, minority=2)
