"""Time and memory of SemiPrune's difficulty scores and coresets at two sizes, after the proxy is trained.

The vectors are the pixels of Fashion-MNIST. The log holds random probabilities that drift to the labels; its
content affects only the cost of ties. The peak of a step is measured in a separate run, and counts what
Python and NumPy allocate beyond the log and the vectors. The peak of the process also counts what
scikit-learn's search allocates. For comparison with D2's exact search, the last step multiplies all rows with
all rows, which is the least that such a search must do.

    python tests/benchmarks/bench_semi_prune.py [n_rows ...]
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "2")

import resource
import sys
import time
import tracemalloc
from collections.abc import Callable
from functools import partial

import numpy as np
from scipy.special import softmax

from skprune.datasets import load_fashion_mnist
from skprune.filters.semi_prune.coresets import CORESETS, Candidates
from skprune.filters.semi_prune.dynamics import TrainingDynamics, aum, dual, dyn_unc, el2n, forgetting

N_CLASSES, N_EPOCHS, KEEP, REPEATS = 10, 30, 0.3, 3
SCORES = (aum, dual, dyn_unc, el2n, forgetting)


def main() -> None:
    """Print one table per size."""
    images = load_fashion_mnist().data
    vectors = np.float32(images.reshape(len(images), -1)) / 255
    for n_rows in map(int, sys.argv[1:] or ("30000", "60000")):
        measure(vectors[:n_rows])


def measure(vectors: np.ndarray) -> None:
    """Time every step on these rows."""
    n_rows = len(vectors)
    rng = np.random.default_rng(0)
    codes = rng.integers(N_CLASSES, size=n_rows)
    drift = np.eye(N_CLASSES, dtype=np.float32)[codes] * 4 / N_EPOCHS
    log = TrainingDynamics(codes, N_EPOCHS)
    recording = 0.0
    for epoch in range(N_EPOCHS):
        noise = rng.standard_normal((n_rows, N_CLASSES), dtype=np.float32)
        proba = softmax(noise + epoch * drift, axis=1)
        start = time.perf_counter()
        log.record(epoch, proba)
        recording += time.perf_counter() - start
    log_bytes = sum(array.nbytes for array in vars(log).values())
    print(f"{n_rows:,} rows, {N_CLASSES} classes, {N_EPOCHS} epochs, keep {KEEP}")
    print(f"{'step':<28}{'s':>8}{'peak, bytes per row':>20}")
    print(f"{'recording, all epochs':<28}{recording:>8.2f}{log_bytes / n_rows:>20,.0f} (the log itself)")
    rows = Candidates(
        difficulty=dual(log),
        mean_p=log.p_label.mean(axis=0, dtype=np.float64),
        uniforms=np.sort(rng.random(n_rows)),
        vectors=lambda: vectors,
    )
    steps: dict[str, Callable[[], object]] = {score.__name__: partial(score, log) for score in SCORES}
    steps |= {name: partial(coreset, rows, round(KEEP * n_rows)) for name, coreset in CORESETS.items()}
    search = steps.pop("d2")
    total = 0.0
    for name, step in steps.items():
        seconds = np.median([timed(step) for _ in range(REPEATS)])
        total += seconds
        print(f"{name:<28}{seconds:>8.3f}{peak(step) / n_rows:>20,.0f}", flush=True)
    print(f"{'all of these':<28}{total:>8.3f}")
    before = process_peak()
    print(f"{'d2':<28}{timed(search):>8.1f}")
    print(f"{'product of all with all':<28}{timed(partial(product, vectors)):>8.1f}")
    print(f"peak of the process: {before / 2**20:,.0f} MiB before d2, {process_peak() / 2**20:,.0f} after\n")


def timed(step: Callable[[], object]) -> float:
    """Return the duration of one call in seconds."""
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def peak(step: Callable[[], object]) -> int:
    """Return the peak memory of one call in bytes."""
    tracemalloc.start()
    step()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def process_peak() -> int:
    """Return the peak memory of this process in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def product(vectors: np.ndarray) -> None:
    """Multiply all rows with all rows, one block at a time."""
    for start in range(0, len(vectors), 1024):
        vectors[start : start + 1024] @ vectors.T


if __name__ == "__main__":
    main()
