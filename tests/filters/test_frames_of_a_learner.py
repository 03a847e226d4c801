"""Learners that read several columns of a frame: filters ask them about rows with all columns."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skprune import (
    ActiveLearningSimulator,
    AnchorFilter,
    FilterUnion,
    ProxyFilter,
    PrunedQuery,
    RandomFilter,
)
from skprune.containers import take_rows
from skprune.modal import ActiveLearner
from skprune.strategies import Entropy

RNG = np.random.default_rng(0)
MOODS = RNG.choice(["good", "bad", "ugly"], 200)
COLUMNS = {
    "title": [f"{color} title" for color in RNG.choice(["red", "blue"], 200)],
    "body": [f"{mood} film number {i}" for i, mood in enumerate(MOODS)],
    "stars": np.arange(200),
}
Y = (MOODS == "good").astype(int)
Y[:2] = [0, 1]
FRAMES = {"pandas": pd.DataFrame(COLUMNS), "polars": pl.DataFrame(COLUMNS)}
FRAMES["pandas, other index"] = FRAMES["pandas"].set_axis(np.arange(200) % 7)

FILTERS = {
    "proxy": ProxyFilter(keep=50, text="body", random_state=0),
    "proxy in union": FilterUnion(
        [("proxy", ProxyFilter(keep=50, text="body", random_state=0)), ("random", RandomFilter(keep=0.1))]
    ),
    "anchor": AnchorFilter(2, 10, anchor_selection="entropy", text="body", random_state=0),
}


class Watched(LogisticRegression):
    """The last step of a learner; it counts the rows that it was asked about."""

    def predict_proba(self, X):
        self.__dict__.setdefault("asked", []).append(X.shape[0])
        return super().predict_proba(X)


def reader():
    """Return a classifier that reads two columns of texts."""
    columns = ColumnTransformer([("t", TfidfVectorizer(), "title"), ("b", TfidfVectorizer(), "body")])
    return make_pipeline(columns, Watched())


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("kind", FRAMES)
def test_a_learner_gets_all_columns_round_after_round(kind, name):
    X, rest = FRAMES[kind], np.arange(20, 200)
    query = PrunedQuery(FILTERS[name], Entropy(random_state=0))
    learner = ActiveLearner(reader(), query, take_rows(X, np.arange(20)), Y[:20])
    for _ in range(3):
        picked, rows = learner.query(take_rows(X, rest), n_instances=5)
        assert type(rows) is type(X)
        assert list(rows["stars"]) == rest[picked].tolist()
        learner.teach(rows, Y[rest[picked]])
        rest = np.delete(rest, picked)
    n_labeled = 30  # at the third query
    assert n_labeled in learner.estimator[-1].asked


@pytest.mark.parametrize("name", FILTERS)
def test_a_loop_by_hand_and_the_simulator_pass_all_columns(name):
    X = FRAMES["pandas"]
    pruner = FILTERS[name].fit(X)
    model = reader().fit(X[:40], Y[:40])
    pruner.partial_fit(X[:20], Y[:20]).partial_fit(X[20:40], Y[20:40], learner=model)
    n_asked = len(model[-1].asked)
    pruner.partial_fit(X[40:45], Y[40:45], learner=model)
    assert 45 in model[-1].asked[n_asked:]
    simulator = ActiveLearningSimulator(
        reader(), Entropy(random_state=0), FILTERS[name], n_instances=10, n_rounds=3, random_state=0
    )
    assert len(simulator.fit(X, Y).learning_curve_) == 4


def test_labels_that_came_without_columns_leave_the_texts():
    asked = []

    class Texts(LogisticRegression):
        def predict_proba(self, X):
            asked.append(X)
            return np.full((len(X), 2), 0.5)

    X = FRAMES["pandas"]
    pruner = AnchorFilter(2, 10, anchor_selection="entropy", text="body", random_state=0).fit(X)
    pruner.partial_fit(X["body"][:20].tolist(), Y[:20], learner=Texts())
    assert asked[0].tolist() == X["body"][:20].tolist()


def test_a_frame_that_changes_later_does_not_change_the_labeled_rows():
    X = FRAMES["pandas"].copy()
    pruner, first = FILTERS["anchor"].fit(X), X[:20].copy()
    pruner.partial_fit(first, Y[:20])
    first["extra"] = 1
    model = reader().fit(X[:40], Y[:40])
    pruner.partial_fit(X[20:40], Y[20:40], learner=model)
    assert model[-1].asked == [40]
