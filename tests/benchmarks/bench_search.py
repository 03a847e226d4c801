"""CPU seconds of a grid search over β, compared with the scores of one fit and with its model fits.

The scores are perplexities of film-review snippets under SmolLM2-135M, some hundredths of a second each. The
aim is that the search, apart from its models, takes at most 1.3 times as long as the scores of one fit. The
search runs in one process.

With "ngram", the scores are those of a fitted n-gram model, a thousand times faster, so that the search's own
work shows: PrunedClassifier around a classifier that does nothing, less the same search without a filter.
With "workers", the same n-gram model and a linear classifier are searched in one process and in two, whose
workers have started before.

python tests/benchmarks/bench_search.py [ngram | workers] [n_rows] [n_settings] [n_folds]
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline

from skprune import (
    ActiveLearningSimulator,
    ActivePruneFilter,
    LearningCurveScorer,
    PerplexityFilter,
    PrunedClassifier,
)
from skprune.datasets import fetch_model, load_movie_snippets
from skprune.scorers import CausalLMScorer, NGramScorer
from skprune.store import clear_process_store
from skprune.strategies import Margin

SPENT = {"fit": 0.0, "predict": 0.0}


class Timed(ClassifierMixin, BaseEstimator):
    """A text classifier that records the CPU seconds spent in it."""

    def fit(self, X: Any, y: Any) -> "Timed":
        """Train."""
        start = time.process_time()
        self.model_ = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10, max_iter=1000)).fit(X, y)
        self.classes_ = self.model_.classes_
        SPENT["fit"] += time.process_time() - start
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict."""
        start = time.process_time()
        proba = self.model_.predict_proba(X)
        SPENT["predict"] += time.process_time() - start
        return proba

    def predict(self, X: Any) -> np.ndarray:
        """Predict."""
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def seconds(action: Callable[[], Any]) -> float:
    """Return the CPU seconds of an action."""
    start = time.process_time()
    action()
    return time.process_time() - start


def ngram(n_rows: int, n_settings: int = 12, n_folds: int = 3) -> None:
    """Print what a search with a ready n-gram model costs, in passes of that model over the texts."""
    data = load_movie_snippets()
    texts, y = data.data[:n_rows], data.target[:n_rows]
    scorer = FrozenEstimator(NGramScorer().fit(texts))
    scoring = min(seconds(lambda: scorer.estimator(texts)) for _ in range(5))
    pruner = ActivePruneFilter(perplexity=scorer, quality=None, random_state=0)

    def search(model: Any, grid: dict[str, Any]) -> float:
        clear_process_store()
        fold = StratifiedKFold(n_folds)
        return seconds(lambda: GridSearchCV(model, grid, cv=fold, refit=False).fit(texts, y))

    dummy = DummyClassifier(strategy="uniform", random_state=0)
    with_filter = search(PrunedClassifier(dummy, pruner), {"filter__keep": np.linspace(0.1, 0.9, n_settings)})
    without = search(dummy, {"random_state": range(n_settings)})
    n_fits = n_settings * n_folds
    print(f"{len(texts)} texts, {n_settings} settings × {n_folds} folds, CPU milliseconds")
    print(
        f"scoring pass {1000 * scoring:.0f}; search {1000 * with_filter:.0f}, "
        f"without filter {1000 * without:.0f}"
    )
    own = with_filter - without
    print(f"filter {1000 * own / n_fits:.1f} per fit; {own / scoring:.2f} × the scoring pass in all")


def workers(n_rows: int, n_settings: int = 8, n_folds: int = 3, n_runs: int = 3) -> None:
    """Print the elapsed seconds of a search in one process and in two, in turn."""
    data = load_movie_snippets()
    texts, y = data.data[:n_rows], data.target[:n_rows]
    classifier = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10, max_iter=300))
    fitted = FrozenEstimator(NGramScorer().fit(texts))
    Parallel(n_jobs=2)(delayed(len)(texts) for _ in range(4))
    for name, scorer in (("trained before", fitted), ("trained on each fold", None)):
        model = PrunedClassifier(classifier, PerplexityFilter(perplexity=scorer))
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for n_jobs in [2, *[1, 2] * n_runs]:
            search = GridSearchCV(
                model,
                {"filter__keep": np.linspace(0.1, 0.9, n_settings)},
                cv=StratifiedKFold(n_folds),
                refit=False,
                n_jobs=n_jobs,
            )
            clear_process_store()
            start = time.perf_counter()
            search.fit(texts, y)
            seconds[n_jobs].append(time.perf_counter() - start)
        one, two = seconds[1], seconds[2][1:]  # the first one imports
        print(f"n-gram model {name}, {len(texts)} texts, {n_settings} settings × {n_folds} folds, elapsed s")
        speedup = np.median(one) / np.median(two)
        print(f"one {np.round(one, 2)}, two {np.round(two, 2)}: {speedup:.2f} times as fast")


def main() -> None:
    """Print the CPU seconds of each part."""
    if sys.argv[1:2] in (["ngram"], ["workers"]):
        mode = ngram if sys.argv[1] == "ngram" else workers
        mode(*(int(argument) for argument in sys.argv[2:] or ["10000"]))
        return
    given = [int(argument) for argument in sys.argv[1:]]
    n_rows, n_betas, n_folds = (*given, *(400, 12, 5)[len(given) :])
    data = load_movie_snippets()
    rows = np.random.default_rng(0).choice(len(data.data), n_rows, replace=False)
    texts, y = [data.data[i] for i in rows], data.target[rows]
    scorer = CausalLMScorer(fetch_model("smollm2-135m"))
    scorer(texts[:8])  # loads the model
    with tempfile.TemporaryDirectory() as memory:
        pruner = ActivePruneFilter(keep=0.25, perplexity=scorer, quality=None, memory=memory, random_state=0)
        start = time.process_time()
        clone(pruner).fit(texts)
        scoring = time.process_time() - start
    with tempfile.TemporaryDirectory() as memory:
        simulator = ActiveLearningSimulator(
            Timed(), Margin(), pruner.set_params(memory=memory), n_instances=20, n_rounds=5,
            keep_estimators=True, random_state=0,
        )  # fmt: skip
        search = GridSearchCV(
            simulator,
            {"filter__beta": np.linspace(0.1, 3, n_betas)},
            scoring=LearningCurveScorer("accuracy"),
            cv=StratifiedKFold(n_folds),
            refit=False,
        )
        start = time.process_time()
        search.fit(texts, y)
        whole = time.process_time() - start
    models = SPENT["fit"] + SPENT["predict"]
    print(f"{n_rows} rows, {n_betas} β × {n_folds} folds, CPU seconds")
    print(f"scores of one fit {scoring:.1f}")
    print(f"model fits {SPENT['fit']:.1f}, predictions {SPENT['predict']:.1f}")
    print(f"search {whole:.1f}; without the models {(whole - models) / scoring:.2f} × the scores of one fit")
    print(f"search {whole / (scoring + models):.2f} × the scores and the models together")


if __name__ == "__main__":
    main()
