"""modAL's ActiveLearner and Committee on two newsgroups, each query on what a filter keeps of the pool.

    python examples/modal_loop.py [--rounds N] [--pool-size N]      # half a minute on one core

The learner asks for what it is least sure of, the committee for what its members disagree about, the third
for ranked batches, whose rows differ from each other: with a filter in front, even that slow strategy of
modAL's takes no time.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from modAL.disagreement import consensus_entropy_sampling
from modAL.uncertainty import uncertainty_sampling
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import ComplementNB
from sklearn.pipeline import make_pipeline

from skprune import AnchorFilter, PrunedQuery
from skprune.datasets import load_newsgroups
from skprune.modal import ActiveLearner, Committee, uncertainty_batch_sampling


def main(arguments: list[str] | None = None) -> dict[str, list[float]]:
    """Print a row a round; return the accuracies of each learner."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--pool-size", type=int, default=1000)
    options = parser.parse_args(arguments)

    news = load_newsgroups("all")
    pair = [news.target_names.index(name) for name in ("comp.graphics", "sci.space")]
    rows = np.flatnonzero(np.isin(news.target, pair))
    texts, test_texts, y, y_test = train_test_split(
        [news.data[i] for i in rows],
        (news.target[rows] == pair[1]).astype(int),
        train_size=options.pool_size,
        test_size=400,
        random_state=0,
    )
    accuracies = {}
    for name, learner in make_learners(texts[:20], y[:20]).items():
        pool, labels, accuracies[name] = texts[20:], y[20:], []
        for round_ in range(1, options.rounds + 1):
            start = time.perf_counter()
            indices, rows = learner.query(pool, n_instances=10)
            seconds = time.perf_counter() - start
            learner.teach(rows, labels[indices])  # here people would label
            left = np.setdiff1d(np.arange(len(pool)), indices)
            pool, labels = [pool[i] for i in left], labels[left]
            accuracy = learner.score(test_texts, y_test)
            accuracies[name].append(accuracy)
            looked_at = len(learner.query_strategy.subpool_)
            print(f"{name:<14}{round_:>4}{looked_at:>7} rows{seconds:>7.2f} s  accuracy {accuracy:.3f}")
    return accuracies


def make_learners(texts: list[str], y: np.ndarray) -> dict[str, ActiveLearner | Committee]:
    """Return one learner a strategy, all taught the same few rows."""

    def learner(classifier: object, query: PrunedQuery | None = None, **params: object) -> ActiveLearner:
        model = make_pipeline(TfidfVectorizer(sublinear_tf=True), classifier)
        strategy = {} if query is None else {"query_strategy": query}
        return ActiveLearner(model, X_training=texts, y_training=y, **strategy, **params)

    def on_a_part(strategy: object) -> PrunedQuery:
        return PrunedQuery(AnchorFilter(n_neighbors=20, max_subpool=300, random_state=0), strategy)

    members = [
        learner(LogisticRegression(C=10), bootstrap_init=True, random_state=0),
        learner(LogisticRegression(C=10), bootstrap_init=True, random_state=1),
        learner(ComplementNB()),
    ]
    ranked = on_a_part(uncertainty_batch_sampling)
    return {
        "learner": learner(LogisticRegression(C=10), on_a_part(uncertainty_sampling)),
        "committee": Committee(members, on_a_part(consensus_entropy_sampling)),
        "ranked batches": learner(LogisticRegression(C=10), ranked, on_transformed=True),
    }


if __name__ == "__main__":
    main()
