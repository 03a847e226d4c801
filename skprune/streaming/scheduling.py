"""Where tasks run: on the user's Client, or on the scheduler that dask would use."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import cloudpickle
import dask
from dask.base import get_scheduler
from dask.delayed import Delayed
from joblib import parallel_config

from skprune._locks import Lock


def completed(tasks: Sequence[Delayed]) -> Iterator[tuple[int, Any]]:
    """Yield the number and the result of each task: on a Client as it is done, elsewhere in order.

    Examples
    --------
    >>> from dask import delayed
    >>> list(completed([delayed(len)("a"), delayed(len)("bb")]))
    [(0, 1), (1, 2)]
    """
    client = client_in_use()
    if client is None:
        yield from enumerate(dask.compute(*tasks))
        return
    from distributed import as_completed

    with warnings.catch_warnings():
        # The scorer is in the graph so that it survives the worker that holds it. Scattered data would not.
        warnings.filterwarnings("ignore", message="Sending large graph")
        futures = client.compute(list(tasks))
    number_of = {future.key: number for number, future in enumerate(futures)}
    arriving = as_completed(futures, with_results=True)
    del futures  # the results that have been used can go
    for future, result in arriving:
        yield number_of[future.key], result


def client_in_use() -> Any:
    """Return the Client on which tasks run now; None if they run in this process or its children."""
    client = getattr(get_scheduler(), "__self__", None)
    return client if hasattr(client, "futures") else None


def partitions_of(frame: Any) -> list[Delayed]:
    """Return the partitions of a dask DataFrame or Series as tasks, which read only the columns they need.

    Dask would read small Parquet files together. Then a column would have fewer partitions than its frame.
    """
    with dask.config.set({"optimization.tune.active": False}):
        return list(frame.to_delayed())


class Shipped:
    """A scorer or encoder that travels as one pickle, and is unpickled once per worker.

    A process scores one partition at a time, because a scorer need not be safe for threads. It starts no
    processes of its own: dask decides how many there are.

    Parameters
    ----------
    pickled : bytes
        What :meth:`pack` returns.
    """

    def __init__(self, pickled: bytes) -> None:
        self._pickled = pickled
        self._compute = cloudpickle.loads(pickled)
        self._lock = Lock()

    def __reduce__(self) -> Any:
        return Shipped, (self._pickled,)

    @staticmethod
    def pack(compute: Any) -> Delayed:
        """Return the task that unpickles a scorer where it is needed."""
        return dask.delayed(Shipped, pure=False)(cloudpickle.dumps(compute))

    def __call__(self, use: Any) -> Any:
        """Return ``use(scorer)``, while no other thread uses the scorer."""
        with self._lock.rlock, parallel_config("sequential"):
            return use(self._compute)
