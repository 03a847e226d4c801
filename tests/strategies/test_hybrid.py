"""BADGE and CAL, against explicit gradients and divergences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import rel_entr
from scipy.stats import chisquare
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeClassifier

from skprune.modal import ActiveLearner
from skprune.strategies import BADGE, CAL
from skprune.strategies.capabilities import penultimate_features
from skprune.strategies.hybrid import _weighted_draw
from skprune.streams import generator

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer")

DIGITS, Y = load_digits(return_X_y=True)
DIGITS = DIGITS / 16 + np.random.default_rng(0).normal(scale=0.01, size=DIGITS.shape)  # integers tie


def gradients(model: Any, X: Any) -> np.ndarray:
    """Return ∂ CE(p, ŷ) / ∂ W of the last layer as an n × (C·d) array."""
    p = model.predict_proba(X)
    h = penultimate_features(model, X)
    h = np.asarray(h.todense() if sp.issparse(h) else h, dtype=np.float64)
    onehot = np.eye(p.shape[1])[p.argmax(axis=1)]
    return np.stack([np.outer(p[i] - onehot[i], h[i]).ravel() for i in range(len(p))])


def badge(g: np.ndarray, n_instances: int, seed: int) -> tuple[list[int], list[float]]:
    """Run k-means++ on the explicit gradients, with the strategy's own uniform numbers."""
    rng = generator(seed, 0)
    rng.permutation(len(g))
    picked = [int(np.argmax((g**2).sum(axis=1)))]
    metrics = [np.linalg.norm(g[picked[0]])]
    squared = np.full(len(g), np.inf)
    for _ in range(n_instances - 1):
        squared = np.minimum(squared, ((g - g[picked[-1]]) ** 2).sum(axis=1))
        edges = np.cumsum(squared / squared.sum())
        picked.append(int(np.flatnonzero(edges > rng.random() * edges[-1])[0]))
        metrics.append(np.sqrt(squared[picked[-1]]))
    return picked, metrics


MODELS = {
    "two classes": lambda: LogisticRegression().fit(DIGITS[:300], Y[:300] > 4),
    "ten classes": lambda: LogisticRegression().fit(DIGITS[:300], Y[:300]),
    "hidden layer": lambda: MLPClassifier((16,), random_state=0, max_iter=60).fit(DIGITS[:300], Y[:300]),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "container", [np.asarray, np.float32, sp.csr_array], ids=["float64", "float32", "csr"]
)
def test_badge_is_k_means_plusplus_on_gradients(name: str, container: Any) -> None:
    model, pool = MODELS[name](), container(DIGITS[300:550])
    g = gradients(model, pool)
    for seed in range(2):
        indices, metrics = BADGE(random_state=seed)(model, pool, n_instances=30)
        picked, expected = badge(g, 30, seed)
        assert indices.tolist() == picked
        assert metrics == pytest.approx(expected, rel=1e-4)


def test_gradients_of_the_oracle_are_those_of_the_loss() -> None:
    """Check the oracle's formula by finite differences of the cross-entropy of the predicted class."""
    model = MODELS["ten classes"]()
    x = DIGITS[[500]]
    guess = int(model.predict_proba(x).argmax())

    def loss() -> float:
        return -float(np.log(model.predict_proba(x)[0, guess]))

    expected, step = gradients(model, x).reshape(10, 64), 1e-6
    for c, j in [(0, 20), (guess, 20), (guess, 43), (9, 36)]:
        model.coef_[c, j] += step
        up = loss()
        model.coef_[c, j] -= 2 * step
        down = loss()
        model.coef_[c, j] += step
        assert (up - down) / (2 * step) == pytest.approx(expected[c, j], abs=1e-6)


def test_badge_draws_in_proportion_to_the_squared_distance() -> None:
    model = MODELS["ten classes"]()
    pool = DIGITS[[700, 701, 702, 703, 704, 705, 706, 707]]
    g = gradients(model, pool)
    first = int(np.argmax((g**2).sum(axis=1)))
    squared = ((g - g[first]) ** 2).sum(axis=1)
    picks = np.array([BADGE(random_state=s)(model, pool, n_instances=2)[0] for s in range(600)])
    assert (picks[:, 0] == first).all()
    others = np.flatnonzero(squared)
    counts = np.bincount(picks[:, 1], minlength=len(pool))[others]
    assert chisquare(counts, 600 * squared[others] / squared.sum()).pvalue > 0.001


@given(
    st.lists(st.sampled_from([0.0, 1e-300, 1.0, 3.0]), min_size=1, max_size=6),
    st.floats(0, 1, exclude_max=True),
)
def test_a_row_of_zero_weight_is_never_drawn(weights: list[float], uniform: float) -> None:
    if any(weights):
        assert weights[_weighted_draw(np.array(weights), uniform)] > 0
        assert weights[_weighted_draw(np.array(weights), np.nextafter(1.0, 0.0))] > 0


@pytest.mark.parametrize(
    "model",
    [
        DummyClassifier().fit(DIGITS[:9], np.zeros(9)),  # one class
        DecisionTreeClassifier(random_state=0).fit(DIGITS[:300], Y[:300]),  # probabilities of 0 and 1
    ],
    ids=["one class", "certain"],
)
def test_badge_draws_uniformly_if_all_gradients_are_zero(model: Any) -> None:
    pool = DIGITS[300:310]
    assert not gradients(model, pool).any()
    counts = np.zeros(10)
    for seed in range(300):
        indices, metrics = BADGE(random_state=seed)(model, pool, n_instances=2)
        assert not metrics.any()
        counts[indices] += 1
    assert chisquare(counts).pvalue > 0.001
    assert sorted(BADGE(random_state=0)(model, pool, n_instances=10)[0].tolist()) == list(range(10))


def test_badge_with_fewer_distinct_gradients_than_requested_rows() -> None:
    model = MODELS["two classes"]()
    pool = np.repeat(DIGITS[[301, 305, 309]], 5, axis=0).astype(np.float32)
    indices, metrics = BADGE(random_state=0)(model, pool, n_instances=15)
    assert sorted(indices.tolist()) == list(range(15))
    assert {i // 5 for i in indices[:3].tolist()} == {0, 1, 2}
    assert (metrics[:3] > 0).all()
    assert not metrics[3:].any()
    assert len({int(BADGE(random_state=s)(model, pool)[0][0]) for s in range(40)}) == 5, (
        "ties between copies fall at random"
    )


def by_hand(p_known: np.ndarray, known: np.ndarray, p: np.ndarray, h: np.ndarray, k: int) -> list[float]:
    scores = []
    for i in range(len(h)):
        nearest = np.argsort(((known - h[i]) ** 2).sum(axis=1), kind="stable")[:k]
        scores.append(np.mean([rel_entr(p_known[j], p[i]).sum() for j in nearest]))
    return scores


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "container", [np.asarray, np.float32, sp.csr_array], ids=["float64", "float32", "csr"]
)
@pytest.mark.parametrize("n_labeled", [30, 6])
def test_cal_is_the_mean_divergence_from_the_labeled_neighbors(
    name: str, container: Any, n_labeled: int
) -> None:
    model = MODELS[name]()
    labeled, pool = container(DIGITS[:n_labeled]), container(DIGITS[300:420])
    learner = ActiveLearner(DummyClassifier(), CAL(), labeled, Y[:n_labeled])
    learner.estimator = model  # trained on more rows than X_training holds
    indices, metrics = CAL(random_state=0)(learner, pool, n_instances=120)
    known, h = (penultimate_features(model, rows) for rows in (labeled, pool))
    known, h = (a.toarray() if sp.issparse(a) else a.astype(np.float64) for a in (known, h))
    expected = by_hand(model.predict_proba(labeled), known, model.predict_proba(pool), h, 10)
    assert metrics == pytest.approx(np.array(expected)[indices], abs=1e-9)
    assert metrics.tolist() == sorted(metrics, reverse=True)


def test_cal_is_finite_for_certain_predictions_and_zero_for_one_class() -> None:
    tree = DecisionTreeClassifier(random_state=0)
    learner = ActiveLearner(tree, CAL(), DIGITS[:50], Y[:50])
    _, metrics = CAL(random_state=0)(learner, DIGITS[300:400], n_instances=100)
    assert np.isfinite(metrics).all()
    assert metrics.max() > 0
    one_class = ActiveLearner(DummyClassifier(), CAL(), DIGITS[:50], np.zeros(50))
    indices, metrics = CAL(random_state=0)(one_class, DIGITS[300:400], n_instances=5)
    assert not metrics.any()
    assert indices.tolist() != list(range(5))


def test_cal_needs_the_labeled_rows() -> None:
    with pytest.raises(TypeError, match="LogisticRegression has no X_training"):
        CAL()(MODELS["two classes"](), DIGITS)


@pytest.mark.parametrize("n_neighbors", [0, 1.5])
def test_cal_rejects_an_invalid_number_of_neighbors(n_neighbors: Any) -> None:
    with pytest.raises(ValueError, match="n_neighbors"):
        CAL(n_neighbors)(MODELS["two classes"](), DIGITS)
