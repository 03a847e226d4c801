"""The contract shared by all strategies, on real models."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from skorch import NeuralNetClassifier

from skprune import KMeansFilter, PrunedQuery, RandomFilter, TransformerClassifier
from skprune.datasets import load_movie_snippets
from skprune.modal import ActiveLearner
from skprune.strategies import (
    BADGE,
    BERTKM,
    CAL,
    DIRECT,
    IDDS,
    Coreset,
    Entropy,
    LeastConfidence,
    Margin,
    MaxHerding,
    RandomSampling,
    TypiClust,
    UHerding,
)

OF_A_MODEL = [Coreset, BERTKM, BADGE, CAL, DIRECT]
OF_AN_ENCODER = [IDDS, TypiClust, MaxHerding, UHerding]
ALL = [*OF_A_MODEL, *OF_AN_ENCODER]
OF_PROBABILITIES = [LeastConfidence, Margin, Entropy]  # further tests of these are in test_uncertainty.py
EVERY = [
    *ALL,
    *OF_PROBABILITIES,
    RandomSampling,
]  # NSP needs a generating learner: test_seq2seq.py

MOVIES = load_movie_snippets()
TEXTS, LABELS = MOVIES.data[:240], np.asarray(MOVIES.target[:240])
SEEDS = 40


def text_model() -> Any:
    return make_pipeline(TfidfVectorizer(), LogisticRegression(C=10))


def trained(X: Any, y: Any, model: Any = None) -> Any:
    return ActiveLearner(model or text_model(), Coreset(), X, y)


@pytest.fixture(scope="module")
def learner() -> Any:
    return trained(TEXTS[:SEEDS], LABELS[:SEEDS])


@pytest.mark.parametrize("strategy", EVERY)
def test_a_loop_on_movie_snippets(strategy: type) -> None:
    query = PrunedQuery(RandomFilter(keep=0.5, random_state=0), strategy(random_state=0))
    learner = ActiveLearner(text_model(), query, TEXTS[:SEEDS], LABELS[:SEEDS])
    pool, y = np.array(TEXTS[SEEDS:], dtype=object), LABELS[SEEDS:]
    for n_instances in (1, 2, 3, 20):
        indices, rows, metrics = learner.query(pool, n_instances=n_instances, return_metrics=True)
        assert len(set(indices.tolist())) == len(metrics) == n_instances
        assert set(indices) <= set(query.subpool_)
        assert rows.tolist() == pool[indices].tolist()
        learner.teach(rows.tolist(), y[indices].tolist())
        rest = np.setdiff1d(np.arange(len(pool)), indices)
        pool, y = pool[rest], y[rest]
    assert len(learner.X_training) == SEEDS + 26


def skorch_net() -> Any:
    torch.manual_seed(0)
    layers = [torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, 10)]
    return NeuralNetClassifier(
        torch.nn.Sequential(*layers),
        criterion=torch.nn.CrossEntropyLoss,  # the net's output becomes probabilities by its softmax
        lr=0.1,
        max_epochs=2,
        train_split=None,
        verbose=0,
        classes=list(range(10)),
    )


@pytest.mark.parametrize(
    "make_model",
    [skorch_net, lambda: MLPClassifier((16,), max_iter=5, random_state=0), GaussianNB],
    ids=["skorch", "MLP", "GaussianNB"],
)
@pytest.mark.parametrize("strategy", EVERY)
@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
def test_a_loop_on_vectors(strategy: type, make_model: Any) -> None:
    digits, y = load_digits(return_X_y=True)
    digits = (digits / 16).astype(np.float32)
    query = PrunedQuery(KMeansFilter(keep=40, random_state=0), strategy(random_state=0))
    learner = ActiveLearner(make_model(), query, digits[:60], y[:60])
    pool, y = digits[60:200], y[60:200]
    for _ in range(2):
        indices, rows, metrics = learner.query(pool, n_instances=7, return_metrics=True)
        assert len(set(indices.tolist())) == 7
        assert set(indices) <= set(query.subpool_)
        assert np.array_equal(rows, pool[indices])
        assert np.isfinite(metrics).all()
        learner.teach(rows, y[indices])
        pool, y = np.delete(pool, indices, axis=0), np.delete(y, indices)
    assert len(learner.X_training) == 74


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize(
    "container",
    [
        tuple,
        lambda t: np.array(t),
        lambda t: np.array(t, dtype=object),
        lambda t: pd.Series(t, index=range(100, 100 + len(t))),
    ],
    ids=["tuple", "U", "object", "Series"],
)
def test_containers_of_texts(strategy: type, container: Any, learner: Any) -> None:
    expected = strategy(random_state=0)(learner, TEXTS[SEEDS:100], n_instances=6)
    other = trained(container(TEXTS[:SEEDS]), LABELS[:SEEDS])
    found = strategy(random_state=0)(other, container(TEXTS[SEEDS:100]), n_instances=6)
    assert np.array_equal(found[0], expected[0])
    assert found[1] == pytest.approx(expected[1])


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize(
    "container",
    [sp.csr_array, sp.csr_matrix, lambda a: pd.DataFrame(a, columns=list("abc")), lambda a: a.tolist()],
    ids=["csr_array", "csr_matrix", "DataFrame", "lists"],
)
def test_containers_of_numbers(strategy: type, container: Any) -> None:
    rows = np.random.default_rng(0).normal(size=(60, 3))
    y = rows[:20, 0] > 0
    expected = strategy(random_state=0)(trained(rows[:20], y, LogisticRegression()), rows[20:], n_instances=6)
    other = trained(container(rows[:20]), y, LogisticRegression())
    found = strategy(random_state=0)(other, container(rows[20:]), n_instances=6)
    assert found[0].tolist() == expected[0].tolist()
    assert found[1] == pytest.approx(expected[1])
    assert found[0].dtype == np.intp
    assert found[1].dtype == np.float64


@pytest.mark.parametrize("strategy", EVERY)
def test_one_row_and_all_rows(strategy: type, learner: Any) -> None:
    pool = TEXTS[SEEDS : SEEDS + 12]
    pool += pool[:4]  # copies
    for rows in (pool[:1], pool):
        indices, _ = strategy(random_state=0)(learner, rows, n_instances=len(rows))
        assert sorted(indices.tolist()) == list(range(len(rows)))
    assert strategy(random_state=0)(learner, pool)[0].shape == (1,)
    same = ["the same again"] * 9
    picks = {int(strategy(random_state=s)(learner, same, n_instances=2)[0][0]) for s in range(20)}
    assert len(picks) > 4, "ties fall at random"


@pytest.mark.parametrize("strategy", EVERY)
@pytest.mark.parametrize("n_distinct", [1, 3])
@pytest.mark.parametrize("n_classes", [1, 2])
def test_fewer_distinct_rows_than_requested(strategy: type, n_distinct: int, n_classes: int) -> None:
    known = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    learner = trained(known, np.arange(4) % n_classes, GaussianNB())
    pool = np.tile([[0.0, 0.0], [0.0, 3.0], [2.0, 0.0]][:n_distinct], (5, 1))
    picks = set()
    for seed in range(12):
        indices, metrics = strategy(random_state=seed)(learner, pool, n_instances=len(pool) - 1)
        assert len(set(indices.tolist())) == len(pool) - 1
        assert np.isfinite(metrics).all()
        picks.add(tuple(indices))
    assert len(picks) > 6, "copies are picked in random order"


@pytest.mark.parametrize("strategy", ALL)
def test_every_round_has_its_own_repeatable_stream(strategy: type) -> None:
    pool = ["the same again"] * 60
    first, later = trained(TEXTS[:SEEDS], LABELS[:SEEDS]), trained(TEXTS[: SEEDS + 1], LABELS[: SEEDS + 1])
    query = strategy(random_state=0)
    answers = [query(learner, pool, n_instances=5)[0].tolist() for learner in (first, first, later)]
    assert answers[0] == answers[1] != answers[2]


@pytest.mark.parametrize("strategy", ALL)
def test_threads_pick_the_same_rows(strategy: type, learner: Any) -> None:
    query = strategy(random_state=3)
    expected = query(learner, TEXTS[SEEDS:], n_instances=15)[0].tolist()
    with ThreadPoolExecutor(4) as threads:
        answers = threads.map(lambda _: query(learner, TEXTS[SEEDS:], n_instances=15)[0].tolist(), range(8))
        assert all(answer == expected for answer in answers)


@pytest.mark.parametrize("strategy", ALL)
def test_clones_and_pickles_pick_the_same_rows(strategy: type, learner: Any) -> None:
    query = strategy(random_state=5)
    expected = query(learner, TEXTS[SEEDS:], n_instances=6)[0].tolist()
    for copy in (clone(query), pickle.loads(pickle.dumps(query))):
        assert copy.get_params() == query.get_params()
        assert copy(learner, TEXTS[SEEDS:], n_instances=6)[0].tolist() == expected


@pytest.mark.parametrize("strategy", OF_A_MODEL)
def test_an_unfitted_learner_gets_random_rows(strategy: type) -> None:
    unfitted = ActiveLearner(text_model(), strategy(random_state=1))
    indices, metrics = unfitted.query_strategy(unfitted, TEXTS, n_instances=5)
    assert indices.tolist() == strategy(random_state=1)(text_model(), TEXTS, n_instances=5)[0].tolist()
    assert len(set(indices.tolist())) == 5
    assert not metrics.any()


@pytest.mark.parametrize("strategy", ALL)
@pytest.mark.parametrize("n_instances", [0, 1.5, True, 9])
def test_invalid_n_instances_raise(strategy: type, n_instances: Any, learner: Any) -> None:
    with pytest.raises(ValueError, match="n_instances"):
        strategy()(learner, TEXTS[:8], n_instances=n_instances)
    with pytest.raises(ValueError, match="n_instances=1 exceeds the 0 rows"):
        strategy()(learner, [])


@pytest.mark.parametrize("strategy", ALL)
def test_invalid_random_state_raises(strategy: type, learner: Any) -> None:
    with pytest.raises(ValueError, match="random_state"):
        strategy(random_state="often")(learner, TEXTS)


@pytest.mark.slow
def test_every_strategy_works_with_a_fine_tuned_transformer(minilm: Path) -> None:
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        model = TransformerClassifier(
            minilm, lr=3e-4, head_lr=3e-3, max_epochs=2, min_steps=1, frozen_layers=5, random_state=0
        )
        learner = trained(TEXTS[:SEEDS], LABELS[:SEEDS], model)
        for strategy in [*OF_A_MODEL, *OF_PROBABILITIES, *OF_AN_ENCODER]:
            query = PrunedQuery(KMeansFilter(keep=60, random_state=0), strategy(random_state=0))
            indices, metrics = query(learner, TEXTS[SEEDS:], n_instances=8)
            assert len(set(indices.tolist())) == 8
            assert set(indices) <= set(query.subpool_)
            assert np.isfinite(metrics).all()
            assert metrics.any()
        learner.teach([TEXTS[SEEDS:][i] for i in indices], LABELS[SEEDS:][indices])
        assert len(learner.X_training) == SEEDS + 8
    finally:
        torch.set_num_threads(n_threads)
