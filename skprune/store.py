"""Scores and vectors, kept by content so that each is bought once.

A value depends on the text and on the *fingerprint* of what computed it (model, revision, prompt, precision,
...). Both are hashed to 128 bits, so that clones in a grid search, folds, a shrinking pool and a restarted
process all find it again, and two fingerprints never mix.
"""

from __future__ import annotations

import hashlib
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import numpy as np

from skprune.pools import RowTable, digests

# (positions, values) of one batch, as it becomes available
Batches = Iterable[tuple[np.ndarray, np.ndarray]]


class Store(Protocol):
    """Where values are kept: rows of float64 scalars (width 0) or float32 vectors."""

    def get(self, fingerprint: str, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(values, found)``; values are those of the found keys, in order."""

    def put(self, fingerprint: str, keys: np.ndarray, values: np.ndarray) -> None:
        """Keep one value a key."""


class MemoryStore:
    """A store that lives as long as the process."""

    def __init__(self) -> None:
        self._shelves: dict[str, dict[bytes, np.ndarray]] = {}
        self._lock = threading.Lock()

    def get(self, fingerprint: str, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(values, found)``."""
        shelf = self._shelves.get(fingerprint, {})
        hits = [shelf.get(key) for key in _key_bytes(keys)]
        found = np.array([hit is not None for hit in hits], dtype=bool)
        return np.array([hit for hit in hits if hit is not None]), found

    def put(self, fingerprint: str, keys: np.ndarray, values: np.ndarray) -> None:
        """Keep one value a key."""
        with self._lock:
            shelf = self._shelves.setdefault(fingerprint, {})
            shelf.update(zip(_key_bytes(keys), values, strict=True))

    def clear(self) -> None:
        """Forget everything."""
        self._shelves.clear()

    def __reduce__(self) -> tuple[Any, ...]:
        return open_store, (None,)  # another process has its own


class DiskStore:
    """A store in a folder, shared by processes and safe against crashes.

    Every :meth:`put` is one transaction: after a crash it is there whole or not at all.

    Parameters
    ----------
    folder : path
        Made if it does not exist.

    Raises
    ------
    OSError
        If the folder cannot be written, its content is no store, or the disk is full. What was put
        before stays.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder).expanduser().resolve()
        self._lock = threading.RLock()
        self._pid = -1
        self._open()

    def get(self, fingerprint: str, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(values, found)``."""
        prefix = _prefix(fingerprint)
        wanted = [prefix + key for key in _key_bytes(keys)]

        def read(txn: Any) -> list[bytes | None]:
            return [txn.get(key) for key in wanted]

        hits = self._transact(read, write=False)
        found = np.array([hit is not None for hit in hits], dtype=bool)
        held = [hit for hit in hits if hit is not None]
        if not held:
            return np.empty(0), found
        # One letter says what the bytes are: a scalar, or a vector.
        dtype = np.dtype("<f8") if held[0][:1] == b"s" else np.dtype("<f4")
        values = np.frombuffer(b"".join(hit[1:] for hit in held), dtype=dtype)
        return (values if dtype.itemsize == 8 else values.reshape(len(held), -1)), found

    def put(self, fingerprint: str, keys: np.ndarray, values: np.ndarray) -> None:
        """Keep one value a key."""
        prefix = _prefix(fingerprint)
        letter, dtype = (b"s", "<f8") if values.ndim == 1 else (b"v", "<f4")
        rows = np.ascontiguousarray(values, dtype=dtype)
        items = [
            (prefix + key, letter + row.tobytes()) for key, row in zip(_key_bytes(keys), rows, strict=True)
        ]

        def write(txn: Any) -> None:
            txn.cursor().putmulti(items)

        self._transact(write, write=True)

    def _open(self) -> None:
        import lmdb

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._env = lmdb.open(str(self.folder), map_size=2**30, max_readers=512)
        except (OSError, lmdb.Error) as error:
            raise OSError(f"memory={str(self.folder)!r} cannot be used as a store: {error}") from error
        self._pid = os.getpid()

    def _transact(self, action: Callable[[Any], Any], *, write: bool) -> Any:
        """Run ``action`` in a transaction; the map grows as needed, here or in another process."""
        import lmdb

        with self._lock:
            if self._pid != os.getpid():  # an LMDB environment must not be used across a fork
                self._env.close()
                self._open()
            while True:
                try:
                    with self._env.begin(write=write) as txn:
                        return action(txn)
                except lmdb.MapFullError:
                    self._env.set_mapsize(2 * self._env.info()["map_size"])
                except lmdb.MapResizedError:
                    self._env.set_mapsize(0)
                except lmdb.Error as error:
                    raise OSError(
                        f"memory={str(self.folder)!r}: {error}. The batch in flight is lost; everything "
                        "kept before is still there"
                    ) from error

    def __reduce__(self) -> tuple[Any, ...]:
        return open_store, (str(self.folder),)


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
        missing = np.flatnonzero(~found)[:limit]
        parts = []
        for rows, values in self._computed(distinct[missing]):
            self.store.put(self.fingerprint, hashes[missing[rows]], values)
            self.n_computed += len(rows)
            parts.append((missing[rows], values))
        shape = next((v.shape[1:] for v in [held, *(v for _, v in parts)] if len(v)), ())
        out = np.full((len(distinct), *shape), np.nan, dtype=np.float32 if shape else np.float64)
        if len(held):
            out[found] = held
        for rows, values in parts:
            out[rows] = values
        return out[table.row_of]

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
_disk_stores: dict[Path, DiskStore] = {}
_tokens: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()


def open_store(memory: Any) -> Store:
    """Return the store that a ``memory`` parameter means: None is this process's, a path is a folder.

    One folder is opened once a process: LMDB forbids more.
    """
    if memory is None:
        return _process_store
    if not isinstance(memory, (str, os.PathLike)):
        raise TypeError(f"memory must be None or the path of a folder, got {memory!r}")
    folder = Path(memory).expanduser().resolve()
    if folder not in _disk_stores:
        _disk_stores[folder] = DiskStore(folder)
    return _disk_stores[folder]


def clear_process_store() -> None:
    """Free what filters with ``memory=None`` keep in this process.

    Examples
    --------
    >>> clear_process_store()
    """
    _process_store.clear()


def _token_of(compute: Any) -> str:
    """Name a callable that has no fingerprint by its identity, for as long as it lives."""
    try:
        return _tokens.setdefault(compute, f"object {uuid4()}")
    except TypeError:  # cannot be referenced weakly: never recognised again
        return f"object {uuid4()}"


def _prefix(fingerprint: str) -> bytes:
    return hashlib.blake2b(fingerprint.encode(), digest_size=16).digest()


def _key_bytes(keys: np.ndarray) -> Sequence[bytes]:
    data = np.ascontiguousarray(keys).tobytes()
    return [data[i : i + 16] for i in range(0, len(data), 16)]
