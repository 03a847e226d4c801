"""Nearest neighbors by cosine: exact search and HNSW behind one small face."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from skprune._optional import require

# A block of the vectors, and its similarities, stay in the cache (4,096 x 384 floats are 6 MB).
_BLOCK = 4_096
# Rows beyond which an approximate index pays for being built (measured: docs/benchmarks.md).
_HNSW_FROM = 4_000_000
# Single precision misplaces a cosine by less; what lies closer to the border is compared in double.
_SLACK = 1e-5


class Neighbors(Protocol):
    """Rows that can be searched."""

    vectors: Any

    def query(
        self, vectors: Any, k: int, allowed: np.ndarray | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return ``(rows, similarities)`` of the k most similar allowed rows, for each query vector."""


class ExactNeighbors:
    """Exact search, one matrix product a query batch; no copy of the vectors is made.

    Parameters
    ----------
    vectors : ndarray or csr_array, shape (n_rows, n_features)

    Notes
    -----
    Candidates are found in the vectors' own precision and compared in double precision, so that equal rows
    are equally similar wherever they stand, and the answer does not depend on the number of threads. Of
    equally similar rows the first ones are returned. A zero vector has similarity 0 to everything.

    Examples
    --------
    >>> index = ExactNeighbors(np.array([[1.0, 0.0], [1.0, 1.0], [0.0, 1.0]]))
    >>> rows, similarities = index.query(np.array([[2.0, 0.1]]), k=2)[0]
    >>> rows, similarities.round(3)
    (array([0, 1]), array([0.999, 0.742]))
    """

    def __init__(self, vectors: Any) -> None:
        self.vectors = vectors
        self._inverse_norms = _inverse(_norms(vectors)).astype(
            vectors.dtype if vectors.dtype.kind == "f" else np.float64
        )

    def query(
        self, vectors: Any, k: int, allowed: np.ndarray | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return ``(rows, similarities)`` of the k most similar rows for each query vector.

        Parameters
        ----------
        vectors : array of shape (n_queries, n_features)
        k : int
            Clipped to the number of allowed rows.
        allowed : ndarray of bool, shape (n_rows,), default=None
            Rows that may be returned.
        """
        queries = _dense(vectors).astype(np.float64)
        queries *= _inverse(_norms(queries))[:, None]
        candidates = self._candidates(queries, k, allowed)
        return [self._ranked(q, rows, k) for q, rows in zip(queries, candidates, strict=True)]

    def _candidates(self, queries: np.ndarray, k: int, allowed: np.ndarray | None) -> list[np.ndarray]:
        """For each query all rows that may be among the k nearest, and few others."""
        directions = np.ascontiguousarray(queries.T, dtype=self._inverse_norms.dtype)
        floor = np.full(len(queries), -np.inf)  # the k-th best similarity so far
        pieces: list[list[tuple[np.ndarray, np.ndarray]]] = [[] for _ in queries]
        for start in range(0, self.vectors.shape[0], _BLOCK):
            stop = start + _BLOCK
            similarity = np.asarray(self.vectors[start:stop] @ directions)
            similarity *= self._inverse_norms[start:stop, None]
            if allowed is not None:
                similarity[~allowed[start:stop]] = -np.inf
            hits = np.flatnonzero(similarity > (floor - _SLACK).astype(similarity.dtype))
            rows, which = np.divmod(hits, len(queries))
            for q in np.unique(which):
                mine = rows[which == q]
                pieces[q].append((start + mine, similarity[mine, q]))
                pieces[q], floor[q] = _prune(pieces[q], k)
        empty = np.empty(0, dtype=np.intp)
        return [np.concatenate([empty, *(rows for rows, _ in piece)]) for piece in pieces]

    def _ranked(self, query: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        exact = _dense(self.vectors[rows]).astype(np.float64)
        similarity = np.einsum("ij,j->i", exact, query) * _inverse(_norms(exact))
        # 12 decimals: equal rows tie whatever the last bit says.
        order = np.lexsort((rows, -similarity.round(12)))[:k]
        return rows[order], similarity[order]


class HNSWNeighbors:
    """Approximate search in a hierarchical navigable small-world graph.

    Parameters
    ----------
    vectors : ndarray of float32, shape (n_rows, n_features)
    M, ef_construction, ef : int
        Links a node, breadth of the search while building, breadth of a query. The defaults are those of
        AnchorAL, appendix A.1.
    n_threads : int, default=1
        Threads that build the graph. More than one is faster and not reproducible.
    seed : int, default=0

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
        n_threads: int = 1,
        seed: int = 0,
    ) -> None:
        hnswlib = require("hnswlib", extra="hnsw", purpose="index='hnsw'")
        if sp.issparse(vectors):
            raise TypeError("index='hnsw' needs dense vectors; use index='exact' for sparse ones")
        self.vectors = vectors
        self.ef = ef
        self._graph = hnswlib.Index(space="cosine", dim=vectors.shape[1])
        self._graph.init_index(
            max_elements=len(vectors), M=M, ef_construction=ef_construction, random_seed=seed
        )
        self._graph.add_items(vectors, np.arange(len(vectors)), num_threads=n_threads)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_graph": self._graph.__getstate__()}  # arrays, which skops can keep

    def __setstate__(self, state: dict[str, Any]) -> None:
        hnswlib = require("hnswlib", extra="hnsw", purpose="index='hnsw'")
        self.__dict__.update(state)
        self._graph = hnswlib.Index.__new__(hnswlib.Index)
        self._graph.__setstate__(state["_graph"])

    def query(
        self, vectors: Any, k: int, allowed: np.ndarray | None = None
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """As :meth:`ExactNeighbors.query`; falls back to it where few rows are allowed."""
        n_rows = len(self.vectors)
        n_allowed = n_rows if allowed is None else int(allowed.sum())
        k = min(k, n_allowed)
        # Rows that are not allowed are fetched and dropped, so that the graph serves any subset.
        fetch = k if allowed is None else k + min(n_rows - n_allowed, 3 * k)
        queries = np.ascontiguousarray(_dense(vectors), dtype=np.float32)
        if not np.isfinite(queries).all():
            raise ValueError("query vectors must be finite")
        self._graph.set_ef(max(self.ef, fetch))  # a loaded graph forgets it; below k it is an error
        try:
            rows, distances = self._graph.knn_query(queries, k=fetch, num_threads=1)
        except RuntimeError:  # fewer than `fetch` rows reachable
            return ExactNeighbors(self.vectors).query(queries, k, allowed)
        answers = []
        for query, found, distance in zip(queries, rows.astype(np.intp), distances, strict=True):
            keep = np.ones(fetch, bool) if allowed is None else allowed[found]
            if keep.sum() < k:
                answers += ExactNeighbors(self.vectors).query(query[None], k, allowed)
            else:
                answers.append((found[keep][:k], 1.0 - distance[keep][:k].astype(np.float64)))
        return answers


def build_index(vectors: Any, kind: str, *, n_threads: int = 1, seed: int = 0) -> Neighbors:
    """Return the index that ``kind`` names: ``"exact"``, ``"hnsw"`` or ``"auto"``.

    ``"auto"`` is exact: a few dozen queries a round read the vectors once, which beats the minutes that
    a graph takes to build until the pool has some millions of rows.
    """
    if kind == "hnsw" or (kind == "auto" and vectors.shape[0] >= _HNSW_FROM and not sp.issparse(vectors)):
        return HNSWNeighbors(vectors, n_threads=n_threads, seed=seed)
    return ExactNeighbors(vectors)


def _prune(
    pieces: list[tuple[np.ndarray, np.ndarray]], k: int
) -> tuple[list[tuple[np.ndarray, np.ndarray]], float]:
    """Drop what cannot be among the k best any more; return the rest and the k-th best similarity."""
    rows = np.concatenate([r for r, _ in pieces])
    similarity = np.concatenate([s for _, s in pieces])
    if len(rows) <= k:
        return [(rows, similarity)], -np.inf
    floor = float(np.partition(similarity, len(rows) - k)[len(rows) - k])
    near = similarity >= floor - _SLACK
    return [(rows[near], similarity[near])], floor


def _norms(vectors: Any) -> np.ndarray:
    if sp.issparse(vectors):
        values = vectors if vectors.dtype.kind == "f" else vectors.astype(np.float64)  # squares overflow
        return np.sqrt(np.asarray(values.multiply(values).sum(axis=1)).ravel())
    dtype = vectors.dtype if vectors.dtype.kind == "f" else np.float64
    return np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=dtype))


def _inverse(norms: np.ndarray) -> np.ndarray:
    return np.divide(1.0, norms, out=np.zeros(len(norms)), where=norms > 0)


def _dense(vectors: Any) -> np.ndarray:
    return vectors.toarray() if sp.issparse(vectors) else np.asarray(vectors)
