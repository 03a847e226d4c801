"""Nearest neighbors by cosine similarity: exact search and HNSW, with one interface."""

from __future__ import annotations

from typing import Any, Protocol

import joblib
import numpy as np
import scipy.sparse as sp
from numpy.typing import DTypeLike

from skprune._optional import require
from skprune.streaming.vectors import VectorParts
from skprune.vectors import dense, squared_norms

# Rows per matrix product. With fewer, the threads of BLAS wait for each other more than they compute: on two
# cores, a round with 4,096 took 3.2 to 4.8 times as long as the product alone, with 16,384 1.6 to 2.0 times.
_BLOCK = 16_384
# Rows from which building an approximate index takes less time than it saves (docs/benchmarks.md).
_HNSW_FROM = 4_000_000
# Bound on the rounding error of a cosine in single precision. Candidates this close to the k-th best
# similarity are compared in double precision.
_SLACK = 1e-5


class Neighbors(Protocol):
    """An index of rows that can be searched.

    Attributes
    ----------
    vectors : ndarray or csr_array, shape (n_rows, n_features)
        The rows.
    """

    vectors: Any

    def query(
        self, vectors: Any, k: int, allowed: np.ndarray | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return ``(rows, similarities)`` of the k most similar allowed rows for each query vector."""


class ExactNeighbors:
    """Exact search: one matrix product per batch of queries.

    Parameters
    ----------
    vectors : ndarray or csr_array, shape (n_rows, n_features)
        The rows to search. They are not copied.

    Notes
    -----
    Candidates are found in the precision of the vectors, single at least, and compared in double precision.
    Equal rows therefore have equal similarities wherever they are, and the number of threads does not change
    the result. Ties go to the row that comes first. A zero vector has similarity 0 to every row.

    Examples
    --------
    >>> index = ExactNeighbors(np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]))
    >>> rows, similarities = index.query(np.array([[2.0, 0.1]]), k=2)[0]
    >>> rows, similarities.round(3)
    (array([0, 1]), array([0.999, 0.742]))
    """

    def __init__(self, vectors: Any) -> None:
        self.vectors = vectors
        dtype = np.result_type(vectors.dtype, np.float32) if vectors.dtype.kind == "f" else np.float64
        self._inverse_norms = _inverse_norms(vectors, dtype).astype(dtype)

    def query(
        self, vectors: Any, k: int, allowed: np.ndarray | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return ``(rows, similarities)`` of the k most similar rows for each query vector.

        Parameters
        ----------
        vectors : ndarray or csr_array, shape (n_queries, n_features)
            The queries.
        k : int
            Number of rows to return; all allowed rows if there are fewer.
        allowed : ndarray of bool, shape (n_rows,), default=None
            Rows that may be returned. None allows all.

        Returns
        -------
        list of (ndarray of int, ndarray of float64)
            For each query, the rows and their similarities, most similar first.
        """
        queries = dense(vectors).astype(np.float64)
        queries *= _inverse_norms(queries)[:, None]
        candidates = self._candidates(queries, k, allowed)
        return [self._ranked(q, rows, k) for q, rows in zip(queries, candidates, strict=True)]

    def _candidates(self, queries: np.ndarray, k: int, allowed: np.ndarray | None) -> list[np.ndarray]:
        """Return, for each query, rows that include the k nearest, and few others."""
        directions = np.ascontiguousarray(queries.T, dtype=self._inverse_norms.dtype)
        floor = np.full(len(queries), -np.inf)  # the k-th best similarity so far, for each query
        pieces: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in queries]
        for start in range(0, self.vectors.shape[0], _BLOCK):
            stop = start + _BLOCK
            similarity = np.asarray(self.vectors[start:stop] @ directions)
            similarity *= self._inverse_norms[start:stop, None]
            if allowed is not None:
                similarity[~allowed[start:stop]] = -np.inf
            hits = np.flatnonzero(similarity > (floor - _SLACK).astype(similarity.dtype))
            rows, query_of = np.divmod(hits, len(queries))
            for q in np.flatnonzero(np.bincount(query_of)):
                near = rows[query_of == q]
                pieces[q].append((start + near, similarity[near, q]))
                pieces[q], floor[q] = _prune(pieces[q], k)
        empty = np.empty(0, dtype=np.intp)
        return [np.concatenate([empty, *(rows for rows, _ in piece)]) for piece in pieces]

    def _ranked(self, query: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the k best of the candidate ``rows``, compared in double precision."""
        exact = dense(self.vectors[rows]).astype(np.float64)
        similarity = np.einsum("ij,j->i", exact, query) * _inverse_norms(exact)
        return _best(rows, similarity, k)


class PartedNeighbors:
    """Exact search in vectors that are not in memory: the nearest rows of each part, merged.

    Parameters
    ----------
    vectors : VectorParts
        The rows to search.

    Notes
    -----
    A query gets the same rows as from :class:`ExactNeighbors` of the same vectors in memory.
    """

    def __init__(self, vectors: VectorParts) -> None:
        self.vectors = vectors

    def query(
        self, vectors: Any, k: int, allowed: np.ndarray | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return ``(rows, similarities)`` of the k most similar rows for each query vector.

        Parameters and results are those of :meth:`ExactNeighbors.query`.
        """

        def of_part(part: slice) -> tuple[Any, ...] | None:
            if allowed is None:
                return vectors, k, None
            return (vectors, k, allowed[part]) if allowed[part].any() else None

        found = [(np.empty(0, dtype=np.intp), np.empty(0))] * vectors.shape[0]
        for part, answers in self.vectors.map(_nearest, of_part):
            found = [
                _best(np.append(rows, part.start + near), np.append(similarity, more), k)
                for (rows, similarity), (near, more) in zip(found, answers, strict=True)
            ]
        return found


class HNSWNeighbors:
    """Approximate search in a hierarchical navigable small-world (HNSW) graph.

    Parameters
    ----------
    vectors : ndarray of float32, shape (n_rows, n_features)
        The rows to search.
    M : int, default=64
        Links per node. The defaults of ``M``, ``ef_construction`` and ``ef`` are those of AnchorAL,
        appendix A.1.
    ef_construction : int, default=200
        Number of candidates that are kept while a row is inserted.
    ef : int, default=200
        Number of candidates that are kept during a query.
    n_jobs : int or None, default=None
        Threads that answer queries. None is 1 and -1 is all processors. The graph is always built by one
        thread, because only then is it reproducible.
    seed : int, default=0
        Seed of the graph's random levels.

    Raises
    ------
    ImportError
        If hnswlib is not installed.
    TypeError
        If the vectors are sparse.

    References
    ----------
    Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using Hierarchical
    Navigable Small World graphs", TPAMI 2020.
    """

    def __init__(
        self,
        vectors: np.ndarray,
        *,
        M: int = 64,
        ef_construction: int = 200,
        ef: int = 200,
        n_jobs: int | None = None,
        seed: int = 0,
    ) -> None:
        hnswlib = require("hnswlib", extra="hnsw", purpose="index='hnsw'")
        if sp.issparse(vectors):
            raise TypeError("index='hnsw' needs dense vectors; use index='exact' for sparse ones")
        self.vectors = vectors
        self.ef = ef
        self.n_jobs = n_jobs
        self._graph = hnswlib.Index(space="cosine", dim=vectors.shape[1])
        self._graph.init_index(
            max_elements=len(vectors), M=M, ef_construction=ef_construction, random_seed=seed
        )
        self._graph.add_items(vectors, np.arange(len(vectors)), num_threads=1)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_graph": self._graph.__getstate__()}  # arrays, which skops can store

    def __setstate__(self, state: dict[str, Any]) -> None:
        hnswlib = require("hnswlib", extra="hnsw", purpose="index='hnsw'")
        self.__dict__.update(state)
        self._graph = hnswlib.Index.__new__(hnswlib.Index)
        self._graph.__setstate__(state["_graph"])

    def query(
        self, vectors: Any, k: int, allowed: np.ndarray | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return ``(rows, similarities)`` of the k most similar rows for each query vector.

        Parameters and results are those of :meth:`ExactNeighbors.query`. A query whose search in the graph
        reaches fewer than k allowed rows is answered by exact search.

        Raises
        ------
        ValueError
            If a query vector is not finite.
        """
        n_rows = len(self.vectors)
        n_allowed = n_rows if allowed is None else int(allowed.sum())
        k = min(k, n_allowed)
        # Fetch more than k rows, because those that are not allowed are dropped afterwards.
        fetch = k if allowed is None else k + min(n_rows - n_allowed, 3 * k)
        queries = np.ascontiguousarray(dense(vectors), dtype=np.float32)
        if not np.isfinite(queries).all():
            raise ValueError("query vectors must be finite")
        self._graph.set_ef(max(self.ef, fetch))  # not stored in pickles; must be at least k
        try:
            rows, distances = self._graph.knn_query(
                queries, k=fetch, num_threads=joblib.effective_n_jobs(self.n_jobs)
            )
        except RuntimeError:  # fewer than `fetch` rows can be reached
            return ExactNeighbors(self.vectors).query(queries, k, allowed)
        answers = []
        for query, found, distance in zip(queries, rows.astype(np.intp), distances, strict=True):
            keep = np.ones(fetch, bool) if allowed is None else allowed[found]
            if keep.sum() < k:
                answers += ExactNeighbors(self.vectors).query(query[None], k, allowed)
            else:
                answers.append((found[keep][:k], 1.0 - distance[keep][:k].astype(np.float64)))
        return answers


def build_index(vectors: Any, kind: str, *, n_jobs: int | None = None, seed: int = 0) -> Neighbors:
    """Return an index of the vectors.

    Parameters
    ----------
    vectors : ndarray, csr_array or VectorParts, shape (n_rows, n_features)
        The rows to search.
    kind : {"auto", "exact", "hnsw"}
        "exact" is :class:`ExactNeighbors`, "hnsw" :class:`HNSWNeighbors`. "auto" is exact below 4,000,000
        rows and for sparse vectors: the few dozen queries of a round read the vectors once, whereas a graph
        takes minutes to build. Vectors that are not in memory are always searched exactly.
    n_jobs : int or None, default=None
        Threads that query an HNSW graph. Exact search uses the threads of BLAS.
    seed : int, default=0
        Seed of an HNSW graph.

    Returns
    -------
    ExactNeighbors, HNSWNeighbors or PartedNeighbors
    """
    if isinstance(vectors, VectorParts):
        return PartedNeighbors(vectors)
    if kind == "hnsw" or (kind == "auto" and vectors.shape[0] >= _HNSW_FROM and not sp.issparse(vectors)):
        return HNSWNeighbors(vectors, n_jobs=n_jobs, seed=seed)
    return ExactNeighbors(vectors)


def _nearest(
    vectors: np.ndarray, queries: np.ndarray, k: int, allowed: np.ndarray | None
) -> list[tuple[np.ndarray, np.ndarray]]:
    return ExactNeighbors(vectors).query(queries, k, allowed)


def _best(rows: np.ndarray, similarity: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the k most similar rows; ties go to the row that comes first."""
    # Rounded to 12 decimals so that equal rows tie even if the last bits differ.
    order = np.lexsort((rows, -similarity.round(12)))[:k]
    return rows[order], similarity[order]


def _prune(
    pieces: list[tuple[np.ndarray, np.ndarray]], k: int
) -> tuple[list[tuple[np.ndarray, np.ndarray]], float]:
    """Drop rows that cannot be among the k best; return the rest and the k-th best similarity."""
    rows = np.concatenate([r for r, _ in pieces])
    similarity = np.concatenate([s for _, s in pieces])
    if len(rows) <= k:
        return [(rows, similarity)], -np.inf
    floor = float(np.partition(similarity, len(rows) - k)[len(rows) - k])
    near = similarity >= floor - _SLACK
    return [(rows[near], similarity[near])], floor


def _inverse_norms(vectors: Any, dtype: DTypeLike = np.float64) -> np.ndarray:
    """Return 1 / length of each row, 0 for a zero vector."""
    norms = np.sqrt(squared_norms(vectors, dtype))
    return np.divide(1.0, norms, out=np.zeros(len(norms)), where=norms > 0)
