"""SEALS: the subpool grows by the neighbors of newly labeled rows."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skprune.filters.vector_filter import NeighborFilter, Search, nearest_rows
from skprune.neighbors import ExactNeighbors
from skprune.pools import Pool
from skprune.selections import Selection, mask_of, size_of


class SEALSFilter(NeighborFilter):
    """Keep the nearest neighbors of every row labeled so far.

    For each newly labeled row, the ``n_neighbors`` nearest rows of the pool join the subpool. They stay in it
    until they are labeled themselves.

    Parameters
    ----------
    n_neighbors : int, default=100
        Number of rows that join for each labeled row (k).
    keep : float, int or None, default=None
        Share or count of the eligible rows that survive, exactly: the rows of the subpool most similar to a
        labeled row, then the next nearest ones. None keeps the whole subpool, as in the paper.
    encoder : None, str, path, estimator or callable, default=None
        Maps texts to vectors: None is TF-IDF with SVD, a string names a SentenceTransformer. Numeric pools
        are taken as they are.
    index : {"auto", "exact", "hnsw"}, default="auto"
        See :func:`skprune.neighbors.build_index`.
    n_seeds : int, default=10
        Number of rows that take the place of labeled rows before the first label.
    cold_start : {"pool", "random"}, default="pool"
        The subpool before the first label: the neighbors of ``n_seeds`` rows that k-means++ picks from a
        sample of the pool, or ``n_seeds · n_neighbors`` random rows.
    text : column name, default=None
        The column of texts, if the pool is a frame with several. The other columns travel along.
    memory : None or path, default=None
        Where vectors are kept: in this process, or in a folder.
    n_jobs : int or None, default=None
        Number of threads that query an HNSW graph; results do not depend on it. The graph is built by one
        thread, because more would make it irreproducible. Exact search uses the threads of BLAS.
    random_state : int, RandomState or None, default=None
        Seed of the cold start. Nothing after it is random.
    verbose : int, default=0
        1 reports the encoder's progress.

    Attributes
    ----------
    similarity_ : ndarray of float64, shape (n_distinct,)
        For each distinct row of the pool that ever joined the subpool, the cosine similarity to the nearest
        labeled row that retrieved it; NaN for the others.
    n_encoded_ : int
        Number of texts that the encoder has processed since :meth:`fit`.

    See Also
    --------
    AnchorFilter : Its subpool does not grow with the number of labels.

    Notes
    -----
    Algorithm 1 of [1]_. Neighbors are searched among the rows without a label. Cosine similarity orders rows
    like the paper's Euclidean distance between vectors of unit length.

    Ours: the cold start; ``keep``; a row that :meth:`fit` has not seen belongs to the subpool if it is at
    least as similar to a labeled row as the farthest neighbor that this labeled row retrieved; a query that
    asks for more rows than the subpool holds gets the next nearest rows.

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
        **NeighborFilter._parameter_constraints,
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "n_seeds": [Interval(Integral, 1, None, closed="left")],
        "cold_start": [StrOptions({"pool", "random"})],
    }

    def __init__(
        self,
        n_neighbors: int = 100,
        *,
        keep: float | int | None = None,
        encoder: Any = None,
        index: str = "auto",
        n_seeds: int = 10,
        cold_start: str = "pool",
        text: Any = None,
        memory: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_neighbors = n_neighbors
        self.keep = keep
        self.encoder = encoder
        self.index = index
        self.n_seeds = n_seeds
        self.cold_start = cold_start
        self.text = text
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------ hooks

    def _fit(self, pool: Pool) -> None:
        self._fit_index(pool)
        self._cold = True  # no row is labeled yet
        self._empty_subpool()
        if self.cold_start == "pool":
            self._seeds = self._seed_vectors(self.n_seeds)
            self._join(self._seeds)

    def _learn(self, pool: Pool, *, learner: Any) -> None:
        if self._cold:
            self._empty_subpool()
            self._cold = False
        self._join(self._embed_labeled())

    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        n_rows = len(eligible)
        if self._cold and self.cold_start == "random":
            size = self.n_seeds * self.n_neighbors if self.keep is None else size_of(self.keep, n_rows)
            order = self._random_rows(pool, eligible, min(max(size, min_rows), n_rows))
            unknown = np.full(n_rows, np.nan)
            return Selection(order, lambda: _columns(order, unknown, order[:0], "random start"))
        score = self._values_at(
            pool, eligible, self.similarity_, lambda rows: self._similarity_of_unseen(pool, rows)
        )
        joined = np.flatnonzero(~np.isnan(score))
        # Ties go to the row that comes first.
        order = joined[np.lexsort((joined, -score[joined].round(12)))]
        at_least = max(min_rows, 1)
        if self.keep is not None:
            at_least = max(size_of(self.keep, n_rows), min_rows)
            order = order[:at_least]
        n_missing = min(at_least, n_rows) - len(order)
        fill = order[:0]
        if n_missing > 0:
            fill = self._next_nearest(pool, eligible, np.isnan(score), n_missing)
        return Selection(np.concatenate([order, fill]), lambda: _columns(order, score, fill, "neighbors"))

    # ------------------------------------------------------------------ subpool

    def _empty_subpool(self) -> None:
        self.similarity_ = np.full(len(self._table), np.nan)
        # For each labeled row, the similarity of the farthest neighbor that it retrieved.
        self._reach = np.empty(0)

    @property
    def _queries(self) -> Any:
        """Vectors of the rows whose neighbors make up the subpool."""
        return self._seeds if self._cold else self._labeled_vectors

    def _join(self, vectors: Any) -> None:
        """Add the neighbors of newly labeled rows to the subpool."""
        if not vectors.shape[0]:
            return
        eligible = self._different_at_fit()
        if not len(eligible):
            found = [(eligible, np.empty(0))] * vectors.shape[0]
        else:
            found = nearest_rows(self._search_over(self.pool_, eligible), vectors, self.n_neighbors)
        distinct = self._locate(self.pool_, eligible)
        best = self.similarity_.copy()
        reach = np.full(len(found), -np.inf)
        for i, (rows, similarity) in enumerate(found):
            best[distinct[rows]] = np.fmax(best[distinct[rows]], similarity)
            if len(rows) == self.n_neighbors:
                reach[i] = similarity[-1]
        self.similarity_ = best
        self._reach = np.concatenate([self._reach, reach])

    def _similarity_of_unseen(self, pool: Pool, rows: np.ndarray) -> np.ndarray:
        """Return the similarity of the rows that are within reach of a labeled row; NaN for the others."""
        best = np.full(len(rows), np.nan)
        search: Search = (ExactNeighbors(self._vectors_at(pool, rows)), np.arange(len(rows)))
        for i, reach in enumerate(self._reach):
            ((found, similarity),) = nearest_rows([search], self._queries[[i]], len(rows))
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
        for rows, similarity in nearest_rows(searches, self._queries, n_missing):
            best[rows] = np.maximum(best[rows], similarity)
        return rest[np.lexsort((rest, -best.round(12)))[:n_missing]]


def _columns(order: np.ndarray, score: np.ndarray, fill: np.ndarray, stage: str) -> dict[str, Any]:
    stages = np.full(len(score), "", dtype=object)
    stages[order], stages[fill] = stage, "fill"
    if stage == "random start":
        reason = np.where(mask_of(order, len(score)), "kept: drawn at random", "not drawn").astype(object)
    else:
        reason = np.full(len(score), "not among the nearest rows of any labeled row", dtype=object)
        reason[~np.isnan(score)] = "in the subpool, but less similar than the rows that keep allows"
        reason[order] = "kept: among the nearest rows of a labeled row"
        reason[fill] = "kept: fills the size, next nearest to a labeled row"
    threshold = score[order[-1]] if len(order) else np.nan
    return {
        "stage": stages,
        "similarity": score,
        "threshold": np.full(len(score), threshold),
        "reason": reason,
    }
