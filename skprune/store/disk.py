"""A store in a folder: sorted runs and blocks of vectors in LMDB, which brings transactions and processes.

Why LMDB, and why runs. Of the embedded stores that several processes may write, LMDB reads fastest and has
the simplest crash safety: a transaction is a new root page, written last. But one entry a value costs a call
a key, and hashed keys land on random pages, so that a batch rewrites much of a large tree. Rows that come
together are therefore one entry (:mod:`skprune.store.runs`): numpy reads them where LMDB maps them, and pages
are written in sequence. ``docs/benchmarks.md`` has the figures, of SQLite and RocksDB too.

Entries of the database, by the first letter of their key (``shelf`` is a hash of the fingerprint):

    m                     what this is, and the version of this layout
    f shelf               width of the values (0: scalars), the fingerprint itself, NUL, what it stands for
    r shelf sequence      a run: first halves of the keys, second halves, payload
    b shelf sequence      float32 rows of one batch of vectors

The payload is the scalar itself, or of a vector the block's sequence number and the row in it, 32 bits each.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from skprune.store.claims import Claim
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

_FORMAT = b"skprune store, layout 1"
_MAX_BLOCK = 2**24  # bytes; what a reader must find contiguous room for at the most


class DiskStore:
    """A store in a folder, shared by processes and safe against crashes.

    Every :meth:`put` is one transaction: after a crash it is there whole or not at all. Use
    :func:`~skprune.store.open_store` to get one: a folder must not be opened twice in a process.

    Parameters
    ----------
    folder : path
        On a local disk. Made if it does not exist.

    Raises
    ------
    OSError
        If the folder cannot be written, its content is no store, or the disk is full. What was put
        before stays.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skprune.pools import digests
    >>> from skprune.store import open_store
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = open_store(folder)
    ...     store.put("length-1", digests(["a", "bb"]), np.array([1.0, 2.0]), "quality=len")
    ...     print(store.info().to_string(index=False))
    ...     store.clear("length-1")
    ...     len(store.info())
    fingerprint        what  values  width  bytes
       length-1 quality=len       2      0     48
    0
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder).expanduser().resolve()
        self._lock = threading.RLock()
        self._pid = -1
        self._open()

    def get(self, fingerprint: str, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(values, found)``: float64 scalars or float32 vectors of the found keys, in order."""
        shelf = _shelf_of(fingerprint)

        def read(txn: Any) -> tuple[np.ndarray, np.ndarray]:
            width = _width(txn, shelf)
            if width is None:
                return np.empty(0), np.zeros(len(keys), dtype=bool)
            payload, found = find(_runs(txn, shelf), keys)
            payload = payload[found]
            if not width:
                return payload.view(np.float64), found
            return gather(payload, width, lambda number: _block(txn, shelf, number, width)), found

        return self._transact(read, write=False)

    def put(self, fingerprint: str, keys: np.ndarray, values: np.ndarray, what: str = "") -> None:
        """Keep one value a key: scalars (n,) or vectors (n, d). A key that is known keeps its value.

        ``what`` says in words whose values these are, for :meth:`info`; the first time counts.

        Raises
        ------
        ValueError
            If the fingerprint's values have another width.
        """
        shelf = _shelf_of(fingerprint)
        width = values.shape[1] if values.ndim == 2 else 0

        def write(txn: Any) -> None:
            known = _width(txn, shelf)
            if known is not None:
                check_width(fingerprint, width, known)
            fresh = ~find(_runs(txn, shelf), keys)[1]
            if not fresh.any():
                return
            payload = (
                _put_blocks(txn, shelf, np.asarray(values[fresh], dtype=np.float32))
                if width
                else np.asarray(values[fresh], dtype=np.float64).view(np.uint64)
            )
            header = width.to_bytes(8, "little") + f"{fingerprint}\0{what}".encode()
            txn.put(b"f" + shelf, header, overwrite=False)
            _put_run(txn, shelf, sorted_run(keys[fresh], payload))

        self._transact(write, write=True)

    def claim(self, fingerprint: str, keys: np.ndarray) -> Claim:
        """Claim keys to compute, in front of other processes and threads. See :class:`Claim`."""
        try:
            return Claim(self.folder / "claims", fingerprint, keys)
        except OSError as error:
            raise OSError(f"memory={str(self.folder)!r}: {error}") from error

    def info(self) -> Any:
        """Say what is kept.

        Returns
        -------
        DataFrame
            A row for each fingerprint: ``fingerprint``, ``what`` it stands for, ``values`` (how many),
            ``width`` (0 for scalars) and ``bytes``. The file itself may be larger: room that was freed is
            used again, not given back.
        """

        def read(txn: Any) -> list[tuple[str, str, int, int, int]]:
            rows = []
            for key, data in _entries(txn, b"f"):
                runs = [len(run) for _, run in _entries(txn, b"r" + key[1:])]
                blocks = [len(block) for _, block in _entries(txn, b"b" + key[1:])]
                width = int.from_bytes(data[:8], "little")
                fingerprint, _, what = str(data[8:], "utf-8").rpartition("\0")
                rows.append((fingerprint, what, sum(runs) // 24, width, sum(runs) + sum(blocks)))
            return rows

        return info_table(self._transact(read, write=False))

    def clear(self, fingerprint: str | None = None) -> None:
        """Forget the values of one fingerprint, or of all.

        The file keeps its size, and what comes next fills it. To give the room back, delete the folder
        while no process uses it.
        """

        def write(txn: Any) -> None:
            shelves = [key[1:] for key, _ in _entries(txn, b"f")]
            for shelf in shelves if fingerprint is None else [_shelf_of(fingerprint)]:
                for letter in (b"f", b"r", b"b"):
                    for key in [key for key, _ in _entries(txn, letter + shelf)]:
                        txn.delete(key)

        self._transact(write, write=True)

    def _open(self) -> None:
        import lmdb

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._env = lmdb.open(str(self.folder), map_size=2**30, max_readers=512)
            self._env.reader_check()  # a reader that was killed would keep freed pages from being used again
        except (OSError, lmdb.Error) as error:
            raise OSError(f"memory={str(self.folder)!r} cannot be used as a store: {error}") from error
        self._pid = os.getpid()
        if self._transact(lambda txn: txn.stat()["entries"] == 0, write=False):
            self._transact(lambda txn: txn.put(b"m", _FORMAT), write=True)
        if self._transact(lambda txn: txn.get(b"m") != _FORMAT, write=False):
            raise OSError(f"memory={str(self.folder)!r} cannot be used as a store: it is another database")

    def _transact(self, action: Callable[[Any], Any], *, write: bool) -> Any:
        """Run ``action`` in a transaction; the map grows as needed, here or in another process."""
        import lmdb

        with self._lock:
            if self._pid != os.getpid():  # an LMDB environment must not be used across a fork
                self._env.close()
                self._open()
            while True:
                try:
                    with self._env.begin(write=write, buffers=True) as txn:
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


_disk_stores: dict[Path, DiskStore] = {}


def disk_store(folder: str | os.PathLike[str]) -> DiskStore:
    """Return this process's store in a folder. It is opened once: LMDB forbids more."""
    path = Path(folder).expanduser().resolve()
    if path not in _disk_stores:
        _disk_stores[path] = DiskStore(path)
    return _disk_stores[path]


def _put_run(txn: Any, shelf: bytes, run: Run) -> None:
    """Append a run, merged with the youngest ones where these are small."""
    entries = [(key, len(data) // 24) for key, data in _entries(txn, b"r" + shelf)]
    count = n_to_merge([size for _, size in entries], len(run.high))
    if count:
        merged = [key for key, _ in entries[-count:]]
        run = merge([*(_run(txn.get(key)) for key in merged), run])
        for key in merged:
            txn.delete(key)
        key = merged[0]
    else:
        key = _next_key(b"r" + shelf, entries[-1][0] if entries else None)
    txn.put(key, b"".join(column.tobytes() for column in run))


def _put_blocks(txn: Any, shelf: bytes, rows: np.ndarray) -> np.ndarray:
    """Append vectors, and return where each one is."""
    size = max(1, _MAX_BLOCK // rows.strides[0])
    last = _last_key(txn, b"b" + shelf)
    places = []
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        last = _next_key(b"b" + shelf, last)
        txn.put(last, part.tobytes())
        places.append(places_in(_number(last), len(part)))
    return np.concatenate(places)


def _block(txn: Any, shelf: bytes, number: int, width: int) -> np.ndarray:
    data = txn.get(b"b" + shelf + number.to_bytes(8, "big"))
    return np.frombuffer(data, dtype=np.float32).reshape(-1, width)


def _runs(txn: Any, shelf: bytes) -> list[Run]:
    """Return the runs where they are mapped: they are gone when the transaction is."""
    return [_run(data) for _, data in _entries(txn, b"r" + shelf)]


def _run(data: Any) -> Run:
    return Run(*np.frombuffer(data, dtype=np.uint64).reshape(3, -1))


def _width(txn: Any, shelf: bytes) -> int | None:
    header = txn.get(b"f" + shelf)
    return None if header is None else int.from_bytes(header[:8], "little")


def _entries(txn: Any, prefix: bytes) -> Iterator[tuple[bytes, Any]]:
    """Yield the entries whose key begins with ``prefix``, in order."""
    cursor = txn.cursor()
    if cursor.set_range(prefix):
        for key, data in cursor:
            if key[: len(prefix)] != prefix:
                return
            yield bytes(key), data


def _last_key(txn: Any, prefix: bytes) -> bytes | None:
    cursor = txn.cursor()
    beyond = cursor.set_range(prefix + b"\xff" * 8)
    if not (cursor.prev() if beyond else cursor.last()):
        return None
    key = bytes(cursor.key())
    return key if key.startswith(prefix) else None


def _next_key(prefix: bytes, last: bytes | None) -> bytes:
    return prefix + (0 if last is None else _number(last) + 1).to_bytes(8, "big")


def _number(key: bytes) -> int:
    return int.from_bytes(key[-8:], "big")


def _shelf_of(fingerprint: str) -> bytes:
    return hashlib.blake2b(fingerprint.encode(), digest_size=16).digest()
