"""scikit-activeml asks, among the rows that a filter keeps: ``candidates=filter.select(texts)``.

    pip install scikit-activeml
    python examples/scikit_activeml_loop.py [--rounds N] [--pool-size N]

scikit-activeml works on vectors and marks missing labels with NaN, as a filter's ``fit`` does. The filter
reads the texts; row i of both is the same.
"""

from __future__ import annotations

import argparse

import numpy as np
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import UncertaintySampling
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

from skprune import AnchorFilter, TfidfEncoder
from skprune.datasets import load_newsgroups


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
    encoder = TfidfEncoder(n_components=100).fit(texts)
    vectors, test_vectors = encoder(texts), encoder(test_texts)

    y = np.full(len(texts), np.nan)
    y[:20] = truth[:20]
    filter = AnchorFilter(n_neighbors=20, max_subpool=300, random_state=0).fit(texts, y)
    classifier = SklearnClassifier(LogisticRegression(C=10), classes=[0, 1])
    strategy = UncertaintySampling(method="least_confident", random_state=0)
    accuracies = []
    for round_ in range(1, options.rounds + 1):
        candidates = filter.select(texts)  # never a labeled row
        rows = strategy.query(vectors, y, clf=classifier, candidates=candidates, batch_size=10)
        y[rows] = truth[rows]  # here people would label
        filter.partial_fit([texts[row] for row in rows], y[rows])
        accuracies.append(classifier.fit(vectors, y).score(test_vectors, y_test))
        print(f"{round_:>4}{len(candidates):>7} of {len(texts)} rows  accuracy {accuracies[-1]:.3f}")
    return accuracies


if __name__ == "__main__":
    main()
