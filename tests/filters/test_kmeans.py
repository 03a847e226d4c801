"""KMeansFilter: one row a cluster, the one nearest to the centroid."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_digits

from skprune import KMeansFilter

DIGITS = load_digits().data


def labels(n, rows):
    y = np.full(n, -1)
    y[rows] = 0
    return y


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, lambda X: X.astype(np.float32)])
def test_the_clusters_are_those_of_lloyd_and_the_kept_rows_nearest_within_their_own(container):
    """Of real vectors, by brute force: every row against every centroid."""
    X = container(DIGITS)
    pruner = KMeansFilter(keep=40, algorithm="lloyd", random_state=0).fit(X, labels(len(DIGITS), [3, 5]))
    why = pruner.explain()
    assert why["kept"].sum() == why["cluster"].nunique() == 40
    free = why["cluster"].notna().to_numpy()
    rows, cluster = DIGITS[free], why["cluster"].to_numpy()[free].astype(int)
    centroids = np.array([rows[cluster == c].mean(axis=0) for c in range(40)])
    distance = np.linalg.norm(rows[:, None] - centroids, axis=2)
    assert (distance.argmin(axis=1) == cluster).mean() > 0.99, "Lloyd has converged, but for a last step"
    own = distance[np.arange(len(rows)), cluster]
    for c in range(40):
        nearest = np.flatnonzero(cluster == c)[own[cluster == c].argmin()]
        assert why["kept"].to_numpy()[free][nearest]
    size = np.bincount(cluster)[cluster[np.argsort(why["rank"][free])]][-40:]
    assert (np.diff(size) <= 0).all(), "the row of the largest cluster comes first"


@pytest.mark.parametrize("algorithm", ["lloyd", "minibatch", "auto"])
@pytest.mark.parametrize("keep", [1, 7, 0.25, 0.9, 1.0])
def test_sizes_are_hit_exactly(algorithm, keep):
    kept = KMeansFilter(keep=keep, algorithm=algorithm, random_state=0).fit(DIGITS[:500]).select(DIGITS[:500])
    assert len(kept) == len(set(kept)) == (keep if isinstance(keep, int) else int(keep * 500))


def test_empty_clusters_are_made_up_for_one_row_a_cluster_in_turn():
    X = np.repeat(np.eye(3), 40, axis=0) + np.random.default_rng(0).normal(scale=1e-9, size=(120, 3))
    pruner = KMeansFilter(keep=60, algorithm="minibatch", random_state=0).fit(X)
    assert len(set(pruner.select(X).tolist())) == 60
    assert (pruner.explain()["stage"] == "fill").any()


def test_a_reordered_or_shrunken_pool_gives_the_picks_of_its_rows():
    X = DIGITS[:300]
    pruner = KMeansFilter(keep=30, random_state=0).fit(X)
    order = np.random.default_rng(0).permutation(300)
    assert sorted(order[pruner.select(X[order])]) == sorted(pruner.select(X))
    known = pruner.select(X)[:20]
    pruner.partial_fit(X[known], np.zeros(20))
    rest = np.setdiff1d(order, known)
    assert sorted(rest[pruner.select(X[rest])]) == sorted(pruner.select(X))


def test_the_global_random_state_is_neither_read_nor_moved():
    X = DIGITS[:300]
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = KMeansFilter(keep=30, random_state=0).fit(X).select(X)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    assert (KMeansFilter(keep=30, random_state=0).fit(X).select(X) == first).all()
    assert set(KMeansFilter(keep=30, random_state=1).fit(X).select(X)) != set(first)


def test_texts_of_each_topic_are_kept():
    texts = [f"{topic} {i}" for topic in ("cats eat fish", "stocks fell sharply", "rain in spring")
             for i in range(30)]  # fmt: skip
    pruner = KMeansFilter(keep=3, random_state=0).fit(texts)
    assert len({t.rsplit(" ", 1)[0] for t in pruner.transform(texts)}) == 3
    assert pruner.n_encoded_ == 90
    assert len(pruner.select([*texts, "cats eat mice"], min_rows=10)) == 10
    assert pruner.n_encoded_ == 91


def test_the_same_rows_are_clustered_once_a_round(monkeypatch):
    clustered = []

    def counted(self, vectors, n_clusters, _clusters=KMeansFilter._clusters):
        clustered.append((len(vectors), n_clusters))
        return _clusters(self, vectors, n_clusters)

    monkeypatch.setattr(KMeansFilter, "_clusters", counted)
    pruner = KMeansFilter(keep=20, random_state=0).fit(DIGITS[:300])
    kept = pruner.select(DIGITS[:300])
    assert (pruner.select(DIGITS[:300].copy()) == kept).all()
    assert pruner.explain()["kept"].to_numpy().nonzero()[0].tolist() == sorted(kept)
    assert clustered == [(300, 20)]
    again = pickle.loads(pickle.dumps(pruner))
    assert (again.select(DIGITS[:300]) == kept).all()
    pruner.select(DIGITS[100:300])
    pruner.set_params(keep=30).select(DIGITS[:300])
    pruner.partial_fit(DIGITS[:10], np.zeros(10)).select(DIGITS[:300])
    assert clustered[1:] == [(300, 20), (200, 20), (300, 30), (290, 30)]
