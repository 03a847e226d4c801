"""Coreset and FT-BERTKM, against explicit k-center greedy and nearest rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits, make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from skprune.modal import ActiveLearner
from skprune.strategies import BERTKM, Coreset
from skprune.strategies.capabilities import penultimate_features
from skprune.streams import generator


def learner_of(labeled: Any) -> Any:
    """Return a linear classifier trained on these vectors."""
    return ActiveLearner(LogisticRegression(), Coreset(), labeled, np.arange(labeled.shape[0]) % 2)


def greedy(
    pool: np.ndarray, labeled: np.ndarray, n_instances: int, first: int | None = None
) -> tuple[Any, Any]:
    """Run k-center greedy on a table of all distances; ties go to the row that comes first."""
    everything = np.concatenate([pool, labeled]).astype(np.float64)
    table = np.sqrt(((everything[:, None] - everything[None]) ** 2).sum(axis=-1))
    centers = list(range(len(pool), len(everything)))
    picked, radii = [], []
    for _ in range(n_instances):
        if not centers:
            row, radius = first, np.inf
        else:
            to_nearest = table[: len(pool), centers].min(axis=1)
            to_nearest[picked] = -1.0
            row, radius = int(np.argmax(to_nearest)), to_nearest.max()
        picked.append(row)
        radii.append(radius)
        centers.append(row)
    return picked, radii


@given(seed=st.integers(0, 999), n=st.integers(1, 40), d=st.integers(1, 6), n_labeled=st.integers(2, 9))
def test_coreset_is_k_center_greedy(seed: int, n: int, d: int, n_labeled: int) -> None:
    rng = np.random.default_rng(seed)
    pool, labeled = rng.normal(size=(n, d)), rng.normal(size=(n_labeled, d))
    n_instances = 1 + seed % n
    indices, metrics = Coreset(random_state=seed)(learner_of(labeled), pool, n_instances=n_instances)
    picked, radii = greedy(pool, labeled, n_instances)
    assert indices.tolist() == picked
    assert metrics == pytest.approx(radii, abs=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_coreset_on_digits_in_every_precision_and_container(dtype: Any, container: Any) -> None:
    digits = load_digits().data[:540]
    noise = np.random.default_rng(0).normal(scale=0.1, size=digits.shape)  # integers would tie
    digits = ((digits + noise) / 16).astype(dtype)
    pool, labeled = digits[:500], digits[500:540]
    indices, metrics = Coreset(random_state=0)(
        learner_of(container(labeled)), container(pool), n_instances=40
    )
    picked, radii = greedy(pool, labeled, 40)
    assert indices.tolist() == picked
    assert metrics == pytest.approx(radii, rel=1e-5 if dtype == np.float32 else 1e-9)


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_coreset_uses_the_features_of_the_learner() -> None:
    digits, y = load_digits(return_X_y=True)
    digits, y = digits[:330], y[:330]
    mlp = MLPClassifier((8,), activation="tanh", random_state=0, max_iter=50).fit(digits, y)
    features = penultimate_features(mlp, digits)
    learner = learner_of(digits[:30])
    learner.estimator = mlp
    indices, _ = Coreset(random_state=0)(learner, digits[30:], n_instances=10)
    assert indices.tolist() == greedy(features[30:], features[:30], 10)[0]


def test_coreset_without_labeled_rows_starts_at_a_random_row() -> None:
    pool = np.random.default_rng(0).normal(size=(30, 3))
    model = LogisticRegression().fit(pool, pool[:, 0] > 0)
    firsts = set()
    for seed in range(60):
        indices, metrics = Coreset(random_state=seed)(model, pool, n_instances=5)
        assert indices.tolist() == greedy(pool, pool[:0], 5, first=int(indices[0]))[0]
        assert metrics[0] == np.inf
        firsts.add(int(indices[0]))
    assert len(firsts) > 20


def test_coreset_picks_copies_of_labeled_rows_last() -> None:
    rng = np.random.default_rng(0)
    labeled = (50 + rng.normal(size=(20, 64))).astype(np.float32)
    pool = np.concatenate([labeled, (50 + rng.normal(size=(5, 64))).astype(np.float32)])
    indices, metrics = Coreset(random_state=0)(learner_of(labeled), pool, n_instances=25)
    assert set(indices[:5].tolist()) == set(range(20, 25))
    assert not metrics[5:].any()
    assert sorted(indices.tolist()) == list(range(25))


def test_coreset_picks_among_copies_at_random_despite_an_outlier() -> None:
    pool = np.array([[1e4, 0]] + [[3.0, 0.0]] * 20 + [[0.0, 2.0]] * 20, dtype=np.float32)
    learner = learner_of(np.zeros((2, 2), np.float32))
    picks = [Coreset(random_state=s)(learner, pool, n_instances=3)[0].tolist() for s in range(40)]
    assert {p[0] for p in picks} == {0}
    assert all(1 <= p[1] <= 20 < p[2] for p in picks)
    assert len({p[1] for p in picks}) > 10


@pytest.mark.parametrize("seed", range(5))
def test_bertkm_picks_the_row_nearest_to_each_centroid(seed: int) -> None:
    digits, y = load_digits(return_X_y=True)
    pool = digits[:400]
    model = LogisticRegression(max_iter=5000).fit(digits[400:600] / 16, y[400:600])
    indices, metrics = BERTKM(random_state=seed)(model, pool, n_instances=12)

    unit = pool / np.linalg.norm(pool, axis=1, keepdims=True)
    rng = generator(seed, 0)
    shuffled = rng.permutation(400)
    kmeans = KMeans(12, n_init=1, random_state=int(rng.integers(2**31))).fit(unit[shuffled])
    table = np.linalg.norm(unit[:, None] - kmeans.cluster_centers_[None], axis=-1)
    assert len(set(table.argmin(axis=0))) == 12, "the oracle assumes distinct nearest rows"
    assert set(indices.tolist()) == set(table.argmin(axis=0).tolist())
    assert sorted(metrics) == pytest.approx(sorted(table.min(axis=0)))
    sizes = np.bincount(kmeans.labels_)
    order = [int(table[i].argmin()) for i in indices]
    assert sizes[order].tolist() == sorted(sizes, reverse=True)


def test_bertkm_finds_clusters_in_a_pool_larger_than_the_sample_of_k_means_plusplus() -> None:
    rows, cluster = make_blobs([11_000, 1_000, 200], centers=np.eye(3) * 10, cluster_std=0.3, random_state=0)
    model = LogisticRegression().fit(rows, cluster)
    for seed in range(5):
        indices, _ = BERTKM(random_state=seed)(model, rows, n_instances=3)
        assert cluster[indices].tolist() == [0, 1, 2], "the largest cluster comes first"


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bertkm_picks_one_row_per_cluster_regardless_of_vector_length(container: Any, dtype: Any) -> None:
    centers = np.eye(8) * 10
    rows, cluster = make_blobs(300, centers=centers, cluster_std=0.3, random_state=0)
    rows *= np.random.default_rng(0).uniform(0.1, 10, size=(300, 1))
    rows = container(rows.astype(dtype))
    model = LogisticRegression().fit(rows, cluster)
    hits = [set(cluster[BERTKM(random_state=s)(model, rows, n_instances=8)[0]]) for s in range(10)]
    assert max(map(len, hits)) == 8
    assert np.mean([len(h) for h in hits]) > 6.5  # k-means++ may start two centroids in one cluster


def test_bertkm_with_fewer_distinct_rows_than_requested() -> None:
    pool = np.array([[1.0, 0.0]] * 9 + [[0.0, 1.0]] * 9 + [[0.0, 0.0]] * 2)
    model = LogisticRegression().fit(pool, [0] * 9 + [1] * 11)
    for n_instances in range(1, 21):
        indices, metrics = BERTKM(random_state=0)(model, pool, n_instances=n_instances)
        assert len(set(indices.tolist())) == n_instances
        assert np.isfinite(metrics).all()
    assert len({tuple(pool[i]) for i in BERTKM(random_state=0)(model, pool, n_instances=3)[0]}) == 3
    picks = {int(BERTKM(random_state=s)(model, pool, n_instances=3)[0][0]) for s in range(30)}
    assert len(picks) > 8, "ties between copies fall at random"
