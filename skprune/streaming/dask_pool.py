"""The texts of a dask DataFrame as a pool of a filter."""

from __future__ import annotations

from typing import Any

import dask
import dask.dataframe as dd
import numpy as np

from skprune.containers import column_of_texts
from skprune.exceptions import EmptyPoolError
from skprune.selections import mask_of
from skprune.streaming.partition_vectors import PartitionVectors
from skprune.streaming.partitions import Content, PartitionReader, content_of, kept_of, lines_of, texts_of
from skprune.streaming.pool import N_TRAIN, StreamedPool
from skprune.streaming.scheduling import completed, partitions_of
from skprune.streaming.vectors import VectorParts


class DaskPool(StreamedPool):
    """The rows of a dask DataFrame or Series that have a text.

    Making one computes the column of texts, and checks that each row is a text. They are hashed where they
    are; only their hashes come to this process.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame or dask.dataframe.Series
    name : str, default="X"
        The name in error messages.
    text : column name, default=None
        The column of texts; None: the only one.
    on_missing : {"error", "drop", "keep"}, default="error"
        Whether rows without a text are refused. Otherwise they are not rows of the pool.
    n_train : int, default=100_000
        See :class:`~skprune.streaming.pool.StreamedPool`.

    Attributes
    ----------
    reader : PartitionReader
    sizes : list of int
        Number of rows of each partition that have a text.
    missing : list of ndarray of int
        Positions, in each partition, of the rows without one.

    Raises
    ------
    TypeError, ValueError
        If ``frame`` is another collection, or a row is not text. The message names partition and row.
    EmptyPoolError
        If no row has a text.
    """

    reader: PartitionReader

    def __init__(
        self,
        frame: Any,
        *,
        name: str = "X",
        text: Any = None,
        on_missing: str = "error",
        n_train: int = N_TRAIN,
    ) -> None:
        if not isinstance(frame, (dd.DataFrame, dd.Series)):
            raise TypeError(
                f"{name} is a dask {type(frame).__name__}; filters read dask DataFrames and Series of texts. "
                f"Pass {name}.compute()"
            )
        if frame.ndim == 1:
            text = "text"
            column_of_texts(frame._meta.to_frame(text), text, name)
        else:
            text = column_of_texts(frame._meta, text, name)
        parts = partitions_of(texts_of(frame, text))
        contents = _read(parts, text, name, on_missing)
        self.sizes = [len(content.hashes) for content in contents]
        self.missing = [content.missing for content in contents]
        if not sum(self.sizes):
            raise EmptyPoolError(f"{name} holds no row with a text")
        self._checksums = [content.checksum for content in contents]
        hashes = np.concatenate([content.hashes for content in contents])
        blank = np.concatenate([content.blank for content in contents])
        del contents  # the pool has a copy of the hashes, and drops those it does not need
        reader = PartitionReader(parts, self._checksums, self.sizes)
        super().__init__(reader, hashes, blank, n_train)
        self.name, self.text, self.data = name, text, frame

    def filtered(self, rows: np.ndarray) -> Any:
        """Return the rows at ascending positions as a lazy frame or Series."""
        kept = np.split(mask_of(rows, len(self)), np.cumsum(self.sizes)[:-1])
        masks = [
            np.packbits(np.insert(mask, without - np.arange(len(without)), False))
            for mask, without in zip(kept, self.missing, strict=True)
        ]
        return self.derived(kept_of, self.data._meta, masks)

    def take(self, indices: np.ndarray) -> Any:
        """Return the rows at some positions as a pandas DataFrame or Series."""
        rows, order = np.unique(indices, return_inverse=True)
        parts = np.unique(np.searchsorted(np.cumsum(self.sizes), rows, side="right"))
        return self.filtered(rows).partitions[parts.tolist()].compute().iloc[order]

    def column(self, name: Any) -> np.ndarray:
        """Return a column of the rows that have a text; it is computed, and comes to this process."""
        starts = np.cumsum([0, *map(sum, zip(self.sizes, map(len, self.missing), strict=True))])
        without = [start + rows for start, rows in zip(starts[:-1], self.missing, strict=True)]
        return np.delete(np.asarray(self.data[name].compute(), dtype=object), np.concatenate(without))

    def encoded(self, encode: Any) -> VectorParts:
        """Return the vectors of the distinct texts, which stay with the workers that encode them.

        An encoder that asks a server runs here: its key and its limits belong to one process.
        """
        if getattr(encode.compute, "base_url", None) is not None:
            return super().encoded(encode)
        return PartitionVectors(self.reader, encode, self.table.first)

    def indexed_lines(self, table: Any) -> Any:
        """Return a table of one line per row as a lazy frame with the partitions and index of ``data``."""
        stops = np.cumsum(self.sizes)
        lines = [table.iloc[stop - size : stop] for size, stop in zip(self.sizes, stops, strict=True)]
        return self.derived(lines_of, table[:0].set_axis(self.data._meta.index), lines)

    def derived(self, function: Any, meta: Any, *details: list[Any]) -> Any:
        """Return a lazy frame, made of each partition.

        Parameters
        ----------
        function : callable
            ``(part, number, column, checksum, *details) -> frame``.
        meta : DataFrame or Series
            An empty result.
        *details : lists
            One entry per partition each.
        """
        task = dask.delayed(function, pure=False)
        parts = partitions_of(self.data)
        tasks = [
            task(part, number, self.text, *detail)
            for number, (part, *detail) in enumerate(zip(parts, self._checksums, *details, strict=True))
        ]
        return dd.from_delayed(tasks, meta=meta, divisions=self.data.divisions, verify_meta=False)


def _read(parts: Any, column: Any, name: str, on_missing: str) -> list[Content]:
    """Return what this process needs to know about the texts of each partition."""
    read = dask.delayed(content_of, pure=False)
    contents: Any = [None] * len(parts)
    for number, content in completed([read(part, number) for number, part in enumerate(parts)]):
        contents[number] = content
    for number, content in enumerate(contents):
        if on_missing == "error" and len(content.missing):
            raise ValueError(
                f"partition {number}, row {content.missing[0]} (index {content.label!r}): {column!r} is "
                f"missing. Drop such rows of {name} with dropna, or see on_missing= of skprune.dask.prune: "
                "'drop' removes them, and 'keep' lets them pass"
            )
    return contents
