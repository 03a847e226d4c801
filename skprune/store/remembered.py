"""A scorer or encoder in front of a store."""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any
from uuid import uuid4

import numpy as np

from skprune.pools import RowTable, digests
from skprune.store.base import Store
from skprune.store.process import open_store

# (positions, values) of one batch, as it becomes available
Batches = Iterable[tuple[np.ndarray, np.ndarray]]

_tokens: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


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


def _token_of(compute: Any) -> str:
    """Name a callable that has no fingerprint by its identity, for as long as it lives."""
    token = f"object {uuid4()}"
    try:
        if compute not in _tokens:
            _tokens[compute] = token
            weakref.finalize(compute, open_store(None).clear, token)  # nobody can ask for its values any more
        return _tokens[compute]
    except TypeError:  # cannot be referenced weakly: never recognized again
        return token
