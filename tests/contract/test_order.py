"""The order of the pool and of the labeled rows changes no result."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skprune import DRoPFilter, PrunedQuery, QuotaFilter, RandomFilter, TfidfEncoder
from skprune.datasets import load_movie_snippets
from skprune.encoders import TransformerEncoder
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
from tests.contract.test_contract import FILTERS as BASE

SNIPPETS = load_movie_snippets()
DISTINCT = list({text: row for row, text in enumerate(SNIPPETS.data)}.values())
FIRST = np.random.default_rng(0).permutation(DISTINCT)[:250]
TEXTS = np.array([SNIPPETS.data[row] for row in FIRST], dtype=object)
CLASSES = np.asarray(SNIPPETS.target)[FIRST]
VECTORS = np.random.default_rng(0).normal(size=(len(TEXTS), 6))
N = len(TEXTS)
SOME = np.where(np.arange(N) % 5 == 0, CLASSES, -1)  # labels of a fifth
ORDERS = [np.arange(N)[::-1], np.random.default_rng(1).permutation(N)]

FILTERS = {
    **BASE,
    "DRoP": DRoPFilter(RandomFilter(0.25, random_state=0), random_state=0),
    "quota of classes": QuotaFilter(RandomFilter(0.25, random_state=0), min_per_group=5),
}
POOLS = {"texts": TEXTS, "numbers": VECTORS}


NEED_ALL_LABELS = {"DRoP", "quota of classes"}


def survivors(pruner, rows, labels, order):
    """Return the rows that survive if the filter gets them in some order, numbered as before."""
    pruner = clone(pruner).fit(rows[order], None if labels is None else labels[order])
    return np.sort(order[pruner.get_support(indices=True)]).tolist()


def takes(pruner, kind):
    return pruner._takes_texts if kind == "texts" else pruner._takes_vectors


CASES = [
    pytest.param(pruner, POOLS[kind], labels, id=f"{name}, {kind}, {known} labels")
    for name, pruner in FILTERS.items()
    for kind in POOLS
    if takes(pruner, kind)
    for known, labels in (("no", None), ("some", SOME), ("all", CLASSES))
    if known == "all" or name not in NEED_ALL_LABELS
]


@pytest.mark.filterwarnings("ignore::skprune.LostClassWarning")
@pytest.mark.parametrize(("pruner", "rows", "labels"), CASES)
def test_the_order_of_the_pool_does_not_matter_to_a_filter(pruner, rows, labels):
    expected = survivors(pruner, rows, labels, np.arange(N))
    for order in ORDERS:
        assert survivors(pruner, rows, labels, order) == expected


ROUNDS = [
    pytest.param(pruner, POOLS[kind], id=f"{name}, {kind}")
    for name, pruner in FILTERS.items()
    for kind in POOLS
    if takes(pruner, kind) and name not in NEED_ALL_LABELS
]


@pytest.mark.parametrize(("pruner", "rows"), ROUNDS)
def test_the_order_in_which_labels_arrive_does_not_matter_to_a_filter(pruner, rows):
    few, rest = np.arange(60), np.arange(60, N)
    kept = [
        clone(pruner)
        .fit(rows[rest])
        .partial_fit(rows[order], CLASSES[order])
        .get_support(indices=True)
        .tolist()
        for order in (few, few[::-1])
    ]
    assert kept[0] == kept[1]


def picks(strategy, order, known):
    """Return what a strategy picks from the rows in some order, with labeled rows in some order."""
    learner = ActiveLearner(LogisticRegression(), strategy, VECTORS[known], CLASSES[known])
    return order[strategy(learner, VECTORS[order], n_instances=15)[0]].tolist()


@pytest.mark.parametrize(
    "strategy",
    [CAL, Coreset, DIRECT, Entropy, IDDS, LeastConfidence, Margin, MaxHerding, TypiClust, UHerding],
)
def test_the_order_of_the_pool_does_not_matter_to_a_strategy(strategy):
    known, rest = np.arange(40), np.arange(40, N)
    expected = picks(strategy(random_state=0), rest, known)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(rest)
        assert picks(strategy(random_state=0), order, known) == expected
        if strategy is not UHerding:  # it says so in its notes
            assert picks(strategy(random_state=0), order, known[::-1]) == expected


@pytest.mark.parametrize("strategy", [BADGE, BERTKM, RandomSampling])
def test_a_strategy_that_draws_by_position_does_so_within_the_survivors(strategy):
    known, rest = np.arange(40), np.arange(40, N)
    query = PrunedQuery(RandomFilter(keep=0.5, random_state=0), strategy(random_state=0))
    order = np.random.default_rng(0).permutation(rest)
    assert picks(strategy(random_state=0), order, known) != picks(strategy(random_state=0), rest, known)
    assert picks(clone(query), order, known) == picks(clone(query), rest, known)


def test_an_encoder_depends_neither_on_order_nor_on_copies():
    encoder = TfidfEncoder(n_components=20, max_train_texts=100)
    vectors = encoder.fit(TEXTS)(TEXTS)
    prints = {encoder.fingerprint}
    for corpus in (TEXTS[ORDERS[1]], np.concatenate([TEXTS[:30], TEXTS])):
        assert (encoder.fit(corpus)(TEXTS) == vectors).all()
        prints.add(encoder.fingerprint)
    steps = make_pipeline(TfidfVectorizer(), TruncatedSVD(5, random_state=0))
    transformer = TransformerEncoder(steps)
    prints |= {transformer.fit(TEXTS).fingerprint, transformer.fit(TEXTS[ORDERS[0]]).fingerprint}
    assert len(prints) == 2  # one of each encoder
