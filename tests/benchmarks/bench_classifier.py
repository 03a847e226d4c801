"""How fast ``TransformerClassifier`` trains and predicts, by precision, dropout and frozen layers.

Run ``python tests/benchmarks/bench_classifier.py``. The ratio compares with float32 without frozen layers.
"""

from __future__ import annotations

from statistics import median
from time import perf_counter

import torch

from skprune import TransformerClassifier
from skprune.datasets import fetch_model, load_movie_snippets

SETTINGS = {
    "float32": {"precision": "float32"},
    "bfloat16": {"precision": "bfloat16"},
    "bfloat16, no dropout": {"precision": "bfloat16", "dropout": 0.0},
    "bfloat16, no dropout, 3 of 6 frozen": {"precision": "bfloat16", "dropout": 0.0, "frozen_layers": 3},
}
N_TRAIN, N_POOL, N_RUNS = 128, 800, 3


def main() -> None:
    """Print steps and texts per second on one thread, as medians of three interleaved runs."""
    torch.set_num_threads(1)
    data = load_movie_snippets()
    train, labels, pool = data.data[:N_TRAIN], data.target[:N_TRAIN], data.data[-N_POOL:]
    steps: dict[str, list[float]] = {name: [] for name in SETTINGS}
    texts: dict[str, list[float]] = {name: [] for name in SETTINGS}
    for _ in range(N_RUNS):
        for name, setting in SETTINGS.items():
            model = TransformerClassifier(
                fetch_model("minilm"), max_epochs=2, min_steps=1, batch_size=16, random_state=0, **setting
            ).fit(train, labels)
            steps[name].append(model.n_steps_ / sum(epoch["dur"] for epoch in model.history_))
            start = perf_counter()
            model.predict_proba(pool)
            texts[name].append(N_POOL / (perf_counter() - start))
    base = median(steps["float32"])
    print(f"{'':36} steps/s  ratio  texts/s  (batches of 16 short texts, one thread)")
    for name in SETTINGS:
        rate = median(steps[name])
        print(f"{name:36} {rate:7.2f} {rate / base:6.1f} {median(texts[name]):8.0f}")


if __name__ == "__main__":
    main()
