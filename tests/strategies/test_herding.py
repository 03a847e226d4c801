"""MaxHerding and UHerding, against brute force over the whole kernel matrix."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits, make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import LinearSVC

from skprune.datasets import load_movie_snippets
from skprune.modal import ActiveLearner
from skprune.strategies import MaxHerding, UHerding
from skprune.strategies.herding import Coverage, fit_temperature

DIGITS, Y = load_digits(return_X_y=True)
DIGITS = DIGITS + np.random.default_rng(0).normal(scale=0.1, size=DIGITS.shape)  # integers tie


class Trained:
    """A learner that has nothing but its labeled rows, which is all that MaxHerding uses."""

    def __init__(self, X_training: Any) -> None:
        self.X_training = X_training


def unit(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, dtype=np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def kernel(a: np.ndarray, b: np.ndarray, gamma: float) -> np.ndarray:
    return np.exp(-gamma * ((unit(a)[:, None] - unit(b)[None]) ** 2).sum(axis=-1))


def total_coverage(pool: np.ndarray, centers: np.ndarray, weights: np.ndarray, gamma: float) -> float:
    """Return the weighted mean over the pool of the largest kernel value with any center."""
    if not len(centers):
        return 0.0
    return float((weights * kernel(pool, centers, gamma).max(axis=1)).mean())


def by_hand(
    pool: np.ndarray, labeled: np.ndarray, weights: np.ndarray, gamma: float, picked: list[int]
) -> tuple[list[float], list[float]]:
    """Return how much each pick increases the coverage, from scratch, and the largest possible increase.

    Two rows that are each other's nearest may have the same increase, so the picks are followed.
    """
    gains, best = [], []
    for n_picked, row in enumerate(picked):
        centers = [*labeled, *pool[picked[:n_picked]]]
        now = total_coverage(pool, np.array(centers), weights, gamma)
        new = {
            c: total_coverage(pool, np.array([*centers, pool[c]]), weights, gamma) - now
            for c in range(len(pool))
            if c not in picked[:n_picked]
        }
        gains.append(new[row])
        best.append(max(new.values()))
    return gains, best


@pytest.mark.parametrize("container", [np.asarray, np.float32, sp.csr_array], ids=["f64", "f32", "csr"])
@pytest.mark.parametrize("n_labeled", [0, 6])
@pytest.mark.parametrize("gamma", [1.0, 20.0])
def test_max_herding_is_greedy_on_the_coverage(container: Any, n_labeled: int, gamma: float) -> None:
    pool, labeled = DIGITS[:90], DIGITS[500 : 500 + n_labeled]
    learner = Trained(container(labeled)) if n_labeled else None
    indices, metrics = MaxHerding(gamma=gamma, random_state=0)(learner, container(pool), n_instances=12)
    gains, best = by_hand(pool, labeled, np.ones(90), gamma, indices.tolist())
    assert metrics == pytest.approx(gains, rel=1e-3, abs=1e-6)
    assert gains == pytest.approx(best, rel=1e-3, abs=1e-6)


def test_the_increase_is_over_the_covered_row() -> None:
    """A candidate far from every label is not better if the rows near it are few.

    With the coverage of the candidate in place of that of the covered row, the lone row would win.
    """
    crowd = np.column_stack([np.cos(np.linspace(0.6, 0.9, 30)), np.sin(np.linspace(0.6, 0.9, 30))])
    pool = np.concatenate([crowd, [[-1.0, 0.0]]])
    indices, _ = MaxHerding(gamma=5.0, random_state=0)(Trained(np.array([[1.0, 0.0]])), pool)
    assert indices[0] != 30


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.5, 3.0, 50.0]))
def test_coverage_is_monotone_and_submodular(seed: int, gamma: float) -> None:
    rng = np.random.default_rng(seed)
    pool, weights = unit(rng.normal(size=(25, 3))), rng.uniform(size=25)
    coverage = Coverage(pool, weights, gamma)

    def gain(c: int, centers: np.ndarray) -> float:
        covered = coverage._covered_by(pool[centers])
        return float(coverage._gained(np.arange(25), covered, np.ones(25))[c])

    small = rng.choice(25, 3, replace=False)
    large = np.append(small, rng.choice(np.setdiff1d(np.arange(25), small), 5, replace=False))
    for c in range(25):
        assert -1e-12 <= gain(c, large) <= gain(c, small) + 1e-12
        assert gain(c, small) == pytest.approx(
            total_coverage(pool, pool[np.append(small, c)], weights, gamma)
            - total_coverage(pool, pool[small], weights, gamma),
            abs=1e-12,
        )
    _, metrics = coverage.pick(pool[:0], 25)
    assert (np.diff(metrics) <= 1e-12).all(), "no gain is larger than an earlier one"
    assert metrics.sum() == pytest.approx(weights.mean()), "in the end every row covers itself"


def test_greedy_is_near_the_best_batch() -> None:
    pool = DIGITS[:14]
    _, metrics = MaxHerding(gamma=2.0, random_state=0)(None, pool, n_instances=3)
    best = max(
        total_coverage(pool, pool[list(batch)], np.ones(14), 2.0)
        for batch in itertools.combinations(range(14), 3)
    )
    assert metrics.sum() >= (1 - 1 / np.e) * best


@pytest.mark.parametrize("strategy", [MaxHerding, UHerding])
def test_blocks_do_not_change_the_picks(strategy: type, monkeypatch: pytest.MonkeyPatch) -> None:
    learner = ActiveLearner(GaussianNB(), strategy(), DIGITS[900:960], Y[900:960])
    query = strategy(random_state=0)
    expected = query(learner, DIGITS[:300], n_instances=20)
    monkeypatch.setattr("skprune.strategies.herding._BLOCK", 7)
    monkeypatch.setattr("skprune.strategies.herding._CANDIDATES", 13)
    found = query(learner, DIGITS[:300], n_instances=20)
    assert found[0].tolist() == expected[0].tolist()
    assert found[1] == pytest.approx(expected[1])


def test_a_large_pool_is_sampled() -> None:
    query = MaxHerding(n_reference=50, random_state=0)
    picks = [set(MaxHerding(n_reference=50, random_state=s)(None, DIGITS, 10)[0]) for s in range(20)]
    assert len(set().union(*picks)) > 100
    assert len(set(query(None, DIGITS[:200], n_instances=120)[0].tolist())) == 120


@pytest.mark.parametrize("container", [np.float32, np.float64, sp.csr_array])
def test_copies_tie_at_random_and_zero_vectors_are_allowed(container: Any) -> None:
    rows = np.random.default_rng(0).normal(size=(2, 50)).astype(np.float32)
    pool = container(np.repeat(rows, 30, axis=0))
    picks = [MaxHerding(random_state=s)(None, pool, n_instances=4) for s in range(40)]
    assert len({int(indices[0]) for indices, _ in picks}) > 12
    for indices, metrics in picks:
        assert {i // 30 for i in indices[:2].tolist()} == {0, 1}
        assert metrics[2:] == pytest.approx(0.0, abs=1e-6)
    indices, metrics = MaxHerding(random_state=0)(None, container(np.zeros((9, 3))), n_instances=9)
    assert sorted(indices.tolist()) == list(range(9))
    assert metrics == pytest.approx([1.0, *[0.0] * 8], abs=1e-6)


def test_texts_are_encoded() -> None:
    texts = load_movie_snippets().data[:80]
    for learner in (None, Trained(texts[:10])):
        indices, metrics = MaxHerding(random_state=0)(learner, texts[10:], n_instances=70)
        assert sorted(indices.tolist()) == list(range(70))
        assert (np.diff(metrics) <= 1e-6).all()


@pytest.mark.parametrize("temperature", [1.0, 3.0])
@pytest.mark.parametrize("container", [np.asarray, np.float32], ids=["f64", "f32"])
def test_uherding_weights_by_the_margin(container: Any, temperature: float) -> None:
    pool, labeled = DIGITS[:90], DIGITS[900:940]
    learner = ActiveLearner(LogisticRegression(C=1e-3), UHerding(), container(labeled), Y[900:940])
    query = UHerding(temperature=temperature, random_state=0)
    indices, metrics = query(learner, container(pool), n_instances=8)
    proba = np.maximum(learner.predict_proba(container(pool)), 1e-300) ** (1 / temperature)
    top = np.sort(proba / proba.sum(axis=1, keepdims=True), axis=1)
    weights = 1 - (top[:, -1] - top[:, -2])
    apart = ((unit(labeled)[:, None] - unit(labeled)[None]) ** 2).sum(axis=-1)
    gamma = 1 / apart[~np.eye(40, dtype=bool)].min()
    gains, best = by_hand(pool, labeled, weights, gamma, indices.tolist())
    assert metrics == pytest.approx(gains, rel=1e-3, abs=1e-6)
    assert gains == pytest.approx(best, rel=1e-3, abs=1e-6)


def test_uherding_without_a_fitted_learner_is_max_herding() -> None:
    expected = MaxHerding(random_state=0)(None, DIGITS[:90], n_instances=8)[0].tolist()
    for learner in (None, GaussianNB(), ActiveLearner(GaussianNB(), UHerding())):
        assert UHerding(random_state=0)(learner, DIGITS[:90], n_instances=8)[0].tolist() == expected


def test_gamma_ignores_copies_of_labeled_rows() -> None:
    labeled = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    assert UHerding()._gamma(unit(labeled)) == pytest.approx(0.5)
    assert UHerding()._gamma(unit(labeled)[:2].astype(np.float32)) == 1.0
    assert UHerding()._gamma(labeled[:0]) == 1.0


def test_the_temperature_calibrates() -> None:
    rng = np.random.default_rng(0)
    X, y = make_classification(1200, n_informative=6, flip_y=0.2, random_state=0)
    sure, unsure = LogisticRegression(C=1e6), LogisticRegression(C=1e-4)
    noisy = np.concatenate([X, rng.normal(size=(1200, 200))], axis=1)[:300]
    overfitted = ActiveLearner(sure, UHerding(), noisy, y[:300])
    assert fit_temperature(overfitted, np.random.default_rng(1)) > 2
    assert fit_temperature(ActiveLearner(unsure, UHerding(), X, y), np.random.default_rng(1)) < 0.5
    good = ActiveLearner(LogisticRegression(), UHerding(), X, y)
    assert fit_temperature(good, np.random.default_rng(1)) == pytest.approx(1, abs=0.4)


def test_the_temperature_is_one_with_too_few_labels() -> None:
    rng = np.random.default_rng(0)
    assert fit_temperature(Trained(DIGITS[:9]), rng) == 1.0
    assert fit_temperature(LogisticRegression(), rng) == 1.0
    few = ActiveLearner(LogisticRegression(), UHerding(), DIGITS[:10], Y[:10])
    assert fit_temperature(few, rng) == 1.0


def test_uherding_needs_probabilities() -> None:
    learner = ActiveLearner(LinearSVC(), UHerding(), DIGITS[:50], Y[:50])
    with pytest.raises(TypeError, match="UHerding needs predict_proba, which LinearSVC does not have"):
        UHerding()(learner, DIGITS)


@pytest.mark.parametrize("parameter", [{"gamma": 0.0}, {"gamma": "wide"}, {"n_reference": 0}])
@pytest.mark.parametrize("strategy", [MaxHerding, UHerding])
def test_invalid_parameters_raise(strategy: type, parameter: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(parameter))):
        strategy(**parameter)(None, DIGITS)
