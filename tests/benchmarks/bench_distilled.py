"""DistilledScorer on a million texts whose vectors are cached, compared with one product of that size.

python tests/benchmarks/bench_distilled.py [n_texts] [memory]

With ``memory``, an empty folder, the vectors come from the store on disk, else from that of the process.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import resource
import sys
import time

import numpy as np

from skprune import DistilledScorer
from skprune.pools import check_texts
from skprune.store import Remembered, set_process_limit

N_FEATURES, BLOCK = 384, 16_384


class Lookup:
    """Vectors by the number that a text ends with; counts the texts it encodes."""

    fingerprint = "vectors of the benchmark"
    n_texts = 0

    def __init__(self, vectors: np.ndarray) -> None:
        self.vectors = vectors

    def __call__(self, texts: list[str]) -> np.ndarray:
        """Return one row per text."""
        self.n_texts += len(texts)
        return self.vectors[[int(text.split()[-1]) for text in texts]]


def main() -> None:
    """Print the table."""
    n_texts = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    memory = sys.argv[2] if len(sys.argv) > 2 else None
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((n_texts, N_FEATURES), dtype=np.float32)
    for block in np.array_split(vectors, 100):  # unit vectors, in place
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    texts = check_texts([f"a text of the pool with the number {i}" for i in range(n_texts)])
    encoder = Lookup(vectors)
    set_process_limit(4 * 2**30)
    cached = Remembered(encoder, memory, name="encoder", batch_size=65_536)
    for start in range(0, n_texts, 65_536):
        cached(texts[start : start + 65_536])
    score = vectors[:, :8].sum(axis=1) + 0.1 * rng.standard_normal(n_texts)

    seconds = [0.0]

    def teacher(rows: list[str]) -> np.ndarray:
        start = time.perf_counter()
        answer = score[[int(text.split()[-1]) for text in rows]]
        seconds[0] += time.perf_counter() - start
        return answer

    before = encoder.n_texts
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    scorer = DistilledScorer(teacher, encoder=encoder, memory=memory, n_calls=0.02, min_recall=0)
    start, cpu = time.perf_counter(), time.process_time()
    scorer.fit(texts)
    fitted, fitted_cpu = time.perf_counter() - start - seconds[0], time.process_time() - cpu
    start, cpu = time.perf_counter(), time.process_time()
    found = scorer(texts)
    predicted, predicted_cpu = time.perf_counter() - start, time.process_time() - cpu
    weights = np.ascontiguousarray(vectors[0])
    start = time.perf_counter()
    for first in range(0, n_texts, BLOCK):
        vectors[first : first + BLOCK] @ weights
    product = time.perf_counter() - start
    start = time.perf_counter()
    for first in range(0, n_texts, BLOCK):
        cached(texts[first : first + BLOCK])
    read = time.perf_counter() - start
    more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) / 2**10
    best = np.argsort(-score)[: n_texts // 4]
    recall = np.isin(best, np.argsort(-found)[: n_texts // 4]).mean()
    print(f"{n_texts} texts, {N_FEATURES} features, {scorer.n_calls_} calls; store: {memory or 'process'}")
    print(f"fit      {fitted:7.1f} s, {fitted_cpu:7.1f} CPU s, without the teacher's {seconds[0]:.2f} s")
    print(f"predict  {predicted:7.1f} s, {predicted_cpu:7.1f} CPU s")
    print(f"read     {read:7.1f} s: the vectors from the store; ratio {(fitted + predicted) / read:.1f}")
    print(f"product  {product:7.2f} s: vectors @ weights; ratio {(fitted + predicted) / product:.0f}")
    print(f"peak memory + {more:.0f} MiB; recall {recall:.3f}, out of fold {scorer.recall_:.3f}")
    print(f"texts encoded again: {encoder.n_texts - before}")


if __name__ == "__main__":
    main()
