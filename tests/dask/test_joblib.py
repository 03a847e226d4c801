"""Searches and simulations on a cluster, through joblib, give what they give in this process."""

import os
import signal

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_validate
from sklearn.pipeline import make_pipeline

pytest.importorskip("distributed")

from distributed import Client, LocalCluster

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


class Deadly:
    """A scorer that kills the first process of a cluster that scores with it."""

    def __init__(self, here, path):
        self.here, self.path = here, path

    def __call__(self, texts):
        if os.getpid() != self.here and not self.path.exists():
            self.path.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return [len(text) for text in texts]


@pytest.mark.slow
def test_a_worker_that_dies_in_a_search_over_simulations_changes_nothing(tmp_path):
    """Each candidate plays the loop with another filter, and is judged by the area under its curve.

    joblib puts arrays of more than 1 kB on one worker, where they are lost; it sends lists with the tasks.
    """
    y = Y.tolist()
    pruner = PerplexityFilter(perplexity=Deadly(os.getpid(), tmp_path / "dead"), random_state=0)
    settings = {"n_initial": 10, "n_instances": 10, "n_rounds": 2, "keep_estimators": True, "random_state": 0}
    simulator = ActiveLearningSimulator(classifier(), Entropy(random_state=0), pruner, **settings)
    grid = {"filter__keep": [0.3, 0.6]}
    search = GridSearchCV(
        simulator, grid, cv=2, n_jobs=2, scoring=LearningCurveScorer("f1_macro"), error_score="raise"
    )
    here = clone(search).set_params(n_jobs=1).fit(TEXTS, y)
    cluster_settings = {"threads_per_worker": 1, "memory_limit": 0, "dashboard_address": ":0"}
    with (
        LocalCluster(n_workers=2, **cluster_settings) as cluster,
        Client(cluster),
        joblib.parallel_config("dask"),
    ):
        there = clone(search).fit(TEXTS, y)
    assert (tmp_path / "dead").exists()
    assert there.cv_results_["mean_test_score"].tolist() == here.cv_results_["mean_test_score"].tolist()
    assert len(set(here.cv_results_["mean_test_score"])) > 1
    assert there.best_params_ == here.best_params_
    labeled = there.best_estimator_.labeled_indices_.tolist()
    assert labeled == here.best_estimator_.labeled_indices_.tolist()
