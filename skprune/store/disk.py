"""A store in a folder: sorted runs and blocks of vectors in LMDB, which provides transactions.

Why LMDB, and why runs: among the embedded stores that several processes may write, LMDB reads fastest and has
the simplest crash safety, because the last page that a transaction writes is a new root. With one entry per
value, however, each key costs a call, and hashed keys go to random pages, so that each batch rewrites much of
a large tree. A batch of rows is therefore one entry (:mod:`skprune.store.runs`): numpy reads it from the
memory map, and pages are written in sequence. ``docs/benchmarks.md`` has the figures, also for SQLite and
RocksDB.

Entries of the database, by the first letter of their key (``digest`` stands for the fingerprint). All but
the first start with a checksum (:mod:`skprune.store.checksums`):

    m                     name and version of this layout
    f digest              width of the values (0: scalars), the fingerprint, NUL, its description
    r digest sequence     a run: first halves of the keys, second halves, payloads
    b digest sequence     float32 rows of one batch of vectors

The payload is the scalar itself, or the address of a vector: the block's sequence number and the row in the
block, 32 bits each.

The file is long because everything that touches the database is here, next to the layout above.
"""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from skprune._locks import Lock
from skprune.store.base import Claim, FreeClaim
from skprune.store.checksums import HEADER_BYTES, DamagedError, Seals, n_data_bytes, sealed
from skprune.store.claims import FileClaim, fingerprint_digest
from skprune.store.lmdb_file import FileState, check_structure, is_lmdb_file
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

_LAYOUT = b"skprune store, layout "
_FORMAT = _LAYOUT + b"2"
_MAX_BLOCK = 2**24  # bytes; LMDB stores a block in contiguous pages
_KEY_LENGTHS = {b"m": 1, b"f": 17, b"r": 25, b"b": 25}
_NOT_WRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS}
# What a write to a full disk raises; LMDB reports a write that was cut short as EIO.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


class _NotAStoreError(Exception):
    """The folder holds something else."""


class DiskStore:
    """A store in a folder that processes share, safe against crashes.

    Each :meth:`put` is one transaction: after a crash, its values are all there or none is. Get a store from
    :func:`~skprune.store.open_store`, because a process must not open a folder twice.

    Parameters
    ----------
    folder : path-like
        A folder on a local disk. It is made when the first value arrives. A store in a folder that cannot be
        written can be read; new values are then not kept.

    Raises
    ------
    OSError
        If the folder cannot be used as a store, the store is damaged, or the disk is full. A full disk loses
        no value that was put before.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skprune.row_table import digests
    >>> from skprune.store import open_store
    >>> with tempfile.TemporaryDirectory() as folder, open_store(folder) as store:
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
        self._lock = Lock(guards_state=True)
        self._env: Any = None
        self._pid = -1
        self._warned = False
        if self.folder.exists() and not self.folder.is_dir():
            raise self._unusable("it is not a folder")
        with self._lock.rlock:
            self._ready()

    def get(self, fingerprint: str, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(values, found)``: the values of the keys that were found, in order, and a mask.

        Values are float64 scalars or float32 vectors.
        """
        digest = fingerprint_digest(fingerprint)

        def read(txn: Any) -> tuple[np.ndarray, np.ndarray]:
            width = self._width(txn, digest)
            if width is None:
                return np.empty(0), np.zeros(len(keys), dtype=bool)
            payload, found = find(self._runs(txn, digest), keys)
            payload = payload[found]
            if not width:
                return payload.view(np.float64), found
            return rows_at(payload, width, lambda number: self._block(txn, digest, number, width)), found

        empty = np.empty(0), np.zeros(len(keys), dtype=bool)
        return self._transact(read, write=False, missing=lambda: empty)

    def put(self, fingerprint: str, keys: np.ndarray, values: np.ndarray, what: str = "") -> None:
        """Keep one value per key: scalars (n,) or vectors (n, d). The first value of a key stays.

        ``what`` describes the fingerprint in words, for :meth:`info`. The first description stays. If the
        store cannot be written, the values are not kept.

        Raises
        ------
        ValueError
            If values with another width are kept under this fingerprint.

        Warns
        -----
        UserWarning
            Once, if the store cannot be written.
        """
        digest = fingerprint_digest(fingerprint)
        width = values.shape[1] if values.ndim == 2 else 0

        def write(txn: Any) -> None:
            known = self._width(txn, digest)
            if known is not None:
                check_width(fingerprint, width, known)
            new = ~find(self._runs(txn, digest), keys)[1]
            if not new.any():
                return
            payload = (
                _put_blocks(txn, digest, np.asarray(values[new], dtype=np.float32))
                if width
                else np.asarray(values[new], dtype=np.float64).view(np.uint64)
            )
            if known is None:
                header = width.to_bytes(8, "little") + f"{fingerprint}\0{what}".encode()
                txn.put(b"f" + digest, sealed(b"f" + digest, header))
            self._put_run(txn, digest, sorted_run(keys[new], payload))

        if not self._is_read_only():
            self._transact(write, write=True)
        elif not self._warned:
            self._warned = True
            warnings.warn(
                f"memory={str(self.folder)!r} cannot be written: values that are not in it are computed and "
                "not kept. Copy the folder to a place that can be written to keep them",
                stacklevel=2,
            )

    def claim(self, fingerprint: str, keys: np.ndarray) -> Claim:
        """Claim keys to compute, so that no other process or thread computes them."""
        if self._is_read_only():
            return FreeClaim(len(keys))
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

        Raises
        ------
        FileNotFoundError
            If the folder holds no store.
        """

        def read(txn: Any) -> list[tuple[str, str, int, int, int]]:
            rows = []
            for key, entry in _entries(txn, b"f"):
                n_values = sum(len(run.high) for run in self._runs(txn, key[1:]))
                n_block_bytes = sum(
                    n_data_bytes(name, block) for name, block in _entries(txn, b"b" + key[1:])
                )
                data = self._seals.data(key, entry)
                width = int.from_bytes(data[:8], "little")
                fingerprint, _, what = str(data[8:], "utf-8").rpartition("\0")
                rows.append((fingerprint, what, n_values, width, 24 * n_values + n_block_bytes))
            return rows

        return info_table(self._transact(read, write=False, missing=self._refuse_missing))

    def clear(self, fingerprint: str | None = None) -> None:
        """Delete the values of one fingerprint, or of all if it is None.

        The file keeps its size, and later values reuse the space. To return the space to the disk, delete
        the folder.

        Raises
        ------
        FileNotFoundError
            If the folder holds no store.
        OSError
            If the folder cannot be written.
        """

        def write(txn: Any) -> None:
            kept = [key[1:] for key, _ in _entries(txn, b"f")]
            for digest in kept if fingerprint is None else [fingerprint_digest(fingerprint)]:
                for letter in (b"f", b"r", b"b"):
                    for key in [key for key, _ in _entries(txn, letter + digest)]:
                        txn.delete(key)

        with self._lock.rlock:
            if self._ready() and self._read_only:
                raise OSError(f"memory={str(self.folder)!r} cannot be written, and so not cleared")
            self._transact(write, write=True, missing=self._refuse_missing)

    def close(self) -> None:
        """Close the files. The next call of another method opens them again."""
        with self._lock.rlock:
            if self._env is not None:
                self._env.close()
                self._env = None

    def __enter__(self) -> DiskStore:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ------------------------------------------------------------------ opening

    def _ready(self, *, create: bool = False) -> bool:
        """Open the store, if there is one or ``create`` is set; return whether it is open.

        A store whose file was deleted or replaced is opened anew, and so is that of a forked child: an LMDB
        environment must not be used across a fork.
        """
        is_checked = False
        if self._env is not None and (self._pid != os.getpid() or not self._file.is_same()):
            is_checked = self._file.is_same()
            self.close()
        if self._env is None and (create or (self.folder / "data.mdb").exists()):
            self._open(is_checked)
        return self._env is not None

    def _open(self, is_checked: bool) -> None:
        import lmdb

        path = self.folder / "data.mdb"
        self._seals = Seals()
        self._read_only = False
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if path.exists() and path.stat().st_size and not is_lmdb_file(path):  # LMDB fills an empty file
                raise _NotAStoreError(
                    "data.mdb is not a database, or its first page is damaged. Delete the folder, or choose "
                    "another one"
                )
            try:
                self._env = self._environment()
            except (OSError, lmdb.Error) as error:
                number = error.errno if isinstance(error, OSError) else error.code
                if number not in _NOT_WRITABLE or not path.exists():
                    raise
                self._read_only = True
                self._env = self._environment(readonly=True, lock=False)
            self._pid = os.getpid()
            self._file = FileState(path)
            self._page_size = self._env.stat()["psize"]
            if not is_checked:
                self._check(path)
        except DamagedError as error:
            self.close()
            raise self._damaged(error) from error
        except (OSError, lmdb.Error, _NotAStoreError) as error:
            self.close()
            raise self._unusable(str(error)) from error

    def _environment(self, **options: Any) -> Any:
        import lmdb

        # No spare transactions: a forked child that dropped one would take the reader slot of its parent.
        return lmdb.open(str(self.folder), map_size=2**30, max_readers=512, max_spare_txns=0, **options)

    def _check(self, path: Path) -> None:
        """Check the structure of the file and its layout; write the layout into a new file."""
        if self._read_only:
            check_structure(path, locked=False)
        else:
            with self._env.begin(write=True):  # keeps writers out
                check_structure(path, locked=True)
            self._env.reader_check()  # a killed reader would prevent the reuse of freed pages
            with self._env.begin(write=True) as txn:
                if not txn.stat()["entries"]:
                    txn.put(b"m", _FORMAT)
        self._file.check_size(self._env, self._page_size)
        with self._env.begin(buffers=True) as txn:
            layout = bytes(txn.get(b"m") or b"")
            if layout != _FORMAT:
                kind = (
                    "a store of another version of skprune"
                    if layout.startswith(_LAYOUT)
                    else "another database"
                )
                raise _NotAStoreError(f"it holds {kind}. Delete the folder, or choose another one")
            digests = set()
            for key, entry in _entries(txn, b"f"):
                self._seals.data(key, entry)
                digests.add(key[1:])
            for key, _ in _entries(txn, b""):
                if len(key) != _KEY_LENGTHS.get(key[:1]) or (key != b"m" and key[1:17] not in digests):
                    raise DamagedError(f"unexpected entry {key!r}")

    def _is_read_only(self) -> bool:
        """Open the store to write values, and return whether it can only be read."""
        with self._lock.rlock:
            self._ready(create=True)
            return self._read_only

    def _refuse_missing(self) -> Any:
        raise FileNotFoundError(
            f"memory={str(self.folder)!r} holds no store: check the path. A store is made when the first "
            "value is kept"
        )

    def _unusable(self, reason: str) -> OSError:
        return OSError(f"memory={str(self.folder)!r} cannot be used as a store: {reason}")

    def _damaged(self, reason: object) -> OSError:
        return OSError(
            f"memory={str(self.folder)!r} is damaged: {reason}. Delete the folder; its values are then "
            "computed again"
        )

    # ------------------------------------------------------------------ transactions

    def _transact(
        self, action: Callable[[Any], Any], *, write: bool, missing: Callable[[], Any] | None = None
    ) -> Any:
        """Run ``action`` in a transaction; enlarge the memory map if this or another process needs it.

        If there is no store, return ``missing()``, or make one without it.
        """
        import lmdb

        with self._lock.rlock:
            if not self._ready(create=missing is None) and missing is not None:
                return missing()
            while True:
                try:
                    self._file.check_size(self._env, self._page_size)
                    with self._env.begin(write=write, buffers=True) as txn:
                        return action(txn)
                except (lmdb.MapFullError, lmdb.MapResizedError):
                    size = os.stat(self._file.path).st_size  # not the size in the file, which is not checked
                    self._env.set_mapsize(2 * max(self._env.info()["map_size"], size))
                except (DamagedError, lmdb.CorruptedError, lmdb.PageNotFoundError) as error:
                    raise self._damaged(error) from error
                except lmdb.Error as error:
                    raise self._failed(error, write) from error

    def _failed(self, error: Any, write: bool) -> OSError:
        full = write and (getattr(error, "code", 0) in _FULL or "Input/output" in str(error))
        reason = (
            f"the disk is full, or a quota or a limit on file sizes is reached ({error})" if full else error
        )
        lost = ". The current batch is lost; everything kept before is still there" if write else ""
        return OSError(f"memory={str(self.folder)!r}: {reason}{lost}")

    # ------------------------------------------------------------------ entries

    def _width(self, txn: Any, digest: bytes) -> int | None:
        header = txn.get(b"f" + digest)
        return (
            None if header is None else int.from_bytes(self._seals.data(b"f" + digest, header)[:8], "little")
        )

    def _runs(self, txn: Any, digest: bytes) -> list[Run]:
        """Return the runs in the memory map; they are valid until the transaction ends."""
        return [self._run(key, entry) for key, entry in _entries(txn, b"r" + digest)]

    def _run(self, key: bytes, entry: Any) -> Run:
        return Run(*np.frombuffer(self._seals.data(key, entry), dtype=np.uint64).reshape(3, -1))

    def _block(self, txn: Any, digest: bytes, number: int, width: int) -> np.ndarray:
        key = b"b" + digest + number.to_bytes(8, "big")
        entry = txn.get(key)
        if entry is None:
            raise DamagedError(f"block {number} is missing")
        return np.frombuffer(self._seals.data(key, entry), dtype=np.float32).reshape(-1, width)

    def _put_run(self, txn: Any, digest: bytes, run: Run) -> None:
        """Append a run, merged with the newest runs if they are small."""
        entries = [(key, (len(entry) - HEADER_BYTES) // 24) for key, entry in _entries(txn, b"r" + digest)]
        count = n_to_merge([size for _, size in entries], len(run.high))
        if count:
            merged = [key for key, _ in entries[-count:]]
            run = merge([*(self._run(key, txn.get(key)) for key in merged), run])
            for key in merged:
                txn.delete(key)
            key = merged[0]
        else:
            key = _next_key(b"r" + digest, entries[-1][0] if entries else None)
        txn.put(key, sealed(key, b"".join(column.tobytes() for column in run)))


_disk_stores: dict[Path, DiskStore] = {}
_opening = Lock(guards_state=True)


def disk_store(folder: str | os.PathLike[str]) -> DiskStore:
    """Return the store in a folder. It is opened once per process, because LMDB forbids more."""
    path = Path(folder).expanduser().resolve()
    with _opening.rlock:
        if path not in _disk_stores:
            _disk_stores[path] = DiskStore(path)
        return _disk_stores[path]


def _put_blocks(txn: Any, digest: bytes, rows: np.ndarray) -> np.ndarray:
    """Append vectors; return their addresses."""
    size = max(1, _MAX_BLOCK // rows.strides[0])
    last = _last_key(txn, b"b" + digest)
    addresses = []
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        last = _next_key(b"b" + digest, last)
        txn.put(last, sealed(last, part.tobytes()))
        addresses.append(row_addresses(_number(last), len(part)))
    return np.concatenate(addresses)


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
