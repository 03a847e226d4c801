"""UPSFilter: probabilities, exact sizes, who is scored when, and the learner that modAL's loop hands over."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skprune import PrunedQuery, UPSFilter
from skprune.filters.ups import keep_probabilities, systematic_sample
from skprune.modal import ActiveLearner
from skprune.strategies import LeastConfidence

DIGITS, CLASSES = load_digits(return_X_y=True)
N = len(DIGITS)


class Watched(GaussianNB):
    """A learner that keeps how many rows it was asked about."""

    def predict_proba(self, X):
        self.__dict__.setdefault("asked", []).append(len(X))
        return super().predict_proba(X)


def taught(rows):
    return Watched().fit(DIGITS[rows], CLASSES[rows])


@given(n=st.integers(1, 300), share=st.floats(0, 1), gamma=st.floats(0, 1))
def test_probabilities_are_the_papers_with_a_temperature_for_the_size(n, share, gamma):
    k = max(1, round(share * n))
    p = keep_probabilities(n, k, gamma)
    assert np.isclose(p.sum(), k)
    assert (np.diff(p) <= 0).all()
    assert p.min() >= 0
    r = np.arange(n) / n
    certain = r <= gamma
    if k < n and certain.sum() < k:
        assert (p[certain] == 1).all()
        shown = ~certain & (p > 1e-12) & (p < 1 - 1e-9)
        temperatures = -(r[shown] - gamma) / np.log(p[shown])
        assert np.allclose(temperatures, temperatures[:1], rtol=1e-4)


@given(
    weights=st.lists(st.floats(0.01, 1), min_size=1, max_size=60),
    start=st.floats(0, 1, exclude_max=True),
)
def test_a_systematic_sample_is_unique_and_of_its_size(weights, start):
    p = np.array(weights)
    k = max(1, int(p.sum()))
    p = np.minimum(p * k / p.sum(), 1)
    if np.isclose(p.sum(), k):
        picked = systematic_sample(p, k, start)
        assert len(set(picked.tolist())) == k
        assert 0 <= picked.min() <= picked.max() < len(p)


class FirstFeature:
    """A learner whose probability of class 1 is the first feature."""

    def predict_proba(self, X):
        return np.column_stack([1 - X[:, 0], X[:, 0]])


def test_rows_survive_with_their_probability():
    """In rounds without a learner the scores stay, and the draws are new."""
    n, k, n_rounds = 30, 9, 1500
    X = np.linspace(0.5, 1, n)[:, None]
    pruner = UPSFilter(k, gamma=0.1, random_state=0).fit(X)
    pruner.partial_fit([[2.0]], [0], learner=FirstFeature())
    counts = np.zeros(n)
    for _ in range(n_rounds):
        counts[pruner.partial_fit([[2.0]], [0]).select(X)] += 1
    probability = keep_probabilities(n, k, 0.1)
    assert np.allclose(pruner.explain()["keep_probability"], probability)
    assert (counts[probability == 1] == n_rounds).all()
    error = np.sqrt(n_rounds * probability * (1 - probability))
    assert (np.abs(counts - n_rounds * probability) <= 5 * error + 1).all()


@pytest.mark.parametrize("keep", [1, 10, 0.01, 0.25, 0.9, 1.0])
@pytest.mark.parametrize("gamma", [0.0, 0.1, 1.0])
def test_sizes_are_hit_exactly(keep, gamma):
    pruner = UPSFilter(keep, gamma=gamma, random_state=0).fit(DIGITS)
    pruner.partial_fit(DIGITS[:97], CLASSES[:97], learner=taught(np.arange(97)))
    kept = pruner.select(DIGITS)
    assert len(kept) == len(set(kept)) == (keep if isinstance(keep, int) else max(1, round(keep * 1700)))
    assert kept.min() >= 97
    assert len(pruner.select(DIGITS, min_rows=1500)) >= 1500


def test_where_gamma_exceeds_keep_the_most_uncertain_rows_are_kept():
    pruner = UPSFilter(30, gamma=0.5, random_state=0).fit(DIGITS)
    learner = LogisticRegression(max_iter=2000).fit(DIGITS[:97], CLASSES[:97])
    pruner.partial_fit(DIGITS[:97], CLASSES[:97], learner=learner)
    unsure = 1 - learner.predict_proba(DIGITS[97:]).max(axis=1)
    assert pruner.select(DIGITS).tolist() == (97 + np.argsort(-unsure)[:30]).tolist()


@pytest.mark.parametrize(
    ("uncertainty", "measure"),
    [
        ("least_confidence", lambda p: 1 - p.max(axis=1)),
        ("entropy", lambda p: -(p * np.log(p)).sum(axis=1)),
        ("margin", lambda p: np.sort(p, axis=1)[:, -2] - np.sort(p, axis=1)[:, -1]),
    ],
)
def test_measures(uncertainty, measure):
    learner = LogisticRegression(C=0.01, max_iter=2000).fit(DIGITS[:97], CLASSES[:97])
    pruner = UPSFilter(uncertainty=uncertainty, random_state=0).fit(DIGITS)
    pruner.partial_fit(DIGITS[:97], CLASSES[:97], learner=learner)
    shown = pruner.explain()["uncertainty"].to_numpy()
    assert np.allclose(shown[97:], measure(learner.predict_proba(DIGITS[97:])))


def test_full_refreshes_come_at_their_rounds_and_only_survivors_are_scored_between():
    pruner = UPSFilter(0.2, refresh_rounds=(0, 1, 4), random_state=0).fit(DIGITS)
    known = 50
    for round_ in range(6):
        learner = taught(np.arange(known))
        before = pruner.uncertainty_.copy()
        pruner.partial_fit(DIGITS[known - 50 : known], CLASSES[known - 50 : known], learner=learner)
        free = N - known
        full = round_ in (0, 1, 4)
        assert learner.asked == [free if full else round(0.2 * free)]
        newest = 1 - learner.predict_proba(DIGITS).max(axis=1)
        if full:
            assert np.allclose(pruner.uncertainty_[known:], newest[known:])
        else:
            survivors = pruner.select(DIGITS)  # by what earlier learners thought
            assert len(survivors) == round(0.2 * free)
            next_time = pruner._newest
            assert np.allclose(next_time[survivors], newest[survivors])
            others = np.setdiff1d(np.arange(N), survivors)
            assert np.array_equal(next_time[others], pruner.uncertainty_[others], equal_nan=True)
            if round_ == 2:
                assert np.array_equal(pruner.uncertainty_, before, equal_nan=True)
        known += 50
    assert pruner.n_scored_ == sum([N - 50, N - 100, N - 250]) + sum(
        round(0.2 * (N - k)) for k in (150, 200, 300)
    )


def test_scores_belong_to_rows_whatever_the_pool_looks_like():
    pruner = UPSFilter(0.2, random_state=0).fit(DIGITS)
    rng = np.random.default_rng(0)
    for round_ in range(5):
        fresh = np.arange(20 * round_, 20 * round_ + 20)
        pruner.partial_fit(DIGITS[fresh], CLASSES[fresh], learner=taught(np.arange(20 * round_ + 20)))
        rest = rng.permutation(np.arange(20 * round_ + 20, N))
        assert set(rest[pruner.select(DIGITS[rest])]) == set(pruner.select(DIGITS))


def test_before_a_learner_was_seen_it_is_a_random_draw_each_round():
    pruner = UPSFilter(0.25, random_state=0).fit(DIGITS)
    draws = [set(pruner.select(DIGITS))]
    pruner.partial_fit(DIGITS[:5], CLASSES[:5])
    draws.append(set(pruner.select(DIGITS)))
    pruner.partial_fit(DIGITS[5:10], CLASSES[5:10], learner=DummyClassifier())  # never fitted
    draws.append(set(pruner.select(DIGITS)))
    assert draws[0] != draws[1] != draws[2]
    assert np.isnan(pruner.uncertainty_).all()
    assert set(pruner.explain()["stage"]) == {"random", ""}


def test_rows_never_seen_are_shown_to_the_newest_learner():
    pruner = UPSFilter(0.2, gamma=0.2, random_state=0).fit(DIGITS[:1000])
    learner = taught(np.arange(97))
    pruner.partial_fit(DIGITS[:97], CLASSES[:97], learner=learner)
    learner.asked.clear()
    shown = pruner.explain(DIGITS)["uncertainty"].to_numpy()
    assert learner.asked == [N - 1000]
    assert np.allclose(shown[97:], 1 - learner.predict_proba(DIGITS[97:]).max(axis=1))


def test_modal_hands_the_learner_over_at_each_query():
    """The learner changes only when it is taught, and that is when the filter is told."""
    texts = [f"{'ball goal' if i % 3 else 'soup salt'} word{i % 17} item{i}" for i in range(200)]
    y = np.array([int(i % 3 == 0) for i in range(200)])
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    query = PrunedQuery(UPSFilter(0.3, random_state=0), LeastConfidence(random_state=0))
    learner = ActiveLearner(model, query, X_training=texts[:6], y_training=y[:6])
    pool, known = list(range(6, 200)), 6
    for round_ in range(4):
        picked, rows = learner.query([texts[i] for i in pool], n_instances=5)
        fitted = learner.query_strategy.filter_
        assert fitted._n_learners == round_ + 1
        free = [i for i in range(200) if i in pool]
        if round_ in (0, 1):
            expected = 1 - learner.predict_proba([texts[i] for i in free]).max(axis=1)
            assert np.allclose(fitted.uncertainty_[fitted._table.locate(
                np.array([texts[i] for i in free], dtype=object))], expected)  # fmt: skip
        assert len(learner.query_strategy.subpool_) == round(0.3 * len(pool))
        learner.query([texts[i] for i in pool], n_instances=5)  # asked again, not taught: nothing changes
        assert fitted._n_learners == round_ + 1
        learner.teach(rows, y[[pool[i] for i in picked]])
        pool = [row for i, row in enumerate(pool) if i not in set(picked)]
        known += 5


@pytest.mark.parametrize(
    ("learner", "error", "message"),
    [
        (LinearSVC(), TypeError, "UPSFilter needs predict_proba, which LinearSVC does not have"),
        (Watched(), None, None),
    ],
)
def test_learners_that_cannot_say(learner, error, message):
    pruner = UPSFilter(random_state=0).fit(DIGITS)
    if error is None:
        pruner.partial_fit(DIGITS[:5], CLASSES[:5], learner=learner)
        assert len(pruner.select(DIGITS)) == round((N - 5) / 4)
    else:
        with pytest.raises(error, match=message):
            pruner.partial_fit(DIGITS[:5], CLASSES[:5], learner=learner)


@pytest.mark.parametrize(
    ("params", "message"),
    [({"gamma": 1.5}, "'gamma' parameter"), ({"uncertainty": "bald"}, "'uncertainty' parameter")],
)
def test_bad_parameters_are_named(params, message):
    with pytest.raises(ValueError, match=message):
        UPSFilter(**params).fit(DIGITS)
