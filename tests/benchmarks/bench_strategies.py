"""Seconds and memory of one query of 100 rows from 100,000 vectors, against one plain pass a pick.

python tests/benchmarks/bench_strategies.py [n_rows]
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import statistics
import sys
import time
import tracemalloc

import numpy as np
from sklearn.linear_model import LogisticRegression

from skprune.modal import ActiveLearner
from skprune.strategies import BADGE, BERTKM, CAL, IDDS, Coreset, Entropy

N_FEATURES, N_CLASSES, N_LABELLED, BATCH, REPEATS = 384, 10, 1_000, 100, 3
STRATEGIES = [Entropy, Coreset, BADGE, CAL, IDDS, BERTKM]
SHARE_OF = {BERTKM: 10}  # Lloyd's iterations are a matter of minutes on the whole pool


def make_rows(n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors in loose clusters, as sentence encoders give them, and the cluster of each."""
    rng = np.random.default_rng(0)
    y = rng.integers(N_CLASSES, size=n_rows)
    X = rng.standard_normal((n_rows, N_FEATURES), dtype=np.float32)
    X += 1.5 * rng.standard_normal((N_CLASSES, N_FEATURES), dtype=np.float32)[y]
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    return X, y


def passes(X: np.ndarray) -> float:
    """Seconds of one product of all rows with one vector a pick: the least that a greedy pick must do."""
    start = time.perf_counter()
    for row in range(BATCH):
        X @ X[row]
    return time.perf_counter() - start


def main() -> None:
    """Print the tables."""
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    X, y = make_rows(n_rows + N_LABELLED)
    labelled, pool = X[:N_LABELLED], X[N_LABELLED:]
    learner = ActiveLearner(LogisticRegression(), Entropy(), labelled, y[:N_LABELLED])

    print(f"{BATCH} of {n_rows} x {N_FEATURES} float32, {N_CLASSES} classes, {N_LABELLED} labelled")
    print(f"{'':<10}{'rows':>10}{'seconds':>10}{'(range)':>16}{'passes s':>10}{'ratio':>8}")
    for strategy in STRATEGIES:
        seconds, limits = [], []
        rows = pool[: n_rows // SHARE_OF.get(strategy, 1)]
        for _ in range(REPEATS):
            limits.append(passes(rows))
            start = time.perf_counter()
            strategy(random_state=0)(learner, rows, n_instances=BATCH)
            seconds.append(time.perf_counter() - start)
        middle, limit = statistics.median(seconds), statistics.median(limits)
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        print(
            f"{strategy.__name__:<10}{len(rows):>10}{middle:>10.2f}{spread:>16}{limit:>10.2f}"
            f"{middle / limit:>8.2f}"
        )

    print("\npeak of what Python and NumPy allocated beyond the vectors, bytes a row (tracemalloc)")
    sizes = [n_rows // 4, n_rows // 2, n_rows]
    print(f"{'':<10}" + "".join(f"{size:>10}" for size in sizes))
    for strategy in STRATEGIES:
        line = ""
        for size in (size // SHARE_OF.get(strategy, 1) for size in sizes):
            tracemalloc.start()
            strategy(random_state=0)(learner, pool[:size], n_instances=BATCH)
            line += f"{tracemalloc.get_traced_memory()[1] / size:>10.0f}"
            tracemalloc.stop()
        print(f"{strategy.__name__:<10}{line}")
    print(f"(a row itself is {pool[0].nbytes} bytes)")


if __name__ == "__main__":
    main()
