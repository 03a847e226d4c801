"""AnchorFilter against Algorithm 1 of AnchorAL, written out by brute force."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import entropy
from sklearn.cluster import kmeans_plusplus
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import cosine_similarity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, normalize

from skprune import AnchorFilter
from skprune.filters.vector_filter import pick_kmeans_plusplus
from skprune.pools import Pool
from skprune.streams import generator


def brute_force(X, labeled, anchors, K, M, aggregate="retrieved"):
    """Lines 7 to 9, every row against every anchor, in double precision."""
    S = cosine_similarity(np.asarray(anchors, float), np.asarray(X, float)).round(12)
    S[:, labeled] = -np.inf
    n_free = len(X) - len(labeled)
    nearest = np.argsort(-S, axis=1, kind="stable")[:, : min(K, n_free)]
    hit = np.zeros(S.shape, dtype=bool)
    np.put_along_axis(hit, nearest, True, axis=1)
    retrieved = np.flatnonzero(hit.any(axis=0))
    score = {
        "retrieved": lambda i: S[hit[:, i], i].mean(),
        "all": lambda i: S[:, i].mean(),
        "max": lambda i: S[hit[:, i], i].max(),
    }[aggregate]
    scores = np.round([score(i) for i in retrieved], 12)
    return retrieved[np.argsort(-scores, kind="stable")[:M]]


def labels(n, rows, y):
    out = np.full(n, -1)
    out[rows] = y
    return out


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(30, 400),
    A=st.integers(1, 12),
    K=st.integers(1, 60),
    M=st.integers(1, 300),
    n_classes=st.integers(1, 4),
    aggregate=st.sampled_from(["retrieved", "all", "max"]),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 5),
)
def test_random_vectors_equal_brute_force(n, A, K, M, n_classes, aggregate, dtype, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 6)).astype(dtype)
    known = rng.choice(n, 20, replace=False)
    y = labels(n, known, rng.integers(0, n_classes, 20))
    kept = (
        f := AnchorFilter(A, K, M, aggregate=aggregate, index="exact", random_state=seed).fit(X, y)
    ).select(X)
    assert kept.tolist() == brute_force(X, known, f.anchors_, K, M, aggregate).tolist()


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_real_vectors_equal_brute_force_round_after_round(container):
    X, digit = load_digits(return_X_y=True)
    rng = np.random.default_rng(0)
    known = rng.choice(len(X), 40, replace=False)
    pool = container(X)
    pruner = AnchorFilter(5, 20, 400, index="exact", random_state=0).fit(
        pool, labels(len(X), known, digit[known])
    )
    for _ in range(4):
        kept = pruner.select(pool)
        anchors = pruner.anchors_.toarray() if sp.issparse(pruner.anchors_) else pruner.anchors_
        assert kept.tolist() == brute_force(X, known, anchors, 20, 400).tolist()
        fresh = kept[:15]
        pruner.partial_fit(pool[fresh], digit[fresh])
        known = np.concatenate([known, fresh])


def test_hnsw_reaches_the_recall_of_exact_search():
    X, digit = load_digits(return_X_y=True)
    X = X.astype(np.float32)
    known = np.random.default_rng(0).choice(len(X), 60, replace=False)
    y = labels(len(X), known, digit[known])
    exact, hnsw = (AnchorFilter(index=index, random_state=0).fit(X, y) for index in ("exact", "hnsw"))
    for _ in range(3):
        want = exact.select(X)
        assert np.isin(want, hnsw.select(X)).mean() >= 0.99
        for pruner in (exact, hnsw):
            pruner.partial_fit(X[want[:25]], digit[want[:25]])


def test_anchors_are_those_of_kmeans_plusplus_a_class():
    X = np.random.default_rng(0).normal(size=(300, 5))
    y = labels(300, np.arange(100), np.repeat([0, 1], [95, 5]))
    pruner = AnchorFilter(10, random_state=3).fit(X, y)
    assert (pruner.anchor_labels_ == [0] * 10 + [1] * 5).all()
    zeros, ones = (rows[Pool(rows).table.by_content()] for rows in (X[:95], X[95:100]))
    assert (pruner.anchors_[10:] == ones).all(), "a class with no more than A rows gives them all"
    rng = generator(3, 0, 1)
    _, picked = kmeans_plusplus(normalize(zeros), 10, random_state=int(rng.integers(2**31)))
    assert (pruner.anchors_[:10] == zeros[np.sort(picked)]).all()


def test_anchors_differ_from_round_to_round_and_repeat_with_the_seed():
    X = np.random.default_rng(0).normal(size=(300, 5))
    y = labels(300, np.arange(100), 0)
    runs = [AnchorFilter(10, random_state=seed).fit(X, y) for seed in (0, 0, 1)]
    assert (runs[0].anchors_ == runs[1].anchors_).all()
    assert not (runs[0].anchors_ == runs[2].anchors_).all()
    before = runs[0].anchors_
    runs[0].partial_fit(X[100:101], [0])
    assert not (runs[0].anchors_ == before).all()


def test_copies_among_the_labeled_rows_are_one_anchor():
    X = np.repeat(np.eye(4), 30, axis=0)
    pruner = AnchorFilter(10, 5, random_state=0).fit(X, labels(120, np.arange(60), 0))
    assert len(pruner.anchors_) == 2


def test_with_default_sizes_the_largest_subpool_never_binds_for_two_classes():
    X = np.random.default_rng(0).normal(size=(5000, 5))
    pruner = AnchorFilter(random_state=0).fit(X, labels(5000, np.arange(200), np.arange(200) % 2))
    free = AnchorFilter(max_subpool=5000, random_state=0).fit(
        X, labels(5000, np.arange(200), np.arange(200) % 2)
    )
    assert pruner.select(X).tolist() == free.select(X).tolist()


def test_entropy_anchors_are_the_rows_the_model_is_least_sure_of():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 3))
    y = (X[:, 0] > 0).astype(int)
    model = LogisticRegression().fit(X[:120], y[:120])
    pruner = AnchorFilter(7, anchor_selection={0: "entropy", 1: "random"}, random_state=0)
    pruner.fit(X, labels(400, np.arange(100), y[:100])).partial_fit(X[100:120], y[100:120], learner=model)
    p = model.predict_proba(X[:120])
    unsure = -(p * np.log(p)).sum(axis=1)
    zeros = np.flatnonzero(y[:120] == 0)
    expected = X[zeros[np.argsort(-unsure[zeros])[:7]]]
    assert (np.sort(pruner.anchors_[pruner.anchor_labels_ == 0], axis=0) == np.sort(expected, axis=0)).all()
    assert (pruner.anchor_labels_ == 1).sum() == 7


def test_a_query_gets_as_many_rows_as_it_asks_for():
    X = np.random.default_rng(0).normal(size=(200, 4))
    pruner = AnchorFilter(2, 3, random_state=0).fit(X, labels(200, [0, 1], [0, 1]))
    few = pruner.select(X)
    assert len(few) <= 6
    assert len(pruner.select(X, min_rows=50)) >= 50
    assert len(pruner.select(X, min_rows=500)) == 198
    assert len(AnchorFilter(2, 3, 4, random_state=0).fit(X).select(X, min_rows=20)) == 20


def test_cold_start():
    X = np.random.default_rng(0).normal(size=(2000, 4))
    near = AnchorFilter(5, 10, random_state=0).fit(X)
    assert near.select(X).tolist() == brute_force(X, [], near.anchors_, 10, 1000).tolist()
    drawn = AnchorFilter(max_subpool=70, cold_start="random", random_state=0).fit(X)
    assert len(drawn.select(X)) == 70
    again = AnchorFilter(max_subpool=70, cold_start="random", random_state=1).fit(X)
    assert set(drawn.select(X)) != set(again.select(X))


TEXTS = [f"{animal} number{i} eats {food}" for i in range(40) for animal, food in
         [("cat", "fish"), ("dog", "meat"), ("hen", "corn")]]  # fmt: skip


@pytest.mark.parametrize("index", ["exact", "hnsw"])
def test_texts_are_found_by_content_in_any_order_with_copies_and_strangers(index):
    y = labels(120, np.arange(6), [0, 1, 2, 0, 1, 2])
    pruner = AnchorFilter(2, 8, index=index, random_state=0).fit(TEXTS, y)
    kept = {TEXTS[i] for i in pruner.select(TEXTS)}
    order = np.random.default_rng(0).permutation(120)
    shuffled = [TEXTS[i] for i in order]
    assert {shuffled[i] for i in pruner.select(shuffled)} == kept
    twice = TEXTS + TEXTS
    chosen = pruner.select(twice)
    assert len(set(chosen)) == len(chosen)
    unseen = [*TEXTS, "cat number0 eats fish today"]
    assert "cat number0 eats fish today" in {unseen[i] for i in pruner.select(unseen)}


def test_numeric_strangers_are_searched_by_hnsw_too():
    X = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
    pruner = AnchorFilter(2, 5, index="hnsw", random_state=0).fit(X[:400], labels(400, [0, 1], [0, 1]))
    kept = pruner.select(X[2:])
    assert kept.tolist() == brute_force(X[2:], [], pruner.anchors_, 5, 1000).tolist()


def test_embeddings_are_bought_once(tmp_path):
    class Letters:
        fingerprint = "letters"

        def __init__(self):
            self.seen = []

        def __call__(self, texts):
            self.seen += list(texts)
            return np.array([[t.count(c) + 1.0 for c in "abcdeinot"] for t in texts])

    y = labels(120, np.arange(6), [0, 1, 2, 0, 1, 2])
    first, second = Letters(), Letters()
    kept = AnchorFilter(encoder=first, memory=tmp_path, random_state=0).fit(TEXTS + TEXTS, np.tile(y, 2))
    assert sorted(first.seen) == sorted(TEXTS)
    again = AnchorFilter(encoder=second, memory=tmp_path, random_state=0).fit(TEXTS, y)
    again.partial_fit(TEXTS[10:12], [0, 1])
    assert second.seen == []
    assert (kept.n_encoded_, again.n_encoded_) == (120, 0)


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_anchors": 0}, ValueError, "'n_anchors' parameter"),
        ({"index": "faiss"}, ValueError, "'index' parameter"),
        ({"anchor_selection": {1: "best"}}, ValueError, r"anchor_selection\[1\] must be"),
        ({"encoder": 3}, TypeError, "encoder must be None, the name or path"),
        ({"encoder": "no/such/model"}, OSError, "encoder='no/such/model' does not exist"),
    ],
)
def test_bad_parameters_are_named(params, error, message, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(error, match=message):
        AnchorFilter(**params).fit(TEXTS)


@pytest.mark.parametrize("kind", ["frame", "images"])
def test_entropy_asks_the_learner_about_rows_as_it_reads_them(kind):
    images, y = load_digits().images[:300], load_digits().target[:300]
    if kind == "frame":
        X = pd.DataFrame(images.reshape(300, -1)).rename(columns=str)
        first = ColumnTransformer([("some", "passthrough", ["3", "20", "40"])])
    else:
        X, first = images, FunctionTransformer(lambda X: X.mean(axis=2), validate=False)
        assert images.ndim == 3
    learner = make_pipeline(first, LogisticRegression(max_iter=1000)).fit(X[:200], y[:200])
    chooser = AnchorFilter(2, 5, anchor_selection="entropy", random_state=0).fit(X)
    chooser.partial_fit(X[:200], y[:200], learner=learner)
    uncertainty = entropy(learner.predict_proba(X[:200]).T)
    for digit in range(10):
        own = np.flatnonzero(y[:200] == digit)
        most = own[np.argsort(-uncertainty[own])[:2]]
        anchors = chooser.anchors_[chooser.anchor_labels_ == digit]
        expected = images[most].reshape(2, -1)
        assert_allclose(np.sort(cosine_similarity(anchors, expected).max(axis=0)), 1, atol=1e-6)


@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_the_length_of_a_row_changes_neither_picks_nor_subpool(kind):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 6))
    pools = kind(X), kind(X * 10.0 ** rng.uniform(-2, 2, size=(300, 1)))
    plain, scaled = (pick_kmeans_plusplus(pool, 5, np.random.default_rng(1)) for pool in pools)
    assert plain.tolist() == scaled.tolist()
    y = labels(300, np.arange(8), np.arange(8) % 2)  # all of them are anchors
    plain, scaled = (AnchorFilter(5, 7, random_state=0).fit(pool, y).select(pool) for pool in pools)
    assert set(plain.tolist()) == set(scaled.tolist())
