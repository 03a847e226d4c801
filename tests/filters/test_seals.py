"""SEALSFilter against Algorithm 1 of SEALS, written out by brute force."""

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import cosine_similarity

from skprune import PrunedQuery, SEALSFilter
from skprune.modal import ActiveLearner
from skprune.strategies import Entropy

DIGITS, CLASSES = load_digits(return_X_y=True)
SIMILARITY = cosine_similarity(DIGITS).round(12)


def labels(n, rows, y=0):
    out = np.full(n, -1)
    out[rows] = y
    return out


class BruteForce:
    """The subpool as a set of row numbers, every row against every labeled one."""

    def __init__(self, n_neighbors):
        self.k = n_neighbors
        self.labeled, self.subpool, self.score = set(), set(), {}

    def learn(self, rows):
        self.labeled |= set(rows)
        for row in rows:
            free = [i for i in range(len(DIGITS)) if i not in self.labeled]
            nearest = sorted(free, key=lambda i: -SIMILARITY[row, i])[: self.k]
            self.subpool |= set(nearest)
            for i in nearest:
                self.score[i] = max(self.score.get(i, -1), SIMILARITY[row, i])
        self.subpool -= self.labeled

    def ranked(self):
        return sorted(self.subpool, key=lambda i: (-self.score[i], i))


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_the_subpool_is_that_of_brute_force_round_after_round(container):
    """In the whole pool, and in one that shrinks and is shuffled: positions are never taken for rows."""
    rng = np.random.default_rng(0)
    oracle = BruteForce(15)
    first = rng.choice(len(DIGITS), 10, replace=False)
    oracle.learn(first)
    X = container(DIGITS)
    pruner = SEALSFilter(15, index="exact").fit(X, labels(len(DIGITS), first))
    for _ in range(5):
        assert pruner.select(X).tolist() == oracle.ranked()
        rest = rng.permutation([i for i in range(len(DIGITS)) if i not in oracle.labeled])
        kept = pruner.select(X[rest])
        assert set(rest[kept]) == oracle.subpool
        assert not set(rest[kept]) & oracle.labeled, "labeled rows leave in every round"
        fresh = rng.choice(rest[kept], 6, replace=False)
        oracle.learn(fresh)
        pruner.partial_fit(X[fresh], CLASSES[fresh])


def test_a_subpool_only_grows_but_for_what_is_labeled():
    pruner = SEALSFilter(10).fit(DIGITS, labels(len(DIGITS), [0]))
    before = set(pruner.select(DIGITS))
    assert len(before) == 10
    pruner.partial_fit(DIGITS[[500]], [1])
    assert before < set(pruner.select(DIGITS))
    pruner.partial_fit(DIGITS[[500]], [1])  # told again: nothing new
    assert len(pruner.select(DIGITS)) == 20


def test_a_row_never_seen_belongs_if_it_is_within_reach_of_a_labeled_one():
    angle = np.arange(10) * 0.1
    X = np.column_stack([np.cos(angle), np.sin(angle)])
    pruner = SEALSFilter(2).fit(X, labels(10, [0]))
    near, far = [[np.cos(0.15), np.sin(0.15)]], [[np.cos(0.25), np.sin(0.25)]]
    assert pruner.select(np.vstack([X, near, far])).tolist() == [1, 10, 2]
    assert pruner.select(np.array(far)).tolist() == [0], "never an empty subpool"


def test_a_query_gets_as_many_rows_as_it_asks_for_the_next_nearest_ones():
    pruner = SEALSFilter(5).fit(DIGITS, labels(len(DIGITS), [0, 7]))
    free = np.setdiff1d(np.arange(len(DIGITS)), [0, 7])
    best = SIMILARITY[[0, 7]].max(axis=0)
    kept = pruner.select(DIGITS, min_rows=200)
    few = pruner.select(DIGITS)
    assert kept[: len(few)].tolist() == few.tolist()
    others = np.setdiff1d(free, few)
    expected = others[np.argsort(-best[others], kind="stable")[: 200 - len(few)]]
    assert kept[len(few) :].tolist() == expected.tolist()
    assert len(pruner.select(DIGITS, min_rows=10_000)) == len(free)


def test_cold_start():
    near = SEALSFilter(20, n_seeds=5, random_state=0).fit(DIGITS)
    assert 20 <= len(near.select(DIGITS)) <= 100
    drawn = SEALSFilter(20, n_seeds=5, cold_start="random", random_state=0).fit(DIGITS)
    assert len(drawn.select(DIGITS)) == 100
    assert (drawn.explain()["reason"] == "kept: drawn at random").sum() == 100
    for pruner in (near, drawn):  # seeds are forgotten when there are labels
        pruner.partial_fit(DIGITS[[3]], [0])
        assert set(pruner.select(DIGITS)) == set(np.argsort(-np.delete(SIMILARITY[3], 3))[:20] + (
            np.argsort(-np.delete(SIMILARITY[3], 3))[:20] >= 3
        ))  # fmt: skip


def test_hnsw_reaches_the_recall_of_exact_search():
    rows = np.random.default_rng(0).choice(len(DIGITS), 40, replace=False)
    y = labels(len(DIGITS), rows)
    exact, hnsw = (SEALSFilter(20, index=index).fit(DIGITS, y).select(DIGITS) for index in ("exact", "hnsw"))
    assert np.isin(exact, hnsw).mean() >= 0.99


def test_modal_loop():
    learner = ActiveLearner(
        LogisticRegression(max_iter=1000),
        PrunedQuery(SEALSFilter(5), Entropy(random_state=0)),
        X_training=DIGITS[:10],
        y_training=CLASSES[:10],
    )
    pool, y = DIGITS[10:], CLASSES[10:]
    known = {x.tobytes() for x in DIGITS[:10]}
    for _ in range(4):
        picked, rows = learner.query(pool, n_instances=30)
        assert len(set(picked)) == 30
        assert not known & {x.tobytes() for x in rows}
        known |= {x.tobytes() for x in rows}
        learner.teach(rows, y[picked])
        pool, y = np.delete(pool, picked, axis=0), np.delete(y, picked)
