"""k-means: one row for every cluster of the pool."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn.cluster import KMeans, MiniBatchKMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils._param_validation import HasMethods, StrOptions

from skprune.base import KEEP_CONSTRAINT, Selection
from skprune.filters.vector_filter import VectorFilter
from skprune.pools import Pool
from skprune.streams import count_occurrences, generator

# Rows times clusters beyond which mini-batches are used: each iteration of Lloyd's takes that many distances.
_MINIBATCH_FROM = 5_000_000
_BLOCK = 4_096
# The stream of a round that centroids start from.
_START = 1


class KMeansFilter(VectorFilter):
    """Keep the rows that are nearest to the centroids of as many clusters as rows are kept.

    Parameters
    ----------
    keep : float or int, default=0.25
        Share or count of the eligible rows that survive, which is the number of clusters.
    encoder : None, str, path, estimator or callable, default=None
        Texts to vectors: None is TF-IDF with SVD, a string names a SentenceTransformer. Numeric pools are
        taken as they are.
    algorithm : {"auto", "lloyd", "minibatch"}, default="auto"
        ``"auto"`` takes mini-batches from five million rows times clusters on.
    memory : None or path, default=None
        Where vectors are kept: in this process, or in a folder.
    random_state : int, RandomState or None, default=None
        Seed of the centroids. They start from rows that are drawn by content, so that a reordered pool gives
        the same picks.
    verbose : int, default=0

    Attributes
    ----------
    n_encoded_ : int
        Texts that the encoder was run on since :meth:`fit`.

    See Also
    --------
    AnchorFilter : Looks at the labels too.

    Notes
    -----
    The clustering baseline of [1]_ and [2]_: k clusters, and of each the member nearest to the centroid. A
    row belongs to one cluster, so that no row can be picked twice. Where k-means finds fewer clusters than k
    (copies), the next nearest members fill the size, one a cluster in turn (ours). The clusters are those
    of the eligible rows at hand: :meth:`select` clusters anew where it is given others than the last time.

    The best row is that of the largest cluster.

    References
    ----------
    .. [1] Azeemi, Qazi and Raza, "Language Model-Driven Data Pruning Enables Efficient Active Learning",
       Findings of EACL 2026.
    .. [2] Sculley, "Web-scale k-means clustering", WWW 2010 (mini-batches).

    Examples
    --------
    >>> import numpy as np
    >>> from skprune import KMeansFilter
    >>> pool = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.3]])
    >>> KMeansFilter(keep=2, random_state=0).fit_transform(pool)
    array([[0.1],
           [5.1]])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "keep": KEEP_CONSTRAINT,
        "encoder": "no_validation",  # make_encoder says what it takes
        "algorithm": [StrOptions({"auto", "lloyd", "minibatch"})],
        "memory": [None, str, HasMethods(["__fspath__"])],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        keep: float | int = 0.25,
        *,
        encoder: Any = None,
        algorithm: str = "auto",
        memory: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.keep = keep
        self.encoder = encoder
        self.algorithm = algorithm
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    def _fit(self, pool: Pool) -> None:
        self._embed_pool(pool)
        self._last_clusters: dict[Any, tuple[np.ndarray, np.ndarray]] = {}

    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        n_rows = len(eligible)
        n_kept = self._kept_size(n_rows, min_rows)
        luck = self._uniforms(pool, eligible)
        # The order of the draws, which depends on content alone.
        drawn = np.argsort(luck, kind="stable")
        # The draws are those of this round and these rows, so they tell whether the last clusters still hold.
        known_by = (n_kept, self.algorithm, luck[drawn].tobytes())
        found = self._last_clusters.get(known_by)
        if found is None:
            found = self._clusters(self._vectors_at(pool, eligible[drawn]), n_kept)
            self._last_clusters.clear()
            self._last_clusters[known_by] = found
        cluster, distance = np.empty(n_rows, dtype=np.intp), np.empty(n_rows)
        cluster[drawn], distance[drawn] = found
        nearest = np.lexsort((luck, distance))
        rank = np.empty(n_rows, dtype=np.intp)  # among the members of its cluster
        rank[nearest] = count_occurrences(cluster[nearest], n_kept)
        size = np.bincount(cluster, minlength=n_kept)[cluster]
        order = np.lexsort((luck, distance, -size, rank))[:n_kept]
        return Selection(order, lambda: _columns(order, cluster, distance, rank, size))

    def _clusters(self, vectors: Any, n_clusters: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the cluster of every row, and the distance to its centroid."""
        n_rows = vectors.shape[0]
        if n_clusters == n_rows:
            return np.arange(n_rows), np.zeros(n_rows)
        minibatch = self.algorithm == "minibatch" or (
            self.algorithm == "auto" and n_rows * n_clusters >= _MINIBATCH_FROM
        )
        seed = int(generator(self.seed_, self.round_, _START).integers(2**31))
        if minibatch:
            # A batch holds some rows of each cluster; k-means++ would read the pool once a centroid.
            kmeans = MiniBatchKMeans(
                n_clusters,
                init="random",
                n_init=1,
                batch_size=max(1024, 4 * n_clusters),
                random_state=seed,
                verbose=max(0, self.verbose - 1),
            )
        else:
            kmeans = KMeans(n_clusters, n_init=1, random_state=seed, verbose=max(0, self.verbose - 1))
        with warnings.catch_warnings():  # fewer distinct rows than clusters: _select fills the size
            warnings.simplefilter("ignore", ConvergenceWarning)
            cluster = kmeans.fit(vectors).labels_
        return cluster, _distances(vectors, kmeans.cluster_centers_, cluster)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__getstate__().items() if k != "_last_clusters"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._last_clusters = {}


def _distances(vectors: Any, centers: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Return the distance of each row to the center of its cluster, in double precision."""
    distance = np.empty(len(cluster))
    for start in range(0, len(cluster), _BLOCK):
        block = vectors[start : start + _BLOCK]
        rows = block.toarray() if sp.issparse(block) else block
        apart = np.subtract(rows, centers[cluster[start : start + _BLOCK]], dtype=np.float64)
        distance[start : start + _BLOCK] = np.sqrt(np.einsum("ij,ij->i", apart, apart))
    return distance.round(12)  # copies tie whatever the last bit says


def _columns(
    order: np.ndarray, cluster: np.ndarray, distance: np.ndarray, rank: np.ndarray, size: np.ndarray
) -> dict[str, Any]:
    kept = np.zeros(len(cluster), dtype=bool)
    kept[order] = True
    threshold = np.full(len(cluster), -np.inf)
    np.maximum.at(threshold, cluster[order], distance[order])  # by cluster
    reason = np.full(len(cluster), "another row is nearer to the centroid of its cluster", dtype=object)
    reason[kept] = "kept: nearest to the centroid of its cluster"
    reason[kept & (rank > 0)] = "kept: fills the size, next nearest to the centroid of its cluster"
    return {
        "stage": np.where(kept, np.where(rank > 0, "fill", "centroid"), ""),
        "cluster": cluster.astype(float),
        "cluster_size": size.astype(float),
        "distance": distance,
        "threshold": threshold[cluster],
        "reason": reason,
    }
