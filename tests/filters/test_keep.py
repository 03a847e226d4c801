"""``keep`` means the same for every filter: exactly that share or count of the eligible rows."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.utils._param_validation import InvalidParameterError

from skprune import (
    AnchorFilter,
    KMeansFilter,
    ProxyFilter,
    PrunedClassifier,
    RandomFilter,
    SEALSFilter,
    SemiPruneFilter,
    UPSFilter,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 5))
Y = (X[:, 0] > 0).astype(int)
SOME_LABELS = np.where(np.arange(120) < 20, Y, -1)

FILTERS = [
    AnchorFilter(n_anchors=2, n_neighbors=3, random_state=0),
    AnchorFilter(n_anchors=2, n_neighbors=3, cold_start="random", random_state=0),
    KMeansFilter(random_state=0),
    RandomFilter(random_state=0),
    SEALSFilter(n_neighbors=2, random_state=0),
    SEALSFilter(n_neighbors=2, cold_start="random", random_state=0),
    SemiPruneFilter(n_epochs=2, random_state=0),
    UPSFilter(random_state=0),
    ProxyFilter(random_state=0),
]


@pytest.mark.parametrize("pruner", FILTERS, ids=str)
@pytest.mark.parametrize(("keep", "size"), [(0.2, 20), (7, 7), (1.0, 100), (100, 100)])
def test_a_filter_keeps_exactly_what_keep_says(pruner, keep, size):
    fitted = pruner.set_params(keep=keep).fit(X, SOME_LABELS)
    kept = fitted.select(X)
    assert len(kept) == len(set(kept.tolist())) == size
    assert not set(kept.tolist()) & set(range(20)), "labeled rows are not selected again"
    assert fitted.explain()["kept"].sum() == size


@pytest.mark.parametrize("pruner", FILTERS, ids=str)
def test_keep_holds_before_the_first_label_too(pruner):
    assert len(pruner.set_params(keep=9).fit(X).select(X)) == 9


@pytest.mark.parametrize("kind", [AnchorFilter, SEALSFilter])
def test_the_best_rows_of_a_smaller_keep_come_first(kind):
    few = kind(n_neighbors=3, keep=5, random_state=0).fit(X, SOME_LABELS).select(X)
    many = kind(n_neighbors=3, keep=40, random_state=0).fit(X, SOME_LABELS).select(X)
    assert len(few) == 5
    if (
        kind is SEALSFilter
    ):  # anchors retrieve more neighbors for a larger subpool, which changes mean similarities
        assert few.tolist() == many[:5].tolist()


def test_seals_says_why_a_row_of_the_subpool_is_left_out():
    why = SEALSFilter(n_neighbors=10, keep=5).fit(X, SOME_LABELS).explain()
    assert "in the subpool, but less similar than the rows that keep allows" in set(why["reason"])


@pytest.mark.parametrize("kind", [AnchorFilter, SEALSFilter])
@pytest.mark.parametrize(
    ("keep", "error"), [(121, ValueError), (0, InvalidParameterError), (1.5, InvalidParameterError)]
)
def test_a_keep_that_cannot_be_met_is_refused(kind, keep, error):
    with pytest.raises(error, match="keep"):
        kind(keep=keep).fit(X)


def test_one_search_compares_filters_and_sizes():
    model = PrunedClassifier(estimator=LogisticRegression(), filter=RandomFilter())
    grid = {
        "filter": [RandomFilter(random_state=0), AnchorFilter(random_state=0)],
        "filter__keep": [0.2, 0.5],
    }
    search = GridSearchCV(model, grid, cv=3, error_score="raise").fit(X, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.parametrize("keep", [0, -3, 2.0, 10**9, "x", True])
def test_a_size_that_is_set_after_fit_is_checked(keep):
    pruner = RandomFilter(0.5, random_state=0).fit(X)
    kept = pruner.select(X)
    pruner.set_params(keep=keep)
    for method in (pruner.select, pruner.explain, pruner.transform):
        with pytest.raises(ValueError, match="keep"):
            method(X)
    np.testing.assert_array_equal(pruner.set_params(keep=0.5).select(X), kept)
