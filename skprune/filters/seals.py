"""SEALS: the subpool grows by the neighbors of what was labeled."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from skprune.base import Selection
from skprune.filters.vector_filter import NeighborFilter, Search, nearest_rows
from skprune.neighbors import ExactNeighbors
from skprune.pools import Pool


class SEALSFilter(NeighborFilter):
    """Keep the nearest neighbors of every row labeled so far.

    The ``n_neighbors`` rows of the pool nearest to each newly labeled row join the subpool and stay in it
    until they are labeled themselves.

    Parameters
    ----------
    n_neighbors : int, default=100
        Rows that join for each labeled row (k).
    encoder : None, str, path, estimator or callable, default=None
        Texts to vectors: None is TF-IDF with SVD, a string names a SentenceTransformer. Numeric pools are
        taken as they are.
    index : {"auto", "exact", "hnsw"}, default="auto"
        See :func:`skprune.neighbors.build_index`.
    n_seeds : int, default=10
        Rows that stand in for labeled ones while there are none.
    cold_start : {"pool", "random"}, default="pool"
        Without any label: the neighbors of ``n_seeds`` rows that k-means++ picks from (a sample of) the
        pool, or ``n_seeds · n_neighbors`` random rows.
    memory : None or path, default=None
        Where vectors are kept: in this process, or in a folder.
    n_jobs : int or None, default=None
        Threads that build an HNSW graph. More than one makes the graph irreproducible.
    random_state : int, RandomState or None, default=None
        Seed of the cold start; nothing is random after it.
    verbose : int, default=0

    Attributes
    ----------
    similarity_ : ndarray of float64, shape (n_distinct,)
        Of each distinct row of the pool that ever joined the subpool, cosine to the nearest labeled row that
        brought it; NaN for the others.
    n_encoded_ : int
        Texts that the encoder was run on since :meth:`fit`.

    See Also
    --------
    AnchorFilter : Its subpool does not grow with the labels.

    Notes
    -----
    Algorithm 1 of [1]_. Neighbors are searched among the rows that have no label at the time. Similarity is
    cosine, the order of the paper's Euclidean distance between vectors of unit length. Ours: the cold start;
    a row that was not in the pool given to :meth:`fit` belongs to the subpool if it is at least as similar to
    a labeled row as the farthest of the neighbors that this one brought; a query that asks for more rows
    than the subpool holds gets the next nearest ones.

    References
    ----------
    .. [1] Coleman et al., "Similarity Search for Efficient Active Learning and Search of Rare Concepts",
       AAAI 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from skprune import SEALSFilter
    >>> angle = np.arange(9) * 0.1
    >>> pool = np.column_stack([np.cos(angle), np.sin(angle)])
    >>> pruner = SEALSFilter(n_neighbors=2).fit(pool, [-1, -1, 1, -1, -1, -1, -1, -1, -1])
    >>> pruner.get_support(indices=True)
    array([1, 3])
    >>> pruner.partial_fit(pool[[3]], [0]).get_support(indices=True)
    array([1, 4])
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "encoder": "no_validation",  # make_encoder says what it takes
        "index": [StrOptions({"auto", "exact", "hnsw"})],
        "n_seeds": [Interval(Integral, 1, None, closed="left")],
        "cold_start": [StrOptions({"pool", "random"})],
        "memory": [None, str, HasMethods(["__fspath__"])],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_neighbors: int = 100,
        *,
        encoder: Any = None,
        index: str = "auto",
        n_seeds: int = 10,
        cold_start: str = "pool",
        memory: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.encoder = encoder
        self.index = index
        self.n_seeds = n_seeds
        self.cold_start = cold_start
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------ hooks

    def _fit(self, pool: Pool) -> None:
        self._fit_index(pool)
        self._seeded = True  # whether seeds stand in for labeled rows
        self._forget_subpool()
        if self.cold_start == "pool":
            self._seeds = self._seed_vectors(self.n_seeds)
            self._join(self._seeds)

    def _learn(self, pool: Pool, *, learner: Any) -> None:
        if self._seeded:
            self._forget_subpool()
            self._seeded = False
        self._join(self._embed_labeled())

    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        n_rows = len(eligible)
        if self._seeded and self.cold_start == "random":
            n_kept = min(max(self.n_seeds * self.n_neighbors, min_rows), n_rows)
            order = np.argsort(self._uniforms(pool, eligible), kind="stable")[:n_kept]
            unknown = np.full(n_rows, np.nan)
            return Selection(order, lambda: _columns(order, unknown, order[:0], "random start"))
        located = self._locate(pool, eligible)
        score = self.similarity_[located]
        unseen = np.flatnonzero(located < 0)
        if len(unseen):
            score[unseen] = self._similarity_of_strangers(pool, eligible[unseen])
        joined = np.flatnonzero(~np.isnan(score))
        # Of equally similar rows the first ones come first.
        order = joined[np.lexsort((joined, -score[joined].round(12)))]
        fill = order[:0]
        n_missing = min(max(min_rows, 1), n_rows) - len(order)
        if n_missing > 0:
            fill = self._next_nearest(pool, eligible, np.isnan(score), n_missing)
        return Selection(np.concatenate([order, fill]), lambda: _columns(order, score, fill, "neighbors"))

    # ------------------------------------------------------------------ subpool

    def _forget_subpool(self) -> None:
        self.similarity_ = np.full(len(self._table), np.nan)
        # Similarity of the farthest row that each labeled row brought.
        self._reach = np.empty(0)

    @property
    def _centers(self) -> Any:
        """Vectors of the rows that brought the subpool together."""
        return self._seeds if self._seeded else self._labeled_vectors

    def _join(self, vectors: Any) -> None:
        """Let the neighbors of some newly labeled rows join."""
        if not vectors.shape[0]:
            return
        eligible = np.flatnonzero(~self.pool_.isin(self._excluded))
        if not len(eligible):
            found = [(eligible, np.empty(0))] * vectors.shape[0]
        else:
            found = nearest_rows(self._search_over(self.pool_, eligible), vectors, self.n_neighbors)
        known = self._locate(self.pool_, eligible)
        reach = np.full(len(found), -np.inf)
        for i, (rows, similarity) in enumerate(found):
            numbers = known[rows]
            self.similarity_[numbers] = np.fmax(self.similarity_[numbers], similarity)
            if len(rows) == self.n_neighbors:
                reach[i] = similarity[-1]
        self._reach = np.concatenate([self._reach, reach])

    def _similarity_of_strangers(self, pool: Pool, rows: np.ndarray) -> np.ndarray:
        """Return the similarity of rows never seen that are within reach; NaN for the others."""
        best = np.full(len(rows), np.nan)
        search: Search = (ExactNeighbors(self._vectors_at(pool, rows)), np.arange(len(rows)))
        for i, reach in enumerate(self._reach):
            ((found, similarity),) = nearest_rows([search], self._centers[[i]], len(rows))
            near = similarity.round(12) >= np.round(reach, 12)
            best[found[near]] = np.fmax(best[found[near]], similarity[near])
        return best

    def _next_nearest(
        self, pool: Pool, eligible: np.ndarray, outside: np.ndarray, n_missing: int
    ) -> np.ndarray:
        """Return rows outside the subpool, those nearest to any labeled row first."""
        rest = np.flatnonzero(outside)
        searches = self._search_over(pool, eligible[rest])
        best = np.full(len(rest), -np.inf)
        for rows, similarity in nearest_rows(searches, self._centers, n_missing):
            best[rows] = np.maximum(best[rows], similarity)
        return rest[np.lexsort((rest, -best.round(12)))[:n_missing]]


def _columns(order: np.ndarray, score: np.ndarray, fill: np.ndarray, stage: str) -> dict[str, Any]:
    stages = np.full(len(score), "", dtype=object)
    stages[order], stages[fill] = stage, "fill"
    random = stage == "random start"
    why_not = "not drawn" if random else "no labeled row had it among its nearest"
    reason = np.full(len(score), why_not, dtype=object)
    reason[order] = "kept: drawn at random" if random else "kept: among the nearest of a labeled row"
    reason[fill] = "kept: fills the size, next nearest to a labeled row"
    threshold = score[order[-1]] if len(order) else np.nan
    return {
        "stage": stages,
        "similarity": score,
        "threshold": np.full(len(score), threshold),
        "reason": reason,
    }
