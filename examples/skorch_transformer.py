"""A fine-tuned transformer (skorch) in every composition: trained on pruned rows, asking for more of them.

    python examples/skorch_transformer.py        # a minute and a half on one core

Tiny settings: 200 film-review snippets, a few steps of training, so that it runs anywhere. The accuracy is no
result. modAL's part needs modAL, the last one scikit-activeml (pip install scikit-activeml).
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: waiting threads must not spin

import numpy as np
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from modAL.disagreement import vote_entropy_sampling
from modAL.uncertainty import entropy_sampling
from skactiveml.pool import CoreSet
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skprune import (
    ActiveLearningSimulator,
    KMeansFilter,
    PerplexityFilter,
    PrunedClassifier,
    PrunedQuery,
    PruneSampler,
    RandomFilter,
    TransformerClassifier,
)
from skprune.datasets import fetch_model, load_movie_snippets
from skprune.modal import ActiveLearner, Committee
from skprune.strategies import Margin

data = load_movie_snippets()
rows = np.random.default_rng(0).choice(len(data.data), 200, replace=False)
texts, y = [data.data[i] for i in rows], data.target[rows]


def shorten(texts):
    """Cut each text to its first 120 characters."""
    return [text[:120] for text in texts]


transformer = TransformerClassifier(
    fetch_model("minilm"), lr=2e-4, max_length=32, max_epochs=1, min_steps=4, frozen_layers=4, random_state=0
)
# By the words themselves (TF-IDF), or by what the n-gram model of the training rows finds ordinary.
by_words = KMeansFilter(keep=0.5, random_state=0)

model = make_pipeline(FunctionTransformer(shorten), PrunedClassifier(by_words, transformer))
print("last step of a Pipeline:     ", cross_val_score(model, texts, y, cv=2).round(2))

model = make_imblearn_pipeline(FunctionTransformer(shorten), PruneSampler(by_words), transformer)
print("a step of imblearn's Pipeline:", cross_val_score(model, texts, y, cv=2).round(2))

search = GridSearchCV(
    PrunedClassifier(PerplexityFilter(), transformer),
    {"filter__keep": [0.25, 0.5], "estimator__max_length": [16, 32]},
    cv=2,
).fit(texts, y)
print("a grid search:               ", search.cv_results_["mean_test_score"].round(2))
print(search.best_params_, "trained on", len(search.best_estimator_.support_), "rows")

# The pool of an active learner is pruned: the model predicts only what the filter keeps.
known, pool, labels = {"X_training": texts[:40], "y_training": y[:40]}, texts[40:], y[40:]


def on_a_part(strategy):
    """Return a query of 30 random rows of the pool."""
    return PrunedQuery(RandomFilter(keep=30, random_state=0), strategy)


learner = ActiveLearner(transformer, on_a_part(entropy_sampling), **known)
for _ in range(2):
    indices, rows = learner.query(pool, n_instances=5)
    learner.teach(rows, labels[indices])  # here people would label
print("modAL's learner:             ", f"{len(learner.X_training)} rows taught")

members = [ActiveLearner(clone(transformer).set_params(random_state=seed), **known) for seed in (0, 1)]
committee = Committee(members, on_a_part(vote_entropy_sampling))
indices, rows = committee.query(pool, n_instances=5)
committee.teach(rows, labels[indices])
print("modAL's committee of two:    ", f"{len(committee.X_training)} rows taught")

simulator = ActiveLearningSimulator(
    transformer, Margin(), RandomFilter(keep=30), n_instances=10, n_rounds=2, random_state=0
).fit(texts, y)
print("a simulated loop:            ", simulator.learning_curve_["labels"].tolist(), "labels")

# scikit-activeml's strategies read vectors: those that the transformer's last layer sees.
partly = np.where(np.arange(200) < 40, y, np.nan)
pruner = RandomFilter(keep=30, random_state=0).fit(texts, partly)
vectors = learner.estimator.penultimate(texts)
rows = CoreSet(random_state=0).query(vectors, partly, candidates=pruner.select(texts), batch_size=5)
print("scikit-activeml asks for rows", np.sort(rows).tolist())
