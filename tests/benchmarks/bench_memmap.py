"""Vectors in a file: what filters allocate beside it, and what half precision changes.

    python tests/benchmarks/bench_memmap.py [memory | precision] [--rows N] [--seeds S]

memory: random unit vectors of 384 numbers in a .npy file that is mapped, in single and in half precision; the
peak of what Python and NumPy allocate during fit, partial_fit and select (tracemalloc), and the wall time.

precision: MiniLM vectors of the movie snippets. Neighbors of 200 rows found with half precision among
those found with single precision, and the rows that a filter keeps with one and not with the other.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import tracemalloc
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from sklearn.base import clone

from skprune import AnchorFilter, KMeansFilter, ProxyFilter, SEALSFilter
from skprune.base import BaseFilter
from skprune.datasets import fetch_model, load_movie_snippets
from skprune.encoders import SentenceEncoder
from skprune.neighbors import ExactNeighbors

N_FEATURES = 384
FILTERS = {
    "AnchorFilter": AnchorFilter(),
    "SEALSFilter": SEALSFilter(),
    "ProxyFilter": ProxyFilter(),
    "KMeansFilter": KMeansFilter(keep=50, algorithm="minibatch"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="?", choices=["memory", "precision"])
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    if arguments.part != "precision":
        allocate(arguments.rows)
    if arguments.part != "memory":
        compare(arguments.seeds)


def allocate(n_rows: int) -> None:
    """Print what filters allocate beside a file."""
    with tempfile.TemporaryDirectory() as folder:
        for dtype in (np.float32, np.float16):
            path = Path(folder, f"{np.dtype(dtype)}.npy")
            write(path, n_rows, dtype)
            for name, pruner in FILTERS.items():
                peak, seconds = measured(pruner, np.load(path, mmap_mode="r"))
                size = path.stat().st_size
                print(
                    f"{np.dtype(dtype)} {name}: {peak / 1e6:.0f} MB beside a file of {size / 1e6:.0f} MB, "
                    f"{peak / n_rows:.0f} bytes per row, {seconds:.1f} s",
                    flush=True,
                )


def write(path: Path, n_rows: int, dtype: type) -> None:
    """Write random unit vectors, in blocks."""
    rng = np.random.default_rng(0)
    rows = np.lib.format.open_memmap(path, "w+", dtype, (n_rows, N_FEATURES))
    for start in range(0, n_rows, 10_000):
        block = rng.normal(size=(min(10_000, n_rows - start), N_FEATURES))
        rows[start : start + 10_000] = block / np.linalg.norm(block, axis=1, keepdims=True)
    rows.flush()


def measured(pruner: BaseFilter, rows: np.ndarray) -> tuple[int, float]:
    """Return the peak of allocated bytes and the seconds of fit, one round, and select."""
    known = np.arange(0, 2000, 20)
    tracemalloc.start()
    start = time.perf_counter()
    fitted = clone(pruner).set_params(random_state=0).fit(rows)
    fitted.partial_fit(rows[known], known // 20 % 2).select(rows)
    seconds = time.perf_counter() - start
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, seconds


def compare(n_seeds: int) -> None:
    """Print what half precision changes."""
    reviews = load_movie_snippets()
    single = SentenceEncoder(fetch_model("minilm"), precision="float32")(reviews.data)
    half, y = single.astype(np.float16), np.asarray(reviews.target)
    queries = np.random.default_rng(0).choice(len(single), 200, replace=False)
    for k in (10, 100):
        pairs = zip(
            ExactNeighbors(single).query(single[queries], k),
            ExactNeighbors(half).query(half[queries], k),
            strict=True,
        )
        shares = [len(np.intersect1d(one[0], other[0])) / k for one, other in pairs]
        print(f"neighbors, K={k}: recall {np.mean(shares):.4f}, worst query {min(shares):.2f}")
    pruners = {name: pruner for name, pruner in FILTERS.items() if name != "KMeansFilter"}
    # Random rows are drawn by their content, which half precision changes.
    pruners["ProxyFilter, no random rows"] = ProxyFilter(shares=(0.5, 0.5, 0))
    for name, pruner in pruners.items():
        n_kept, n_lost = [], []
        for seed in range(n_seeds):
            known = np.random.default_rng(seed).choice(len(y), 100, replace=False)
            labels = np.full(len(y), -1)
            labels[known] = y[known]
            kept = [
                clone(pruner).set_params(random_state=seed).fit(rows, labels).select(rows)
                for rows in (single, half)
            ]
            n_kept.append(len(kept[0]))
            n_lost.append(len(np.setdiff1d(*kept)))
        spread = f"{np.mean(n_lost):.1f} ({min(n_lost)} to {max(n_lost)})"
        print(f"{name}: of {np.mean(n_kept):.0f} rows kept, {spread} differ", flush=True)


if __name__ == "__main__":
    main()
