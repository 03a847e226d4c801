"""Vectors of the texts of a dask DataFrame, which stay with the workers that encode them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import dask
import numpy as np

from skprune.store.remembered import Remembered
from skprune.streaming.partitions import PartitionReader, check_same
from skprune.streaming.scheduling import Shipped, client_in_use, completed
from skprune.streaming.vectors import VectorParts


class PartitionVectors(VectorParts):
    """The vectors of the distinct texts of partitions, in the memory of the workers.

    Each part holds the texts that occur first in one partition. On a Client, the parts of a worker that dies
    are computed again, and once the Client is closed, all parts are when they are needed next. Without a
    Client, the vectors are in the memory of this process.

    Parameters
    ----------
    reader : PartitionReader
    encode : Remembered
        It travels to the workers. If it has a folder as ``memory``, each machine keeps its vectors there.
    first : ndarray of int, shape (n_distinct,)
        The row of each distinct text, ascending.
    """

    def __init__(self, reader: PartitionReader, encode: Remembered, first: np.ndarray) -> None:
        self._rows, self._tasks = reader.tasks(_encode_part, first, Shipped.pack(encode))
        self.shape = (len(first), -1)
        found = [numbers for _, numbers in self._results(_counted, lambda part: ())]
        self.shape = (len(first), found[0][0])
        encode.n_computed += sum(n_computed for _, n_computed in found)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_persisted"}

    @cached_property
    def _persisted(self) -> tuple[Any, Any]:
        """The Client whose workers hold the results, None for this process; and the tasks that encode."""
        return client_in_use(), dask.persist(*self._tasks)

    @property
    def _encoded(self) -> Any:
        """The tasks that encode, whose results stay where they are computed."""
        client, tasks = self._persisted
        if client is not None and (client is not client_in_use() or _are_cancelled(tasks)):
            del self._persisted  # closed, replaced or restarted: the results are gone
        return self._persisted[1]

    def map(
        self, function: Callable[..., Any], arguments: Callable[[slice], tuple[Any, ...] | None]
    ) -> Iterator[tuple[slice, Any]]:
        """Yield the rows of each part and what a function returns for their vectors, as they are done."""

        def given(part: slice) -> tuple[Any, ...] | None:
            found = arguments(part)
            return None if found is None else (function, *found)

        yield from self._results(_applied, given)

    def _results(
        self, function: Callable[..., Any], arguments: Callable[[slice], tuple[Any, ...] | None]
    ) -> Iterator[tuple[slice, Any]]:
        task = dask.delayed(function, pure=False)
        parts, tasks = [], []
        for rows, encoded in zip(self._rows, self._encoded, strict=True):
            given = arguments(rows)
            if given is not None:
                parts.append(rows)
                tasks.append(task(encoded, *given))
        for number, result in completed(tasks):
            yield parts[number], result


def _are_cancelled(tasks: Any) -> bool:
    from distributed import futures_of

    return any(future.cancelled() for future in futures_of(tasks))


def _encode_part(
    part: Any, number: int, checksum: bytes, positions: np.ndarray, shipped: Shipped
) -> tuple[np.ndarray, int]:
    """Return the vectors of some texts of a partition, and how many of them were not in the store."""
    texts = check_same(part, number, checksum)[positions]

    def encode(remembered: Remembered) -> tuple[np.ndarray, int]:
        before = remembered.n_computed
        return remembered(texts), remembered.n_computed - before

    found: tuple[np.ndarray, int] = shipped(encode)
    return found


def _counted(encoded: tuple[np.ndarray, int]) -> tuple[int, int]:
    """Return the number of features, and how many vectors were computed."""
    vectors, n_computed = encoded
    return int(vectors.shape[1]), n_computed


def _applied(encoded: tuple[np.ndarray, int], function: Callable[..., Any], *arguments: Any) -> Any:
    return function(encoded[0], *arguments)
