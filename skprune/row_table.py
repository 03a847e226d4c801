"""The distinct rows of a pool under numbers, and the hashes of their content."""

from __future__ import annotations

import hashlib
from copy import copy
from functools import cached_property, lru_cache
from typing import Any

import numpy as np

from skprune.hashing import hash_keys

_CHUNK = 65_536
# Rows removed from a pool at once, up to which comparing it with its predecessor pays.
_MAX_REMOVED = 500
# Tables of texts that are kept for the next pool of the same texts, and the most rows of one: tens of MB.
_N_KEPT = 16
_MAX_KEPT = 2**15


class RowTable:
    """The distinct rows of a pool, numbered 0, 1, ... in order of first appearance.

    Parameters
    ----------
    contents : ndarray
        The rows, as :meth:`Pool.contents_at` gives them: texts, object of shape (n,), or hashes of numeric
        rows, uint64 of shape (n, 2). Copies share a number.

    Attributes
    ----------
    row_of : ndarray of intp, shape (n,)
        The number of each row.
    first : ndarray of intp, shape (n_distinct,)
        The position of the first row of each number.
    """

    def __init__(self, contents: np.ndarray) -> None:
        import pandas as pd

        # The first half of a hash identifies a row: among 10 million rows two share it with probability 3e-6.
        halves = contents if contents.ndim == 1 else contents[:, 0]
        self.row_of, distinct = pd.factorize(halves, use_na_sentinel=False)
        if contents.ndim == 1:
            self._index = pd.Index(distinct, dtype=object)
        self.first = np.empty(len(distinct), dtype=np.intp)
        self.first[self.row_of[::-1]] = np.arange(len(halves))[::-1]
        self._hashes = None if contents.ndim == 1 else contents[self.first]
        # The texts of the pool that was numbered last: a loop mostly comes back with a few of them removed.
        self._recent = (contents, self.row_of)

    def __len__(self) -> int:
        return len(self.first)

    @cached_property
    def _index(self) -> Any:
        """Finds the number of a row; of rows known by their hashes it is made when it is needed."""
        return self._hash_index

    @cached_property
    def _hash_index(self) -> Any:
        """Finds the number of a hash."""
        import pandas as pd

        return pd.Index(self.digests[:, 0])

    @property
    def keys(self) -> np.ndarray:
        """The key (see :attr:`Pool.keys`) of each number, object of shape (n_distinct,)."""
        if self._hashes is not None:
            return hash_keys(self._hashes)
        return np.asarray(self._index.to_numpy(dtype=object))

    @cached_property
    def digests(self) -> np.ndarray:
        """128-bit content hash of every distinct row, uint64 of shape (n_distinct, 2)."""
        return digests(self.keys) if self._hashes is None else self._hashes

    @cached_property
    def written(self) -> np.ndarray:
        """Mask of the distinct texts that are not blank; all numeric rows count as written."""
        return is_written(self.keys) if self._hashes is None else np.ones(len(self), dtype=bool)

    def by_content(self) -> np.ndarray:
        """Return the numbers of the distinct rows in an order that depends on their content only.

        Hashes are compared as bytes, as :attr:`StreamedPool.training_texts` does.
        """
        return np.lexsort(self.digests.byteswap().T[::-1])

    def numbers_of(self, texts: np.ndarray) -> np.ndarray:
        """Return the number of each text; texts outside the table get numbers from ``len(self)`` on."""
        import pandas as pd

        recent, numbers = self._recent
        rows = _rows_left(recent, texts)
        if rows is not None:
            numbers = numbers[rows]
        else:
            numbers = self.locate(texts)
            unseen = np.flatnonzero(numbers < 0)
            numbers[unseen] = len(self) + pd.factorize(texts[unseen], use_na_sentinel=False)[0]
        if 2 * len(texts) > len(recent):  # not a few labeled rows
            self._recent = (texts, numbers)  # one assignment: another thread may run this too
        return numbers

    def locate(self, contents: Any) -> np.ndarray:
        """Return the number of each row, or −1 for a row that is not in the table."""
        if not isinstance(contents, np.ndarray):  # texts that are elsewhere; their hashes are here
            contents = contents.hashes
        if self._hashes is None and contents.ndim == 1:
            return np.asarray(self._index.get_indexer(contents))
        hashes = digests(contents) if contents.ndim == 1 else contents
        numbers = np.asarray(self._hash_index.get_indexer(hashes[:, 0]))
        numbers[self.digests[numbers, 1] != hashes[:, 1]] = -1
        return numbers


def table_of_texts(texts: np.ndarray) -> RowTable:
    """Return the table of texts; that of the same texts in the same order is made once.

    A search fits a filter on the same few folds for every setting. Comparing a fold with those seen before
    takes a thirtieth of the time of hashing its texts.
    """
    if len(texts) > _MAX_KEPT:
        return RowTable(texts)
    table = copy(_table_of(tuple(texts.tolist())))
    table._recent = (texts, table.row_of)
    return table


@lru_cache(maxsize=_N_KEPT)
def _table_of(texts: tuple[str, ...]) -> RowTable:
    contents = np.empty(len(texts), dtype=object)
    contents[:] = texts
    table = RowTable(contents)
    _ = table.digests, table.written  # copies of the table share them
    return table


def digests(keys: np.ndarray) -> np.ndarray:
    """128-bit content hash (BLAKE2b) of each key, uint64 of shape (n, 2)."""
    found = np.empty((len(keys), 2), dtype="<u8")
    for start in range(0, len(keys), _CHUNK):  # a bytes object takes 57 bytes
        stop = start + _CHUNK
        joined = b"".join(_digest(k.encode()) if isinstance(k, str) else k for k in keys[start:stop])
        found[start:stop] = np.frombuffer(joined, dtype="<u8").reshape(-1, 2)
    return found


def is_written(texts: np.ndarray) -> np.ndarray:
    """Return the mask of the texts that hold more than white space.

    Examples
    --------
    >>> is_written(np.array(["a", " ", ""], dtype=object))
    array([ True, False, False])
    """
    return np.array([not text.isspace() and text != "" for text in texts], dtype=bool)


def _rows_left(before: np.ndarray, after: np.ndarray) -> np.ndarray | None:
    """Return which rows are left if ``after`` is ``before`` without a few rows, in order; None if it is not.

    Comparing equal objects in order takes a fifth of the time of looking each of them up.

    Examples
    --------
    >>> texts = np.array(["a", "b", "c", "d"], dtype=object)
    >>> _rows_left(texts, texts[[0, 2, 3]]), _rows_left(texts, texts[[2, 0]])
    (array([0, 2, 3]), None)
    """
    n_removed = len(before) - len(after)
    if before.ndim != 1 or not 0 <= n_removed <= _MAX_REMOVED:
        return None
    left = np.ones(len(before), dtype=bool)
    shift = start = 0  # after[start] is compared with before[start + shift]
    while start < len(after):
        stop = min(start + _CHUNK, len(after))
        same = np.asarray(after[start:stop] == before[start + shift : stop + shift], dtype=bool)
        n_same = int(np.argmin(same)) if not same.all() else len(same)
        start += n_same
        if n_same < len(same):
            if shift == n_removed:
                return None
            left[start + shift] = False
            shift += 1
    left[start + shift :] = False
    return np.flatnonzero(left)


def _digest(content: Any) -> bytes:
    return hashlib.blake2b(content, digest_size=16).digest()
