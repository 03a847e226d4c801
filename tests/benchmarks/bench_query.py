"""Milliseconds that PrunedQuery adds to the time of its filter, in a loop over a shrinking pool.

python tests/benchmarks/bench_query.py [n_rows] [n_rounds]
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import statistics
import sys
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from skprune import AnchorFilter, PrunedQuery, RandomFilter
from skprune.base import BaseFilter
from skprune.containers import take_rows
from skprune.pools import Pool

BATCH = 20


class Stopwatch:
    """Adds up the CPU time of calls."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def on(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """Return the method, timed."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.process_time()
            try:
                return method(*args, **kwargs)
            finally:
                self.seconds += time.process_time() - start

        return timed


def measure(pruner: BaseFilter, X: Any, n_rounds: int) -> np.ndarray:
    """Return the CPU milliseconds of each round: those of the filter, and those that the query adds."""
    rows = []
    known, free = np.arange(200), np.arange(200, len(Pool(X)))
    watch = Stopwatch()
    strategy = watch.on(lambda learner, X, n_instances: (np.arange(n_instances), np.zeros(n_instances)))
    query = PrunedQuery(pruner, strategy).fit(X)
    for method in ("partial_fit", "select"):
        setattr(query.filter_, method, watch.on(getattr(query.filter_, method)))
    for _ in range(n_rounds):
        learner = SimpleNamespace(X_training=take_rows(X, known), y_training=known % 2)
        pool = take_rows(X, free)
        watch.seconds = 0.0
        start = time.process_time()
        picked, _ = query(learner, pool, n_instances=BATCH)
        seconds = time.process_time() - start
        rows.append((watch.seconds, seconds - watch.seconds))
        known, free = np.concatenate([known, free[picked]]), np.delete(free, picked)
    return 1000 * np.array(rows[1:])  # the first round also hashes the pool


def main() -> None:
    """Print the table."""
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    n_rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 22
    rng = np.random.default_rng(0)
    texts = [" ".join(f"w{w}" for w in row) for row in rng.integers(50_000, size=(n_rows, 20))]
    vectors = rng.normal(size=(n_rows, 64)).astype(np.float32)
    print(f"{n_rows} rows, {BATCH} labels per round, medians of {n_rounds - 1} rounds, CPU milliseconds")
    print(f"{'':<28}{'filter':>8}{'query adds':>12}  quartiles")
    for name, pruner, X in (
        ("texts, RandomFilter", RandomFilter(0.1, random_state=0), texts),
        ("vectors, RandomFilter", RandomFilter(0.1, random_state=0), vectors),
        ("vectors, AnchorFilter", AnchorFilter(random_state=0), vectors),
        ("texts, no pruning", RandomFilter(1.0, random_state=0), texts),
    ):
        own, added = measure(pruner, X, n_rounds).T
        low, middle, high = statistics.quantiles(added, n=4)
        print(f"{name:<28}{np.median(own):>8.1f}{middle:>12.2f}  {low:.2f} to {high:.2f}")


if __name__ == "__main__":
    main()
