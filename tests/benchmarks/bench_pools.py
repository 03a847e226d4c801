"""What it costs to recognize the rows of a pool: a list that shrinks, and numeric rows in another array.

    python tests/benchmarks/bench_pools.py              # 1,000,000 rows, a minute on one core
    python tests/benchmarks/bench_pools.py --rows 100000

Each figure is a ratio in one run: a shrinking list against one that stays, hashing against BLAKE2b per row.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from functools import partial
from statistics import median

import numpy as np

from skprune import RandomFilter
from skprune.hashing import row_hashes


def cpu_seconds(action) -> float:
    start = time.process_time()
    action()
    return time.process_time() - start


def lists(n_rows: int, n_rounds: int) -> None:
    rng = np.random.default_rng(0)
    words = np.array(["red", "green", "blue", "fox", "dog", "sea", "sky", "old"])
    texts = [" ".join(row) + f" {i}" for i, row in enumerate(rng.choice(words, size=(n_rows, 8)).tolist())]
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    lists(arguments.rows, arguments.rounds)
    arrays(arguments.rows)


if __name__ == "__main__":
    main()
