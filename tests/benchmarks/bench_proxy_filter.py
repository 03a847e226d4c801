"""A round of ProxyFilter over a million vectors, compared with one matrix-vector product of that size.

python tests/benchmarks/bench_proxy_filter.py [n_rows]
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import statistics
import sys
import time
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from skprune import ProxyFilter

N_FEATURES, ROUNDS, BATCH = 384, 7, 25


class Timed(LogisticRegression):
    """Adds up the seconds of its predictions."""

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict, and note the time."""
        start = time.perf_counter()
        try:
            return super().predict_proba(X)
        finally:
            self.seconds = getattr(self, "seconds", 0.0) + time.perf_counter() - start


def main() -> None:
    """Print the table."""
    n_rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n_rows, N_FEATURES), dtype=np.float32)
    for block in np.array_split(X, 100):  # unit vectors, in place
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    y = (X[:, 0] > 0.1).astype(int)
    start = time.perf_counter()
    pruner = ProxyFilter(random_state=0).fit(X)
    print(f"{n_rows} x {N_FEATURES} float32, 1,500 rows kept; fit {time.perf_counter() - start:.1f} s")
    print(f"{'labels':>8}{'learn s':>10}{'select s':>10}{'learner s':>11}{'product s':>11}{'ratio':>8}")
    known, new, ratios = np.empty(0, dtype=int), np.arange(100), []
    weights = np.ascontiguousarray(X[0])
    for _ in range(ROUNDS):
        known = np.concatenate([known, new])
        learner = Timed().fit(X[known], y[known])
        start = time.perf_counter()
        pruner.partial_fit(X[new], y[new], learner=learner)
        learned = time.perf_counter() - start
        start = time.perf_counter()
        subpool = pruner.select(X)
        selected = time.perf_counter() - start
        start = time.perf_counter()
        X @ weights
        product = time.perf_counter() - start
        looked = getattr(learner, "seconds", 0.0)
        ratios.append((learned + selected - looked) / product)
        print(
            f"{len(known):>8}{learned:>10.3f}{selected:>10.3f}{looked:>11.3f}{product:>11.3f}{ratios[-1]:>8.2f}"
        )
        new = subpool[:BATCH]
    print(f"median ratio from the second round on, without the learner: {statistics.median(ratios[1:]):.2f}")


if __name__ == "__main__":
    main()
