"""Time and memory of pruning Parquet files to a quarter by n-gram perplexity.

    python tests/benchmarks/bench_files.py [--rows N] [--jobs J] [--folder DIR]

The texts are pairs of sentences of 20 Newsgroups and Debian descriptions, joined at random; a tenth are
copies of others. The memory is that of the process and its workers together, sampled ten times a second.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import psutil

_FILE_ROWS = 1_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the input is, or is written")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        if not list(folder.glob("*.parquet")):
            # A process of its own, whose memory is not measured.
            code = "import sys, bench_files; bench_files.write(sys.argv[1], int(sys.argv[2]))"
            command = [sys.executable, "-c", code, str(folder), str(arguments.rows)]
            subprocess.run(command, check=True, cwd=Path(__file__).parent, env=os.environ)
        measure(folder, Path(temporary) / "out", arguments.jobs)


def measure(folder: Path, out: Path, n_jobs: int) -> None:
    import pyarrow  # noqa: F401 (as skprune.files imports it)

    from skprune import PerplexityFilter
    from skprune.files import prune

    before = memory()
    peak = Peak()
    with peak:
        pruner = PerplexityFilter(keep=0.25, n_jobs=n_jobs, random_state=0)
        summary = prune(folder, pruner, text="text", out=out / "kept", removed=out / "removed")
    bytes_a_row = (peak.value - before) / summary.rows
    print(f"{summary.rows} rows, {summary.kept} kept, n_jobs={n_jobs}: {summary.seconds:.1f} s", end=", ")
    print(f"{time.process_time():.1f} s of this process's CPU", end=", ")
    print(f"peak {peak.value / 2**20:.0f} MiB, {bytes_a_row:.0f} bytes a row more than before", end=", ")
    print(f"largest process {peak.largest / 2**20:.0f} MiB")


class Peak:
    """The largest memory of this process and its children within a context, in bytes."""

    def __enter__(self) -> Peak:
        self.value = self.largest = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(0.1):
            self.value = max(self.value, memory())
            self.largest = max(self.largest, psutil.Process().memory_full_info().uss)


def memory() -> int:
    """Return the memory that only this process and its children use."""
    process = psutil.Process()
    total = process.memory_full_info().uss
    for child in process.children(recursive=True):
        try:
            total += child.memory_full_info().uss
        except psutil.Error:  # it has ended meanwhile
            continue
    return total


def write(folder: str, n_rows: int) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from skprune.datasets import load_debian, load_newsgroups

    texts = [*load_newsgroups().data, *load_debian().data]
    pieces = (piece.strip() for text in texts for piece in re.split(r"(?<=[.!?])\s+|\n", text))
    sentences = np.array(sorted({piece for piece in pieces if 20 <= len(piece) <= 120}), dtype=object)
    rng = np.random.default_rng(0)
    Path(folder).mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, n_rows, _FILE_ROWS)):
        n = min(_FILE_ROWS, n_rows - start)
        rows = (
            sentences[rng.integers(len(sentences), size=n)]
            + " "
            + sentences[rng.integers(len(sentences), size=n)]
        )
        rows[: n // 10] = rows[n // 2 : n // 2 + n // 10]
        table = pa.table({"id": np.arange(start, start + n), "text": rows, "stars": rng.integers(5, size=n)})
        pq.write_table(table, Path(folder) / f"part-{number:03d}.parquet", row_group_size=100_000)


if __name__ == "__main__":
    main()
