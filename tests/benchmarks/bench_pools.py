"""What it costs to recognize the rows of a pool: a list that shrinks, and numeric rows in another array.

    python tests/benchmarks/bench_pools.py              # 1,000,000 rows, a minute on one core
    python tests/benchmarks/bench_pools.py --rows 100000

Each figure is a ratio in one run: a shrinking list against one that stays, hashing against BLAKE2b per row.
Memory is what Python and NumPy allocate for a filter by perplexity, beyond the list of texts.
"""

from __future__ import annotations

import argparse
import hashlib
import time
import tracemalloc
from functools import partial
from statistics import median

import numpy as np

from skprune import PerplexityFilter, RandomFilter
from skprune.hashing import row_hashes


def cpu_seconds(action) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def made_up_texts(n_rows: int) -> list[str]:
    words = np.array(["red", "green", "blue", "fox", "dog", "sea", "sky", "old"])
    chosen = np.random.default_rng(0).choice(words, size=(n_rows, 8)).tolist()
    return [" ".join(row) + f" {i}" for i, row in enumerate(chosen)]


def lists(n_rows: int, n_rounds: int) -> None:
    texts = made_up_texts(n_rows)
    stays = RandomFilter(0.01, random_state=0).fit(texts)
    shrinks = RandomFilter(0.01, random_state=0).fit(texts)
    left = texts
    unchanged, shrunk = [], []
    for _ in range(n_rounds):
        unchanged.append(cpu_seconds(partial(stays.select, texts)))
        labeled = left[:25]
        for pruner in (stays, shrinks):
            pruner.partial_fit(labeled, [0] * 25)
        left = left[25:]
        shrunk.append(cpu_seconds(partial(shrinks.select, left)))
    print(
        f"a list of {n_rows:,} texts, CPU seconds per round: unchanged {median(unchanged):.2f}, shrinking "
        f"{median(shrunk):.2f}, ratio {median(shrunk) / median(unchanged):.2f}"
    )


def blake2b(rows: np.ndarray) -> list[bytes]:
    return [hashlib.blake2b(row, digest_size=16).digest() for row in rows]


def arrays(n_rows: int) -> None:
    for n_features in (2, 20, 64, 384):
        X = np.random.default_rng(0).normal(size=(max(1000, n_rows // n_features), n_features))
        ours = median(cpu_seconds(partial(row_hashes, X)) for _ in range(5)) / len(X)
        theirs = median(cpu_seconds(partial(blake2b, X[:1000])) for _ in range(5)) / 1000
        print(
            f"{n_features} features: {1e6 * ours:.3f} µs per row, BLAKE2b {1e6 * theirs:.2f} µs "
            f"({theirs / ours:.0f} times as long)"
        )


def memory(n_rows: int) -> None:
    texts = made_up_texts(n_rows)
    pruner = PerplexityFilter(0.25)
    tracemalloc.start()
    for method in (pruner.fit, pruner.select, pruner.explain):
        tracemalloc.reset_peak()
        result = method(texts)
        held, peak = (size / n_rows for size in tracemalloc.get_traced_memory())
        print(f"{method.__name__}: {held:.0f} bytes per row held, peak {peak:.0f}")
        del result
    tracemalloc.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    lists(arguments.rows, arguments.rounds)
    arrays(arguments.rows)
    memory(arguments.rows)


if __name__ == "__main__":
    main()
