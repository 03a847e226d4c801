"""PrunedQuery.explain says what the last query did, and refuses to explain anything else."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skprune import PerplexityFilter, PrunedQuery, RandomFilter
from skprune.strategies import Entropy

TEXTS = [f"the {color} {animal} number {i}" for i in range(6) for color in ("red", "old")
         for animal in ("fox", "dog", "hen")]  # fmt: skip


@pytest.fixture
def learner():
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    return model.fit(["the red fox", "the old dog"], [0, 1])


def query_of(keep=10):
    return PrunedQuery(PerplexityFilter(keep=keep, random_state=0), Entropy(random_state=0))


def test_kept_and_picked_rows_are_those_of_the_query(learner):
    query = query_of()
    picked, entropies = query(learner, TEXTS, n_instances=4)
    explained = query.explain()
    assert np.flatnonzero(explained["kept"]).tolist() == sorted(query.subpool_)
    assert explained.index[explained["picked"]].tolist() == sorted(picked)
    assert explained["pick"].to_numpy()[picked].tolist() == [0, 1, 2, 3]
    assert explained["strategy_score"].to_numpy()[picked].tolist() == entropies.tolist()
    assert explained["strategy_score"].isna().sum() == len(TEXTS) - 4
    counts = explained["reason"].value_counts().to_dict()
    assert counts == {
        "perplexity too high": 26,
        "kept: low perplexity; not picked by the strategy": 6,
        "kept: low perplexity; picked by the strategy": 4,
    }


def test_a_query_for_more_rows_than_keep_is_explained_as_it_was(learner):
    query = query_of(keep=2)
    picked, _ = query(learner, TEXTS, n_instances=5)
    explained = query.explain()
    assert explained["kept"].sum() == 5
    assert explained["picked"].sum() == len(picked) == 5
    assert query.filter_.explain(TEXTS)["kept"].sum() == 2


def test_copies_of_a_kept_row_are_kept_but_not_picked(learner):
    query = query_of()
    pool = [*TEXTS, *TEXTS]
    picked, _ = query(learner, pool, n_instances=4)
    explained = query.explain()
    assert explained["kept"].sum() == 20
    assert explained["picked"].sum() == 4
    assert not explained["picked"].to_numpy()[np.asarray(picked) + len(TEXTS)].any()


def test_the_index_of_the_pool_is_that_of_the_frame(learner):
    query = query_of()
    pool = pd.Series(TEXTS, index=range(100, 100 + len(TEXTS)))
    query(learner, pool, n_instances=4)
    assert query.explain().index.tolist() == pool.index.tolist()


def test_only_the_last_query_is_explained(learner):
    query = query_of()
    query(learner, TEXTS, n_instances=4)
    picked, _ = query(learner, TEXTS[:20], n_instances=2)
    explained = query.explain()
    assert len(explained) == 20
    assert np.flatnonzero(explained["picked"]).tolist() == sorted(picked)


def test_what_cannot_be_explained_is_refused(learner):
    query = query_of()
    with pytest.raises(NotFittedError, match="there is no query to explain"):
        query.explain()
    pool = list(TEXTS)
    picked, _ = query(learner, pool, n_instances=4)
    loaded = pickle.loads(pickle.dumps(query))
    with pytest.raises(NotFittedError):
        loaded.explain()
    assert loaded.picked_.tolist() == picked.tolist()
    del pool[3]
    with pytest.raises(ValueError, match="the pool has changed since the last query"):
        query.explain()
    query(learner, pool, n_instances=4)
    query.tell([pool[0]], [1])
    with pytest.raises(ValueError, match="was told about labels since the last query"):
        query.explain()


def test_metrics_of_another_shape_are_left_out(learner):
    def strategy(learner, X, n_instances):
        return np.arange(n_instances), np.ones((n_instances, 3))

    query = PrunedQuery(RandomFilter(keep=10, random_state=0), strategy)
    query(learner, TEXTS, n_instances=3)
    assert query.explain()["strategy_score"].isna().all()
