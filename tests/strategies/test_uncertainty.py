"""Uncertainty sampling, against explicit measures."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from skprune.modal import ActiveLearner
from skprune.probabilities import entropy, least_confidence, margin
from skprune.strategies import Entropy, LeastConfidence, Margin, RandomSampling

MEASURED = [LeastConfidence, Margin, Entropy]
ALL = [*MEASURED, RandomSampling]

TEXTS = [f"{a} {b}" for a in ("good", "bad", "fine", "dull", "odd") for b in ("film", "song", "book")]
LABELS = [i % 3 for i in range(len(TEXTS))]


class Oracle:
    """A learner whose predicted probabilities are the rows of the pool themselves."""

    def predict_proba(self, X: Any) -> np.ndarray:
        return np.asarray(X)


def probabilities(n_rows: int, n_classes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(n_classes), size=n_rows)


def by_hand(strategy: type, p: list[float]) -> float:
    """Return the utility of one row; higher is better."""
    if strategy is LeastConfidence:
        return 1 - max(p)
    if strategy is Margin:
        second, first = sorted(p)[-2:]
        return second - first
    return -sum(x * math.log(x) for x in p if x > 0)


@pytest.fixture(scope="module")
def learner() -> Any:
    return make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, LABELS)


@pytest.mark.parametrize("strategy", MEASURED)
@given(seed=st.integers(0, 99), n_rows=st.integers(1, 30), n_classes=st.integers(2, 5))
def test_picks_are_ranked_by_the_formula(strategy: type, seed: int, n_rows: int, n_classes: int) -> None:
    pool = probabilities(n_rows, n_classes, seed)
    n_instances = 1 + seed % n_rows
    indices, _ = strategy(random_state=seed)(Oracle(), pool, n_instances=n_instances)
    utility = [by_hand(strategy, p) for p in pool.tolist()]
    best = sorted(utility, reverse=True)[:n_instances]
    assert len(set(indices.tolist())) == n_instances
    assert [utility[i] for i in indices] == pytest.approx(best)


@pytest.mark.parametrize(
    ("strategy", "measure"), [(LeastConfidence, least_confidence), (Margin, margin), (Entropy, entropy)]
)
def test_metrics_are_the_measures_of_the_picked_rows(strategy: type, measure: Any) -> None:
    pool = probabilities(20, 3)
    indices, metrics = strategy(random_state=0)(Oracle(), pool, n_instances=7)
    assert indices.dtype == np.intp
    assert metrics.dtype == np.float64
    assert np.array_equal(metrics, measure(pool)[indices])


def test_all_measures_give_the_same_ranking_for_two_classes() -> None:
    pool = probabilities(50, 2)
    orders = [s(random_state=0)(Oracle(), pool, n_instances=50)[0].tolist() for s in MEASURED]
    assert orders[0] == orders[1] == orders[2]


def test_measures_at_their_limits() -> None:
    certain, uniform = np.eye(4), np.full((1, 4), 0.25)
    assert entropy(certain).tolist() == [0.0] * 4
    assert entropy(uniform) == pytest.approx(math.log(4))
    assert least_confidence(uniform).tolist() == [0.75]
    assert margin(certain).tolist() == [1.0] * 4
    assert margin(uniform).tolist() == [0.0]
    one_class = np.ones((3, 1))
    for measure in (least_confidence, margin, entropy):
        assert measure(one_class).tolist() == [0.0] * 3


@pytest.mark.parametrize("strategy", MEASURED)
def test_ties_fall_at_random_after_the_better_rows(strategy: type) -> None:
    pool = np.array([[0.9, 0.1]] * 40 + [[0.5, 0.5]])
    picks = [strategy(random_state=seed)(Oracle(), pool, n_instances=3)[0].tolist() for seed in range(20)]
    assert {p[0] for p in picks} == {40}
    assert len({tuple(p) for p in picks}) > 15
    again = strategy(random_state=3)(Oracle(), pool, n_instances=3)[0].tolist()
    assert again == picks[3]


@pytest.mark.parametrize("strategy", ALL)
def test_every_round_has_its_own_stream(strategy: type) -> None:
    pool = np.full((100, 2), 0.5)
    oracle = Oracle()
    query = strategy(random_state=0)
    oracle.X_training = ["a"] * 10  # type: ignore[attr-defined]
    first, again = (query(oracle, pool, n_instances=10)[0].tolist() for _ in range(2))
    oracle.X_training = ["a"] * 20  # type: ignore[attr-defined]
    assert first == again
    assert query(oracle, pool, n_instances=10)[0].tolist() != first
    fresh = strategy()
    assert fresh(oracle, pool, n_instances=10)[0].tolist() != fresh(oracle, pool, n_instances=10)[0].tolist()


def test_random_sampling_picks_every_row_equally_often() -> None:
    counts = np.zeros(10)
    for seed in range(2000):
        counts[RandomSampling(random_state=seed)(None, np.zeros((10, 1)), n_instances=2)[0]] += 1
    assert abs(counts - 400).max() < 5 * math.sqrt(400 * 0.8)


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize(
    "container",
    [
        list,
        tuple,
        lambda t: np.array(t),
        lambda t: np.array(t, dtype=object),
        lambda t: pd.Series(t, index=range(100, 100 + len(t))),
    ],
    ids=["list", "tuple", "U", "object", "Series"],
)
def test_containers_of_texts(strategy: type, container: Any, learner: Any) -> None:
    expected = strategy(random_state=0)(learner, TEXTS, n_instances=4)
    found = strategy(random_state=0)(learner, container(TEXTS), n_instances=4)
    assert np.array_equal(found[0], expected[0])
    assert np.array_equal(found[1], expected[1])


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize(
    "container",
    [np.asarray, sp.csr_array, sp.csr_matrix, lambda a: pd.DataFrame(a, columns=["x", "y"])],
    ids=["ndarray", "csr_array", "csr_matrix", "DataFrame"],
)
def test_containers_of_numbers(strategy: type, container: Any) -> None:
    rows = np.random.default_rng(0).normal(size=(30, 2))
    learner = LogisticRegression().fit(container(rows), rows[:, 0] > 0)
    expected = strategy(random_state=0)(LogisticRegression().fit(rows, rows[:, 0] > 0), rows, n_instances=4)
    assert np.array_equal(strategy(random_state=0)(learner, container(rows), n_instances=4)[0], expected[0])


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize("n_instances", [1, 2, 3])
def test_modal_reads_one_two_and_three_picks_correctly(strategy: type, n_instances: int) -> None:
    """modAL reads a bare array of two indices as (index, metric)."""
    from modAL.models import ActiveLearner as PlainLearner

    estimator = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, LABELS)
    pool = np.array(TEXTS, dtype=object)
    query = strategy(random_state=0)
    expected, metrics = query(estimator, pool, n_instances=n_instances)
    indices, rows, seen = PlainLearner(estimator, query).query(
        pool, n_instances=n_instances, return_metrics=True
    )
    assert np.array_equal(indices, expected)
    assert np.array_equal(seen, metrics)
    assert rows.tolist() == pool[expected].tolist()


@pytest.mark.parametrize("strategy", MEASURED)
def test_an_unfitted_learner_gets_random_rows(strategy: type) -> None:
    unfitted = ActiveLearner(make_pipeline(TfidfVectorizer(), LogisticRegression()), strategy(random_state=1))
    indices, _, metrics = unfitted.query(TEXTS, n_instances=5, return_metrics=True)
    picked, zeros = RandomSampling(random_state=1)(None, TEXTS, n_instances=5)
    assert indices.tolist() == picked.tolist()
    assert metrics.tolist() == zeros.tolist()


@pytest.mark.parametrize("strategy", MEASURED)
def test_error_names_a_learner_without_predict_proba(strategy: type) -> None:
    svm = make_pipeline(TfidfVectorizer(), LinearSVC()).fit(TEXTS, LABELS)[-1]
    message = f"{strategy.__name__} needs predict_proba, which LinearSVC does not have"
    with pytest.raises(TypeError, match=message):
        strategy()(svm, np.zeros((3, 7)))
    with pytest.raises(TypeError, match=message):
        strategy()(ActiveLearner(LinearSVC(), strategy()), np.zeros((3, 7)))


def test_random_sampling_needs_nothing_of_the_learner() -> None:
    assert len(RandomSampling()(LinearSVC(), TEXTS, n_instances=3)[0]) == 3


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize("n_instances", [0, -1, 1.5, True, 16])
def test_invalid_n_instances_raise(strategy: type, n_instances: Any, learner: Any) -> None:
    with pytest.raises(ValueError, match="n_instances"):
        strategy()(learner, TEXTS, n_instances=n_instances)


@pytest.mark.parametrize("strategy", ALL)
def test_an_empty_pool_raises(strategy: type, learner: Any) -> None:
    with pytest.raises(ValueError, match="n_instances=1 exceeds the 0 rows"):
        strategy()(learner, [])


@pytest.mark.parametrize("strategy", MEASURED)
@pytest.mark.parametrize("invalid", [np.nan, np.inf])
def test_probabilities_that_are_not_finite_raise(strategy: type, invalid: float) -> None:
    pool = probabilities(5, 3)
    pool[3, 1] = invalid
    with pytest.raises(ValueError, match=r"not finite \(first in row 3"):
        strategy()(Oracle(), pool)


@pytest.mark.parametrize("strategy", MEASURED)
def test_probabilities_of_the_wrong_shape_raise(strategy: type) -> None:
    with pytest.raises(ValueError, match=r"shape \(5,\)"):
        strategy()(Oracle(), np.full(5, 0.5))


def test_keyword_arguments_reach_predict_proba() -> None:
    class Flipped(Oracle):
        def predict_proba(self, X: Any, flip: bool = False) -> np.ndarray:
            return np.asarray(X)[::-1] if flip else np.asarray(X)

    pool = np.array([[0.5, 0.5], [0.9, 0.1], [0.8, 0.2]])
    assert Margin(random_state=0)(Flipped(), pool)[0].tolist() == [0]
    assert Margin(random_state=0)(Flipped(), pool, flip=True)[0].tolist() == [2]


@pytest.mark.parametrize("strategy", ALL)
def test_clones_and_pickles_pick_the_same_rows(strategy: type, learner: Any) -> None:
    query = strategy(random_state=5)
    expected = query(learner, TEXTS, n_instances=6)[0].tolist()
    for copy in (clone(query), pickle.loads(pickle.dumps(query))):
        assert copy.get_params() == {"random_state": 5}
        assert copy(learner, TEXTS, n_instances=6)[0].tolist() == expected


@pytest.mark.parametrize("strategy", ALL)
def test_invalid_random_state_raises(strategy: type, learner: Any) -> None:
    with pytest.raises(ValueError, match="random_state"):
        strategy(random_state="often")(learner, TEXTS)
