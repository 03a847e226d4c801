"""Reads texts of files by their rows in the pool."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from skprune.files.base import MAX_BYTES, DataFile, is_missing
from skprune.store.remembered import Batches, scored
from skprune.streaming.pool import Reader


class FileReader(Reader):
    """Reads in one pass over the files, one batch of which is in memory.

    Parameters
    ----------
    files : sequence of DataFile
    sizes : sequence of int
        Number of rows of each file that have a text.
    n_chars : int
        Number of characters of all texts.
    """

    def __init__(self, files: Sequence[DataFile], sizes: Sequence[int], n_chars: int) -> None:
        self._files = files
        self._ends = np.cumsum(sizes)
        self._max_rows = max(1, MAX_BYTES * int(self._ends[-1]) // max(n_chars, 1))  # of mean length
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

    def scored(self, compute: Any, rows: np.ndarray, batch_size: int) -> Batches:
        """Yield ``(positions, values)`` per batch; the texts of one batch are in memory."""
        size = min(batch_size, self._max_rows)
        for start in range(0, len(rows), size):
            for positions, values in scored(compute, self.read(rows[start : start + size]), size):
                yield start + positions, values

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
