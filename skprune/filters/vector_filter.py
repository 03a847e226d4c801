"""Filters over vectors: each text is encoded once, numeric rows are taken as they are; neighbor search."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.cluster import kmeans_plusplus
from sklearn.preprocessing import normalize
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.extmath import row_norms

from skprune.base import KEEP_CONSTRAINT, BaseFilter
from skprune.cost import ModelUse
from skprune.encoders import make_encoder
from skprune.fitting import fitted_on, learns_from_pool
from skprune.neighbors import ExactNeighbors, Neighbors, build_index
from skprune.pools import Pool
from skprune.row_table import RowTable
from skprune.store import Remembered
from skprune.streams import generator
from skprune.vectors import at_least_single

# Number of pool rows that k-means++ samples for a cold start.
_COLD_START_ROWS = 10_000
# Squared lengths this close to 1 are 1 up to the rounding of half precision.
_UNIT = 0.02
# The random stream of that sample, apart from the one of the row draws.
_COLD = 2

#: An index, and the row in it of each eligible row; −1 for a row that is not in it.
Search = tuple[Neighbors, np.ndarray]


class VectorFilter(BaseFilter):
    """A filter over the vectors of its rows. Subclasses have the parameters ``encoder`` and ``memory``."""

    _needs_memory = "it compares the vectors of all rows"

    encoder: Any
    memory: Any
    verbose: int

    @property
    def n_encoded_(self) -> int:
        """Number of texts that the encoder has processed since :meth:`fit`."""
        return self._encode.n_computed if self.pool_.holds_texts else 0

    def _embed_pool(self, pool: Pool) -> None:
        """Set ``_vectors``: one vector per distinct text of the pool, or its numeric rows."""
        # A filter that reads vectors in parts takes half precision, too.
        self._vectors = pool.vectors if self._needs_memory else pool.stored
        if pool.holds_texts:
            self._encode = self._remembered(pool)
            self._vectors = pool.encoded(self._encode)

    def _remembered(self, pool: Pool) -> Remembered:
        encoder = fitted_on(
            make_encoder(self.encoder, verbose=self.verbose), pool.training_texts, name="encoder"
        )
        return Remembered(encoder, self.memory, name="encoder")

    def _model_uses(self, pool: Pool, n_eligible: int) -> list[ModelUse]:
        if learns_from_pool(self.encoder):
            return []
        return [ModelUse(self._remembered(pool), np.arange(len(pool.table)), len(pool.table))]

    def _vectors_at(self, pool: Pool, rows: np.ndarray) -> Any:
        """Return the vectors of rows of any pool; texts that :meth:`fit` has not seen are encoded now."""
        if not pool.holds_texts:
            return at_least_single(pool.stored[rows])
        return self._values_at(pool, rows, self._vectors, lambda unseen: self._encode(pool.texts[unseen]))


class NeighborFilter(VectorFilter):
    """A filter that searches the pool for neighbors of labeled rows.

    Subclasses also have ``index``, ``n_jobs`` and ``cold_start``.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **VectorFilter._parameter_constraints,
        "keep": [None, *KEEP_CONSTRAINT],
        "index": [StrOptions({"auto", "exact", "hnsw"})],
    }

    index: str
    n_jobs: int | None
    cold_start: str

    @property
    def _needs_memory(self) -> str:  # type: ignore[override]
        return "index='hnsw' is a graph of all rows; index='exact' is not" if self.index == "hnsw" else ""

    @property
    def _without_labels(self) -> str:  # type: ignore[override]
        start = "random" if self.cold_start == "random" else "the neighbors of a few rows of the pool"
        return f"the rows it keeps are {start}"

    def _fit_index(self, pool: Pool) -> None:
        self._embed_pool(pool)
        self._index: Neighbors = build_index(
            self._vectors, self.index, n_jobs=self.n_jobs, seed=self.seed_ % 2**31
        )
        self._labeled_vectors: Any = None  # in the order of labeled_

    def _embed_labeled(self) -> Any:
        """Bring ``_labeled_vectors`` up to date, and return the new vectors."""
        rows: Any = self.labeled_.pool
        n_known = 0 if self._labeled_vectors is None else self._labeled_vectors.shape[0]
        if not rows.holds_texts:
            self._labeled_vectors = rows.vectors
        elif n_known < len(rows):
            fresh = self._vectors_at(rows, np.arange(n_known, len(rows)))
            known = [] if self._labeled_vectors is None else [self._labeled_vectors]
            self._labeled_vectors = np.concatenate([*known, fresh])
        return self._labeled_vectors[n_known:]

    def _seed_vectors(self, n_seeds: int) -> Any:
        """Return the vectors that k-means++ picks from a sample of the pool for a cold start."""
        rng = generator(self.seed_, 0, _COLD)
        n_rows = self._vectors.shape[0]
        sample = np.sort(rng.choice(n_rows, min(n_rows, _COLD_START_ROWS), replace=False))
        vectors = self._vectors[sample]
        return vectors[pick_kmeans_plusplus(vectors, n_seeds, rng)]

    def _search_over(self, pool: Pool, eligible: np.ndarray) -> list[Search]:
        """Return the searches that together cover every eligible row."""
        if pool.holds_texts:
            located = self._locate(pool, eligible)
        elif pool is self.pool_:
            located = eligible
        elif isinstance(self._index, ExactNeighbors):
            return [(ExactNeighbors(pool.stored), eligible)]  # reads X once and hashes nothing
        else:
            located = _first_of(self._table)[self._locate(pool, eligible)]
            located[located == len(self.pool_)] = -1
        searches: list[Search] = [(self._index, located)]
        unseen = np.flatnonzero(located < 0)
        if len(unseen):  # fit has not seen them
            rows = np.full(len(eligible), -1)
            rows[unseen] = np.arange(len(unseen))
            searches.append((ExactNeighbors(self._vectors_at(pool, eligible[unseen])), rows))
        return searches


def nearest_rows(
    searches: list[Search], queries: Any, n_neighbors: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return ``(rows, similarities)`` of the nearest eligible rows for each query vector.

    Ties go to the row that comes first. Copies count as separate rows.
    """
    found = [_expanded(index, rows, queries, n_neighbors) for index, rows in searches]
    answers = []
    for query in range(queries.shape[0]):
        rows = np.concatenate([answer[query][0] for answer in found])
        similarity = np.concatenate([answer[query][1] for answer in found])
        nearest = np.lexsort((rows, -similarity.round(12)))[:n_neighbors]
        answers.append((rows[nearest], similarity[nearest]))
    return answers


def pick_kmeans_plusplus(vectors: Any, n_clusters: int, rng: np.random.Generator) -> np.ndarray:
    """Return unique positions picked by k-means++ among directions, because the search compares directions.

    scikit-learn repeats a position if there are too few different rows.
    """
    if vectors.shape[0] <= n_clusters:
        return np.arange(vectors.shape[0])
    # scikit-learn would convert single precision to double at every step.
    directions = vectors.astype(np.float64)
    squares = row_norms(directions, squared=True)
    if np.abs(squares - 1.0).max() > _UNIT:  # encoders mostly return vectors of unit length already
        directions = normalize(directions)
    _, picked = kmeans_plusplus(directions, n_clusters, random_state=int(rng.integers(2**31)))
    return np.unique(picked)


def _expanded(
    index: Neighbors, rows: np.ndarray, anchors: Any, n_neighbors: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Query ``index`` and return positions among the eligible rows; copies of a row are several positions."""
    n_rows = index.vectors.shape[0]
    allowed = np.zeros(n_rows, dtype=bool)
    allowed[rows[rows >= 0]] = True
    answers = index.query(anchors, n_neighbors, None if allowed.all() else allowed)
    wanted = np.zeros(n_rows + 1, dtype=bool)  # the last entry stands for −1
    for found, _ in answers:
        wanted[found] = True
    positions = np.flatnonzero(wanted[rows])
    positions = positions[np.argsort(rows[positions], kind="stable")]
    expanded = []
    for found, similarity in answers:
        left = np.searchsorted(rows[positions], found, side="left")
        copies = np.searchsorted(rows[positions], found, side="right") - left
        within = np.arange(copies.sum()) - np.repeat(np.cumsum(copies) - copies, copies)
        expanded.append((positions[np.repeat(left, copies) + within], np.repeat(similarity, copies)))
    return expanded


def _first_of(table: RowTable) -> np.ndarray:
    """Return the first position of every distinct row, then the number of rows, which stands for −1."""
    first = np.unique(table.row_of, return_index=True)[1]
    return np.append(first, len(table.row_of))
