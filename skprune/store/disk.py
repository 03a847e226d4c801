"""A store in a folder: sorted runs and blocks of vectors in LMDB, which provides transactions.

Why LMDB, and why runs: among the embedded stores that several processes may write, LMDB reads fastest and has
the simplest crash safety, because the last page that a transaction writes is a new root. With one entry per
value, however, each key costs a call, and hashed keys go to random pages, so that each batch rewrites much of
a large tree. A batch of rows is therefore one entry (:mod:`skprune.store.runs`): numpy reads it from the
memory map, and pages are written in sequence. ``docs/benchmarks.md`` has the figures, also for SQLite and
RocksDB.

Entries of the database, by the first letter of their key (``digest`` stands for the fingerprint):

    m                     name and version of this layout
    f digest              width of the values (0: scalars), the fingerprint, NUL, its description
    r digest sequence     a run: first halves of the keys, second halves, payloads
    b digest sequence     float32 rows of one batch of vectors

The payload is the scalar itself, or the address of a vector: the block's sequence number and the row in the
block, 32 bits each.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from skprune.store.claims import FileClaim, fingerprint_digest
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

_FORMAT = b"skprune store, layout 1"
_MAX_BLOCK = 2**24  # bytes; LMDB stores a block in contiguous pages


class DiskStore:
    """A store in a folder that processes share, safe against crashes.

    Each :meth:`put` is one transaction: after a crash, its values are all there or none is. Get a store from
    :func:`~skprune.store.open_store`, because a process must not open a folder twice.

    Parameters
    ----------
    folder : path-like
        A folder on a local disk, made if it does not exist.

    Raises
    ------
    OSError
        If the folder cannot be written, its content is not a store, or the disk is full. Values that were
        put before are kept.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skprune.row_table import digests
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
        """Return ``(values, found)``: the values of the keys that were found, in order, and a mask.

        Values are float64 scalars or float32 vectors.
        """
        digest = fingerprint_digest(fingerprint)

        def read(txn: Any) -> tuple[np.ndarray, np.ndarray]:
            width = _width(txn, digest)
            if width is None:
                return np.empty(0), np.zeros(len(keys), dtype=bool)
            payload, found = find(_runs(txn, digest), keys)
            payload = payload[found]
            if not width:
                return payload.view(np.float64), found
            return rows_at(payload, width, lambda number: _block(txn, digest, number, width)), found

        return self._transact(read, write=False)

    def put(self, fingerprint: str, keys: np.ndarray, values: np.ndarray, what: str = "") -> None:
        """Keep one value per key: scalars (n,) or vectors (n, d). The first value of a key stays.

        ``what`` describes the fingerprint in words, for :meth:`info`. The first description stays.

        Raises
        ------
        ValueError
            If values with another width are kept under this fingerprint.
        """
        digest = fingerprint_digest(fingerprint)
        width = values.shape[1] if values.ndim == 2 else 0

        def write(txn: Any) -> None:
            known = _width(txn, digest)
            if known is not None:
                check_width(fingerprint, width, known)
            new = ~find(_runs(txn, digest), keys)[1]
            if not new.any():
                return
            payload = (
                _put_blocks(txn, digest, np.asarray(values[new], dtype=np.float32))
                if width
                else np.asarray(values[new], dtype=np.float64).view(np.uint64)
            )
            header = width.to_bytes(8, "little") + f"{fingerprint}\0{what}".encode()
            txn.put(b"f" + digest, header, overwrite=False)
            _put_run(txn, digest, sorted_run(keys[new], payload))

        self._transact(write, write=True)

    def claim(self, fingerprint: str, keys: np.ndarray) -> FileClaim:
        """Claim keys to compute, so that no other process or thread computes them."""
        try:
            return FileClaim(self.folder / "claims", fingerprint, keys)
        except OSError as error:
            raise OSError(f"memory={str(self.folder)!r}: {error}") from error

    def info(self) -> Any:
        """Describe the contents.

        Returns
        -------
        DataFrame
            A row for each fingerprint: ``fingerprint``, ``what`` (its description), ``values`` (their
            number), ``width`` (0 for scalars) and ``bytes``. The file may be larger, because freed space is
            reused but not returned to the disk.
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
        """Delete the values of one fingerprint, or of all if it is None.

        The file keeps its size, and later values reuse the space. To return the space to the disk, delete
        the folder while no process uses it.
        """

        def write(txn: Any) -> None:
            kept = [key[1:] for key, _ in _entries(txn, b"f")]
            for digest in kept if fingerprint is None else [fingerprint_digest(fingerprint)]:
                for letter in (b"f", b"r", b"b"):
                    for key in [key for key, _ in _entries(txn, letter + digest)]:
                        txn.delete(key)

        self._transact(write, write=True)

    def _open(self) -> None:
        import lmdb

        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._env = lmdb.open(str(self.folder), map_size=2**30, max_readers=512)
            self._env.reader_check()  # a killed reader would prevent the reuse of freed pages
        except (OSError, lmdb.Error) as error:
            raise OSError(f"memory={str(self.folder)!r} cannot be used as a store: {error}") from error
        self._pid = os.getpid()
        if self._transact(lambda txn: txn.stat()["entries"] == 0, write=False):
            self._transact(lambda txn: txn.put(b"m", _FORMAT), write=True)
        if self._transact(lambda txn: txn.get(b"m") != _FORMAT, write=False):
            raise OSError(f"memory={str(self.folder)!r} cannot be used as a store: it holds another database")

    def _transact(self, action: Callable[[Any], Any], *, write: bool) -> Any:
        """Run ``action`` in a transaction; enlarge the memory map if this or another process needs it."""
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
                        f"memory={str(self.folder)!r}: {error}. The current batch is lost; everything "
                        "kept before is still there"
                    ) from error


_disk_stores: dict[Path, DiskStore] = {}
_opening = threading.Lock()


def disk_store(folder: str | os.PathLike[str]) -> DiskStore:
    """Return the store in a folder. It is opened once per process, because LMDB forbids more."""
    path = Path(folder).expanduser().resolve()
    with _opening:
        if path not in _disk_stores:
            _disk_stores[path] = DiskStore(path)
        return _disk_stores[path]


def _put_run(txn: Any, digest: bytes, run: Run) -> None:
    """Append a run, merged with the newest runs if they are small."""
    entries = [(key, len(data) // 24) for key, data in _entries(txn, b"r" + digest)]
    count = n_to_merge([size for _, size in entries], len(run.high))
    if count:
        merged = [key for key, _ in entries[-count:]]
        run = merge([*(_run(txn.get(key)) for key in merged), run])
        for key in merged:
            txn.delete(key)
        key = merged[0]
    else:
        key = _next_key(b"r" + digest, entries[-1][0] if entries else None)
    txn.put(key, b"".join(column.tobytes() for column in run))


def _put_blocks(txn: Any, digest: bytes, rows: np.ndarray) -> np.ndarray:
    """Append vectors; return their addresses."""
    size = max(1, _MAX_BLOCK // rows.strides[0])
    last = _last_key(txn, b"b" + digest)
    addresses = []
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        last = _next_key(b"b" + digest, last)
        txn.put(last, part.tobytes())
        addresses.append(row_addresses(_number(last), len(part)))
    return np.concatenate(addresses)


def _block(txn: Any, digest: bytes, number: int, width: int) -> np.ndarray:
    data = txn.get(b"b" + digest + number.to_bytes(8, "big"))
    return np.frombuffer(data, dtype=np.float32).reshape(-1, width)


def _runs(txn: Any, digest: bytes) -> list[Run]:
    """Return the runs in the memory map; they are valid until the transaction ends."""
    return [_run(data) for _, data in _entries(txn, b"r" + digest)]


def _run(data: Any) -> Run:
    return Run(*np.frombuffer(data, dtype=np.uint64).reshape(3, -1))


def _width(txn: Any, digest: bytes) -> int | None:
    header = txn.get(b"f" + digest)
    return None if header is None else int.from_bytes(header[:8], "little")


def _entries(txn: Any, prefix: bytes) -> Iterator[tuple[bytes, Any]]:
    """Yield the entries whose key starts with ``prefix``, in order."""
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
