"""Query strategies that pick diverse rows in the learner's feature space."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.cluster import KMeans, kmeans_plusplus
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import pairwise_distances_argmin
from sklearn.preprocessing import normalize

from skprune.strategies.base import Picks, Strategy
from skprune.strategies.capabilities import labeled_rows, penultimate_features
from skprune.strategies.distances import OuterProducts
from skprune.vectors import dense, squared_norms

_BLOCK = 1_000_000  # distances to labeled rows in memory at a time
_ROWS_TO_START = 10_000  # rows that k-means++ samples from, unless 100 per cluster are more


class Coreset(Strategy):
    """Pick rows so that every row of the pool is close to a labeled one: k-center greedy.

    The labeled rows are the first centers. The row farthest from its nearest center is picked and becomes a
    center, and so on.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        Breaks ties, and draws the first center if no row is labeled; see :class:`RandomSampling`.

    See Also
    --------
    BADGE : Also uses the probabilities.

    Notes
    -----
    Distances are Euclidean, between penultimate features
    (:func:`skprune.strategies.capabilities.penultimate_features`). This is Algorithm 1 of [1]_; its
    refinement by mixed-integer programming is left out, as in most later work. The labeled rows are the
    learner's ``X_training``. Distances that differ by less than the rounding error of the features'
    precision are ties, so center features that lie far from the origin. Once every row is at distance 0, the
    remaining rows are drawn uniformly. The metrics are the distances to the nearest center at the time of
    the pick, inf if there was no center. An unfitted learner gets random rows.

    A pick costs one pass over the features. Memory beyond the features is a few numbers per row.

    From 20 to 200 labels, with logistic regression on sentence vectors, accuracy was lower than with
    :class:`Margin` on three of three text sets, and lower than with random rows on one
    (``docs/results/query_strategies.md``).

    References
    ----------
    .. [1] O. Sener and S. Savarese, "Active learning for convolutional neural networks: A core-set approach",
       ICLR 2018.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skprune.modal import ActiveLearner
    >>> query = Coreset(random_state=0)
    >>> learner = ActiveLearner(LogisticRegression(), query, np.array([[0.0], [1.0]]), [0, 1])
    >>> query(learner, np.array([[0.5], [9.0], [4.0], [8.0]]), n_instances=2)
    (array([1, 2]), array([8., 3.]))
    """

    def _pick(
        self, learner: Any, X_pool: Any, n_instances: int, rng: np.random.Generator, **kwargs: Any
    ) -> Picks:
        features = penultimate_features(learner, X_pool, needed_by="Coreset")
        rows = OuterProducts(features)
        nearest = np.full(features.shape[0], np.inf)
        labeled = labeled_rows(learner)
        if labeled is not None:
            nearest = _squared_to_nearest(rows, penultimate_features(learner, labeled, needed_by="Coreset"))
        shuffled = rng.permutation(len(nearest))
        rank = np.argsort(shuffled)
        picked: list[int] = []
        gains = rows.pick_distant(
            picked, nearest, n_instances, lambda squared: rows.farthest(squared, rank), shuffled
        )
        return np.array(picked), np.sqrt(gains)


class BERTKM(Strategy):
    """Cluster the pool into ``n_instances`` clusters and pick the row nearest to each centroid: FT-BERTKM.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        Seeds the centroids and breaks ties; see :class:`RandomSampling`.

    See Also
    --------
    skprune.KMeansFilter : Clusters vectors that do not depend on the learner.

    Notes
    -----
    k-means on penultimate features
    (:func:`skprune.strategies.capabilities.penultimate_features`) of unit length, by Euclidean distance, as
    described in AnchorAL's appendix A.4 [2]_. The BERT-KM of [1]_ clusters the features of the pretrained
    model; *FT* stands for the fine-tuned one.

    Three choices are ours. The largest cluster comes first. If the row nearest to a centroid is already
    picked, the next nearest one is picked instead. k-means++ samples from a random 10,000 rows, or 100 per
    cluster if that is more: on 50,000 rows it took longer than all of Lloyd's iterations. The metrics are
    the distances to the centroids. An unfitted learner gets random rows.

    References
    ----------
    .. [1] M. Yuan, H.-T. Lin and J. Boyd-Graber, "Cold-start active learning through self-supervised language
       modeling", EMNLP 2020.
    .. [2] P. Lesci and A. Vlachos, "AnchorAL: Computationally efficient active learning for large and
       imbalanced datasets", NAACL 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [0.0, 1.0], [0.1, 1.0], [0.2, 1.0]])
    >>> learner = LogisticRegression().fit(X, [0, 0, 0, 1, 1, 1])
    >>> indices, metrics = BERTKM(random_state=0)(learner, X, n_instances=2)
    >>> sorted(indices.tolist())
    [1, 4]
    """

    def _pick(
        self, learner: Any, X_pool: Any, n_instances: int, rng: np.random.Generator, **kwargs: Any
    ) -> Picks:
        features = penultimate_features(learner, X_pool, needed_by="BERTKM")
        # The order is random, so that ties between equally near rows fall at random.
        shuffled = rng.permutation(features.shape[0])
        if n_instances == len(shuffled):
            return shuffled, np.zeros(n_instances)
        rows = normalize(features[shuffled], copy=False)
        seed = int(rng.integers(2**31))
        kmeans = KMeans(n_instances, init=_start, n_init=1, copy_x=False, random_state=seed)
        with warnings.catch_warnings():  # raised if there are fewer distinct rows than clusters
            warnings.simplefilter("ignore", ConvergenceWarning)
            cluster = kmeans.fit(rows).labels_
        largest_first = np.argsort(-np.bincount(cluster, minlength=n_instances), kind="stable")
        centers = kmeans.cluster_centers_[largest_first]
        picked = _nearest_unique(rows, centers)
        return shuffled[picked], np.sqrt(squared_norms(dense(rows[picked]) - centers))


def _start(rows: Any, n_clusters: int, random_state: np.random.RandomState) -> np.ndarray:
    """Return the initial centroids of k-means; ``rows`` must be in random order."""
    sample = rows[: max(_ROWS_TO_START, 100 * n_clusters)]
    return kmeans_plusplus(sample, n_clusters, random_state=random_state)[0]


def _squared_to_nearest(rows: OuterProducts, centers: Any) -> np.ndarray:
    """Return the squared distance of each row to the nearest center."""
    lengths = squared_norms(centers)
    squared, nearest = np.empty(len(rows.q)), np.empty(len(rows.q), dtype=np.intp)
    size = max(1, _BLOCK // len(lengths))
    for start in range(0, len(squared), size):
        block = slice(start, start + size)
        partial = -2.0 * dense(rows.h[block] @ centers.T) + lengths.astype(rows.h.dtype)
        nearest[block] = partial.argmin(axis=1)
        squared[block] = partial.min(axis=1)
    squared += rows.squared_norms
    # As in OuterProducts: where cancellation leaves few digits, compute again, so that copies get exactly 0.
    near = np.flatnonzero(squared < rows.squared_norms * rows.epsilon**0.5)
    squared[near] = rows.squared_between(near, centers[nearest[near]], rows.q[near])
    return squared


def _nearest_unique(rows: Any, centers: np.ndarray) -> np.ndarray:
    """Return the row nearest to each center, each row at most once; earlier centers choose first."""
    picked = pairwise_distances_argmin(centers, rows)
    lengths = squared_norms(rows)
    taken: set[int] = set()
    for center, row in enumerate(picked):
        if row in taken:
            squared = lengths - 2.0 * (rows @ centers[center])
            squared[list(taken)] = np.inf
            picked[center] = row = np.argmin(squared)
        taken.add(int(row))
    return picked
