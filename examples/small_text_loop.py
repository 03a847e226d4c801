"""small-text asks, among the rows that a filter keeps.

    pip install small-text
    python examples/small_text_loop.py [--rounds N] [--pool-size N]

A query strategy of small-text gets the indices of the unlabeled rows; :class:`PrunedQueryStrategy` hands
those on that survive. Copy it.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from small_text import (
    LeastConfidence,
    PoolBasedActiveLearner,
    QueryStrategy,
    SklearnClassifierFactory,
    SklearnDataset,
)

from skprune import AnchorFilter
from skprune.base import BaseFilter
from skprune.datasets import load_newsgroups


class PrunedQueryStrategy(QueryStrategy):
    """A strategy of small-text on what a filter keeps.

    Parameters
    ----------
    base_query_strategy : QueryStrategy
    filter : BaseFilter
        Fitted on the texts of the dataset the first time.
    texts : list of str
        The dataset's rows, in its order.
    """

    def __init__(self, base_query_strategy: QueryStrategy, filter: BaseFilter, texts: list[str]) -> None:
        self.base_query_strategy = base_query_strategy
        self.filter = filter
        self.texts = texts
        self.told: set[int] = set()

    def query(
        self,
        clf: Any,
        dataset: Any,
        indices_unlabeled: np.ndarray,
        indices_labeled: np.ndarray,
        y: np.ndarray,
        n: int = 10,
    ) -> np.ndarray:
        """Return the indices of ``n`` rows of the dataset."""
        if not self.told:
            self.filter.fit(self.texts)
        news = [i for i, row in enumerate(indices_labeled) if row not in self.told]
        if news:
            rows = indices_labeled[news]
            self.filter.partial_fit([self.texts[row] for row in rows], y[news])
            self.told.update(rows.tolist())
        unlabeled = [self.texts[row] for row in indices_unlabeled]
        subpool = indices_unlabeled[self.filter.select(unlabeled, min_rows=n)]
        return self.base_query_strategy.query(clf, dataset, subpool, indices_labeled, y, n=n)


def main(arguments: list[str] | None = None) -> list[float]:
    """Print a row a round; return the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--pool-size", type=int, default=1000)
    options = parser.parse_args(arguments)

    news = load_newsgroups("all")
    pair = [news.target_names.index(name) for name in ("comp.graphics", "sci.space")]
    rows = np.flatnonzero(np.isin(news.target, pair))
    texts, test_texts, truth, y_test = train_test_split(
        [news.data[i] for i in rows],
        (news.target[rows] == pair[1]).astype(int),
        train_size=options.pool_size,
        test_size=400,
        random_state=0,
    )
    vectorizer = TfidfVectorizer(sublinear_tf=True)
    dataset = SklearnDataset(vectorizer.fit_transform(texts), truth, target_labels=np.array([0, 1]))
    test = SklearnDataset(vectorizer.transform(test_texts), y_test, target_labels=np.array([0, 1]))

    filter = AnchorFilter(n_neighbors=20, max_subpool=300, random_state=0)
    learner = PoolBasedActiveLearner(
        SklearnClassifierFactory(LogisticRegression(C=10), num_classes=2),
        PrunedQueryStrategy(LeastConfidence(), filter, texts),
        dataset,
    )
    learner.initialize_data(np.arange(20), truth[:20])
    accuracies = []
    for round_ in range(1, options.rounds + 1):
        rows = learner.query(num_samples=10)
        learner.update(truth[rows])  # here people would label
        accuracies.append(float((learner.classifier.predict(test) == y_test).mean()))
        print(f"{round_:>4}  accuracy {accuracies[-1]:.3f}")
    return accuracies


if __name__ == "__main__":
    main()
