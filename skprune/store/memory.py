"""A store in the memory of one process."""

from __future__ import annotations

import itertools
import warnings
from numbers import Integral
from types import TracebackType
from typing import Any

import numpy as np

from skprune._locks import Lock
from skprune.store.base import Claim, FreeClaim
from skprune.store.runs import (
    Run,
    check_width,
    find,
    info_table,
    merge,
    n_to_merge,
    row_addresses,
    rows_at,
    sorted_run,
)

_ROW_BYTES = 24  # a key and a payload


class MemoryStore:
    """A store that lives as long as its process.

    It takes 24 bytes per value, plus the values themselves if they are vectors.

    Parameters
    ----------
    max_bytes : int or None, default=None
        Limit of the store's size; None means no limit. Beyond it, the fingerprint that was used least
        recently is dropped with all its values. The fingerprint that is being written stays, even if it
        exceeds the limit alone.

    Warns
    -----
    UserWarning
        If values that were dropped are computed again.

    Examples
    --------
    >>> from skprune.row_table import digests
    >>> store = MemoryStore(max_bytes=100)
    >>> for fingerprint in ("length-1", "length-2", "length-3"):
    ...     store.put(fingerprint, digests(["a", "bb"]), np.array([1.0, 2.0]))
    >>> store.info()[["fingerprint", "bytes"]].to_numpy().tolist()
    [['length-2', 48], ['length-3', 48]]
    """

    def __init__(self, max_bytes: int | None = None) -> None:
        self._kept: dict[str, _Values] = {}
        self._dropped: set[str] = set()
        self._turns: dict[str, Lock] = {}
        self._lock = Lock(guards_state=True)
        self._clock = itertools.count()
        self.max_bytes = max_bytes

    @property
    def max_bytes(self) -> int | None:
        """The limit of the store's size. Setting it drops values at once if they exceed it."""
        return self._max_bytes

    @max_bytes.setter
    def max_bytes(self, max_bytes: int | None) -> None:
        if max_bytes is not None and (not isinstance(max_bytes, Integral) or max_bytes < 0):
            raise ValueError(f"the limit must be None or a number of bytes of at least 0, got {max_bytes!r}")
        with self._lock.rlock:
            self._max_bytes = max_bytes
            self._drop_oldest()
            self._dropped.clear()  # the user has just set the limit: no warning about earlier drops

    def get(self, fingerprint: str, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(values, found)``: the values of the keys that were found, in order, and a mask."""
        kept = self._kept.get(fingerprint)
        if kept is None:
            return np.empty(0), np.zeros(len(keys), dtype=bool)
        kept.last_use = next(self._clock)
        payload, found = find(kept.runs, keys)
        payload = payload[found]
        if not kept.width:
            return payload.view(np.float64), found
        return rows_at(payload, kept.width, kept.blocks.__getitem__), found

    def put(self, fingerprint: str, keys: np.ndarray, values: np.ndarray, what: str = "") -> None:
        """Keep one value per key: scalars (n,) or vectors (n, d). The first value of a key stays.

        Vectors in a read-only array are kept without a copy, so they must not change afterwards.
        """
        width = values.shape[1] if values.ndim == 2 else 0
        with self._lock.rlock:
            kept = self._kept.get(fingerprint) or _Values(width, what)
            check_width(fingerprint, width, kept.width)
            kept.last_use = next(self._clock)
            new = ~find(kept.runs, keys)[1]
            if not new.any():
                return
            self._kept[fingerprint] = kept
            if new.all():
                kept.add(keys, values if width and not values.flags.writeable else values.copy())
            else:
                kept.add(keys[new], values[new])
            self._drop_oldest(but=fingerprint)
            again = fingerprint in self._dropped
            self._dropped.discard(fingerprint)
        if again:
            warnings.warn(
                f"values of {what or fingerprint} are computed again: they were dropped to keep the process "
                f"store within {self.max_bytes} bytes. Raise the limit with skprune.store.set_process_limit, "
                "or pass a folder as `memory`",
                stacklevel=2,
            )

    def claim(self, fingerprint: str, keys: np.ndarray) -> Claim:
        """Claim all keys of one fingerprint, once no other thread holds a claim on it."""
        with self._lock.rlock:
            turn = self._turns.setdefault(fingerprint, Lock())
        return _ThreadClaim(turn.rlock, len(keys))

    def info(self) -> Any:
        """Return a DataFrame of the contents: ``fingerprint, what, values, width, bytes``."""
        return info_table(
            [
                (fingerprint, kept.what, kept.n_rows, kept.width, kept.n_bytes)
                for fingerprint, kept in self._kept.copy().items()
            ]
        )

    def clear(self, fingerprint: str | None = None) -> None:
        """Delete the values of one fingerprint, or of all if it is None."""
        # Without the lock: the garbage collector may call this while the same thread holds it.
        if fingerprint is None:
            self._kept.clear()
            self._dropped.clear()
        else:
            self._kept.pop(fingerprint, None)
            self._dropped.discard(fingerprint)

    def close(self) -> None:
        """Do nothing: the values stay until the process ends, or :meth:`clear` deletes them."""

    def __enter__(self) -> MemoryStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _drop_oldest(self, but: str | None = None) -> None:
        """Drop fingerprints until the limit is met, least recently used first; never ``but``."""
        kept = self._kept.copy()
        excess = sum(values.n_bytes for values in kept.values()) - (self._max_bytes or 0)
        if self._max_bytes is None or excess <= 0:
            return
        for fingerprint in sorted(kept.keys() - {but}, key=lambda fingerprint: kept[fingerprint].last_use):
            if excess <= 0:
                return
            self._kept.pop(fingerprint, None)
            self._dropped.add(fingerprint)
            excess -= kept[fingerprint].n_bytes


class _Values:
    """The values of one fingerprint."""

    def __init__(self, width: int, what: str) -> None:
        self.width = width
        self.what = what
        self.runs: list[Run] = []
        self.blocks: list[np.ndarray] = []
        self.n_rows = 0
        self.n_bytes = 0
        self.last_use = 0

    def add(self, keys: np.ndarray, values: np.ndarray) -> None:
        """Add rows whose keys are new. Readers need no lock: ``runs`` is replaced, not changed."""
        if self.width:
            self.blocks.append(np.asarray(values, dtype=np.float32))
            self.n_bytes += self.blocks[-1].nbytes
            payload = row_addresses(len(self.blocks) - 1, len(values))
        else:
            payload = np.asarray(values, dtype=np.float64).view(np.uint64)
        run = sorted_run(keys, payload)
        n_kept = len(self.runs) - n_to_merge([len(old.high) for old in self.runs], len(run.high))
        self.runs = [*self.runs[:n_kept], merge([*self.runs[n_kept:], run])]
        self.n_rows += len(run.high)
        self.n_bytes += _ROW_BYTES * len(run.high)


class _ThreadClaim(FreeClaim):
    """A claim on all keys of a fingerprint, among the threads of a process."""

    def __init__(self, turn: Any, n_keys: int) -> None:
        super().__init__(n_keys)
        turn.acquire()
        self._turn = turn

    def release(self) -> None:
        """Let another thread have its turn."""
        self._turn.release()
