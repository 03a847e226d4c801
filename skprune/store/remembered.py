"""A scorer or encoder whose values are kept in a store."""

from __future__ import annotations

import os
import warnings
import weakref
from collections.abc import Generator, Iterable
from contextlib import closing
from functools import cached_property
from typing import Any
from uuid import uuid4

import numpy as np

from skprune.row_table import RowTable
from skprune.store.base import Store
from skprune.store.process import open_store
from skprune.vectors import dense

# (positions, values) per batch
Batches = Iterable[tuple[np.ndarray, np.ndarray]]

_tokens: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


class Remembered:
    """A scorer or encoder that computes each text once.

    Parameters
    ----------
    compute : callable
        ``texts -> array`` of shape (n,) or (n, d), or an object with ``iter_scores(texts)`` that yields
        ``(positions, values)`` per batch. Each batch is kept as soon as it is computed. Values are kept under
        ``compute.fingerprint``; without that attribute, under the identity of the object.
    memory : None or path-like
        None keeps values in this process, up to the limit of :func:`~skprune.store.set_process_limit`. A
        path keeps them in that folder.
    name : str
        The parameter that holds ``compute``; errors and warnings name it.
    batch_size : int, default=1024
        Texts per call of a plain callable. A crash loses at most one batch.

    Attributes
    ----------
    n_computed : int
        Number of texts that were computed rather than found in the store.

    Warns
    -----
    UserWarning
        If ``memory`` is a folder and ``compute`` has no fingerprint. Its values stay in this process then.

    Examples
    --------
    >>> lengths = Remembered(lambda texts: [len(text) for text in texts], None, name="quality")
    >>> lengths(np.array(["aa", "b", "aa"], dtype=object)), lengths.n_computed
    (array([2., 1., 2.]), 2)
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
        """The store of the values."""
        return open_store(self._memory)

    def __getstate__(self) -> dict[str, Any]:
        # A store belongs to one process: a copy in another one opens it again when needed.
        return {name: value for name, value in self.__dict__.items() if name != "store"}

    def __call__(
        self, texts: np.ndarray, keys: np.ndarray | None = None, limit: int | None = None
    ) -> np.ndarray:
        """Return the value of every text, from the store if it is known.

        Parameters
        ----------
        texts : ndarray of object, shape (n,)
            Texts. They may repeat, but only without ``keys``.
        keys : ndarray of uint64, shape (n, 2), default=None
            The content hashes of the texts, if the caller has them and the texts are distinct.
        limit : int, default=None
            Maximum number of distinct texts to compute: the first unknown ones. The others are NaN.

        Returns
        -------
        ndarray of float64, shape (n,), or of float32, shape (n, d)
            Vectors are read-only, because the store of the process shares their memory.

        Raises
        ------
        ValueError
            If ``compute`` returns no finite value for a text, or an array of the wrong shape or type.
        """
        if keys is not None:
            return self._values(texts, keys, limit)
        # Texts that are elsewhere come with their hashes.
        table = RowTable(texts if isinstance(texts, np.ndarray) else texts.hashes)
        if len(table) == len(texts):
            return self._values(texts, table.digests, limit)
        return self._values(texts[table.first], table.digests, limit)[table.row_of]

    def _values(self, texts: np.ndarray, hashes: np.ndarray, limit: int | None) -> np.ndarray:
        """Return the values of distinct texts."""
        known = _Known(len(texts))
        self._look_up(hashes, np.arange(len(texts)), known)
        known.is_new = bool(known.missing.all())
        wanted = np.flatnonzero(known.missing)[:limit]
        while len(wanted):  # more than once only if another process claimed a text and died
            self._compute(texts, hashes, wanted, known)
            wanted = wanted[known.missing[wanted]]
            self._look_up(hashes, wanted, known)
            wanted = wanted[known.missing[wanted]]
        return known.values()

    def _look_up(self, hashes: np.ndarray, rows: np.ndarray, known: _Known) -> None:
        """Add to ``known`` what the store holds of some rows."""
        if len(rows):
            held, found = self.store.get(self.fingerprint, _at(hashes, rows))
            known.add(rows[found], held, is_mine=True)

    def _compute(self, texts: np.ndarray, hashes: np.ndarray, rows: np.ndarray, known: _Known) -> None:
        """Compute and keep the rows that nobody else is computing, then wait for the others.

        Values go into ``known`` at once: the store may drop them before they could be read back.
        """
        claim = self.store.claim(self.fingerprint, _at(hashes, rows))
        try:
            mine = rows[claim.mine]
            self._look_up(hashes, mine, known)  # others may have computed them before the claim
            mine = mine[known.missing[mine]]
            # Closed at once if the store fails, so that a scorer with requests under way sends no more.
            with closing(self._computed(_at(texts, mine))) as batches:
                for batch, values in batches:
                    known.add(mine[batch], values)
                    self.store.put(self.fingerprint, hashes[mine[batch]], known.at(mine[batch]), self._what)
                    self.n_computed += len(batch)
        finally:
            claim.release()
        left_out = mine[known.missing[mine]]
        if len(left_out):
            raise ValueError(f"{self.name} returned no value for the text {texts[left_out[0]][:60]!r}")
        claim.wait()

    def _computed(self, texts: np.ndarray) -> Generator[tuple[np.ndarray, np.ndarray], None, None]:
        """Yield checked ``(positions, values)`` per batch."""
        if not len(texts):
            return
        if isinstance(texts, np.ndarray):
            batches = scored(self.compute, texts, self.batch_size)
        else:  # they are elsewhere, and whatever holds them says where they are scored
            batches = texts.scored(self.compute, self.batch_size)
        for rows, values in batches:
            if len(rows):
                yield rows, self._checked(texts, rows, values)

    def _checked(self, texts: np.ndarray, rows: np.ndarray, values: Any) -> np.ndarray:
        """Return values in the precision of the store: float64 scalars or float32 vectors."""
        values = dense(values)
        if values.shape[:1] != (len(rows),) or values.ndim > 2:
            raise ValueError(
                f"{self.name} must return one value or vector per text: got shape {values.shape} for "
                f"{len(rows)} texts"
            )
        if values.dtype.kind not in "fiubO":
            raise ValueError(f"{self.name} must return real numbers, got {values.dtype}")
        given = values
        with np.errstate(over="ignore"):  # what overflows float32 is refused below
            values = np.asarray(given, dtype=np.float32 if given.ndim == 2 else np.float64)
        bad = np.isnan(values) if values.ndim == 1 else ~np.isfinite(values).all(axis=1)
        if bad.any():
            row = np.flatnonzero(bad)[0]
            text = texts[rows[row]]
            if values.ndim == 2 and np.isfinite(np.asarray(given[row], dtype=np.float64)).all():
                raise ValueError(
                    f"{self.name} returned a value beyond the range of float32 for the text {text[:60]!r}"
                )
            raise ValueError(f"{self.name} returned no finite value for the text {text[:60]!r}")
        return values


def scored(compute: Any, texts: np.ndarray, batch_size: int) -> Batches:
    """Yield ``(positions, values)`` of a scorer or encoder per batch, unchecked.

    Parameters
    ----------
    compute : callable
        See :class:`Remembered`.
    texts : ndarray of object, shape (n,)
        Distinct texts.
    batch_size : int
        Texts per call of a plain callable.
    """
    if hasattr(compute, "iter_scores"):
        yield from compute.iter_scores(texts)
        return
    for start in range(0, len(texts), batch_size):
        rows = np.arange(start, min(start + batch_size, len(texts)))
        yield rows, compute(texts[rows].tolist())


class _Known:
    """The values of a call, as far as they are known, in the precision of the store."""

    def __init__(self, n_texts: int) -> None:
        self.missing = np.ones(n_texts, dtype=bool)
        self.is_new = False  # whether the store held none of them
        self._values: np.ndarray | None = None

    def add(self, rows: np.ndarray, values: np.ndarray, *, is_mine: bool = False) -> None:
        """Set the values of some rows, given in ascending order if the array is ``is_mine`` to keep."""
        if not len(rows):
            return
        self.missing[rows] = False
        if is_mine and len(rows) == len(self.missing):
            self._values = values
            return
        if self._values is None:
            self._values = _unknown(len(self.missing), *values.shape[1:])
        self._values[rows] = values

    def at(self, rows: np.ndarray) -> np.ndarray:
        """Return the values of some rows: a read-only part of the array, for the store to keep, if possible.

        A part keeps the whole array alive, so only an array that is new to the store as a whole is shared.
        """
        assert self._values is not None
        if not (self.is_new and (np.diff(rows) == 1).all()):
            return np.asarray(self._values[rows])
        part = self._values[rows[0] : rows[-1] + 1]
        part.flags.writeable = False
        return part

    def values(self) -> np.ndarray:
        """Return the values of all rows, NaN for missing ones."""
        values = _unknown(len(self.missing)) if self._values is None else self._values
        if values.ndim == 2:
            values.flags.writeable = False
        return values


def _at(values: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return some rows, given in ascending order; all of them without a copy."""
    return values if len(rows) == len(values) else values[rows]


def _unknown(n_rows: int, *width: int) -> np.ndarray:
    return np.full((n_rows, *width), np.nan, dtype=np.float32 if width else np.float64)


def _token_of(compute: Any) -> str:
    """Return a name for a callable without a fingerprint: its identity, valid for as long as it lives."""
    token = f"object {uuid4()}"
    try:
        if compute not in _tokens:
            _tokens[compute] = token
            weakref.finalize(compute, open_store(None).clear, token)  # the name cannot be looked up any more
        return _tokens[compute]
    except TypeError:  # no weak references to it, or not hashable: it gets a new name each time
        return token
