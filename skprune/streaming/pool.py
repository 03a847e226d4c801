"""A pool whose texts stay elsewhere; a hash of each row is in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

import numpy as np

from skprune.pools import KnownRows, Pool
from skprune.row_table import RowTable
from skprune.store.remembered import Batches
from skprune.streaming.vectors import StoredParts, VectorParts

#: Maximum number of distinct texts that are in memory for a component that learns from the pool.
N_TRAIN = 100_000


class Reader(ABC):
    """Reads the texts of a pool by row."""

    @abstractmethod
    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the texts of some rows, given in ascending order."""

    @abstractmethod
    def scored(self, compute: Any, rows: np.ndarray, batch_size: int) -> Batches:
        """Yield ``(positions, values)`` per batch of what a scorer or encoder says about some rows.

        Parameters
        ----------
        compute : callable
            See :class:`~skprune.store.Remembered`.
        rows : ndarray of int, shape (n,)
            In ascending order.
        batch_size : int
            Texts per call of a plain callable.
        """


class StreamedPool(Pool):
    """Texts that stay where they are: in files, or in the partitions of a dask DataFrame.

    Parameters
    ----------
    reader : Reader
    hashes : ndarray of uint64, shape (n_rows, 2)
        Content hash of each row.
    blank : ndarray of bool, shape (n_rows,)
        Which texts hold no more than white space.
    n_train : int, default=100_000
        Maximum number of distinct texts in :attr:`training_texts`.

    Notes
    -----
    A filter sees an ordinary pool of texts. ``texts`` is an array that reads them, in the order of the pool,
    when its items are needed. Rows are compared by their hashes.
    """

    def __init__(self, reader: Reader, hashes: np.ndarray, blank: np.ndarray, n_train: int = N_TRAIN) -> None:
        self.name = "X"
        self.text = None
        self.reader = reader
        self.texts = StreamedTexts(self, range(len(hashes)))
        self.data = self.texts
        self.stored = None
        self.row_shape = ()
        self._numbers = ()
        self._hashes, self._blank, self._n_train = hashes, blank, n_train

    def __getstate__(self) -> dict[str, Any]:
        # Unlike that of other pools, the table cannot be made again: it took the hashes.
        return super().__getstate__() | {name: self.__dict__[name] for name in {"table"} & set(self.__dict__)}

    @cached_property
    def table(self) -> RowTable:
        """The distinct rows, numbered."""
        table = StreamedTable(self._hashes, self._blank, self.texts)
        del self._hashes  # 16 bytes a row; the table has those of the distinct rows
        return table

    def is_as_read(self) -> bool:
        """Return True: whoever reads the texts notices if they are others than before."""
        return True

    @property
    def written(self) -> np.ndarray:
        """Mask of the texts that are not blank."""
        return ~self._blank

    def written_at(self, indices: np.ndarray) -> np.ndarray:
        """Return which of the texts at ``indices`` are not blank."""
        return ~self._blank[indices]

    def check(self, indices: np.ndarray | None = None) -> None:
        """Do nothing: the texts were checked when they were hashed."""

    def take(self, indices: np.ndarray) -> Any:
        """Return the texts at ``indices``."""
        return np.asarray(self.texts[indices])

    def encoded(self, encode: Any) -> VectorParts:
        """Return the vectors of the distinct texts, which stay in the store of the encoder."""
        return StoredParts(encode, self.table)

    def contents_at(self, indices: np.ndarray) -> np.ndarray:
        """Return the hashes of some rows."""
        return self.table.digests[self.table.row_of[indices]]

    def _numbered_by(self, table: RowTable) -> np.ndarray:
        if table is self.table:
            return table.row_of
        numbers = table.locate(self.table.digests)
        unseen = np.flatnonzero(numbers < 0)
        numbers[unseen] = len(table) + np.arange(len(unseen))
        return np.asarray(numbers[self.table.row_of])

    def isin_at(self, known: KnownRows, indices: np.ndarray) -> np.ndarray:
        """Return which of the texts at ``indices`` are among ``known``."""
        if known.pool is None:
            return np.zeros(len(indices), dtype=bool)
        return known.pool.table.locate(self.contents_at(indices)) >= 0

    @property
    def training_texts(self) -> Any:
        """The ``n_train`` distinct texts with the lowest hashes, a sample that no order of rows changes."""
        if len(self) <= self._n_train:
            return self.texts
        if len(self.table) <= self._n_train:
            return self.table.keys
        first_halves = self.table.digests[:, 0].byteswap()  # hashes are compared as bytes
        smallest_left_out = np.partition(first_halves, self._n_train)[self._n_train]
        return self.table.keys[np.flatnonzero(first_halves < smallest_left_out)]


class StreamedTable(RowTable):
    """The distinct rows of a streamed pool.

    Parameters
    ----------
    hashes, blank : ndarray
        See :class:`StreamedPool`.
    texts : StreamedTexts
    """

    def __init__(self, hashes: np.ndarray, blank: np.ndarray, texts: StreamedTexts) -> None:
        self.row_of, self.first = _numbered(hashes[:, 0])
        self._hashes = hashes if len(self.first) == len(hashes) else hashes[self.first]
        self._recent = (np.empty(0, dtype=object), np.empty(0, dtype=np.intp))  # it would hold all hashes
        self._texts = texts
        self.written = ~blank[self.first]

    @property
    def keys(self) -> Any:
        """The distinct texts, read when their items are needed."""
        return self._texts[self.first]

    def locate(self, contents: Any) -> np.ndarray:
        """Return the number of each row, or −1 for a row that is not in the table."""
        is_mine = isinstance(contents, StreamedTexts) and contents.pool is self._texts.pool
        return self.row_of[contents.rows] if is_mine else super().locate(contents)


class StreamedTexts:
    """Texts elsewhere as an array: indexing reads nothing, and a conversion to an array reads the items.

    Parameters
    ----------
    pool : StreamedPool
    rows : ndarray of int, shape (n,), or range
        Rows of the pool; a range for all of them, which takes no memory.
    """

    def __init__(self, pool: StreamedPool, rows: np.ndarray | range) -> None:
        self.pool = pool
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, (int, np.integer)):
            return self.pool.reader.read(np.array([self.rows[item]]))[0]
        if isinstance(self.rows, np.ndarray) or isinstance(item, slice):
            return StreamedTexts(self.pool, self.rows[item])
        return StreamedTexts(self.pool, np.flatnonzero(item) if item.dtype == bool else item)

    @property
    def hashes(self) -> np.ndarray:
        """Content hash of each text, uint64 of shape (n, 2)."""
        return self.pool.contents_at(np.asarray(self.rows))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        rows, order = self._ascending()
        if order is None:
            return self.pool.reader.read(rows)
        texts = np.empty(len(rows), dtype=object)
        texts[order] = self.pool.reader.read(rows)
        return texts

    def scored(self, compute: Any, batch_size: int) -> Batches:
        """Yield ``(positions, values)`` of a scorer or encoder per batch, read in the order of the pool."""
        rows, order = self._ascending()
        for positions, values in self.pool.reader.scored(compute, rows, batch_size):
            yield positions if order is None else order[positions], values

    def tolist(self) -> list[str]:
        """Return the texts."""
        return self.__array__().tolist()

    def _ascending(self) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the rows in ascending order, and their positions here; None if they are in order."""
        rows = np.asarray(self.rows)
        if (np.diff(rows) >= 0).all():
            return rows, None
        order = np.argsort(rows, kind="stable")
        return rows[order], order


def _numbered(halves: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number rows by first appearance, in a third of the memory of a hash table.

    Parameters
    ----------
    halves : ndarray of uint64, shape (n,)
        Equal rows, and no others, share one.

    Returns
    -------
    row_of : ndarray of int32, shape (n,)
    first : ndarray of int32, shape (n_distinct,)
        As in :class:`RowTable`.

    Examples
    --------
    >>> _numbered(np.array([9, 4, 9, 7], dtype=np.uint64))
    (array([0, 1, 0, 2], dtype=int32), array([0, 1, 3], dtype=int32))
    """
    order = np.argsort(halves, kind="stable").astype(np.int32)
    ordered = halves[order]
    starts = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])).astype(np.int32)
    del ordered
    is_first = np.zeros(len(halves), dtype=bool)
    is_first[order[starts]] = True
    number = np.cumsum(is_first, dtype=np.int32) - np.int32(1)
    row_of = np.empty(len(halves), dtype=np.int32)
    row_of[order] = np.repeat(number[order[starts]], np.diff(starts, append=np.int32(len(halves))))
    return row_of, np.flatnonzero(is_first).astype(np.int32)
