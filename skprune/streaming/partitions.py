"""The texts of a dask DataFrame, read and scored partition by partition."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import dask
import numpy as np
from dask.delayed import Delayed

from skprune.pools import Pool
from skprune.row_table import digests, is_written
from skprune.store.remembered import Batches, scored
from skprune.streaming.pool import Reader
from skprune.streaming.scheduling import Shipped, completed


class Content(NamedTuple):
    """What the client knows about the texts of one partition.

    Attributes
    ----------
    hashes : ndarray of uint64, shape (n, 2)
        Content hashes of the rows that have a text.
    blank : ndarray of bool, shape (n,)
        Which of them hold no more than white space.
    missing : ndarray of int
        Positions of the rows without a text.
    label : object
        The index of the first of them.
    checksum : bytes
        A hash of the texts, of where some are missing, and of their order.
    """

    hashes: np.ndarray
    blank: np.ndarray
    missing: np.ndarray
    label: Any
    checksum: bytes


class PartitionReader(Reader):
    """Reads the texts of partitions, which are computed anew for each pass.

    Parameters
    ----------
    parts : sequence of Delayed
        The column of texts of each partition, a Series.
    checksums : sequence of bytes
        See :attr:`Content.checksum`.
    sizes : sequence of int
        Number of rows of each partition that have a text.
    """

    def __init__(self, parts: Sequence[Delayed], checksums: Sequence[bytes], sizes: Sequence[int]) -> None:
        self._parts = parts
        self._checksums = checksums
        self._starts = np.append(0, np.cumsum(sizes))

    def read(self, rows: np.ndarray) -> np.ndarray:
        """Return the texts of some rows, given in ascending order."""
        texts = np.empty(len(rows), dtype=object)
        slices, tasks = self.tasks(_taken, rows)
        for number, taken in completed(tasks):
            texts[slices[number]] = taken
        return texts

    def scored(self, compute: Any, rows: np.ndarray, batch_size: int) -> Batches:
        """Yield ``(positions, values)`` per batch, computed by the workers.

        A scorer that asks a server runs here: its key and its limits belong to one process.
        """
        if getattr(compute, "base_url", None) is not None:
            yield from scored(compute, self.read(rows), batch_size)
            return
        slices, tasks = self.tasks(_scored, rows, Shipped.pack(compute), batch_size)
        for number, batches in completed(tasks):
            for positions, values in batches:
                yield slices[number].start + positions, values

    def tasks(self, function: Any, rows: np.ndarray, *arguments: Any) -> tuple[list[slice], list[Delayed]]:
        """Return a task for each partition that holds some of the rows, and which of the rows these are."""
        bounds = np.searchsorted(rows, self._starts)
        slices, tasks = [], []
        task = dask.delayed(function, pure=False)
        for number, part in enumerate(self._parts):
            start, stop = bounds[number : number + 2]
            if start < stop:
                positions = rows[start:stop] - self._starts[number]
                slices.append(slice(start, stop))
                tasks.append(task(part, number, self._checksums[number], positions, *arguments))
        return slices, tasks


def content_of(part: Any, number: int) -> Content:
    """Read the texts of one partition for the first time.

    Raises
    ------
    ValueError, TypeError
        If a row holds something else than a valid text. The message names the partition and the row.
    """
    missing = part.isna().to_numpy(dtype=bool)
    pool = Pool(part.to_numpy(dtype=object), name=f"partition {number}")
    pool.check(np.flatnonzero(~missing))
    texts = pool.texts[~missing]
    rows = np.flatnonzero(missing)
    label = part.index[rows[0]] if len(rows) else None
    hashes = digests(texts)
    return Content(hashes, ~is_written(texts), rows, label, _checksum(hashes, missing))


def check_same(part: Any, number: int, checksum: bytes) -> np.ndarray:
    """Return the texts of a partition that was read before.

    Raises
    ------
    ValueError
        If they are others than before.
    """
    missing = part.isna().to_numpy(dtype=bool)
    texts = part.to_numpy(dtype=object)[~missing]
    if _checksum(digests(texts), missing) != checksum:
        raise ValueError(
            f"partition {number} held other texts when it was read before: what computes the frame gives "
            "another result each time. Persist the frame (ddf = ddf.persist()), or write it to files first"
        )
    return np.asarray(texts)


def kept_of(part: Any, number: int, column: Any, checksum: bytes, mask: np.ndarray) -> Any:
    """Return the rows of a partition that survive; ``mask`` holds one bit per row."""
    check_same(texts_of(part, column), number, checksum)
    return part[np.unpackbits(mask, count=len(part)).astype(bool)]


def removed_of(
    part: Any, number: int, column: Any, checksum: bytes, mask: np.ndarray, explanation: Any
) -> Any:
    """Return the other rows, with the columns of their explanation."""
    return explained(kept_of(part, number, column, checksum, ~mask), explanation)


def lines_of(part: Any, number: int, column: Any, checksum: bytes, explanation: Any) -> Any:
    """Return the explanation of all rows of a partition, with their index."""
    check_same(texts_of(part, column), number, checksum)
    return explanation.set_axis(part.index)


def texts_of(frame: Any, column: Any) -> Any:
    """Return the column of texts of a frame, or a Series as it is; both of dask or of pandas."""
    return frame if frame.ndim == 1 else frame[column]


def explained(rows: Any, explanation: Any) -> Any:
    """Return rows with the columns of their explanation."""
    return rows.assign(**{name: explanation[name].array for name in explanation.columns})


def _taken(part: Any, number: int, checksum: bytes, positions: np.ndarray) -> np.ndarray:
    return np.asarray(check_same(part, number, checksum)[positions])


def _scored(
    part: Any, number: int, checksum: bytes, positions: np.ndarray, shipped: Shipped, batch_size: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    texts = check_same(part, number, checksum)[positions]
    return shipped(lambda compute: list(scored(compute, texts, batch_size)))


def _checksum(hashes: np.ndarray, missing: np.ndarray) -> bytes:
    return hashlib.blake2b(hashes.tobytes() + np.packbits(missing).tobytes(), digest_size=16).digest()
