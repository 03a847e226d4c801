"""A pool whose texts stay in their files; a hash of each row is in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from skprune.files.base import MAX_BYTES, DataFile, is_missing
from skprune.pools import Pool
from skprune.row_table import RowTable


class FilePool(Pool):
    """The rows of some files, except those without a text.

    Parameters
    ----------
    files : sequence of DataFile
    sizes : sequence of int
        Number of rows of each file that have a text.
    hashes : ndarray of uint64, shape (n_rows, 2)
        Content hash of each row.
    blank : ndarray of bool, shape (n_rows,)
        Which texts hold no more than white space.
    n_chars : int
        Number of characters of all texts.
    n_train : int
        Maximum number of distinct texts in :attr:`training_texts`.

    Notes
    -----
    A filter sees an ordinary pool of texts. ``texts`` is an array that reads from the files, in their order,
    when its items are needed.
    """

    def __init__(
        self,
        files: Sequence[DataFile],
        sizes: Sequence[int],
        hashes: np.ndarray,
        blank: np.ndarray,
        n_chars: int,
        n_train: int,
    ) -> None:
        self.name = "X"
        self.text = None
        reader = _Reader(files, sizes, max_rows=max(1, MAX_BYTES * len(hashes) // max(n_chars, 1)))
        self.texts = FileTexts(reader, range(len(hashes)))
        self.data = self.texts
        self.vectors = None
        self.row_shape = ()
        self._numbers = ()
        self._hashes, self._blank, self._n_train = hashes, blank, n_train

    @cached_property
    def table(self) -> RowTable:
        """The distinct rows, numbered."""
        table = FileTable(self._hashes, self._blank, self.texts)
        del self._hashes  # 16 bytes a row; the table has those of the distinct rows
        return table

    @property
    def written(self) -> np.ndarray:
        """Mask of the texts that are not blank."""
        return ~self._blank

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


class FileTable(RowTable):
    """The distinct rows of a pool in files.

    Parameters
    ----------
    hashes, blank : ndarray
        See :class:`FilePool`.
    texts : FileTexts
    """

    def __init__(self, hashes: np.ndarray, blank: np.ndarray, texts: FileTexts) -> None:
        self.row_of, self.first = _numbered(hashes[:, 0])
        self._hashes = hashes if len(self.first) == len(hashes) else hashes[self.first]
        self._recent = (np.empty(0, dtype=object), np.empty(0, dtype=np.intp))  # it would hold all hashes
        self._texts = texts
        self.written = ~blank[self.first]

    @property
    def keys(self) -> Any:
        """The distinct texts, read from the files when their items are needed."""
        return self._texts[self.first]

    def locate(self, contents: Any) -> np.ndarray:
        """Return the number of each row, or −1 for a row that is not in the table."""
        return self.row_of[contents.rows] if isinstance(contents, FileTexts) else super().locate(contents)


class FileTexts:
    """Texts in files as an array: indexing reads nothing, and a conversion to an array reads the items.

    Parameters
    ----------
    reader : _Reader
    rows : ndarray of int, shape (n,), or range
        Rows of the pool; a range for all of them, which takes no memory.
    """

    def __init__(self, reader: _Reader, rows: np.ndarray | range) -> None:
        self._reader = reader
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def max_rows(self) -> int:
        """How many texts of mean length may be in memory at a time."""
        return self._reader.max_rows

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, (int, np.integer)):
            return self._reader.read(np.array([self.rows[item]]))[0]
        if isinstance(self.rows, np.ndarray) or isinstance(item, slice):
            return FileTexts(self._reader, self.rows[item])
        return FileTexts(self._reader, np.flatnonzero(item) if item.dtype == bool else item)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        rows = np.asarray(self.rows)
        if (np.diff(rows) >= 0).all():
            return self._reader.read(rows)
        order = np.argsort(rows, kind="stable")
        texts = np.empty(len(rows), dtype=object)
        texts[order] = self._reader.read(rows[order])
        return texts

    def tolist(self) -> list[str]:
        """Return the texts."""
        return self.__array__().tolist()


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


class _Reader:
    """Reads texts by row; rows in ascending order are read in one pass over the files."""

    def __init__(self, files: Sequence[DataFile], sizes: Sequence[int], max_rows: int) -> None:
        self.max_rows = max_rows
        self._files = files
        self._ends = np.cumsum(sizes)
        self._texts: Iterator[tuple[int, np.ndarray]] = iter(())
        self._number, self._start, self._batch = -1, 0, np.empty(0, dtype=object)

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the texts of some rows, given in ascending order."""
        texts = np.empty(len(rows), dtype=object)
        done = 0
        while done < len(rows):
            self._go_to(int(rows[done]))
            end = int(np.searchsorted(rows, self._start + len(self._batch)))
            texts[done:end] = self._batch[rows[done:end] - self._start]
            done = end
        return texts

    def _go_to(self, row: int) -> None:
        """Bring the batch that holds a row into memory."""
        number = int(np.searchsorted(self._ends, row, side="right"))
        if number != self._number or row < self._start:
            self._number, self._texts = number, self._from_file(number)
            self._start, self._batch = next(self._texts)
        while row >= self._start + len(self._batch):
            self._start, self._batch = next(self._texts)

    def _from_file(self, number: int) -> Iterator[tuple[int, np.ndarray]]:
        start = int(self._ends[number - 1]) if number else 0
        for texts in self._files[number].texts():
            texts = texts[~is_missing(texts)]
            yield start, texts
            start += len(texts)
