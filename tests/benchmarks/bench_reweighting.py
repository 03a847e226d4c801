"""Seconds and memory to reweight ten million rows by ten thousand labeled ones, against plain pairs.

python tests/benchmarks/bench_reweighting.py [n_rows] [n_labeled]
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import resource
import statistics
import sys
import time

import numpy as np

from skprune.filters.active_prune import reweight


def by_pairs(values: np.ndarray, newest: np.ndarray, beta: float) -> np.ndarray:
    """Compute Equation 2 pair by pair, in blocks that fit in memory."""
    blocks = np.array_split(values, max(1, len(values) // 1000))
    return np.concatenate([b - beta * np.abs(b[:, None] - newest).mean(axis=1) for b in blocks])


def main() -> None:
    """Print the times and the peak memory."""
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    n_labeled = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000
    rng = np.random.default_rng(0)
    p, newest = rng.normal(3, 0.5, n_rows), rng.normal(3, 0.5, n_labeled)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        ours = reweight(p, newest, 0.1)
        seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    sample = p[:20_000]
    start = time.perf_counter()
    pairs = by_pairs(sample, newest, 0.1)
    pair_seconds = (time.perf_counter() - start) * n_rows / len(sample)
    assert np.allclose(ours[:20_000], pairs)
    seconds.sort()
    median = statistics.median(seconds)
    print(
        f"{n_rows} rows by {n_labeled}: {median:.2f} s, median of 5 ({seconds[0]:.2f} to {seconds[-1]:.2f})"
    )
    print(
        f"by pairs: {pair_seconds:.0f} s (from {len(sample)} rows), {pair_seconds / median:.0f} times as long"
    )
    print(f"peak memory beyond the input: {peak / p.nbytes:.1f} times the perplexities")


if __name__ == "__main__":
    main()
