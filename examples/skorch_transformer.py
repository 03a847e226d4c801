"""
A transformer in every place that takes a classifier
====================================================

Pipelines, a grid search and active-learning loops with MiniLM (fetched once, 84 MB; skorch trains it) on 200
film-review snippets, in forty seconds. It trains for a few steps only, so that it runs anywhere: ignore the
accuracies. Needs ``pip install --no-deps modAL-python``, imbalanced-learn and scikit-activeml.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded: waiting threads must not spin

import numpy as np
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from modAL.disagreement import vote_entropy_sampling
from modAL.uncertainty import entropy_sampling
from skactiveml.pool import CoreSet
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import skprune
from skprune.datasets import fetch_model, load_movie_snippets
from skprune.modal import ActiveLearner, Committee
from skprune.strategies import Margin

reviews = load_movie_snippets()
rows = np.random.default_rng(0).choice(len(reviews.data), 200, replace=False)
texts, y = [reviews.data[i] for i in rows], reviews.target[rows]

shorten = FunctionTransformer(lambda texts: [text[:120] for text in texts])
transformer = skprune.TransformerClassifier(
    fetch_model("minilm"), lr=2e-4, max_length=32, max_epochs=1, min_steps=4, frozen_layers=4, random_state=0
)

# %%
# Prune the training set: k-means on TF-IDF vectors, then the perplexity of an n-gram model.
k_means = skprune.KMeansFilter(keep=0.5, random_state=0)
model = make_pipeline(shorten, skprune.PrunedClassifier(transformer, k_means))
print("last step of a Pipeline:      ", cross_val_score(model, texts, y, cv=2).round(2))
model = make_imblearn_pipeline(shorten, skprune.PruneSampler(k_means), transformer)
print("a step of imblearn's Pipeline:", cross_val_score(model, texts, y, cv=2).round(2))
search = GridSearchCV(
    skprune.PrunedClassifier(transformer, skprune.PerplexityFilter()),
    {"filter__keep": [0.25, 0.5], "estimator__max_length": [16, 32]},
    cv=2,
).fit(texts, y)
print("a grid search:                ", search.cv_results_["mean_test_score"].round(2))
print(search.best_params_, "trained on", search.best_estimator_.support_.sum(), "rows")

# %%
# Prune the pool of an active learner: the model predicts only the 30 rows that the filter keeps.
initial, pool, labels = {"X_training": texts[:40], "y_training": y[:40]}, texts[40:], y[40:]
pruner = skprune.RandomFilter(keep=30, random_state=0)
learner = ActiveLearner(transformer, skprune.PrunedQuery(pruner, entropy_sampling), **initial)
for _ in range(2):
    indices, rows = learner.query(pool, n_instances=5)
    learner.teach(rows, labels[indices])  # in a real project, people label the rows here
print("modAL's learner:              ", f"{len(learner.X_training)} rows taught")

members = [ActiveLearner(clone(transformer).set_params(random_state=seed), **initial) for seed in (0, 1)]
committee = Committee(members, skprune.PrunedQuery(pruner, vote_entropy_sampling))
indices, rows = committee.query(pool, n_instances=5)
committee.teach(rows, labels[indices])
print("modAL's committee of two:     ", f"{len(committee.X_training)} rows taught")

simulator = skprune.ActiveLearningSimulator(
    transformer, Margin(), skprune.RandomFilter(keep=30), n_instances=10, n_rounds=2, random_state=0
).fit(texts, y)
print("a simulated loop:             ", simulator.learning_curve_["labels"].tolist(), "labels")

# scikit-activeml's strategies read vectors: the transformer supplies those that feed its last layer.
partly = np.where(np.arange(200) < 40, y, np.nan)
candidates = pruner.fit(texts, partly).select(texts)
vectors = learner.estimator.penultimate(texts)
rows = CoreSet(random_state=0).query(vectors, partly, candidates=candidates, batch_size=5)
print("scikit-activeml asks for rows", np.sort(rows).tolist())
