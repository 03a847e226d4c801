"""Searches over filters and strategies: the area under the learning curve, and computing each score once."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    StratifiedKFold,
    cross_val_score,
)
from sklearn.pipeline import make_pipeline

from skprune import (
    ActiveLearningSimulator,
    ActivePruneFilter,
    AnchorFilter,
    LearningCurveScorer,
    RandomFilter,
)
from skprune.datasets import load_movie_snippets
from skprune.strategies import Entropy, Margin, RandomSampling

MOVIES = load_movie_snippets()
# Spread out, because the reviews of a film are adjacent; and some copies.
ROWS = np.r_[0:9600:40, 0:400:40]
TEXTS, Y = [MOVIES.data[row] for row in ROWS], MOVIES.target[ROWS]
FOLDS = StratifiedKFold(3)
AUC = LearningCurveScorer("f1_macro")


def class_for_workers():
    """Return a class that worker processes get by value, since they cannot import a test file."""

    class Counted(BaseEstimator):
        """Scores or embeds texts, and records each text that it is given."""

        def __init__(self, path, n_features=None):
            self.path = path
            self.n_features = n_features

        @property
        def fingerprint(self):
            return f"counted {self.path}"

        def __call__(self, texts):
            with Path(self.path).open("a") as file:
                file.write("".join(json.dumps(text) + "\n" for text in texts))
            rows = [np.random.default_rng([len(text), *text[:20].encode()]) for text in texts]
            return np.array([rng.random(self.n_features) for rng in rows])

        def given_texts(self):
            return [json.loads(line) for line in Path(self.path).read_text().splitlines()]

    return Counted


Counted = class_for_workers()


def simulator(pruner, **params):
    model = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10))
    settings = {"n_instances": 10, "n_rounds": 3, "keep_estimators": True, "random_state": 0, **params}
    return ActiveLearningSimulator(model, Margin(), pruner, **settings)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_grid_search_computes_each_score_and_each_vector_once(n_jobs, tmp_path):
    perplexity, quality = (Counted(tmp_path / name) for name in ("perplexity", "quality"))
    encoder = Counted(tmp_path / "encoder", n_features=8)
    prune = ActivePruneFilter(perplexity=perplexity, quality=quality, memory=tmp_path / "memory")
    anchor = AnchorFilter(n_neighbors=5, encoder=encoder, memory=tmp_path / "memory")
    grid = [
        {"filter": [prune], "filter__beta": [0.1, 2.0], "filter__keep": [0.2, 60]},
        {"filter": [prune], "filter__reweighting": ["paper", "novelty"], "filter__beta": [1.5]},
        {"filter": [anchor], "filter__n_anchors": [2, 5], "filter__max_subpool": [9, 50]},
        {"filter": [None, RandomFilter()], "strategy": [Entropy(), RandomSampling()]},
    ]  # fmt: skip
    search = GridSearchCV(simulator(None), grid, scoring=AUC, cv=FOLDS, n_jobs=n_jobs, error_score="raise")
    search.fit(TEXTS, Y)
    assert len(search.cv_results_["params"]) == 4 + 2 + 4 + 4
    assert len(set(search.cv_results_["mean_test_score"])) > 5, "the parameters must make a difference"
    assert search.best_score_ == max(search.cv_results_["mean_test_score"])
    for scorer, least in ((perplexity, 240), (encoder, 240), (quality, 30)):
        given = scorer.given_texts()
        assert len(set(given)) == len(given), "a text was computed twice"
        assert least <= len(given) <= 240
    assert search.best_estimator_.learning_curve_["labels"].tolist() == [10, 20, 30, 40]
    assert search.score(TEXTS, Y) == AUC(search.best_estimator_, TEXTS, Y)


def test_the_score_is_the_area_under_the_curve_on_the_held_out_fold():
    run = simulator(RandomFilter(0.5), n_instances=7)
    train, test = next(FOLDS.split(TEXTS, Y))
    train_texts, test_texts = ([TEXTS[i] for i in rows] for rows in (train, test))
    run.fit(train_texts, Y[train])
    heights = []
    for n in run.learning_curve_["labels"]:
        known = run.labeled_indices_[:n]
        model = clone(run.estimator).fit([train_texts[i] for i in known], Y[train][known])
        heights.append(f1_score(Y[test], model.predict(test_texts), average="macro"))
    assert AUC.scores(run, test_texts, Y[test]).tolist() == pytest.approx(heights)
    area = sum(7 * (a + b) / 2 for a, b in pairwise(heights))
    whole = LearningCurveScorer("f1_macro", normalize=False)
    assert whole(run, test_texts, Y[test]) == pytest.approx(area)
    assert AUC(run, test_texts, Y[test]) == pytest.approx(area / 21)
    assert cross_val_score(run, TEXTS, Y, scoring=AUC, cv=FOLDS)[0] == pytest.approx(area / 21)

    run.set_params(n_rounds=0).fit(train_texts, Y[train])
    assert AUC(run, test_texts, Y[test]) == pytest.approx(heights[0])
    assert whole(run, test_texts, Y[test]) == 0
    with pytest.raises(ValueError, match="needs a simulator with keep_estimators=True"):
        AUC(run.set_params(keep_estimators=False).fit(train_texts, Y[train]), test_texts, Y[test])


def test_a_randomized_search_and_a_halving_search_over_rounds(tmp_path):
    prune = ActivePruneFilter(quality=None, memory=tmp_path)
    space = [
        {"filter": [prune], "filter__beta": [0.1, 0.5, 2.0], "filter__keep": [0.1, 0.3]},
        {"filter": [AnchorFilter()], "filter__n_anchors": [1, 3, 9], "strategy": [Margin(), Entropy()]},
    ]  # fmt: skip
    search = RandomizedSearchCV(
        simulator(None), space, n_iter=5, scoring=AUC, cv=FOLDS, n_jobs=2, random_state=0, error_score="raise"
    ).fit(TEXTS, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    halving = HalvingGridSearchCV(
        simulator(AnchorFilter()), {"filter__n_anchors": [1, 3, 9], "filter__n_neighbors": [3, 30]},
        resource="n_rounds", min_resources=1, max_resources=9, factor=3, scoring=AUC, cv=FOLDS, n_jobs=2,
        error_score="raise",
    ).fit(TEXTS, Y)  # fmt: skip
    assert halving.n_resources_ == [1, 3]
    assert halving.n_candidates_ == [6, 2]
    assert halving.best_estimator_.learning_curve_["round"].iloc[-1] == 3
