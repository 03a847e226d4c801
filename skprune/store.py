"""Scores and vectors, kept by content so that each is bought once.

A value depends on the text and on the *fingerprint* of what computed it (model, revision, prompt, precision,
...). Both are hashed to 128 bits, so that clones in a grid search, folds, a shrinking pool and a restarted
process all find it again, and two fingerprints never mix.
"""

from __future__ import annotations

import os
import threading
import warnings
import weakref
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any, Protocol
from uuid import uuid4

import numpy as np

from skprune.disk_store import DiskStore, disk_store
from skprune.pools import RowTable, digests
from skprune.runs import Run, check_width, find, gather, info_table, merge, n_to_merge, places_in, sorted_run

__all__ = ["DiskStore", "MemoryStore", "Remembered", "Store", "clear_process_store", "open_store"]

# (positions, values) of one batch, as it becomes available
Batches = Iterable[tuple[np.ndarray, np.ndarray]]


class Turn(Protocol):
    """What :meth:`Store.claim` gives."""

    mine: np.ndarray

    def release(self) -> None:
        """Let others compute what this one did not."""

    def wait(self) -> None:
        """Wait for those who are computing the rest."""


class Store(Protocol):
    """Where values are kept: float64 scalars (width 0) or float32 vectors, by fingerprint and key.

    What is kept stays as it is: a later value of the same key is not taken.
    """

    def get(self, fingerprint: str, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(values, found)``; values are those of the found keys, in order."""

    def put(self, fingerprint: str, keys: np.ndarray, values: np.ndarray, what: str = "") -> None:
        """Keep one value a key; ``what`` says in words whose they are."""

    def claim(self, fingerprint: str, keys: np.ndarray) -> Turn:
        """Claim keys to compute, so that nobody else does; look for them again before you begin."""

    def info(self) -> Any:
        """Return a DataFrame of what is kept: ``fingerprint, what, values, width, bytes``."""

    def clear(self, fingerprint: str | None = None) -> None:
        """Forget the values of one fingerprint, or of all."""


class MemoryStore:
    """A store that lives as long as the process: 24 bytes a scalar, and a vector's own size beside."""

    def __init__(self) -> None:
        self._shelves: dict[str, _Shelf] = {}
        self._turns: dict[str, Any] = {}
        self._lock = threading.Lock()

    def get(self, fingerprint: str, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(values, found)``."""
        shelf = self._shelves.get(fingerprint)
        if shelf is None:
            return np.empty(0), np.zeros(len(keys), dtype=bool)
        payload, found = find(shelf.runs, keys)
        payload = payload[found]
        if not shelf.width:
            return payload.view(np.float64), found
        return gather(payload, shelf.width, shelf.blocks.__getitem__), found

    def put(self, fingerprint: str, keys: np.ndarray, values: np.ndarray, what: str = "") -> None:
        """Keep one value a key."""
        width = values.shape[1] if values.ndim == 2 else 0
        with self._lock:
            shelf = self._shelves.get(fingerprint) or _Shelf(width, what)
            check_width(fingerprint, width, shelf.width)
            fresh = ~find(shelf.runs, keys)[1]
            if not fresh.any():
                return
            self._shelves[fingerprint] = shelf
            if width:
                shelf.blocks.append(np.asarray(values[fresh], dtype=np.float32))
                payload = places_in(len(shelf.blocks) - 1, int(fresh.sum()))
            else:
                payload = np.asarray(values[fresh], dtype=np.float64).view(np.uint64)
            run = sorted_run(keys[fresh], payload)
            kept = len(shelf.runs) - n_to_merge([len(old.high) for old in shelf.runs], len(run.high))
            shelf.runs = [*shelf.runs[:kept], merge([*shelf.runs[kept:], run])]

    def claim(self, fingerprint: str, keys: np.ndarray) -> Turn:
        """Let the threads that want something of one fingerprint take turns."""
        with self._lock:
            turn = self._turns.setdefault(fingerprint, threading.RLock())
        return _ThreadTurn(turn, len(keys))

    def info(self) -> Any:
        """Return a DataFrame of what is kept: ``fingerprint, what, values, width, bytes``."""
        rows = []
        for fingerprint, shelf in list(self._shelves.items()):
            n_rows = sum(len(run.high) for run in shelf.runs)
            n_bytes = 24 * n_rows + sum(block.nbytes for block in shelf.blocks)
            rows.append((fingerprint, shelf.what, n_rows, shelf.width, n_bytes))
        return info_table(rows)

    def clear(self, fingerprint: str | None = None) -> None:
        """Forget the values of one fingerprint, or of all."""
        if fingerprint is None:
            self._shelves.clear()
        else:
            self._shelves.pop(fingerprint, None)


class _Shelf:
    """The values of one fingerprint."""

    def __init__(self, width: int, what: str) -> None:
        self.width = width
        self.what = what
        self.runs: list[Run] = []
        self.blocks: list[np.ndarray] = []


class _ThreadTurn:
    def __init__(self, lock: Any, n_keys: int) -> None:
        lock.acquire()
        self.release = lock.release
        self.mine = np.ones(n_keys, dtype=bool)

    def wait(self) -> None:
        """Nobody holds the rest: there is none."""


class Remembered:
    """A scorer or encoder that computes each text once.

    Parameters
    ----------
    compute : callable
        ``texts -> array`` of shape (n,) or (n, d), or an object with ``iter_scores(texts)`` that yields
        ``(positions, values)`` a batch: each batch is kept as soon as it is there.
    memory : None or path
        None keeps values in this process; a folder keeps them on disk.
    name : str
        The parameter that errors should name.
    batch_size : int, default=1024
        Texts that a plain callable is given at a time: what a crash loses at the most.

    Attributes
    ----------
    n_computed : int
        Texts that were computed rather than found.
    """

    def __init__(self, compute: Any, memory: Any, *, name: str, batch_size: int = 1024) -> None:
        self.compute = compute
        self.name = name
        self.batch_size = batch_size
        self.n_computed = 0
        fingerprint = getattr(compute, "fingerprint", None)
        if fingerprint is None:
            if memory is not None:
                warnings.warn(
                    f"{name} has no .fingerprint, so memory={str(memory)!r} cannot keep its values "
                    "from one process to the next",
                    stacklevel=2,
                )
            fingerprint, memory = _token_of(compute), None
        self.fingerprint = fingerprint
        self.store = open_store(memory)
        self._memory = None if memory is None else os.path.abspath(os.path.expanduser(memory))
        self._what = " ".join(f"{name}={compute!r}".split())[:200]

    @cached_property
    def store(self) -> Store:
        """Where the values are kept."""
        return open_store(self._memory)

    def __getstate__(self) -> dict[str, Any]:
        # A store is its process's own: a copy opens the folder again when it needs it.
        return {name: value for name, value in self.__dict__.items() if name != "store"}

    def __call__(
        self, texts: np.ndarray, keys: np.ndarray | None = None, limit: int | None = None
    ) -> np.ndarray:
        """Return the value of every text, from the store where it is known.

        Parameters
        ----------
        texts : ndarray of object, shape (n,)
        keys : ndarray of uint64, shape (n, 2), default=None
            Their content hashes, where the caller has them.
        limit : int, default=None
            Compute at most so many; the first ones. The rest are NaN.
        """
        table = RowTable(texts)
        first = np.unique(table.row_of, return_index=True)[1]
        distinct = texts[first]
        hashes = digests(distinct) if keys is None else keys[first]
        held, found = self.store.get(self.fingerprint, hashes)
        wanted = np.flatnonzero(~found)[:limit]
        while len(wanted):  # again where another process claimed a text and died
            self._compute(distinct[wanted], hashes[wanted])
            held, found = self.store.get(self.fingerprint, hashes)
            wanted = wanted[~found[wanted]]
        width = held.shape[1:] if len(held) else ()
        out = np.full((len(distinct), *width), np.nan, dtype=np.float32 if width else np.float64)
        out[found] = held
        return out[table.row_of]

    def _compute(self, texts: np.ndarray, keys: np.ndarray) -> None:
        """Compute and keep those texts that nobody else is computing, then wait for the others."""
        claim = self.store.claim(self.fingerprint, keys)
        try:
            mine = np.flatnonzero(claim.mine)
            mine = mine[~self.store.get(self.fingerprint, keys[mine])[1]]  # done while we claimed them
            done = np.zeros(len(mine), dtype=bool)
            for rows, values in self._computed(texts[mine]):
                self.store.put(self.fingerprint, keys[mine[rows]], values, self._what)
                self.n_computed += len(rows)
                done[rows] = True
        finally:
            claim.release()
        if not done.all():
            raise ValueError(f"{self.name} returned no value for the text {texts[mine[~done]][0][:60]!r}")
        claim.wait()

    def _computed(self, texts: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        if not len(texts):
            return
        batches: Batches = (
            self.compute.iter_scores(texts)
            if hasattr(self.compute, "iter_scores")
            else self._in_batches(texts)
        )
        for rows, values in batches:
            yield rows, self._checked(texts, rows, values)

    def _in_batches(self, texts: np.ndarray) -> Batches:
        for start in range(0, len(texts), self.batch_size):
            rows = np.arange(start, min(start + self.batch_size, len(texts)))
            yield rows, self.compute(texts[rows].tolist())

    def _checked(self, texts: np.ndarray, rows: np.ndarray, values: Any) -> np.ndarray:
        if hasattr(values, "toarray"):
            values = values.toarray()
        values = np.asarray(values)
        if values.shape[:1] != (len(rows),) or values.ndim > 2:
            raise ValueError(
                f"{self.name} must return one value or vector a text: shape {values.shape} for {len(rows)}"
            )
        bad = np.isnan(values) if values.ndim == 1 else ~np.isfinite(values).all(axis=1)
        if bad.any():
            text = texts[rows[np.flatnonzero(bad)[0]]]
            raise ValueError(f"{self.name} returned no finite value for the text {text[:60]!r}")
        return values


_process_store = MemoryStore()
_tokens: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


def open_store(memory: Any) -> Store:
    """Return the store that a ``memory`` parameter means.

    Parameters
    ----------
    memory : None or path
        None is the store of this process, a path a folder's. Each is opened once a process.

    Returns
    -------
    Store
        ``info()`` says what it keeps, ``clear()`` forgets it.

    Raises
    ------
    TypeError
        If ``memory`` is neither.
    OSError
        If the folder cannot be used as a store.

    Examples
    --------
    >>> from skprune.pools import digests
    >>> store = open_store(None)
    >>> store.put("length-1", digests(["a", "bb"]), np.array([1.0, 2.0]), "quality=len")
    >>> store.get("length-1", digests(["bb", "ccc"]))
    (array([2.]), array([ True, False]))
    >>> store.clear("length-1")
    """
    if memory is None:
        return _process_store
    if not isinstance(memory, (str, os.PathLike)):
        raise TypeError(f"memory must be None or the path of a folder, got {memory!r}")
    return disk_store(memory)


def clear_process_store() -> None:
    """Free what filters with ``memory=None`` keep in this process.

    Examples
    --------
    >>> clear_process_store()
    """
    _process_store.clear()


def _token_of(compute: Any) -> str:
    """Name a callable that has no fingerprint by its identity, for as long as it lives."""
    token = f"object {uuid4()}"
    try:
        if compute not in _tokens:
            _tokens[compute] = token
            weakref.finalize(compute, _process_store.clear, token)  # nobody can ask for its values any more
        return _tokens[compute]
    except TypeError:  # cannot be referenced weakly: never recognised again
        return token
