"""A fine-tuned transformer (skorch) trained on pruned rows, in every composition.

    python examples/skorch_transformer.py        # a minute on one core

Tiny settings: 200 film-review snippets, a few steps of training, so that it runs anywhere. The accuracy is no
result.
"""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: waiting threads must not spin

import numpy as np
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skprune import KMeansFilter, PerplexityFilter, PrunedClassifier, PruneSampler, TransformerClassifier
from skprune.datasets import fetch_model, load_movie_snippets

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
