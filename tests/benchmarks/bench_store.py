"""Speed, size and memory of the stores, and of other embedded stores that are installed.

Scalars are written in batches of 32,768 and vectors in batches of 1,024, as by scorers and encoders, under
random keys. Then all are read from the page cache in another order, 100,000 keys at a time. Writing is
measured in elapsed time; reading in CPU time, so that other jobs on the machine do not count. A committed
batch is on the disk (SQLite with ``synchronous=FULL``, RocksDB with ``sync``). The last two columns are bytes
per value: on the disk at the end (MemoryStore: in memory), and written in total.

    python tests/benchmarks/bench_store.py [--scalars N] [--vectors N] [--width D] [--peers] [--folder F]

``--peers`` adds LMDB with one entry per value, SQLite, and, if they are installed, RocksDB and diskcache
(``pip install rocksdict diskcache``).
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np

from skprune.store import DiskStore, MemoryStore

READ = 100_000


class OnDisk:
    """The store in a folder."""

    name = "DiskStore"

    def __init__(self, folder: Path) -> None:
        self.store = DiskStore(folder)

    def put(self, keys: np.ndarray, values: np.ndarray) -> None:
        self.store.put("bench", keys, values)

    def get(self, keys: np.ndarray) -> np.ndarray:
        values, found = self.store.get("bench", keys)
        assert found.all()
        return values


class InMemory(OnDisk):
    """The store of a process."""

    name = "MemoryStore"

    def __init__(self, folder: Path) -> None:
        self.store = MemoryStore()


class Peer(ABC):
    """A store with one entry per value. Keys and values are bytes."""

    name: str

    def put(self, keys: np.ndarray, values: np.ndarray) -> None:
        self.width = values.shape[1:]
        self.write([(k.tobytes(), v.tobytes()) for k, v in zip(keys, values, strict=True)])

    def get(self, keys: np.ndarray) -> np.ndarray:
        data = keys.tobytes()
        hits = self.read([data[i : i + 16] for i in range(0, len(data), 16)])
        values = np.frombuffer(b"".join(hits), dtype=np.float32 if self.width else np.float64)
        return values.reshape(-1, *self.width)

    @abstractmethod
    def write(self, pairs: list[tuple[bytes, bytes]]) -> None:
        """Store each value under its key."""

    @abstractmethod
    def read(self, keys: list[bytes]) -> list[bytes]:
        """Return the values in the order of the keys."""


class OneEntryEach(Peer):
    """LMDB with one entry per value."""

    name = "LMDB, an entry each"

    def __init__(self, folder: Path) -> None:
        import lmdb

        self.env = lmdb.open(str(folder), map_size=2**37)

    def write(self, pairs: list[tuple[bytes, bytes]]) -> None:
        with self.env.begin(write=True) as txn:
            txn.cursor().putmulti(sorted(pairs))

    def read(self, keys: list[bytes]) -> list[bytes]:
        with self.env.begin() as txn:
            return [txn.get(key) for key in keys]


class OneEntryEachSorted(OneEntryEach):
    """LMDB with one entry per value, read by a cursor over sorted keys."""

    name = "LMDB, sorted getmulti"

    def read(self, keys: list[bytes]) -> list[bytes]:
        with self.env.begin() as txn:
            hits = dict(txn.cursor().getmulti(sorted(keys)))
        return [hits[key] for key in keys]


class SQLite(Peer):
    """An SQLite table without row ids, in WAL mode."""

    name = "SQLite, WAL"

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.base = sqlite3.connect(folder / "values.sqlite", isolation_level=None)
        self.base.execute("PRAGMA journal_mode=WAL")
        self.base.execute("PRAGMA synchronous=FULL")
        self.base.execute("PRAGMA mmap_size=17179869184")
        self.base.execute("CREATE TABLE kept (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")

    def write(self, pairs: list[tuple[bytes, bytes]]) -> None:
        self.base.execute("BEGIN")
        self.base.executemany("INSERT OR IGNORE INTO kept VALUES (?, ?)", sorted(pairs))
        self.base.execute("COMMIT")

    def read(self, keys: list[bytes]) -> list[bytes]:
        select = "SELECT value FROM kept WHERE key = ?"
        return [self.base.execute(select, (key,)).fetchone()[0] for key in keys]


class RocksDB(Peer):
    """RocksDB, a log-structured merge tree; one process at a time may write."""

    name = "RocksDB"

    def __init__(self, folder: Path) -> None:
        import rocksdict

        self.base = rocksdict.Rdict(str(folder), rocksdict.Options(raw_mode=True))
        self.batch = lambda: rocksdict.WriteBatch(raw_mode=True)
        self.options = rocksdict.WriteOptions()
        self.options.sync = True

    def write(self, pairs: list[tuple[bytes, bytes]]) -> None:
        batch = self.batch()
        for key, value in pairs:
            batch.put(key, value)
        self.base.write(batch, write_opt=self.options)

    def read(self, keys: list[bytes]) -> list[bytes]:
        return self.base[keys]


class DiskCache(Peer):
    """diskcache, a dictionary on top of SQLite."""

    name = "diskcache"

    def __init__(self, folder: Path) -> None:
        import diskcache

        self.base = diskcache.Cache(str(folder), eviction_policy="none", size_limit=2**40)

    def write(self, pairs: list[tuple[bytes, bytes]]) -> None:
        with self.base.transact():
            for key, value in pairs:
                self.base[key] = value

    def read(self, keys: list[bytes]) -> list[bytes]:
        return [self.base[key] for key in keys]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scalars", type=int, default=10_000_000)
    parser.add_argument("--vectors", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--folder", type=Path, help="where to write (default: the temporary folder)")
    arguments = parser.parse_args()
    columns = ("written/s", "read/s", "read MB/s", "bytes each", "written")
    print(f"{'values':<20}{'store':<24}" + "".join(f"{column:>12}" for column in columns))
    stores: list[Any] = [OnDisk, InMemory]
    if arguments.peers:
        stores += [OneEntryEach, OneEntryEachSorted, SQLite]
        stores += [
            peer
            for peer, module in [(RocksDB, "rocksdict"), (DiskCache, "diskcache")]
            if importlib.util.find_spec(module)
        ]
    for n_rows, width, batch in [(arguments.scalars, 0, 32_768), (arguments.vectors, arguments.width, 1_024)]:
        for store in stores:
            with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
                run(store, Path(folder) / "store", n_rows, width, batch)


def run(kind: Any, folder: Path, n_rows: int, width: int, batch: int) -> None:
    """Measure in a child process, so that its memory starts from zero."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            measure(kind, folder, n_rows, width, batch)
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    os.waitpid(child, 0)


def measure(kind: Any, folder: Path, n_rows: int, width: int, batch: int) -> None:
    """Write and read all values, and print one row of the table."""
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 2**64, size=(n_rows, 2), dtype=np.uint64)
    values = rng.standard_normal((n_rows, width), dtype=np.float32) if width else rng.standard_normal(n_rows)
    order = rng.permutation(n_rows)
    before = resident()
    traffic = bytes_written()
    store = kind(folder)
    start = time.perf_counter()
    for first in range(0, n_rows, batch):
        store.put(keys[first : first + batch], values[first : first + batch])
    seconds_to_write = time.perf_counter() - start
    traffic = bytes_written() - traffic
    on_disk = folder.exists()
    size = int(subprocess.check_output(["du", "-sB1", folder]).split()[0]) if on_disk else resident() - before
    seconds = 0.0
    for first in range(0, n_rows, READ):
        part = order[first : first + READ]
        start = time.process_time()
        got = store.get(keys[part])
        seconds += time.process_time() - start
        assert (got == values[part]).all()
    megabytes = values.nbytes / seconds / 1e6
    figures = (n_rows / seconds_to_write, n_rows / seconds, megabytes, size / n_rows, traffic / n_rows)
    what = f"{n_rows:,}" + (f" x {width}" if width else "")
    print(f"{what:<20}{kind.name:<24}" + "".join(f"{figure:>12,.0f}" for figure in figures), flush=True)


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def bytes_written() -> int:
    """Return how many bytes this process has sent to the disk."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("write_bytes"))


if __name__ == "__main__":
    main()
