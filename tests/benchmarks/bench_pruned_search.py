"""CPU seconds of a grid search over 12 values of beta and 5 folds, against scoring the texts once.

python tests/benchmarks/bench_pruned_search.py [n_texts]

The scorer is SmolLM2-135M's perplexity, a text's price some tenths of a second. "Model fits" is the same
search with random pruning, which scores nothing.
"""

import os
import sys
import tempfile
import time
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skprune import ActivePruneFilter, CausalLMScorer, PrunedClassifier, RandomFilter
from skprune.datasets import fetch_model, load_movie_snippets

BETAS = np.linspace(0.0, 2.2, 12)


def cpu_seconds(action: Any, *args: Any) -> float:
    """CPU seconds of this process in one call: a shared machine's other jobs do not count."""
    start = time.process_time()
    action(*args)
    return time.process_time() - start


def main() -> None:
    """Print the table."""
    data = load_movie_snippets()
    n_texts = int(sys.argv[1]) if len(sys.argv) > 1 else 400
    rows = np.random.default_rng(0).choice(len(data.data), n_texts, replace=False)
    texts, y = [data.data[i] for i in rows], data.target[rows]
    scorer = CausalLMScorer(fetch_model("smollm2-135m"))
    scorer(texts[:8])  # the model is loaded
    classifier = make_pipeline(TfidfVectorizer(), LogisticRegression())

    with tempfile.TemporaryDirectory() as once, tempfile.TemporaryDirectory() as searched:
        pruner = ActivePruneFilter(perplexity=scorer, quality=None, random_state=0)
        scoring = cpu_seconds(pruner.set_params(memory=once).fit, texts)
        random = PrunedClassifier(RandomFilter(random_state=0), classifier)
        fits = cpu_seconds(GridSearchCV(random, {"filter__random_state": range(12)}, cv=5).fit, texts, y)
        model = PrunedClassifier(pruner.set_params(memory=searched), classifier)
        search = cpu_seconds(GridSearchCV(model, {"filter__beta": BETAS}, cv=5).fit, texts, y)
        again = cpu_seconds(GridSearchCV(model, {"filter__beta": BETAS}, cv=5).fit, texts, y)

    print(f"{n_texts} texts, 12 candidates x 5 folds, CPU seconds")
    for name, seconds in {
        "scoring once": scoring,
        "model fits": fits,
        "search": search,
        "again": again,
    }.items():
        print(f"{name:>14}{seconds:10.2f}")
    print(f"search / (scoring once + model fits): {search / (scoring + fits):.2f}")


if __name__ == "__main__":
    main()
