"""PrunedQuery with modAL: correct indices, rows told once, and resuming an interrupted loop."""

import pickle

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from modAL.uncertainty import uncertainty_sampling
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skprune import (
    ActivePruneFilter,
    AnchorFilter,
    KMeansFilter,
    ProxyFilter,
    PrunedQuery,
    RandomFilter,
    SEALSFilter,
    UPSFilter,
)
from skprune.exceptions import PoolExhaustedError
from skprune.modal import ActiveLearner
from skprune.strategies import Entropy, LeastConfidence, RandomSampling

RNG = np.random.default_rng(0)
SPORT, FOOD = ["ball", "goal", "team", "race", "score"], ["soup", "bread", "salt", "stew", "rice"]
TEXTS = [" ".join(RNG.choice(SPORT if i % 5 else FOOD, 6)) + f" item{i}" for i in range(300)]
TEXTS += TEXTS[:30]  # copies
Y = np.array([int(i % 5 == 0) for i in [*range(300), *range(30)]])
X = RNG.normal(size=(330, 6)) + Y[:, None]


def text_model():
    return make_pipeline(TfidfVectorizer(), LogisticRegression(C=10))


FILTERS = {
    "random": lambda: RandomFilter(keep=0.3, random_state=0),
    "anchor": lambda: AnchorFilter(4, 10, random_state=0),
    "active prune": lambda: ActivePruneFilter(
        keep=0.3, quality=lambda texts: np.array([len(t) for t in texts]), random_state=0
    ),
    "k-means": lambda: KMeansFilter(keep=20, random_state=0),
    "SEALS": lambda: SEALSFilter(4, random_state=0),
    "UPS": lambda: UPSFilter(keep=0.3, random_state=0),
    "proxy": lambda: ProxyFilter(keep=0.3, random_state=0),
}


def by_position(container, rows):
    return container.iloc[rows] if hasattr(container, "iloc") else (
        [container[i] for i in rows] if isinstance(container, list) else container[rows]
    )  # fmt: skip


def content(rows):
    if sp.issparse(rows):
        rows = rows.toarray()
    rows = np.asarray(rows)
    return [tuple(np.ravel(r)) if rows.ndim > 1 else r for r in rows.tolist()]


CONTAINERS = {
    "list": (TEXTS, text_model),
    "object array": (np.array(TEXTS, dtype=object), text_model),
    "U array": (np.array(TEXTS), text_model),
    "Series": (pd.Series(TEXTS, index=RNG.permutation(330)), text_model),
    "numbers": (X, LogisticRegression),
    "frame": (pd.DataFrame(X, columns=list("abcdef"), index=RNG.permutation(330)), LogisticRegression),
    "csr": (sp.csr_array(np.where(X > 0.5, X, 0)), LogisticRegression),
}


@pytest.mark.parametrize(
    ("name", "kind"),
    [(n, k) for n in FILTERS for k in CONTAINERS if n != "active prune" or CONTAINERS[k][1] is text_model],
)
def test_indices_are_correct_while_the_pool_shrinks_and_is_shuffled(name, kind):
    pool, model = CONTAINERS[kind]
    y = Y
    seeds = np.r_[np.flatnonzero(Y == 0)[:3], np.flatnonzero(Y == 1)[:3]]
    learner = ActiveLearner(
        model(),
        PrunedQuery(FILTERS[name](), LeastConfidence(random_state=0)),
        X_training=by_position(pool, seeds),
        y_training=Y[seeds],
    )
    taught = set(content(by_position(pool, seeds)))
    rng = np.random.default_rng(1)
    for round_ in range(12):
        indices, rows, metrics = learner.query(pool, n_instances=4, return_metrics=True)
        assert len(set(indices)) == len(indices) == len(metrics) == 4
        assert content(rows) == content(by_position(pool, indices))
        assert not taught & set(content(rows)), "a labeled row must not be picked again"
        assert set(indices) <= set(learner.query_strategy.subpool_)
        learner.teach(rows, y[indices])
        taught |= set(content(rows))
        rest = rng.permutation(np.setdiff1d(np.arange(len(y)), indices))
        pool, y = by_position(pool, rest), y[rest]
        assert learner.query_strategy.filter_.round_ == round_ + 1
    learner.query(pool)
    assert set(content(learner.query_strategy.filter_.labeled_.pool.data)) == taught


@pytest.mark.parametrize(
    "strategy",
    [uncertainty_sampling, Entropy(random_state=0), lambda m, X, n_instances: np.arange(n_instances)],
)
@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_strategy_may_return_indices_without_metrics(strategy, n):
    query = PrunedQuery(RandomFilter(keep=50, random_state=0), strategy)
    learner = ActiveLearner(LogisticRegression(), query, X_training=X[:20], y_training=Y[:20])
    indices, rows = learner.query(X[20:], n_instances=n)
    assert rows.shape == (n, 6)
    assert (X[20:][indices] == rows).all()


def test_a_query_returns_n_instances_rows_or_raises_an_error():
    query = PrunedQuery(RandomFilter(keep=2, random_state=0), RandomSampling(random_state=0))
    model = LogisticRegression().fit(X, Y)
    assert len(query(model, X, n_instances=10)[0]) == 10
    with pytest.raises(PoolExhaustedError, match="n_instances=400 exceeds the 330 different rows"):
        query(model, X, n_instances=400)
    with pytest.raises(ValueError, match="n_instances must be at least 1"):
        query(model, X, n_instances=0)


@pytest.mark.parametrize(
    "name", [name for name in FILTERS if name not in ("UPS", "proxy")]
)  # these two need the learners of the replayed rounds
def test_a_resumed_loop_makes_the_same_picks(name):
    def loop(history, rounds):
        """Replay ``history`` into new objects, then continue until there are ``rounds`` rounds."""
        history = [list(batch) for batch in history] or [[0, 1, 2, 5]]
        query = PrunedQuery(FILTERS[name](), LeastConfidence(random_state=0)).fit(TEXTS)
        for batch in history:
            query.tell([TEXTS[i] for i in batch], Y[batch])
        known = [i for batch in history for i in batch]
        learner = ActiveLearner(text_model(), query, [TEXTS[i] for i in known], Y[known])
        while len(history) < rounds:
            free = [i for i in range(len(TEXTS)) if i not in known]
            picked, rows = learner.query([TEXTS[i] for i in free], n_instances=5)
            batch = [free[i] for i in picked]
            learner.teach(rows, Y[batch])
            history.append(batch)
            known += batch
        return history

    whole = loop([], 7)
    for killed_after in (1, 3, 6):
        assert loop(whole[:killed_after], 7) == whole


def test_clone_and_pickle():
    query = PrunedQuery(AnchorFilter(random_state=0), Entropy(random_state=0))
    learner = ActiveLearner(LogisticRegression(), query, X_training=X[:20], y_training=Y[:20])
    learner.query(X[20:], n_instances=3)
    assert not hasattr(clone(query), "filter_")
    again = pickle.loads(pickle.dumps(learner))
    assert (again.query(X[20:], n_instances=5)[0] == learner.query(X[20:], n_instances=5)[0]).all()
    assert query.get_params()["filter__n_anchors"] == 10


def test_sparse_rows_that_a_learner_sorted_in_place_are_labeled_once():
    texts = [f"{a}a {b}b {c}c word" for a in "defghi" for b in "pqrstu" for c in "wxyz"]
    X = TfidfVectorizer().fit_transform(texts)
    y = np.arange(len(texts)) % 2
    query = PrunedQuery(RandomFilter(keep=0.5, random_state=0), RandomSampling(random_state=0))
    learner = ActiveLearner(LogisticRegression(solver="liblinear"), query, X[:20], y[:20])
    labeled = list(range(20))
    for _ in range(8):
        indices, rows = learner.query(X, n_instances=10)
        learner.teach(rows, y[indices])
        labeled += indices.tolist()
    assert len(set(labeled)) == len(labeled) == 100


@pytest.mark.parametrize(
    ("filter", "strategy", "message"),
    [
        (Entropy(), RandomFilter(), "'filter' parameter of PrunedQuery must be"),
        (RandomFilter, Entropy(), "filter must be an instance, got the class RandomFilter"),
        (RandomFilter(), Entropy, "strategy must be an instance, got the class Entropy"),
        (RandomFilter(), "entropy", "'strategy' parameter of PrunedQuery must be a callable"),
    ],
)
def test_other_objects_than_a_filter_and_a_strategy_are_refused(filter, strategy, message):
    with pytest.raises(TypeError, match=message):
        PrunedQuery(filter, strategy)(LogisticRegression(), ["a b", "b c"], n_instances=1)
