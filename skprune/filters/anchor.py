"""AnchorAL: a small subpool around anchors of every class."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, cast

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skprune.filters.vector_filter import NeighborFilter, Search, nearest_rows, pick_kmeans_plusplus
from skprune.labels import check_classes
from skprune.neighbors import ExactNeighbors
from skprune.pools import Pool
from skprune.probabilities import entropy, predict_proba
from skprune.selections import Selection, either, mask_of, size_of
from skprune.streams import generator

# The random stream of a round that draws the anchors.
_ANCHORS = 1


class AnchorFilter(NeighborFilter):
    """Keep the rows most similar to anchors, which are drawn from the labeled rows of each class.

    Each round, k-means++ picks ``n_anchors`` labeled rows of each class as anchors. Each anchor retrieves its
    ``n_neighbors`` nearest rows of the pool by cosine similarity. The ``max_subpool`` most similar of the
    retrieved rows survive.

    Parameters
    ----------
    n_anchors : int, default=10
        Number of anchors per class (A). A class with fewer labeled rows uses all of them.
    n_neighbors : int, default=50
        Number of rows that each anchor retrieves (K).
    max_subpool : int, default=1000
        Largest size of the subpool (M). It never binds if A·K·classes ≤ M: two classes retrieve at most 1000
        rows with the default A and K.
    keep : float, int or None, default=None
        Share or count of the eligible rows that survive, exactly, in place of ``max_subpool``. If the anchors
        retrieve too few rows, they retrieve more neighbors than ``n_neighbors``. None: at most
        ``max_subpool`` of the retrieved rows, as in the paper.
    encoder : None, str, path, estimator or callable, default=None
        Maps texts to vectors: None is TF-IDF with SVD, a string names a SentenceTransformer. Numeric pools
        are taken as they are.
    index : {"auto", "exact", "hnsw"}, default="auto"
        See :func:`skprune.neighbors.build_index`.
    aggregate : {"retrieved", "all", "max"}, default="retrieved"
        The score of a row: its mean similarity to the anchors that retrieved it (as in the authors' code),
        its mean similarity to all anchors (the wording of section 3.1), or its similarity to the nearest
        anchor.
    anchor_selection : {"kmeans++", "random", "entropy"} or dict, default="kmeans++"
        How anchors are picked. A dict ``{class: method}`` sets it per class; other classes use k-means++.
        ``"entropy"`` takes the rows that the model is least sure of. It needs
        ``partial_fit(..., learner=model)``; k-means++ is used until then.
    cold_start : {"pool", "random"}, default="pool"
        The subpool before the first label: the neighbors of anchors that k-means++ picks from a sample of the
        pool, or ``max_subpool`` (or ``keep``) random rows.
    text : column name, default=None
        The column of texts, if the pool is a frame with several. The other columns travel along.
    memory : None or path, default=None
        Where vectors are kept: in this process, or in a folder.
    n_jobs : int or None, default=None
        Number of threads that query an HNSW graph; results do not depend on it. The graph is built by one
        thread, because more would make it irreproducible. Exact search uses the threads of BLAS.
    random_state : int, RandomState or None, default=None
        Seed of the anchors and of the cold start.
    verbose : int, default=0
        1 reports the encoder's progress.

    Attributes
    ----------
    anchors_ : ndarray or csr_array, shape (n_anchors_total, n_features)
        The anchors of this round.
    anchor_labels_ : ndarray of object, shape (n_anchors_total,)
        The class of each anchor; empty before the first label.
    n_encoded_ : int
        Number of texts that the encoder has processed since :meth:`fit`.

    See Also
    --------
    ProxyFilter : For rare classes too; does not rely on similarity.
    RandomFilter : The baseline.

    Notes
    -----
    Algorithm 1 of [1]_. Ours: the cold start (the paper assumes at least one labeled row per class);
    ``keep``; exact search unless the pool has millions of rows (with few queries per round, building the
    graph costs more than it saves); copies of a labeled row count once among the candidates for anchors; a
    query that asks for more rows than the anchors retrieved gets the next nearest rows.

    *When it pays.* A query reads few rows, and many of them are of a rare class. This alone does not make the
    classifier better. With small models, the mean F1 of the rare class was lower than without pruning in
    three of nine pairs of a class and a learner, by 1.7 to 11.2 % (``docs/results/proxy_filter.md``). With a
    fine-tuned MiniLM a difference of more than 5 % in mean F1 is excluded, and selection was 15 times faster
    (same page). Use this filter with a fine-tuned net, and :class:`ProxyFilter` with a classifier on cached
    vectors. Random rows in place of the least similar ones do not help: an effect beyond ± 2 points of F1 is
    excluded for a tenth of the subpool (``docs/results/anchor_random_share.md``).

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
        **NeighborFilter._parameter_constraints,
        "n_anchors": [Interval(Integral, 1, None, closed="left")],
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        "max_subpool": [Interval(Integral, 1, None, closed="left")],
        "aggregate": [StrOptions({"retrieved", "all", "max"})],
        "anchor_selection": [StrOptions({"kmeans++", "random", "entropy"}), dict],
        "cold_start": [StrOptions({"pool", "random"})],
    }

    def __init__(
        self,
        n_anchors: int = 10,
        n_neighbors: int = 50,
        max_subpool: int = 1000,
        *,
        keep: float | int | None = None,
        encoder: Any = None,
        index: str = "auto",
        aggregate: str = "retrieved",
        anchor_selection: str | dict[Any, str] = "kmeans++",
        cold_start: str = "pool",
        text: Any = None,
        memory: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.n_anchors = n_anchors
        self.n_neighbors = n_neighbors
        self.max_subpool = max_subpool
        self.keep = keep
        self.encoder = encoder
        self.index = index
        self.aggregate = aggregate
        self.anchor_selection = anchor_selection
        self.cold_start = cold_start
        self.text = text
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------ hooks

    def _check_sizes(self, n_rows: int) -> None:
        super()._check_sizes(n_rows)
        if isinstance(self.anchor_selection, dict):
            for label, method in self.anchor_selection.items():
                if method not in {"kmeans++", "random", "entropy"}:
                    raise ValueError(
                        f"anchor_selection[{label!r}] must be 'kmeans++', 'random' or 'entropy', "
                        f"got {method!r}"
                    )

    def _check_labels(self, labels: np.ndarray) -> None:
        check_classes(labels)

    def _check_new_labels(self, y: Any, n_rows: int) -> np.ndarray:
        labels = super()._check_new_labels(y, n_rows)
        check_classes(labels)
        return labels

    def _fit(self, pool: Pool) -> None:
        self._fit_index(pool)
        self.anchor_labels_ = np.empty(0, dtype=object)
        self.anchors_ = self._seed_vectors(self.n_anchors)

    def _learn(self, pool: Pool, *, learner: Any) -> None:
        self._embed_labeled()
        entropies = None
        if learner is not None and "entropy" in self._selection_methods().values():
            rows = self.labeled_.rows_like(self.pool_)
            proba = predict_proba(learner, rows, needed_by="anchor_selection='entropy'")
            entropies = None if proba is None else entropy(proba)
        self._draw_anchors(entropies)

    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        n_rows = len(eligible)
        at_least = min(min_rows if self.keep is None else max(size_of(self.keep, n_rows), min_rows), n_rows)
        at_most = min(max(self.max_subpool, min_rows), n_rows) if self.keep is None else at_least
        if self.cold_start == "random" and not len(self.labeled_):
            order = self._random_rows(pool, eligible, at_most)
            scores = np.full(n_rows, np.nan)
            return Selection(order, lambda: self._columns(order, scores, "random start"))
        n_neighbors = self.n_neighbors
        search = self._search_over(pool, eligible)
        while True:
            scores = self._score(search, n_rows, n_neighbors)
            retrieved = np.flatnonzero(~np.isnan(scores))
            if len(retrieved) >= at_least or n_neighbors >= n_rows:
                break
            n_neighbors *= 2
        # Ties go to the row that comes first, as in the search itself.
        order = retrieved[np.lexsort((retrieved, -scores[retrieved].round(12)))[:at_most]]
        return Selection(order, lambda: self._columns(order, scores, "anchors"))

    # ------------------------------------------------------------------ anchors

    def _selection_methods(self) -> dict[Any, str]:
        if isinstance(self.anchor_selection, dict):
            return self.anchor_selection
        return dict.fromkeys(set(self.labeled_.y.tolist()), self.anchor_selection)

    def _draw_anchors(self, entropies: np.ndarray | None) -> None:
        """Draw this round's anchors: lines 3 to 6 of Algorithm 1."""
        # By content, so that the order in which labels arrived changes nothing.
        by_content = cast(Pool, self.labeled_.pool).table.by_content()
        labels = self.labeled_.y[by_content]
        methods = self._selection_methods()
        rng = generator(self.seed_, self.round_, _ANCHORS)
        anchors, anchor_labels = [], []
        for label in sorted(set(labels.tolist()), key=lambda c: (str(type(c)), c)):
            rows = by_content[labels == label]
            method = methods.get(label, "kmeans++")
            if len(rows) <= self.n_anchors:
                picked = np.arange(len(rows))
            elif method == "random":
                picked = rng.choice(len(rows), self.n_anchors, replace=False)
            elif method == "entropy" and entropies is not None:
                picked = np.argsort(-entropies[rows], kind="stable")[: self.n_anchors]
            else:
                picked = pick_kmeans_plusplus(self._labeled_vectors[rows], self.n_anchors, rng)
            anchors.append(rows[np.sort(picked)])
            anchor_labels += [label] * len(picked)
        self.anchors_ = self._labeled_vectors[np.concatenate(anchors)]
        self.anchor_labels_ = np.empty(len(anchor_labels), dtype=object)
        self.anchor_labels_[:] = anchor_labels

    # ------------------------------------------------------------------ similarity

    def _score(self, searches: list[Search], n_rows: int, n_neighbors: int) -> np.ndarray:
        """Return the score of every eligible row, NaN if no anchor retrieved it: lines 7 and 8."""
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
                here = np.flatnonzero(retrieved & (rows >= 0))
                scores[here] = _mean_similarity(ExactNeighbors(index.vectors[rows[here]]), self.anchors_)
        return scores

    def _columns(self, order: np.ndarray, scores: np.ndarray, stage: str) -> dict[str, Any]:
        kept = mask_of(order, len(scores))
        threshold = scores[order[-1]]
        reason = np.full(len(scores), "not among the nearest rows of any anchor", dtype=object)
        reason[~np.isnan(scores)] = "retrieved, but less similar than the rows that fit into the subpool"
        reason[kept] = "kept: near the anchors" if stage == "anchors" else "kept: drawn at random"
        if stage != "anchors":
            reason[~kept] = "not drawn"
        return {
            "stage": either(kept, stage, ""),
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
