"""Time per round and memory of AnchorFilter over a million vectors, compared with one matrix product.

python tests/benchmarks/bench_anchor.py [n_rows]
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import resource
import statistics
import sys
import time

import numpy as np

from skprune import AnchorFilter

N_FEATURES, N_CLASSES, N_ANCHORS, ROUNDS, BATCH = 384, 2, 10, 5, 25


def peak_bytes() -> int:
    """Return the peak memory of this process in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    """Print the table."""
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, N_FEATURES), dtype=np.float32)
    y = np.full(n_rows, -1)
    y[:100] = np.arange(100) % N_CLASSES
    before = peak_bytes()

    start = time.perf_counter()
    pruner = AnchorFilter(N_ANCHORS, random_state=0).fit(X, y)
    fit_seconds = time.perf_counter() - start

    anchors = np.ascontiguousarray(X[: N_ANCHORS * N_CLASSES].T)
    print(
        f"{n_rows} x {N_FEATURES} float32, {N_CLASSES} x {N_ANCHORS} anchors, K=50; fit {fit_seconds:.2f} s"
    )
    print(f"{'labeled':>10}{'same pool s':>14}{'product s':>12}{'ratio':>8}")
    labeled = 100
    for target in (100, 1_000, 10_000):
        if target > labeled:
            rows = np.arange(labeled, target - ROUNDS * BATCH)
            pruner.partial_fit(X[rows], rows % N_CLASSES)
            labeled = int(rows[-1]) + 1
        rounds, products = [], []
        for _ in range(ROUNDS):
            rows = np.arange(labeled, labeled + BATCH)
            labeled += BATCH
            start = time.perf_counter()
            pruner.partial_fit(X[rows], rows % N_CLASSES)
            pruner.select(X)
            rounds.append(time.perf_counter() - start)
            start = time.perf_counter()
            for i in range(0, n_rows, 16_384):
                X[i : i + 16_384] @ anchors
            products.append(time.perf_counter() - start)
        seconds, product = statistics.median(rounds), statistics.median(products)
        print(f"{labeled:>10}{seconds:>14.3f}{product:>12.3f}{seconds / product:>8.2f}")
    print(f"peak memory beyond the vectors: {(peak_bytes() - before) / X.nbytes:.1%} of their size")

    shrunk = X[labeled:].copy()
    start = time.perf_counter()
    pruner.select(shrunk)
    print(f"a pool in another array: {time.perf_counter() - start:.3f} s")


if __name__ == "__main__":
    main()
