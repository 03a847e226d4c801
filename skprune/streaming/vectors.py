"""Vectors of a pool that are not in this process's memory: they are used part by part."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from skprune.row_table import RowTable
from skprune.store.remembered import Remembered

# Rows that are in memory at a time. As in the search, so that its matrix products are large enough.
_BLOCK = 16_384


class VectorParts(ABC):
    """The vectors of the distinct rows of a pool in consecutive parts.

    Indexing with an array of rows brings their vectors into memory.

    Attributes
    ----------
    shape : tuple of int, (n_rows, n_features)
    dtype : dtype
        float32.
    """

    shape: tuple[int, int]
    dtype = np.dtype(np.float32)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> np.ndarray:
        wanted, place = np.unique(np.asarray(rows) % len(self), return_inverse=True)
        vectors = np.empty((len(wanted), self.shape[1]), self.dtype)

        def within(part: slice) -> tuple[Any, ...] | None:
            first, last = np.searchsorted(wanted, (part.start, part.stop))
            return (wanted[first:last] - part.start,) if first < last else None

        for part, found in self.map(_taken, within):
            first, last = np.searchsorted(wanted, (part.start, part.stop))
            vectors[first:last] = found
        return vectors[place]

    @abstractmethod
    def map(
        self, function: Callable[..., Any], arguments: Callable[[slice], tuple[Any, ...] | None]
    ) -> Iterator[tuple[slice, Any]]:
        """Yield the rows of each part and what a function returns for their vectors, in any order.

        Parameters
        ----------
        function : callable
            Takes the vectors of a part, ndarray of shape (n, n_features), and its arguments. It must be
            picklable.
        arguments : callable
            Takes the rows of a part and returns the other arguments; None skips the part.
        """


class StoredParts(VectorParts):
    """Vectors that the store of an encoder holds. What it does not hold any more is computed again.

    Parameters
    ----------
    encode : Remembered
    table : RowTable
        The distinct texts.
    """

    def __init__(self, encode: Remembered, table: RowTable) -> None:
        self._encode, self._table = encode, table
        self.shape = (len(table), -1)
        widths = [width for _, width in self.map(_width, lambda part: ())]
        self.shape = (len(table), widths[0])

    def map(
        self, function: Callable[..., Any], arguments: Callable[[slice], tuple[Any, ...] | None]
    ) -> Iterator[tuple[slice, Any]]:
        """Yield the rows of each part and what a function returns for their vectors."""
        for start in range(0, len(self), _BLOCK):
            part = slice(start, min(start + _BLOCK, len(self)))
            given = arguments(part)
            if given is not None:
                vectors = self._encode(self._table.keys[part], self._table.digests[part])
                yield part, function(vectors, *given)


def by_row(vectors: Any, function: Callable[..., np.ndarray], *arguments: Any) -> np.ndarray:
    """Return what a function computes for each row of vectors, whether they are in memory or not.

    Examples
    --------
    >>> by_row(np.array([[1.0, 2.0], [3.0, 4.0]]), np.sum, 1)
    array([3., 7.])
    """
    if not isinstance(vectors, VectorParts):
        return function(vectors, *arguments)
    found = {part.start: values for part, values in vectors.map(function, lambda part: arguments)}
    return np.concatenate([found[start] for start in sorted(found)])


def _taken(vectors: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.asarray(vectors[rows])


def _width(vectors: np.ndarray) -> int:
    return int(vectors.shape[1])
