"""ProxyFilter: the subpool by brute force, the rows that the learner is asked about, and resumed runs."""

import json
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import normalize
from sklearn.svm import SVC, LinearSVC

from skprune import ActiveLearningSimulator, ProxyFilter, PrunedQuery
from skprune.filters.proxy_filter import _logits
from skprune.modal import ActiveLearner
from skprune.selections import lowest
from skprune.strategies import LeastConfidence
from skprune.streams import row_uniforms

DIGITS, CLASSES = load_digits(return_X_y=True)
X = normalize(DIGITS)
RARE = np.sort(np.r_[np.flatnonzero(CLASSES == 8)[:40], np.flatnonzero(CLASSES != 8)])
X, Y = X[RARE], (CLASSES[RARE] == 8).astype(int)  # 40 of 1663 rows are of the class 1
TEN = CLASSES[RARE]
N = len(X)
SEEDS = np.r_[np.flatnonzero(Y == 1)[:5], np.flatnonzero(Y == 0)[:45]]


class Watched(LogisticRegression):
    """A learner that keeps the rows that it was asked about."""

    def predict_proba(self, X):
        self.__dict__.setdefault("asked", []).append(X)
        return super().predict_proba(X)


def taught(rows, y=Y, learner=None):
    return clone(learner or Watched(C=10, max_iter=1000)).fit(X[rows], y[rows])


def played(pruner, n_rounds, y=Y, learner=None, seeds=SEEDS):
    """Return the filter after some rounds, its learners, the rows labeled and the subpool of each round."""
    pruner.fit(X)
    known, new, learners, subpools = np.empty(0, dtype=int), seeds, [], []
    for _ in range(n_rounds):
        known = np.concatenate([known, new])
        learners.append(taught(known, y, learner))
        pruner.partial_fit(X[new], y[new], learner=learners[-1])
        subpools.append(pruner.select(X))
        new = subpools[-1][:10]
    return pruner, learners, known, subpools


def brute_force(scores, known, n_kept, draws):
    """Return the subpool row by row: scores are (margin, rare logit) of every row."""
    free = [row for row in range(N) if row not in set(known.tolist())]
    kept = []
    for key in (lambda i: scores[i][0], lambda i: -scores[i][1], lambda i: draws[i]):
        rest = sorted((row for row in free if row not in kept), key=key)
        kept += rest[: n_kept // 3]
    return kept


def draws_of(pruner):
    table = pruner.pool_.table
    return row_uniforms(table.digests, table.row_of, pruner.seed_, pruner.round_)


# ---------------------------------------------------------------------- the subpool


def test_the_subpool_of_two_classes_by_brute_force():
    pruner, learners, known, subpools = played(ProxyFilter(90, random_state=0), 4)
    asked = np.setdiff1d(subpools[-2], known)
    rows = np.concatenate([known, asked])
    p = np.clip(learners[-1].predict_proba(X[rows])[:, 1], 1e-6, 1 - 1e-6)
    logits = Ridge(alpha=1.0).fit(X[rows], np.log(p / (1 - p))).predict(X)
    expected = brute_force(np.column_stack([np.abs(logits), logits]), known, 90, draws_of(pruner))
    assert subpools[-1].tolist() == expected
    why = pruner.explain()
    free = np.setdiff1d(np.arange(N), known)
    assert np.allclose(why["predicted_margin"][free], np.abs(logits[free]))
    assert np.allclose(why["predicted_logit"][free], logits[free])
    assert pruner.rare_classes_ == [1]


def test_the_subpool_of_ten_classes_by_brute_force():
    seeds = np.concatenate([np.flatnonzero(c == TEN)[:6] for c in range(10)])
    pruner, learners, known, subpools = played(ProxyFilter(90, random_state=1), 4, TEN, seeds=seeds)
    rows = np.concatenate([known, np.setdiff1d(subpools[-2], known)])
    logs = np.log(np.clip(learners[-1].predict_proba(X[rows]), 1e-6, 1 - 1e-6))
    logits = Ridge(alpha=1.0).fit(X[rows], logs - logs.mean(axis=1, keepdims=True)).predict(X)
    share = (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).mean(axis=0)
    rare = [c for c in range(10) if share[c] <= 2 * share.min()]
    assert pruner.rare_classes_ == rare
    ranked = np.sort(logits, axis=1)
    scores = np.column_stack([ranked[:, -1] - ranked[:, -2], logits[:, rare].max(axis=1)])
    assert subpools[-1].tolist() == brute_force(scores, known, 90, draws_of(pruner))


def test_the_first_labels_teach_a_logistic_regression():
    pruner, learners, known, subpools = played(ProxyFilter(90, random_state=0), 1)
    assert not hasattr(learners[0], "asked")
    logits = (
        LogisticRegression(class_weight="balanced", max_iter=1000)
        .fit(X[known], Y[known])
        .decision_function(X)
    )
    scores = np.column_stack([np.abs(logits), logits])
    assert subpools[0].tolist() == brute_force(scores, known, 90, draws_of(pruner))


def test_the_learner_is_asked_about_the_previous_subpool_and_the_labeled_rows_only():
    pruner, learners, known, subpools = played(ProxyFilter(90, random_state=0), 4)
    of_labels, of_pool = learners[-1].asked
    assert np.array_equal(of_labels, X[known])
    expected = X[np.setdiff1d(subpools[-2], known)]
    assert {row.tobytes() for row in of_pool} == {row.tobytes() for row in expected}
    assert pruner.n_asked_ == (60 + 80) + (70 + 80) + (80 + 80)


def test_the_random_third_is_drawn_anew_in_each_round():
    subpools = played(ProxyFilter(90, random_state=0), 3)[3]
    randoms = [frozenset(subpool[60:].tolist()) for subpool in subpools]
    assert len(set(randoms)) == 3


def test_the_rare_third_finds_the_rare_class():
    why = played(ProxyFilter(90, random_state=0), 3)[0].explain()
    found = [Y[why["stage"] == stage].mean() for stage in ("rare", "random")]
    assert found[0] > 5 * Y.mean() > found[1]


@pytest.mark.parametrize("shares", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.5, 0.3, 0.2)])
@pytest.mark.parametrize("keep", [1, 2, 7, 90, 0.1, 1.0])
def test_sizes_are_exact(shares, keep):
    pruner = played(ProxyFilter(keep, shares=shares, random_state=0), 2, seeds=SEEDS)[0]
    n_free = N - len(pruner.labeled_)
    kept = pruner.select(X)
    expected = keep if isinstance(keep, int) else int(keep * n_free + 0.5)
    assert len(kept) == len(set(kept.tolist())) == expected
    counts = pruner.explain()["stage"].value_counts()
    if expected >= 7:
        for stage, share in zip(("uncertain", "rare", "random"), shares, strict=True):
            assert abs(counts.get(stage, 0) - share * expected) <= 1
    assert len(pruner.select(X, min_rows=300)) == max(300, expected)


def test_explain_tells_the_stage_and_its_threshold():
    pruner = played(ProxyFilter(90, random_state=0), 3)[0]
    why = pruner.explain()
    kept = why[why["kept"]].sort_values("rank")
    assert kept["stage"].tolist() == ["uncertain"] * 30 + ["rare"] * 30 + ["random"] * 30
    uncertain, rare = (kept[kept["stage"] == stage] for stage in ("uncertain", "rare"))
    assert uncertain["predicted_margin"].is_monotonic_increasing
    assert rare["predicted_logit"].is_monotonic_decreasing
    assert (uncertain["threshold"] == uncertain["predicted_margin"].max()).all()
    assert (rare["threshold"] == rare["predicted_logit"].min()).all()
    dropped = why[~why["kept"] & why["predicted_margin"].notna()]
    assert (dropped["predicted_margin"] >= dropped["threshold"]).all()
    assert set(dropped["reason"]) == {"neither uncertain enough, nor likely enough to be rare, nor drawn"}


def test_rows_never_seen_are_predicted_by_the_student():
    pruner, _, known, _ = played(ProxyFilter(90, random_state=0), 3)
    unseen = normalize(DIGITS[np.setdiff1d(np.arange(len(DIGITS)), RARE)])
    why = pruner.explain(np.vstack([X, unseen]))
    logits = pruner.student_.predict(np.vstack([X, unseen]))
    free = np.setdiff1d(np.arange(len(why)), known)
    assert np.allclose(why["predicted_logit"][free], logits[free])
    assert len(pruner.select(unseen)) == 90


# ---------------------------------------------------------------------- learners


@pytest.mark.parametrize("learner", [LinearSVC(), GaussianNB()])
@pytest.mark.parametrize("y", [Y, TEN])
def test_learners_with_a_decision_function_or_extreme_probabilities(learner, y):
    seeds = np.concatenate([np.flatnonzero(y == c)[:6] for c in set(y.tolist())])
    pruner, _, _, subpools = played(ProxyFilter(90, random_state=0), 3, y, learner, seeds)
    assert isinstance(pruner.student_, Ridge)
    assert pruner.n_asked_ > 0
    assert len(subpools[-1]) == 90


class OnlyPredicts(ClassifierMixin, BaseEstimator):
    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


@pytest.mark.parametrize("learner", [OnlyPredicts(), DummyClassifier(), None])
def test_without_probabilities_the_labels_teach_the_student(learner):
    """A learner with neither method, one that is not fitted, and none."""
    pruner = ProxyFilter(90, random_state=0).fit(X)
    for rows in (SEEDS, SEEDS[:3] + 200):
        pruner.partial_fit(X[rows], Y[rows], learner=learner)
    assert isinstance(pruner.student_, LogisticRegression)
    assert set(pruner.explain()["stage"]) == {"uncertain", "rare", "random", ""}


def test_a_decision_function_of_pairs_of_classes_is_not_used():
    learner = SVC(decision_function_shape="ovo")
    seeds = np.concatenate([np.flatnonzero(c == TEN)[:6] for c in range(10)])
    pruner = played(ProxyFilter(90, random_state=0), 2, TEN, learner, seeds)[0]
    assert isinstance(pruner.student_, LogisticRegression)


def test_without_classes_the_subpool_is_random():
    pruner = ProxyFilter(90, random_state=0).fit(X)
    assert set(pruner.explain()["stage"]) == {"random", ""}
    pruner.partial_fit(X[:5], [0] * 5)
    assert set(pruner.explain()["stage"]) == {"random", ""}
    pruner.partial_fit(X[5:10], [1] * 5, learner=Ridge().fit(X, Y))  # a regressor
    assert set(pruner.explain()["stage"]) == {"random", ""}
    measured = ProxyFilter(90, random_state=0).fit(X, np.where(np.arange(N) < 9, X[:, 10] + 0.5, np.nan))
    assert set(measured.explain()["stage"]) == {"random", ""}


def test_a_learner_that_is_not_finite_is_named():
    class Broken(LinearSVC):
        def decision_function(self, X):
            return np.full(len(X), np.nan)

    pruner = ProxyFilter(90, random_state=0).fit(X, np.where(np.isin(np.arange(N), SEEDS), Y, -1))
    with pytest.raises(ValueError, match="decision_function of Broken is not finite"):
        pruner.partial_fit(X[:1], Y[:1], learner=Broken())


def test_modal_hands_the_learner_over_at_each_query():
    texts = [f"{'ball goal' if i % 3 else 'soup salt'} word{i % 17} item{i}" for i in range(200)]
    y = np.array([int(i % 3 == 0) for i in range(200)])
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    query = PrunedQuery(ProxyFilter(0.3, random_state=0), LeastConfidence(random_state=0))
    learner = ActiveLearner(model, query, X_training=texts[:6], y_training=y[:6])
    pool = list(range(6, 200))
    for round_ in range(3):
        picked, rows = learner.query([texts[i] for i in pool], n_instances=5)
        assert len(query.subpool_) == round(0.3 * len(pool))
        assert isinstance(query.filter_.student_, Ridge if round_ else LogisticRegression)
        learner.teach(rows, y[[pool[i] for i in picked]])
        pool = [row for i, row in enumerate(pool) if i not in set(picked)]


# ---------------------------------------------------------------------- students and vectors


@pytest.mark.parametrize(
    "student",
    [KNeighborsRegressor(), RandomForestRegressor(5), HistGradientBoostingRegressor(max_iter=5), Ridge(2.0)],
)
@pytest.mark.parametrize("y", [Y, TEN])
def test_the_student_may_be_any_regressor(student, y):
    """Gradient boosting has one output, so there is one student for each of ten classes."""
    seeds = np.concatenate([np.flatnonzero(y == c)[:6] for c in set(y.tolist())])
    first, again = (
        played(ProxyFilter(90, student=student, random_state=0), 3, y, seeds=seeds)[3] for _ in range(2)
    )
    assert [kept.tolist() for kept in first] == [kept.tolist() for kept in again]
    assert len(first[-1]) == 90


def test_a_ridge_that_is_predicted_in_one_product_equals_its_own_predictions():
    pruner = played(ProxyFilter(90, random_state=0), 3)[0]
    assert np.allclose(
        _logits(X, pruner.student_, pruner._scale)[:, 0], pruner.student_.predict(X * pruner._scale)
    )


@pytest.mark.parametrize("factor", [0.01, 50.0])
def test_the_scale_of_the_vectors_does_not_matter(factor):
    known = np.where(np.isin(np.arange(N), SEEDS), Y, -1)
    kept = [
        ProxyFilter(60, shares=(0.5, 0.5, 0), random_state=0).fit(X * f, known).select(X * f)
        for f in (1, factor)
    ]
    assert len(np.intersect1d(*kept)) >= 58  # up to rounding


def test_sparse_vectors_give_the_subpool_of_dense_ones():
    known = np.where(np.isin(np.arange(N), SEEDS), Y, -1)
    kept = []
    for pool in (X, sp.csr_array(X)):
        pruner = ProxyFilter(90, random_state=0).fit(pool, known)
        new = np.flatnonzero(known < 0)[:20]
        pruner.partial_fit(pool[new], Y[new], learner=taught(np.concatenate([SEEDS, new])))
        kept.append(pruner.select(pool).tolist())
    assert len(set(kept[0]) & set(kept[1])) >= 85  # ridge is solved iteratively for sparse rows


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_other_numbers_are_accepted(dtype):
    pool = DIGITS[RARE].astype(dtype)
    pruner = ProxyFilter(90, random_state=0).fit(pool, np.where(np.isin(np.arange(N), SEEDS), Y, -1))
    assert np.isfinite(pruner.predicted_).all()
    assert len(pruner.select(pool)) == 90


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"shares": (0.5, 0.6, 0.1)}, "shares must be three numbers"),
        ({"shares": (0.5, 0.5)}, "shares must be three numbers"),
        ({"shares": (1.5, -0.5, 0)}, "shares must be three numbers"),
        ({"student": 3}, "'student' parameter"),
        ({"keep": 5000}, "keep=5000 exceeds"),
    ],
)
def test_bad_parameters_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        ProxyFilter(**{"keep": 90, **params}).fit(X)


@given(
    values=st.lists(st.sampled_from([0.0, 1.0, 2.5, -3.0, np.inf]), min_size=1, max_size=300),
    k=st.integers(0, 300),
    seed=st.integers(0, 5),
)
def test_the_lowest_values_are_found_with_and_without_a_sample(values, k, seed):
    rng = np.random.default_rng(seed)
    values = np.tile(values, 100) + rng.choice([0, 1e-3], 100 * len(values))
    ties = rng.random(len(values))
    assert lowest(values, k, ties).tolist() == np.lexsort((ties, values))[:k].tolist()


# ---------------------------------------------------------------------- state


def test_the_state_is_plain_json_and_restores_the_subpool():
    pruner, _, known, subpools = played(ProxyFilter(90, random_state=0), 3)
    again = ProxyFilter(90, random_state=0).fit(X)
    for n_labels in (50, 60, 70):
        new = known[:n_labels][-10:] if n_labels > 50 else known[:50]
        learner = type("Recorded", (), {"filter_state": json.loads(json.dumps(pruner.journal_state_))})
        again.partial_fit(X[new], Y[new], learner=learner)
    assert again.select(X).tolist() == subpools[-1].tolist()
    assert again.n_asked_ == pruner.n_asked_
    assert again.rare_classes_ == [1]


def test_the_filter_keeps_no_learner():
    pruner = played(ProxyFilter(90, random_state=0), 3)[0]
    assert b"Watched" not in pickle.dumps(pruner)


class Counted(GaussianNB):
    """Counts how often any clone was trained."""

    trained = 0

    def fit(self, X, y, sample_weight=None):
        Counted.trained += 1
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize(("student", "trained"), [(None, 1 + 2), (KNeighborsRegressor(3), 3 + 2)])
def test_a_resumed_run_trains_no_old_model_if_the_student_is_linear(student, trained, tmp_path):
    run = ActiveLearningSimulator(
        Counted(),
        LeastConfidence(),
        ProxyFilter(90, student=student),
        n_instances=6,
        n_rounds=5,
        random_state=0,
    )
    whole = clone(run).fit(X, Y)
    clone(run).set_params(n_rounds=3, memory=tmp_path).fit(X, Y)
    Counted.trained = 0
    resumed = clone(run).set_params(memory=tmp_path).fit(X, Y)
    assert resumed.labeled_indices_.tolist() == whole.labeled_indices_.tolist()
    assert Counted.trained == trained  # the last recorded model or, if not linear, three; and rounds 4 and 5
    assert resumed.query_.filter_.n_asked_ == whole.query_.filter_.n_asked_
    assert list(resumed.learning_curve_) == list(whole.learning_curve_)
    assert (tmp_path / "journal.jsonl").stat().st_size < 20_000
