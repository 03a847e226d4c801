"""Searches and simulations on a cluster, through joblib, give what they give in this process."""

import joblib
import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline

pytest.importorskip("distributed")

from skprune import (
    ActiveLearningSimulator,
    LearningCurveScorer,
    NGramScorer,
    PerplexityFilter,
    PrunedClassifier,
    RandomFilter,
)
from skprune.datasets import load_movie_snippets
from skprune.strategies import Entropy

MOVIES = load_movie_snippets()
ROWS = np.arange(0, 9600, 48)  # spread out, because the reviews of a film are adjacent
TEXTS, Y = [MOVIES.data[row] for row in ROWS], MOVIES.target[ROWS]


def classifier():
    return make_pipeline(TfidfVectorizer(), LogisticRegression())


def test_a_grid_search_over_a_pruned_classifier(client):
    model = PrunedClassifier(classifier(), PerplexityFilter(perplexity=NGramScorer(), random_state=0))
    grid = {"filter__keep": [0.3, 0.6], "filter__perplexity__order": [2, 3]}
    results = {}
    for backend in ("sequential", "loky", "dask"):
        with joblib.parallel_config(backend):
            search = GridSearchCV(model, grid, cv=3, n_jobs=2, error_score="raise").fit(TEXTS, Y)
        results[backend] = search.cv_results_["mean_test_score"].tolist(), search.predict(TEXTS).tolist()
    assert results["dask"] == results["sequential"] == results["loky"]
    assert len(set(results["dask"][0])) > 1


def test_simulations(client):
    settings = {"n_initial": 10, "n_instances": 10, "n_rounds": 3, "keep_estimators": True, "random_state": 0}
    pruner = RandomFilter(0.5, random_state=0)
    simulator = ActiveLearningSimulator(classifier(), Entropy(random_state=0), pruner, **settings)
    results = {}
    for backend in ("sequential", "dask"):
        with joblib.parallel_config(backend):
            results[backend] = cross_validate(
                simulator,
                TEXTS,
                Y,
                cv=StratifiedKFold(3),
                scoring=LearningCurveScorer("f1_macro"),
                n_jobs=2,
                return_estimator=True,
                error_score="raise",
            )
    dask, here = results["dask"], results["sequential"]
    assert dask["test_score"].tolist() == here["test_score"].tolist()
    for one, other in zip(dask["estimator"], here["estimator"], strict=True):
        assert one.labeled_indices_.tolist() == other.labeled_indices_.tolist()
