"""Query strategies: 50 of n rows, 100 labeled rows, ten classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import inputs
from .cases import Row, case, row
from .measuring import alternate

N_CLASSES, N_LABELED, BATCH = 10, 100, 50
_LARGEST = 100_000
_UNSUITED = "it would take hours, or more than 8 GiB"


def _compare(n: int, peer: str, theirs: Any, name: str, repeats: int = 3) -> Iterator[Row]:
    """Compare ``theirs(X, y)``, a function that queries, with our strategy of that name."""
    from sklearn.linear_model import LogisticRegression

    import skprune.strategies
    from skprune.modal import ActiveLearner

    X, y = inputs.vectors(n + N_LABELED, N_CLASSES)
    strategy = getattr(skprune.strategies, name)(random_state=0)
    learner = ActiveLearner(LogisticRegression(), strategy, X[:N_LABELED], y[:N_LABELED])

    def ours() -> Any:
        return strategy(learner, X[N_LABELED:], n_instances=BATCH)

    what, name = f"{name}, {BATCH} rows", f"`{name}`"
    if n > _LARGEST:
        (own,) = alternate(3, ours)
        yield row(what, peer, None, name, own, not_run=_UNSUITED)
    else:
        both = alternate(repeats if n < _LARGEST else 1, theirs(X, y), ours)
        yield row(what, peer, both[0], name, both[1])


def _missing_labels(y: np.ndarray) -> np.ndarray:
    return np.where(np.arange(len(y)) < N_LABELED, y, np.nan)


@case()
def skactiveml_typiclust(n: int) -> Iterator[Row]:
    """Both form 150 clusters, one for each labeled row and each row of the batch."""
    from skactiveml.pool import TypiClust

    def theirs(X: np.ndarray, y: np.ndarray) -> Any:
        return lambda: TypiClust(random_state=0).query(X, _missing_labels(y), batch_size=BATCH)

    yield from _compare(n, "scikit-activeml's `TypiClust`", theirs, "TypiClust")


@case()
def skactiveml_coreset(n: int) -> Iterator[Row]:
    """k-center greedy."""
    from skactiveml.pool import CoreSet

    def theirs(X: np.ndarray, y: np.ndarray) -> Any:
        return lambda: CoreSet(random_state=0).query(X, _missing_labels(y), batch_size=BATCH)

    yield from _compare(n, "scikit-activeml's `CoreSet`", theirs, "Coreset")


@case()
def skactiveml_badge(n: int) -> Iterator[Row]:
    """The peer keeps a matrix of rows × (classes × features)."""
    from skactiveml.classifier import SklearnClassifier
    from skactiveml.pool import Badge
    from sklearn.linear_model import LogisticRegression

    def theirs(X: np.ndarray, y: np.ndarray) -> Any:
        labels = _missing_labels(y)
        classifier = SklearnClassifier(LogisticRegression(), classes=range(N_CLASSES)).fit(X, labels)
        return lambda: Badge(random_state=0).query(X, labels, classifier, fit_clf=False, batch_size=BATCH)

    yield from _compare(n, "scikit-activeml's `Badge`", theirs, "BADGE")


@case()
def small_text_coreset(n: int) -> Iterator[Row]:
    """The peer computes all distances again for every row that it picks."""
    from small_text import GreedyCoreset

    def theirs(X: np.ndarray, y: np.ndarray) -> Any:
        unlabeled, labeled = np.arange(N_LABELED, len(X)), np.arange(N_LABELED)
        order = np.concatenate([unlabeled, labeled])

        def query() -> Any:
            return GreedyCoreset().query(
                None, X, unlabeled, labeled, y[labeled], n=BATCH, embeddings=X[order]
            )

        return query

    yield from _compare(n, "small-text's `GreedyCoreset`", theirs, "Coreset")
