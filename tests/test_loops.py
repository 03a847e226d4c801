"""A saved loop continues with the picks of the undisturbed one, and trains its model once."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skprune import ActivePruneFilter, AnchorFilter, KMeansFilter, PerplexityFilter, PrunedQuery, RandomFilter
from skprune.loops import load_loop, save_loop
from skprune.modal import ActiveLearner
from skprune.strategies import Entropy, Margin
from tests.contract.test_contract import TEXTS, quality_of

Y = np.array([sum(map(ord, text)) % 2 for text in TEXTS])


class Counted(LogisticRegression):
    n_fits = 0

    def fit(self, X, y):
        type(self).n_fits += 1
        return super().fit(X, y)


def text_model():
    return make_pipeline(TfidfVectorizer(), Counted())


def play(learner, pool, y, n_rounds):
    """Play rounds on a pool that shrinks; return the rest of the pool and of the labels."""
    for _ in range(n_rounds):
        rows, picked = learner.query(pool, n_instances=5)
        learner.teach(picked, y[rows])
        left = np.setdiff1d(np.arange(len(y)), rows)
        pool, y = [pool[i] for i in left], y[left]
    return pool, y


@pytest.mark.parametrize(
    "filter",
    [
        RandomFilter(keep=0.3),
        PerplexityFilter(keep=0.3, random_state=0),
        ActivePruneFilter(keep=0.3, quality=quality_of),
        ActivePruneFilter(keep=0.3, quality=None, reweighting="novelty", random_state=0),
        AnchorFilter(3, 8, 30),
        KMeansFilter(keep=0.3),
    ],
)
def test_the_next_picks_are_the_same_and_the_model_is_trained_once(filter, tmp_path):
    query = PrunedQuery(filter, Entropy(random_state=0))
    learner = ActiveLearner(text_model(), query, TEXTS[:8], Y[:8].tolist())
    pool, y = play(learner, TEXTS[8:], Y[8:], 3)
    save_loop(learner, tmp_path / "loop.json")
    Counted.n_fits = 0
    again = load_loop(
        tmp_path / "loop.json", text_model(), PrunedQuery(filter, Entropy(random_state=0)), TEXTS[8:]
    )
    assert Counted.n_fits == 1
    assert list(again.X_training) == list(learner.X_training)
    assert list(again.y_training) == list(learner.y_training)
    for _ in range(2):
        expected, found = (part.query(pool, n_instances=5)[0].tolist() for part in (learner, again))
        assert found == expected
        for part in (learner, again):
            part.teach([pool[i] for i in expected], y[expected])


def test_labels_known_at_fit_and_numeric_pools(tmp_path):
    X, y = make_classification(150, random_state=0)
    known = np.where(np.arange(150) < 10, y, -1)
    query = PrunedQuery(KMeansFilter(keep=30, random_state=0), Margin(random_state=0)).fit(X, known)
    learner = ActiveLearner(LogisticRegression(), query, X[:10], y[:10])
    for _ in range(2):
        rows, picked = learner.query(X, n_instances=5)
        learner.teach(picked, y[rows])
    save_loop(learner, tmp_path / "loop.json")
    fresh = PrunedQuery(KMeansFilter(keep=30, random_state=0), Margin(random_state=0))
    again = load_loop(tmp_path / "loop.json", LogisticRegression(), fresh, X)
    assert again.query_strategy.filter_.round_ == query.filter_.round_ == 1
    assert again.query(X, n_instances=5)[0].tolist() == learner.query(X, n_instances=5)[0].tolist()


@pytest.fixture
def saved(tmp_path):
    query = PrunedQuery(RandomFilter(keep=20, random_state=0), Entropy(random_state=0))
    learner = ActiveLearner(text_model(), query, TEXTS[:8], Y[:8].tolist())
    play(learner, TEXTS[8:], Y[8:], 2)
    save_loop(learner, tmp_path / "loop.json")
    return tmp_path / "loop.json", query


def test_another_pool_or_other_parameters_are_refused(saved):
    path, query = saved
    with pytest.raises(ValueError, match="belongs to another pool"):
        load_loop(path, text_model(), query, TEXTS)
    other = PrunedQuery(RandomFilter(keep=21, random_state=0), Entropy(random_state=0))
    with pytest.raises(ValueError, match="other parameters of the filter or the strategy"):
        load_loop(path, text_model(), other, TEXTS[8:])


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: json.dumps(json.loads(text) | {"format": 2}),
        lambda text: json.dumps(json.loads(text) | {"rounds": [0, 99]}),
        lambda text: json.dumps(json.loads(text) | {"rounds": []}),
        lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != "told"}),
        lambda text: json.dumps(json.loads(text) | {"training": {"X": ["a"], "y": [], "dtype": None}}),
        lambda text: json.dumps(json.loads(text) | {"training": {"X": [], "y": [], "dtype": "object"}}),
    ],
)
def test_a_damaged_file_is_refused(saved, damage):
    path, query = saved
    path.write_text(damage(path.read_text()))
    with pytest.raises(ValueError, match="is not a loop that save_loop wrote"):
        load_loop(path, text_model(), query, TEXTS[8:])


def test_what_cannot_be_saved_leaves_the_old_file(saved):
    path, query = saved
    before = path.read_text()
    with pytest.raises(NotFittedError):
        save_loop(
            ActiveLearner(text_model(), PrunedQuery(query.filter, query.strategy), TEXTS[:8], Y[:8]), path
        )
    with pytest.raises(TypeError, match="must be a PrunedQuery"):
        save_loop(ActiveLearner(text_model(), X_training=TEXTS[:8], y_training=Y[:8]), path)
    assert path.read_text() == before
    assert [file.name for file in path.parent.iterdir()] == ["loop.json"]
