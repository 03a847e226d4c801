"""TypiClust: the most typical row of each cluster that has few labels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import chain, cycle
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import normalize
from sklearn.utils._param_validation import Interval

from skprune.pools import Pool, check_pool
from skprune.strategies.base import Picks, top_row
from skprune.strategies.capabilities import labeled_rows
from skprune.strategies.encoding import EncodingStrategy
from skprune.streams import row_uniforms
from skprune.vectors import dense, squared_norms

_ROWS_TO_CLUSTER = 20_000  # rows that k-means learns the centroids from, unless 40 per cluster are more
_ROWS_TO_START = 5_000  # rows that k-means++ draws the first centroids from
_MAX_ITER = 30  # iterations of k-means
_ROWS_TO_COMPARE = 2_000  # rows of a cluster whose typicality is computed
_BLOCK = 500  # rows of a cluster whose distances are in memory at a time
_SMALLEST_MEAN = 1e-5  # added to mean distances, so that copies have a finite typicality
_SINGLE_PRECISION = 2e-3  # twice the rounding error of a mean distance between close rows
_TIE = 1e-7  # mean distances between unit vectors that differ by less are equal up to rounding


class TypiClust(EncodingStrategy):
    """Pick the most typical row of each cluster that has few labels. Suits the very first batch.

    Parameters
    ----------
    encoder : None, str, path, estimator or callable, default=None
        Turns texts into vectors. None is TF-IDF with SVD; a string or path is the name or folder of a
        SentenceTransformer. A numeric pool needs no encoder.
    max_clusters : int, default=500
        Largest number of clusters. There are as many as labeled rows plus rows to pick, up to this number.
    min_cluster_size : int, default=5
        Clusters with at most this many rows are used only after all rows of the larger ones are picked.
    n_neighbors : int, default=20
        Number of neighbors that a row is compared with, at most half of the rows that are left in its
        cluster.
    memory : None or path, default=None
        Where vectors are kept: None keeps them in this process, a path keeps them in that folder. Vectors of
        an unfitted encoder are not kept: it is fitted again on the pool and the labeled rows at every query.
    random_state : int, RandomState or None, default=None
        Seeds the clusters and breaks ties; see :class:`RandomSampling`.
    verbose : int, default=0
        If above 0, show a progress bar while encoding.

    See Also
    --------
    BERTKM : The row nearest to each centroid, in the learner's features.
    skprune.ActiveLearningSimulator : Its ``initial="typiclust"`` labels the first rows this way.

    Notes
    -----
    The strategy uses nothing of the learner but its labeled rows (``X_training``), so that it can pick rows
    before any label: pass ``learner=None``.

    The pool and the labeled rows are clustered by k-means on vectors of unit length (Algorithm 1 of [1]_,
    with k-means as in section 3.2). The clusters with the fewest labels come first, then the largest. Each
    cluster in turn gives its most typical row that has no label. The typicality of a row is the inverse of
    its mean distance to its nearest neighbors, which are rows without a label in its own cluster. A cluster
    that has given a row waits until every other one has.

    Small clusters are dropped and 1e-5 is added to the mean distance, as in the authors' code; that code
    uses squared distances, and this class distances, as in the paper. Three choices are ours. The centroids
    are learned from a random 20,000 rows, or 40 per cluster if that is more, with k-means++ on 5,000 of them
    and at most 30 iterations. In a cluster of more than 2,000 rows, typicality is computed within a random
    2,000. If the larger clusters run out of rows, the small ones follow. The metrics are the typicalities.
    The picks do not depend on the order of the pool.

    *When it pays.* From 20 to 200 labels of many classes, with an encoder's sentence vectors
    (``docs/results/first_labels.md``). It does not look for rare classes: once there were 100 labels, it
    found no more of their rows than random rows did (``docs/results/query_strategies.md``).

    References
    ----------
    .. [1] G. Hacohen, A. Dekel and D. Weinshall, "Active learning on a budget: Opposite strategies suit high
       and low budgets", ICML 2022.

    Examples
    --------
    >>> import numpy as np
    >>> angles = np.array([0.0, 0.2, 0.3, 0.4, 0.6, 2.0, 2.3, 2.4, 2.5])
    >>> pool = np.column_stack([np.cos(angles), np.sin(angles)])
    >>> query = TypiClust(min_cluster_size=2, random_state=0)
    >>> indices, metrics = query(None, pool, n_instances=2)
    >>> indices  # the middle of the larger cluster, then that of the smaller one
    array([2, 7])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "max_clusters": [Interval(Integral, 1, None, closed="left")],
        "min_cluster_size": [Interval(Integral, 0, None, closed="left")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        **EncodingStrategy._parameter_constraints,
    }

    def __init__(
        self,
        encoder: Any = None,
        *,
        max_clusters: int = 500,
        min_cluster_size: int = 5,
        n_neighbors: int = 20,
        memory: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        super().__init__(encoder, memory=memory, random_state=random_state, verbose=verbose)
        self.max_clusters = max_clusters
        self.min_cluster_size = min_cluster_size
        self.n_neighbors = n_neighbors

    def _pick(
        self, learner: Any, X_pool: Any, n_instances: int, rng: np.random.Generator, **kwargs: Any
    ) -> Picks:
        known = labeled_rows(learner)
        pool = check_pool(X_pool, "X_pool")
        taught = None if known is None else check_pool(known, "X_training")
        vectors, labeled = self._vectors(pool, taught)
        # A random order, so that ties between equally typical rows fall at random.
        shuffled = shuffled_by_content(pool, rng)
        vectors = normalize(vectors)[shuffled]
        if taught is not None:
            labeled = labeled[shuffled_by_content(taught, rng)]
        cluster, n_labeled = self._clusters(vectors, labeled, n_instances, rng)
        members = _members(cluster, len(n_labeled))
        picked: list[int] = []
        metrics: list[float] = []
        for chosen in self._turns(n_labeled, np.array([len(rows) for rows in members])):
            if len(picked) == n_instances:
                break
            rows = members[chosen]
            if len(rows):
                typicality = _typicality(vectors[rows[:_ROWS_TO_COMPARE]], self.n_neighbors)
                best = top_row(-1.0 / typicality, np.full(len(typicality), _TIE), np.arange(len(typicality)))
                picked.append(rows[best])
                metrics.append(typicality[best])
                members[chosen] = np.delete(rows, best)
        return shuffled[picked], np.array(metrics)

    def _clusters(
        self, vectors: Any, labeled: Any, n_instances: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the cluster of each row of the pool, and the number of labeled rows in each cluster."""
        rows: Any = vectors
        if labeled.shape[0]:
            parts = [vectors, normalize(labeled)]
            rows = sp.vstack(parts, format="csr") if sp.issparse(vectors) else np.concatenate(parts)
        n_clusters = min(labeled.shape[0] + n_instances, self.max_clusters)
        cluster = cluster_rows(rows, n_clusters, rng)
        return cluster[: vectors.shape[0]], np.bincount(cluster[vectors.shape[0] :], minlength=n_clusters)

    def _turns(self, n_labeled: np.ndarray, n_unlabeled: np.ndarray) -> Iterator[int]:
        """Yield the clusters in the order in which they give rows, without end."""
        sizes = n_labeled + n_unlabeled
        order = np.lexsort((-sizes, n_labeled))
        large = order[sizes[order] > self.min_cluster_size]
        rounds = n_unlabeled[large].max(initial=0)
        return chain(np.tile(large, rounds).tolist(), cycle(order.tolist()))


def shuffled_by_content(pool: Pool, rng: np.random.Generator) -> np.ndarray:
    """Return the rows in a random order.

    That of different rows depends on their content only, because the order of a pool must not change its
    clusters. Copies stand together, in random order.
    """
    copies = rng.permutation(len(pool))
    draws = row_uniforms(pool.table.digests, pool.table.row_of, int(rng.integers(2**31)))
    return copies[np.argsort(draws[copies], kind="stable")]


def cluster_rows(rows: Any, n_clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Return the cluster of each row, by k-means on a random sample of the rows.

    Parameters
    ----------
    rows : ndarray or csr_array of float, shape (n, d)
    n_clusters : int
        At most n. Some clusters may be empty.
    rng : Generator

    Returns
    -------
    ndarray of int, shape (n,)
    """
    n_rows = rows.shape[0]
    if n_clusters == n_rows:
        return np.arange(n_rows)
    drawn = rng.choice(n_rows, min(n_rows, max(_ROWS_TO_CLUSTER, 40 * n_clusters)), replace=False)
    sample = rows[drawn]
    # scikit-learn's k-means++ would convert single precision to double at every step.
    start = sample[: max(_ROWS_TO_START, n_clusters)].astype(np.float64)
    centers = kmeans_plusplus(start, n_clusters, random_state=int(rng.integers(2**31)))[0]
    centers = centers.toarray() if sp.issparse(centers) else centers
    kmeans = KMeans(n_clusters, init=centers.astype(rows.dtype), n_init=1, max_iter=_MAX_ITER)
    with warnings.catch_warnings():  # raised if there are fewer distinct rows than clusters
        warnings.simplefilter("ignore", ConvergenceWarning)
        return kmeans.fit(sample).predict(rows)


def _members(cluster: np.ndarray, n_clusters: int) -> list[np.ndarray]:
    """Return the rows of each cluster, ascending."""
    order = np.argsort(cluster, kind="stable")
    return np.split(order, np.cumsum(np.bincount(cluster, minlength=n_clusters))[:-1])


def _typicality(rows: Any, n_neighbors: int) -> np.ndarray:
    """Return the inverse of the mean distance of each row to its nearest neighbors among ``rows``.

    Single precision cannot tell copies from close rows, so the rows that may be the most typical are compared
    again in double precision.
    """
    n_neighbors = min(n_neighbors, rows.shape[0] // 2)
    mean = np.zeros(rows.shape[0])
    if n_neighbors:
        mean = _mean_distances(rows, rows, n_neighbors)
        if rows.dtype == np.float32:
            best = np.flatnonzero(mean <= mean.min() + _SINGLE_PRECISION)
            exact = rows.astype(np.float64)
            mean[best] = _mean_distances(exact[best], exact, n_neighbors)
    return 1.0 / (mean + _SMALLEST_MEAN)


def _mean_distances(queries: Any, rows: Any, n_neighbors: int) -> np.ndarray:
    """Return the mean distance of each query to its nearest rows, without the query itself."""
    lengths = squared_norms(rows).astype(rows.dtype)
    mean = np.empty(queries.shape[0])
    for start in range(0, len(mean), _BLOCK):
        block = queries[start : start + _BLOCK]
        # The squared distance without the query's own length, which does not change the order.
        partial = dense(block @ rows.T)
        partial *= -2.0
        partial += lengths
        # A query is at distance 0 from itself, so that it is always among the n + 1 nearest rows.
        partial.partition(n_neighbors, axis=1)
        squared = partial[:, : n_neighbors + 1] + squared_norms(block)[:, None]
        mean[start : start + _BLOCK] = np.sqrt(np.maximum(squared, 0.0)).sum(axis=1) / n_neighbors
    return mean
