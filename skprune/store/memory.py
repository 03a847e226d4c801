"""Values kept in the memory of one process."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from skprune.store.base import Turn
from skprune.store.runs import (
    Run,
    check_width,
    find,
    gather,
    info_table,
    merge,
    n_to_merge,
    places_in,
    sorted_run,
)


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
