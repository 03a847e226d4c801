"""TypiClust, against a brute-force version of its description."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.datasets import load_digits, make_blobs
from sklearn.linear_model import LogisticRegression

from skprune import SentenceEncoder
from skprune.datasets import load_movie_snippets
from skprune.modal import ActiveLearner
from skprune.pools import Pool
from skprune.strategies import TypiClust
from skprune.strategies.typiclust import shuffled_by_content
from skprune.streams import generator

DIGITS, Y = load_digits(return_X_y=True)


class Trained:
    """A learner that has nothing but its labeled rows, which is all that TypiClust uses."""

    def __init__(self, X_training: Any) -> None:
        self.X_training = X_training


def unit(rows: Any) -> np.ndarray:
    rows = rows.toarray() if sp.issparse(rows) else np.asarray(rows, dtype=np.float64)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.where(lengths > 0, lengths, 1.0)


def clusters_of(pool: Any, labeled: Any, n_clusters: int, seed: int) -> np.ndarray:
    """Return the cluster of each row, the pool first, with the strategy's own random numbers."""
    rng = generator(seed, labeled.shape[0])
    shuffled = shuffled_by_content(Pool(pool), rng)
    rows, pool = unit(pool)[shuffled], unit(pool)
    if labeled.shape[0]:
        rows = np.concatenate([rows, unit(labeled)[shuffled_by_content(Pool(labeled), rng)]])
    sample = rows[rng.choice(len(rows), len(rows), replace=False)]
    start = kmeans_plusplus(sample[:5000], n_clusters, random_state=int(rng.integers(2**31)))[0]
    found = KMeans(n_clusters, init=start, n_init=1, max_iter=30).fit(sample).predict(rows)
    cluster = np.empty(len(rows), dtype=int)
    cluster[shuffled] = found[: len(pool)]
    cluster[len(pool) :] = found[len(pool) :]
    return cluster


def by_hand(
    pool: np.ndarray, cluster: np.ndarray, n_instances: int, min_size: int, k: int
) -> tuple[list[int], list[float]]:
    """Follow the description, one row at a time, with all distances from scratch."""
    rows, is_labeled = unit(pool), np.arange(len(cluster)) >= len(pool)
    names = sorted(set(cluster.tolist()))
    n_labeled = {c: int(is_labeled[cluster == c].sum()) for c in names}
    size = {c: int((cluster == c).sum()) for c in names}
    order = sorted((c for c in names if size[c] > min_size), key=lambda c: (n_labeled[c], -size[c], c))
    free = {c: [i for i in range(len(pool)) if cluster[i] == c] for c in names}
    picked: list[int] = []
    metrics: list[float] = []
    turn = 0
    while len(picked) < n_instances:
        members = free[order[turn % len(order)]]
        turn += 1
        if not members:
            continue
        typicality = []
        n_neighbors = min(k, len(members) // 2)
        for i in members:
            distances = sorted(np.linalg.norm(rows[i] - rows[j]) for j in members if j != i)
            mean = np.mean(distances[:n_neighbors]) if n_neighbors else 0.0
            typicality.append(1 / (mean + 1e-5))
        best = int(np.argmax(typicality))
        metrics.append(typicality[best])
        picked.append(members.pop(best))
    return picked, metrics


@pytest.mark.parametrize("container", [np.asarray, np.float32, sp.csr_array], ids=["f64", "f32", "csr"])
@pytest.mark.parametrize("n_labeled", [0, 12])
def test_typiclust_follows_its_description(container: Any, n_labeled: int) -> None:
    rows = DIGITS + np.random.default_rng(0).normal(scale=0.1, size=DIGITS.shape)  # integers tie
    labeled, pool = rows[1000 : 1000 + n_labeled], rows[:300]
    for seed in range(2):
        cluster = clusters_of(container(pool), container(labeled), n_labeled + 10, seed)
        expected, scores = by_hand(pool, cluster, 25, 5, 20)
        learner = Trained(container(labeled)) if n_labeled else None
        query = TypiClust(max_clusters=n_labeled + 10, random_state=seed)
        indices, metrics = query(learner, container(pool), n_instances=25)
        assert indices.tolist() == expected
        assert metrics == pytest.approx(scores, rel=1e-4)


def test_clusters_with_the_fewest_labels_come_first_then_the_largest() -> None:
    centers = np.eye(4) * 10
    rows, cluster = make_blobs([100, 80, 60, 40], centers=centers, cluster_std=0.3, random_state=0)
    for seed in range(5):
        query = TypiClust(max_clusters=4, random_state=seed)
        assert cluster[query(None, rows, n_instances=8)[0]].tolist() == [0, 1, 2, 3] * 2
        learner = Trained(centers[[0, 0, 3]])
        assert cluster[query(learner, rows, n_instances=4)[0]].tolist() == [1, 2, 3, 0]


def test_small_clusters_come_last() -> None:
    rows, cluster = make_blobs([30, 20, 5], centers=np.eye(3) * 10, cluster_std=0.1, random_state=0)
    query = TypiClust(max_clusters=3, random_state=0)
    order = cluster[query(None, rows, n_instances=55)[0]]
    assert (order[:50] < 2).all()
    assert (order[50:] == 2).all()
    assert 2 in cluster[TypiClust(max_clusters=3, min_cluster_size=4, random_state=0)(None, rows, 3)[0]]


def test_the_learner_is_not_asked() -> None:
    class Silent(Trained):
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"{name} was read")

    pool = DIGITS[:100]
    query = TypiClust(random_state=0)
    expected = query(Trained(DIGITS[200:210]), pool, n_instances=7)[0].tolist()
    assert query(Silent(DIGITS[200:210]), pool, n_instances=7)[0].tolist() == expected
    unfitted = ActiveLearner(LogisticRegression(), query)
    first = query(None, pool, n_instances=7)
    assert unfitted.query(pool, n_instances=7)[0].tolist() == first[0].tolist()
    assert query(LogisticRegression(), pool, n_instances=7)[0].tolist() == first[0].tolist()
    assert first[1].all()


def test_texts_are_encoded(minilm: Any) -> None:
    texts = load_movie_snippets().data[:80]
    encoder = SentenceEncoder(str(minilm))
    vectors = dict(zip(texts, encoder(texts), strict=True))
    known = TypiClust(lambda rows: np.stack([vectors[text] for text in rows]), random_state=0)
    expected = known(None, texts, n_instances=10)[0].tolist()
    assert TypiClust(str(minilm), random_state=0)(None, texts, n_instances=10)[0].tolist() == expected
    labeled = Trained(texts[:10])
    assert len(set(TypiClust(random_state=0)(labeled, texts[10:], n_instances=70)[0].tolist())) == 70


@pytest.mark.parametrize("container", [np.float32, np.float64, sp.csr_array])
def test_copies_tie_at_random_and_zero_vectors_are_allowed(container: Any) -> None:
    rows = np.random.default_rng(0).normal(size=(2, 50)).astype(np.float32)
    pool = container(np.repeat(rows, 30, axis=0))
    firsts = {int(TypiClust(random_state=s)(None, pool, n_instances=2)[0][0]) for s in range(40)}
    assert len(firsts) > 12
    indices, metrics = TypiClust(random_state=0)(None, container(np.zeros((9, 3))), n_instances=9)
    assert sorted(indices.tolist()) == list(range(9))
    assert np.isfinite(metrics).all()


@pytest.mark.parametrize("kind", ["numbers", "sparse", "texts"])
def test_the_order_of_the_pool_and_of_the_labeled_rows_does_not_matter(kind: str) -> None:
    rng = np.random.default_rng(0)
    texts = list(dict.fromkeys(load_movie_snippets().data))[:330]
    rows: Any = np.array(texts, dtype=object) if kind == "texts" else rng.normal(size=(330, 6))
    rows = sp.csr_array(rows) if kind == "sparse" else rows
    picked = TypiClust(random_state=0)(Trained(rows[:30]), rows[30:], n_instances=20)[0]
    for _ in range(3):
        known, order = rng.permutation(30), rng.permutation(300)
        again = TypiClust(random_state=0)(Trained(rows[known]), rows[30 + order], n_instances=20)[0]
        assert order[again].tolist() == picked.tolist()


@pytest.mark.parametrize(
    "parameter", [{"max_clusters": 0}, {"min_cluster_size": -1}, {"n_neighbors": 0}, {"n_neighbors": 1.5}]
)
def test_invalid_parameters_raise(parameter: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(parameter))):
        TypiClust(**parameter)(None, DIGITS)
