"""PlausibilityFilter against brute force, and with quotas and chains."""

from collections import Counter

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, LeaveOneOut, cross_val_predict

from skprune import FilterChain, KMeansFilter, PlausibilityFilter, PrunedClassifier, QuotaFilter, RandomFilter

X, Y = make_classification(200, n_features=8, n_informative=4, n_classes=3, class_sep=2, random_state=0)
WRONG = np.random.default_rng(0).choice(200, 20, replace=False)
NOISY = Y.copy()
NOISY[WRONG] = (Y[WRONG] + 1) % 3


def test_scores_equal_leave_one_out():
    """With as many folds as rows, the folds are those of leave-one-out."""
    model = LogisticRegression(max_iter=5000, tol=1e-9)
    pruner = PlausibilityFilter(0.9, classifier=model, cv=200, random_state=0).fit(X, NOISY)
    proba = cross_val_predict(model, X, NOISY, cv=LeaveOneOut(), method="predict_proba")
    expected = proba[np.arange(200), NOISY]  # cleanlab's self-confidence
    assert np.allclose(pruner.plausibility_, expected, atol=1e-6)
    assert set(pruner.select(X).tolist()) == set(np.argsort(-expected)[:180].tolist())
    assert (np.diff(expected[pruner.select(X)]) <= 1e-6).all(), "best first"


def test_wrong_labels_are_dropped():
    dropped = ~PlausibilityFilter(0.9, random_state=0).fit(X, NOISY).get_support()
    assert dropped[WRONG].sum() >= 14, "20 of 200 rows are dropped; by chance 2 of them would be wrong"


def test_order_of_the_pool_and_copies_do_not_matter():
    pruner = PlausibilityFilter(0.8, random_state=0).fit(X, NOISY)
    order = np.random.default_rng(1).permutation(np.r_[np.arange(200), np.arange(50)])
    again = clone(pruner).fit(X[order], NOISY[order])
    assert set(order[again.select(X[order])].tolist()) == set(pruner.select(X).tolist())


@pytest.mark.filterwarnings("ignore::skprune.LostClassWarning")
def test_small_classes():
    y = NOISY.astype(object)
    y[:2], y[2] = "pair", "alone"
    with pytest.raises(ValueError, match="'cv' parameter"):
        PlausibilityFilter(cv=1).fit(X, y)
    pruner = PlausibilityFilter(0.5, random_state=0).fit(X, y)
    judged = ~np.isnan(pruner.plausibility_)
    assert np.flatnonzero(~judged).tolist() == [2]
    assert pruner.select(X)[0] == 2
    why = pruner.explain()
    assert why["reason"][2] == "kept: drawn at random, its label cannot be judged"
    assert set(why["reason"][judged & ~why["kept"]]) == {"its label is implausible"}
    assert why["threshold"][0] == why["plausibility"][why["kept"]].min()


@pytest.mark.parametrize("y", [np.zeros(200, dtype=int), np.arange(200)])
def test_where_no_label_can_be_judged_rows_are_random(y):
    kept = [PlausibilityFilter(0.5, random_state=seed).fit(X, y).select(X).tolist() for seed in (0, 1)]
    assert len(kept[0]) == 100
    assert set(kept[0]) != set(kept[1])


def test_rows_without_a_label_come_last():
    pruner = PlausibilityFilter(0.9, random_state=0).fit(X, NOISY)
    pool = np.vstack([X[:20] + 0.01, X])
    kept = pruner.select(pool)
    assert len(kept) == 198
    assert kept.min() >= 20
    assert set(pruner.select(pool, min_rows=210)[:200].tolist()) == set(range(20, 220))
    with_few_labels = PlausibilityFilter(0.5, random_state=0).fit(X, np.where(np.arange(200) < 50, NOISY, -1))
    assert len(with_few_labels.select(X)) == 75
    assert "it has no label to judge" in with_few_labels.explain()["reason"].iloc[-1]


def test_continuous_labels_are_refused():
    with pytest.raises(ValueError, match="must hold class labels"):
        PlausibilityFilter().fit(X, X[:, 0])


@pytest.mark.filterwarnings("ignore:PlausibilityFilter keeps no row of class:skprune.LostClassWarning")
def test_quotas_keep_rare_classes():
    """Without floors the filter drops most of a rare class that overlaps with a common one."""
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(0, 1, (300, 2)), rng.normal(1, 1, (12, 2))])
    y = np.repeat(["common", "rare"], [300, 12])
    alone = PlausibilityFilter(0.9, random_state=0)
    kept = {name: Counter(y[f.fit(points, y).select(points)])["rare"] for name, f in
            {"alone": alone, "quota": QuotaFilter(clone(alone), min_per_group=10)}.items()}  # fmt: skip
    assert kept["alone"] < 5
    assert kept["quota"] == 10


def test_a_chain_draws_among_plausible_rows(tmp_path):
    chain = FilterChain(
        [("plausible", PlausibilityFilter(0.9, random_state=0)), ("far", KMeansFilter(30, random_state=0))]
    ).fit(X, NOISY)
    plausible = set(chain.filters_["plausible"].select(X).tolist())
    kept = chain.select(X)
    assert len(kept) == 30
    assert set(kept.tolist()) <= plausible
    joblib.dump(chain, tmp_path / "saved")
    assert joblib.load(tmp_path / "saved").select(X).tolist() == kept.tolist()


def test_a_search_over_the_share_of_plausible_rows():
    digits, classes = load_digits(return_X_y=True)
    digits, classes = digits[:600] / 16, classes[:600].copy()
    noisy = np.random.default_rng(0).choice(400, 80, replace=False)
    given = classes[:400].copy()
    given[noisy] = (given[noisy] + 1) % 10
    chain = FilterChain(
        [("plausible", PlausibilityFilter(random_state=0)), ("any", RandomFilter(1.0, random_state=0))]
    )
    model = PrunedClassifier(LogisticRegression(C=10, max_iter=500), chain)
    search = GridSearchCV(model, {"filter__plausible__keep": [0.8, 1.0]}, cv=3).fit(digits[:400], given)
    assert search.best_params_ == {"filter__plausible__keep": 0.8}
    plain = LogisticRegression(C=10, max_iter=500).fit(digits[:400], given)
    gain = accuracy_score(classes[400:], search.predict(digits[400:])) - plain.score(
        digits[400:], classes[400:]
    )
    assert gain > 0.02
