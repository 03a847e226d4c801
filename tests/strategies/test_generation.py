"""NSP and IDDS, against explicit formulas."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from skprune import NGramScorer, PrunedQuery, RandomFilter, SentenceEncoder, TfidfEncoder
from skprune.datasets import load_movie_snippets
from skprune.modal import ActiveLearner
from skprune.strategies import IDDS, NSP


class Echo(BaseEstimator):
    """A minimal generating model: it repeats its input and scores it with an n-gram model."""

    def fit(self, X: Any, y: Any) -> Echo:
        self.scorer_ = NGramScorer(order=2).fit(list(y))
        return self

    def predict(self, X: Any) -> list[str]:
        return list(X)

    def sequence_scores(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return -math.log(10) * self.scorer_(list(X))


@pytest.fixture(scope="module")
def snippets() -> list[str]:
    return load_movie_snippets().data[:600]


def test_nsp_picks_the_least_likely_sequences(snippets: list[str]) -> None:
    learner = ActiveLearner(Echo(), NSP(random_state=0), snippets[:300], snippets[:300])
    indices, rows, metrics = learner.query(snippets[300:], n_instances=20, return_metrics=True)
    expected = 1 - 10.0 ** -learner.estimator.scorer_(snippets[300:])
    assert metrics == pytest.approx(sorted(expected, reverse=True)[:20])
    assert metrics == pytest.approx(expected[indices])
    assert rows == [snippets[300:][i] for i in indices]


def test_nsp_in_a_loop(snippets: list[str]) -> None:
    query = PrunedQuery(RandomFilter(keep=0.5, random_state=0), NSP(random_state=0))
    learner = ActiveLearner(Echo(), query, snippets[:20], snippets[:20])
    pool = snippets[20:200]
    for _ in range(3):
        indices, rows = learner.query(pool, n_instances=5)
        learner.teach(rows, rows)
        pool = [text for i, text in enumerate(pool) if i not in set(indices.tolist())]
    assert len(learner.X_training) == 35
    unfitted = ActiveLearner(Echo(), NSP(random_state=0))
    assert len(set(unfitted.query(pool, n_instances=9)[0].tolist())) == 9


def test_nsp_breaks_ties_at_random_and_accepts_probability_zero() -> None:
    learner = Echo().fit(None, ["a good film"] * 3)
    same = ["a good film"] * 9
    orders = {tuple(NSP(random_state=s)(learner, same, n_instances=9)[0].tolist()) for s in range(20)}
    assert all(sorted(order) == list(range(9)) for order in orders)
    assert len(orders) > 10, "ties fall at random"
    assert NSP(random_state=0)(learner, same)[0].shape == (1,)

    class Extreme:
        def sequence_scores(self, X: Any) -> list[float]:
            return [-math.inf, 0.0, -1.0]

    indices, metrics = NSP(random_state=0)(Extreme(), same[:3], n_instances=3)
    assert indices.tolist() == [0, 2, 1]
    assert metrics == pytest.approx([1.0, 1 - math.exp(-1), 0.0])


class Trained:
    """A learner that has nothing but its labeled rows, which is all that IDDS uses."""

    def __init__(self, X_training: Any) -> None:
        self.X_training = X_training


def by_hand(pool: Any, labeled: Any, weight: float, order: list[int]) -> tuple[list[float], list[float]]:
    """Follow the picks with freshly computed means; return the score of each pick and the best score."""
    pool, labeled = pool.astype(np.float64), labeled.astype(np.float64)
    similarity = pool @ np.concatenate([pool, labeled]).T
    unlabeled, known = list(range(len(pool))), list(range(len(pool), len(pool) + len(labeled)))
    scored, best = [], []
    for picked in order:
        scores = {}
        for x in unlabeled:
            others = [similarity[x, u] for u in unlabeled if u != x]
            scores[x] = weight * (np.mean(others) if others else 0.0)
            scores[x] -= (1 - weight) * (similarity[x, known].mean() if known else 0.0)
        scored.append(scores[picked])
        best.append(max(scores.values()))
        unlabeled.remove(picked)
        known.append(picked)
    return scored, best


@given(
    seed=st.integers(0, 999),
    n=st.integers(1, 25),
    n_labeled=st.integers(0, 6),
    weight=st.sampled_from([0.0, 0.3, 0.67, 1.0]),
)
def test_idds_follows_its_formula(seed: int, n: int, n_labeled: int, weight: float) -> None:
    rng = np.random.default_rng(seed)
    pool, labeled = rng.normal(size=(n, 4)), rng.normal(size=(n_labeled, 4))
    learner = Trained(labeled) if n_labeled else None
    n_instances = 1 + seed % n
    indices, metrics = IDDS(weight, random_state=seed)(learner, pool, n_instances=n_instances)
    scored, best = by_hand(pool, labeled, weight, indices.tolist())
    assert metrics == pytest.approx(scored, abs=1e-9)
    assert metrics == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("container", [np.float32, np.float64, sp.csr_array])
def test_idds_in_every_precision_and_container(container: Any) -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(120, 30))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    pool, labeled = rows[20:], rows[:20]
    indices, metrics = IDDS(random_state=0)(Trained(container(labeled)), container(pool), n_instances=20)
    scored, best = by_hand(pool, labeled, 0.67, indices.tolist())
    assert metrics == pytest.approx(scored, abs=1e-6)
    assert metrics == pytest.approx(best, abs=1e-6)


def test_idds_encodes_texts_as_the_filters_do(snippets: list[str], minilm: Any, tmp_path: Any) -> None:
    pool, labeled = snippets[10:50], snippets[:10]
    encoder = SentenceEncoder(str(minilm))
    vectors = encoder(snippets[:50])
    expected = IDDS(random_state=0)(Trained(vectors[:10]), vectors[10:], n_instances=10)
    for given_ in (str(minilm), encoder, lambda texts: encoder(texts)):
        memory = None if callable(given_) else tmp_path
        found = IDDS(encoder=given_, memory=memory, random_state=0)(Trained(labeled), pool, n_instances=10)
        assert found[0].tolist() == expected[0].tolist()

    def uncalled(texts: Any) -> Any:
        raise AssertionError("every vector is in the store")

    uncalled.fingerprint = encoder.fingerprint  # type: ignore[attr-defined]
    found = IDDS(encoder=uncalled, memory=tmp_path, random_state=0)(Trained(labeled), pool, n_instances=10)
    assert found[0].tolist() == expected[0].tolist()


def test_idds_with_tfidf_does_not_depend_on_order(snippets: list[str]) -> None:
    pool, labeled = snippets[30:130], snippets[:30]
    tfidf = TfidfEncoder().fit(sorted(set(pool + labeled)))
    expected = IDDS(random_state=0)(Trained(tfidf(labeled)), tfidf(pool), n_instances=10)[0]
    found = IDDS(random_state=0)(Trained(labeled), pool, n_instances=10)[0]
    assert found.tolist() == expected.tolist()
    backwards = IDDS(random_state=0)(Trained(labeled[::-1]), pool[::-1], n_instances=10)[0]
    assert [pool[i] for i in found] == [pool[::-1][i] for i in backwards]


def test_idds_picks_among_copies_at_random_and_avoids_them_next() -> None:
    pool = np.array([[1.0, 0.2]] * 10 + [[0.2, 1.0]] * 10, dtype=np.float32)
    picks = [IDDS(random_state=s)(None, pool, n_instances=2)[0].tolist() for s in range(40)]
    assert len({p[0] for p in picks}) > 10
    assert all((a < 10) != (b < 10) for a, b in picks)
    zero = IDDS(random_state=0)(None, np.zeros((5, 3)), n_instances=5)
    assert sorted(zero[0].tolist()) == [0, 1, 2, 3, 4]
    assert not zero[1].any()


@pytest.mark.parametrize("weight", [-0.1, 1.1, "0.5"])
def test_idds_rejects_an_invalid_weight(weight: Any) -> None:
    with pytest.raises(ValueError, match="'pool_weight' parameter"):
        IDDS(weight)(None, np.zeros((3, 2)))


def test_idds_rejects_inputs_it_cannot_encode() -> None:
    with pytest.raises(TypeError, match="encoder must be"):
        IDDS(encoder=3)(None, ["a", "b"])
    with pytest.raises(ValueError, match="encoder is not fitted"):
        IDDS(encoder=TfidfEncoder().__call__)(None, ["a", "b"])
    with pytest.raises(ValueError, match=r"X_pool\[1\] is None"):
        IDDS()(None, ["a", None])
    with pytest.raises(ValueError, match=r"X_pool contains NaN"):
        IDDS()(None, np.array([[1.0], [np.nan]]))
