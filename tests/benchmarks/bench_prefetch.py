"""Milliseconds until a batch is handed over, by Prefetch and by a plain query.

python tests/benchmarks/bench_prefetch.py [n_rows] [n_batches]

"ready": the batch was computed while people labeled. "at once": it is asked for before it is ready, as by
people who label in no time. "query": teach and query of the learner itself, one after the other.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skprune import Prefetch, ProxyFilter, PrunedQuery, RandomFilter
from skprune.base import BaseFilter
from skprune.modal import ActiveLearner
from skprune.strategies import Entropy

BATCH = 25
N_LABELED = 200


def make_pool(kind: str, n_rows: int) -> tuple[list[str] | np.ndarray, np.ndarray]:
    """Return different rows, and labels that depend on them."""
    rng = np.random.default_rng(0)
    if kind == "vectors":
        X = rng.normal(size=(n_rows, 64)).astype(np.float32)
        return X, (X[:, 0] > 0.5).astype(int)
    words = np.array([f"word{i}" for i in range(5_000)])
    drawn = (rng.pareto(1.0, size=(n_rows, 20)) * 10).astype(int) % len(words)
    return [" ".join(words[row]) for row in drawn], (drawn == 7).any(axis=1).astype(int)


def make_learner(X: list[str] | np.ndarray, y: np.ndarray, filter: BaseFilter) -> ActiveLearner:
    """Return a learner that knows the first rows."""
    model = LogisticRegression(C=10, max_iter=200)
    estimator = make_pipeline(TfidfVectorizer(), model) if isinstance(X, list) else model
    query = PrunedQuery(filter, Entropy(random_state=0))
    return ActiveLearner(estimator, query, X[:N_LABELED], y[:N_LABELED])


def main(n_rows: int = 100_000, n_batches: int = 120) -> None:
    print("pool     filter       how       batches    p50 ms    p99 ms    max ms")
    for kind in ("texts", "vectors"):
        X, y = make_pool(kind, n_rows)
        pool, answers = X[N_LABELED:], y[N_LABELED:]
        for filter in (RandomFilter(keep=1500, random_state=0), ProxyFilter(keep=1500, random_state=0)):
            name = type(filter).__name__
            for how in ("ready", "at once"):
                seconds = []
                with Prefetch(make_learner(X, y, filter), pool, n_instances=BATCH) as batches:
                    batch = next(batches)
                    for _ in range(n_batches if how == "ready" else 10):
                        batches.teach(batch.rows, answers[batch.indices])
                        if how == "ready":
                            batches.wait()
                        start = time.perf_counter()
                        batch = next(batches)
                        seconds.append(time.perf_counter() - start)
                report(kind, name, how, seconds)
            learner = make_learner(X, y, filter)
            indices, rows = learner.query(pool, n_instances=BATCH)
            seconds = []
            for _ in range(10):
                start = time.perf_counter()
                learner.teach(rows, answers[indices])
                indices, rows = learner.query(pool, n_instances=BATCH)
                seconds.append(time.perf_counter() - start)
            report(kind, name, "query", seconds)


def report(kind: str, filter: str, how: str, seconds: list[float]) -> None:
    """Print one line."""
    p50, p99, longest = (f"{1000 * value:10.1f}" for value in np.quantile(seconds, [0.5, 0.99, 1]))
    print(f"{kind:8} {filter:12} {how:8} {len(seconds):8}{p50}{p99}{longest}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
