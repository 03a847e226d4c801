"""AnchorAL: a small subpool around anchors of every class."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from skprune.base import Selection
from skprune.filters.vector_filter import NeighborFilter, Search, nearest_rows, pick_kmeans_plusplus
from skprune.neighbors import ExactNeighbors
from skprune.pools import Pool
from skprune.probabilities import entropy, predict_proba
from skprune.streams import generator

# The stream of a round that anchors are drawn from.
_ANCHORS = 1


class AnchorFilter(NeighborFilter):
    """Keep the rows that are most similar to anchors drawn from the labeled rows of every class.

    Each round, k-means++ picks ``n_anchors`` labeled rows of each class; the ``n_neighbors`` rows of the
    pool nearest to each anchor are retrieved by cosine; the ``max_subpool`` most similar of them survive.

    Parameters
    ----------
    n_anchors : int, default=10
        Anchors a class (A). A class with no more labeled rows gives all of them.
    n_neighbors : int, default=50
        Rows retrieved by each anchor (K).
    max_subpool : int, default=1000
        Largest subpool (M). With A·K·classes ≤ M it never binds: two classes at the default A and K
        retrieve 1000 rows at most.
    encoder : None, str, path, estimator or callable, default=None
        Texts to vectors: None is TF-IDF with SVD, a string names a SentenceTransformer. Numeric pools are
        taken as they are.
    index : {"auto", "exact", "hnsw"}, default="auto"
        See :func:`skprune.neighbors.build_index`.
    aggregate : {"retrieved", "all", "max"}, default="retrieved"
        A row's score: the mean similarity to the anchors that retrieved it (what the authors' code does), to
        all anchors (the wording of section 3.1), or to its nearest anchor.
    anchor_selection : {"kmeans++", "random", "entropy"} or dict, default="kmeans++"
        How anchors are picked; a dict ``{class: way}`` sets it a class (the rest: k-means++). ``"entropy"``
        takes the rows that the model is least sure of; it needs ``partial_fit(..., learner=model)`` and is
        k-means++ until then.
    cold_start : {"pool", "random"}, default="pool"
        Without any label: the neighbors of anchors that k-means++ picks from (a sample of) the pool, or
        ``max_subpool`` random rows.
    memory : None or path, default=None
        Where vectors are kept: in this process, or in a folder.
    n_jobs : int or None, default=None
        Threads that build an HNSW graph. More than one makes the graph irreproducible.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0

    Attributes
    ----------
    anchors_ : ndarray or csr_array, shape (n_anchors_total, n_features)
        This round's anchors.
    anchor_labels_ : ndarray of object, shape (n_anchors_total,)
        Their classes; empty when there is no label yet.
    n_encoded_ : int
        Texts that the encoder was run on since :meth:`fit`.

    See Also
    --------
    RandomFilter : The baseline.

    Notes
    -----
    Algorithm 1 of [1]_. Ours: the cold start (the paper assumes a labeled row a class); exact search unless
    the pool has millions of rows (few queries a round make the graph's build the greater cost); copies of a
    labeled row count once among the candidates for anchors; a query that asks for more rows than were
    retrieved gets the next nearest ones.

    References
    ----------
    .. [1] Lesci and Vlachos, "AnchorAL: Computationally Efficient Active Learning for Large and Imbalanced
       Datasets", NAACL 2024.

    Examples
    --------
    >>> import numpy as np
    >>> from skprune import AnchorFilter
    >>> pool = np.random.default_rng(0).normal(size=(500, 8))
    >>> y = np.full(500, -1); y[:4] = [0, 0, 1, 1]
    >>> subpool = AnchorFilter(n_neighbors=5, random_state=0).fit_transform(pool, y)
    >>> len(subpool) <= 4 * 5
    True
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "n_anchors": [Interval(Integral, 1, None, closed="left")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "max_subpool": [Interval(Integral, 1, None, closed="left")],
        "encoder": "no_validation",  # make_encoder says what it takes
        "index": [StrOptions({"auto", "exact", "hnsw"})],
        "aggregate": [StrOptions({"retrieved", "all", "max"})],
        "anchor_selection": [StrOptions({"kmeans++", "random", "entropy"}), dict],
        "cold_start": [StrOptions({"pool", "random"})],
        "memory": [None, str, HasMethods(["__fspath__"])],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        n_anchors: int = 10,
        n_neighbors: int = 50,
        max_subpool: int = 1000,
        *,
        encoder: Any = None,
        index: str = "auto",
        aggregate: str = "retrieved",
        anchor_selection: str | dict[Any, str] = "kmeans++",
        cold_start: str = "pool",
        memory: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_anchors = n_anchors
        self.n_neighbors = n_neighbors
        self.max_subpool = max_subpool
        self.encoder = encoder
        self.index = index
        self.aggregate = aggregate
        self.anchor_selection = anchor_selection
        self.cold_start = cold_start
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------ hooks

    def _check_sizes(self, n_rows: int) -> None:
        if isinstance(self.anchor_selection, dict):
            for label, way in self.anchor_selection.items():
                if way not in {"kmeans++", "random", "entropy"}:
                    raise ValueError(
                        f"anchor_selection[{label!r}] must be 'kmeans++', 'random' or 'entropy', got {way!r}"
                    )

    def _fit(self, pool: Pool) -> None:
        self._fit_index(pool)
        self.anchor_labels_ = np.empty(0, dtype=object)
        self.anchors_ = self._seed_vectors(self.n_anchors)

    def _learn(self, pool: Pool, *, learner: Any) -> None:
        rows: Any = self.labeled_.pool
        self._embed_labeled()
        entropies = None
        if learner is not None and "entropy" in self._ways().values():
            proba = predict_proba(learner, rows.like(self.pool_), needed_by="anchor_selection='entropy'")
            entropies = None if proba is None else entropy(proba)
        self._draw_anchors(entropies)

    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        target = min(max(self.max_subpool, min_rows), len(eligible))
        if self.cold_start == "random" and not len(self.labeled_):
            order = np.argsort(self._uniforms(pool, eligible), kind="stable")[:target]
            scores = np.full(len(eligible), np.nan)
            return Selection(order, lambda: self._columns(order, scores, "random start"))
        n_neighbors = self.n_neighbors
        search = self._search_over(pool, eligible)
        while True:
            scores = self._score(search, len(eligible), n_neighbors)
            retrieved = np.flatnonzero(~np.isnan(scores))
            if len(retrieved) >= min(min_rows, len(eligible)):
                break
            n_neighbors *= 2  # a query must never get fewer rows than it asks for
        # Of equally similar rows the first ones win, as in the search itself.
        order = retrieved[np.lexsort((retrieved, -scores[retrieved].round(12)))[:target]]
        return Selection(order, lambda: self._columns(order, scores, "anchors"))

    # ------------------------------------------------------------------ anchors

    def _ways(self) -> dict[Any, str]:
        if isinstance(self.anchor_selection, dict):
            return self.anchor_selection
        return dict.fromkeys(set(self.labeled_.y.tolist()), self.anchor_selection)

    def _draw_anchors(self, entropies: np.ndarray | None) -> None:
        """Lines 3 to 6 of Algorithm 1."""
        labels = self.labeled_.y
        ways = self._ways()
        rng = generator(self.seed_, self.round_, _ANCHORS)
        anchors, anchor_labels = [], []
        for label in sorted(set(labels.tolist()), key=lambda c: (str(type(c)), c)):
            rows = np.flatnonzero(labels == label)
            way = ways.get(label, "kmeans++")
            if len(rows) <= self.n_anchors:
                picked = rows
            elif way == "random":
                picked = rng.choice(rows, self.n_anchors, replace=False)
            elif way == "entropy" and entropies is not None:
                picked = rows[np.argsort(-entropies[rows], kind="stable")[: self.n_anchors]]
            else:
                picked = rows[pick_kmeans_plusplus(self._labeled_vectors[rows], self.n_anchors, rng)]
            anchors.append(np.sort(picked))
            anchor_labels += [label] * len(picked)
        self.anchors_ = self._labeled_vectors[np.concatenate(anchors)]
        self.anchor_labels_ = np.empty(len(anchor_labels), dtype=object)
        self.anchor_labels_[:] = anchor_labels

    # ------------------------------------------------------------------ similarity

    def _score(self, searches: list[Search], n_rows: int, n_neighbors: int) -> np.ndarray:
        """Lines 7 and 8: the score of every eligible row, NaN where no anchor retrieved it."""
        total, count, best = np.zeros(n_rows), np.zeros(n_rows), np.full(n_rows, -np.inf)
        for rows, similarity in nearest_rows(searches, self.anchors_, n_neighbors):
            total[rows] += similarity
            count[rows] += 1
            best[rows] = np.maximum(best[rows], similarity)
        retrieved = count > 0
        scores = np.full(n_rows, np.nan)
        if self.aggregate == "max":
            scores[retrieved] = best[retrieved]
        elif self.aggregate == "retrieved":
            scores[retrieved] = total[retrieved] / count[retrieved]
        else:
            for index, rows in searches:
                mine = np.flatnonzero(retrieved & (rows >= 0))
                directions = ExactNeighbors(index.vectors[rows[mine]])
                scores[mine] = _mean_similarity(directions, self.anchors_)
        return scores

    def _columns(self, order: np.ndarray, scores: np.ndarray, stage: str) -> dict[str, Any]:
        kept = np.zeros(len(scores), dtype=bool)
        kept[order] = True
        threshold = scores[order[-1]]
        reason = np.full(len(scores), "no anchor has it among its nearest rows", dtype=object)
        reason[~np.isnan(scores)] = "retrieved, but less similar than the subpool has room for"
        reason[kept] = "kept: near the anchors" if stage == "anchors" else "kept: drawn at random"
        if stage != "anchors":
            reason[~kept] = "not drawn"
        return {
            "stage": np.where(kept, stage, ""),
            "similarity": scores,
            "threshold": np.full(len(scores), threshold),
            "reason": reason,
        }


def _mean_similarity(index: ExactNeighbors, anchors: Any) -> np.ndarray:
    n_rows = index.vectors.shape[0]
    total = np.zeros(n_rows)
    for rows, similarity in index.query(anchors, n_rows):
        total[rows] += similarity
    return total / anchors.shape[0]
