"""Time and memory of one query for 100 of 100,000 vectors, compared with one pass over the vectors per pick.

Usage: python tests/benchmarks/bench_strategies.py [n_rows] [name of a strategy ...]
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
from sklearn.linear_model import LogisticRegression

from skprune.modal import ActiveLearner
from skprune.strategies import (
    BADGE,
    BERTKM,
    CAL,
    DIRECT,
    IDDS,
    Coreset,
    Entropy,
    MaxHerding,
    TypiClust,
    UHerding,
)

N_FEATURES, N_CLASSES, N_LABELED, BATCH, REPEATS = 384, 10, 1_000, 100, 3
STRATEGIES = [Entropy, Coreset, BADGE, CAL, IDDS, BERTKM, DIRECT, TypiClust, MaxHerding, UHerding]
NAMES = [strategy.__name__ for strategy in STRATEGIES]


def make_rows(n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors in loose clusters, like those of sentence encoders, and their clusters."""
    rng = np.random.default_rng(0)
    y = rng.integers(N_CLASSES, size=n_rows)
    X = rng.standard_normal((n_rows, N_FEATURES), dtype=np.float32)
    X += 1.5 * rng.standard_normal((N_CLASSES, N_FEATURES), dtype=np.float32)[y]
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return X, y


def passes(X: np.ndarray) -> None:
    """Multiply all rows with one vector per pick: the minimal work of a greedy strategy."""
    for row in range(BATCH):
        X @ X[row]


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Return elapsed and CPU seconds; CPU seconds are meaningful on a busy machine too."""
    elapsed, cpu = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - elapsed, time.process_time() - cpu


def main() -> None:
    """Print the tables."""
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    strategies = [strategy for strategy in STRATEGIES if strategy.__name__ in (sys.argv[2:] or NAMES)]
    X, y = make_rows(n_rows + N_LABELED)
    labeled, pool = X[:N_LABELED], X[N_LABELED:]
    learner = ActiveLearner(LogisticRegression(), Entropy(), labeled, y[:N_LABELED])

    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors")
    print(f"{BATCH} of {n_rows} x {N_FEATURES} float32, {N_CLASSES} classes, {N_LABELED} labeled")
    print(f"{'':<11}{'elapsed s':>10}{'CPU s':>8}{'(range)':>16}{'passes CPU s':>14}{'ratio':>8}")
    for strategy in strategies:
        query = strategy(random_state=0)
        minima = [timed(lambda: passes(pool))[1] for _ in range(REPEATS)]
        runs = [timed(lambda query=query: query(learner, pool, n_instances=BATCH)) for _ in range(REPEATS)]
        elapsed, cpu = (statistics.median(column) for column in zip(*runs, strict=True))
        minimum = statistics.median(minima)
        spread = "{:.2f} to {:.2f}".format(*sorted(run[1] for run in runs)[:: REPEATS - 1])
        row = f"{strategy.__name__:<11}{elapsed:>10.2f}{cpu:>8.2f}{spread:>16}"
        print(f"{row}{minimum:>14.2f}{cpu / minimum:>8.2f}", flush=True)

    print("\npeak memory allocated beyond the vectors, in bytes per row (tracemalloc)")
    sizes = [n_rows // 4, n_rows // 2, n_rows]
    print(f"{'':<11}" + "".join(f"{size:>10}" for size in sizes))
    for strategy in strategies:
        line = ""
        for size in sizes:
            tracemalloc.start()
            strategy(random_state=0)(learner, pool[:size], n_instances=BATCH)
            line += f"{tracemalloc.get_traced_memory()[1] / size:>10.0f}"
            tracemalloc.stop()
        print(f"{strategy.__name__:<11}{line}")
    print(f"(each row has {pool[0].nbytes} bytes)")


if __name__ == "__main__":
    main()
