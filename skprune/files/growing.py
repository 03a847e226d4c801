"""An array that grows in place."""

from __future__ import annotations

from typing import Any

import numpy as np


class Growing:
    """An array that grows in place: neither parts and their concatenation are in memory, nor a copy.

    Parameters
    ----------
    row_shape : tuple of int
    dtype : dtype

    Examples
    --------
    >>> array = Growing((), np.int64)
    >>> array.extend(np.array([1, 2])), array.extend(np.array([3]))
    (None, None)
    >>> array.taken()
    array([1, 2, 3])
    """

    def __init__(self, row_shape: tuple[int, ...], dtype: Any) -> None:
        self._rows = np.empty((0, *row_shape), dtype)
        self._n = 0

    def extend(self, rows: np.ndarray) -> None:
        """Append rows."""
        n = self._n + len(rows)
        if n > len(self._rows):
            self._rows.resize((max(n, 2 * len(self._rows)), *self._rows.shape[1:]), refcheck=False)
        self._rows[self._n : n] = rows
        self._n = n

    def taken(self) -> np.ndarray:
        """Return the array, and keep none."""
        rows, self._rows = self._rows, self._rows[:0].copy()
        rows.resize((self._n, *rows.shape[1:]), refcheck=False)
        self._n = 0
        return rows
