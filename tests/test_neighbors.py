"""Exact search agrees with brute force in double precision; HNSW comes close."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from skprune.neighbors import ExactNeighbors, HNSWNeighbors, build_index


def brute_force(X, queries, k, allowed=None):
    similarity = cosine_similarity(np.asarray(queries, float), np.asarray(X, float)).round(12)
    if allowed is not None:
        similarity[:, ~allowed] = -np.inf
        k = min(k, allowed.sum())
    return np.argsort(-similarity, axis=1, kind="stable")[:, :k]


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 300),
    d=st.integers(1, 8),
    k=st.integers(1, 40),
    seed=st.integers(0, 9),
    coarse=st.booleans(),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_exact_search_agrees_with_brute_force(n, d, k, seed, coarse, dtype):
    rng = np.random.default_rng(seed)
    # Coarse vectors have ties, equal rows and zero vectors.
    X = rng.integers(-1, 2, size=(n, d)) if coarse else rng.normal(size=(n, d))
    X = X.astype(dtype)
    queries = rng.normal(size=(3, d)).astype(dtype)
    allowed = rng.random(n) < 0.7
    allowed[0] = True
    for mask in (None, allowed):
        answers = ExactNeighbors(X).query(queries, k, mask)
        expected = brute_force(X, queries, min(k, n), mask)
        assert [rows.tolist() for rows, _ in answers] == expected.tolist()


def test_exact_search_over_several_blocks():
    X = np.random.default_rng(0).normal(size=(40_000, 4)).astype(np.float32)
    answers = ExactNeighbors(X).query(X[:5], 100)
    assert [rows.tolist() for rows, _ in answers] == brute_force(X, X[:5], 100).tolist()


def test_exact_search_of_sparse_vectors():
    X = sp.random_array((500, 40), density=0.1, rng=np.random.default_rng(0), format="csr")
    dense = X.toarray()
    answers = ExactNeighbors(X).query(X[:4], 7)
    assert [rows.tolist() for rows, _ in answers] == brute_force(dense, dense[:4], 7).tolist()


def test_exact_search_does_not_depend_on_the_number_of_threads():
    threadpoolctl = pytest.importorskip("threadpoolctl")
    X = np.random.default_rng(0).normal(size=(30_000, 16)).astype(np.float32)
    X[20_000:] = X[:10_000]
    index = ExactNeighbors(X)
    with threadpoolctl.threadpool_limits(1):
        one = index.query(X[:8], 60)
    with threadpoolctl.threadpool_limits(2):
        two = index.query(X[:8], 60)
    for (rows, similarity), (rows2, similarity2) in zip(one, two, strict=True):
        assert (rows == rows2).all()
        assert (similarity == similarity2).all()


@pytest.fixture(scope="module")
def clustered():
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(30, 32))
    return (centers[rng.integers(30, size=3000)] + 0.3 * rng.normal(size=(3000, 32))).astype(np.float32)


def recall(answers, expected):
    return np.mean([np.isin(want, rows).mean() for (rows, _), want in zip(answers, expected, strict=True)])


def test_hnsw_recall(clustered):
    index = HNSWNeighbors(clustered)
    assert recall(index.query(clustered[:50], 50), brute_force(clustered, clustered[:50], 50)) >= 0.99


@pytest.mark.parametrize("share", [0.9, 0.5, 0.01])
def test_hnsw_returns_k_rows_and_only_allowed_ones(clustered, share):
    allowed = np.random.default_rng(1).random(len(clustered)) < share
    answers = HNSWNeighbors(clustered).query(clustered[:20], 25, allowed)
    assert all(len(rows) == min(25, allowed.sum()) and allowed[rows].all() for rows, _ in answers)
    assert recall(answers, brute_force(clustered, clustered[:20], 25, allowed)) >= 0.95


def test_hnsw_answers_the_same_after_a_pickle(clustered):
    index = HNSWNeighbors(clustered)
    again = pickle.loads(pickle.dumps(index))
    for (rows, _), (rows2, _) in zip(
        index.query(clustered[:9], 50), again.query(clustered[:9], 50), strict=True
    ):
        assert (rows == rows2).all()


def test_hnsw_is_reproducible_whatever_n_jobs_is(clustered):
    first, second = (
        HNSWNeighbors(clustered, seed=3, n_jobs=n_jobs).query(clustered[:9], 50) for n_jobs in (None, 2)
    )
    assert all((a[0] == b[0]).all() for a, b in zip(first, second, strict=True))


def test_two_graphs_built_with_two_threads_are_identical(clustered):
    first, second = (build_index(clustered, "hnsw", seed=3, n_jobs=2)._graph.__getstate__() for _ in range(2))
    assert pickle.dumps(first) == pickle.dumps(second)


def test_hnsw_refuses_sparse_vectors_and_queries_that_are_not_finite(clustered):
    with pytest.raises(TypeError, match="index='hnsw' needs dense vectors"):
        HNSWNeighbors(sp.csr_array(clustered[:10]))
    with pytest.raises(ValueError, match="finite"):
        HNSWNeighbors(clustered[:10]).query(np.full((1, 32), np.nan), 2)


def test_auto_is_exact_for_small_pools(clustered):
    assert isinstance(build_index(clustered, "auto"), ExactNeighbors)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_norms_of_small_integers_do_not_overflow(dtype):
    counts = np.random.default_rng(0).integers(0, 60, (300, 40)) * (1 if dtype is np.uint8 else 2000)
    expected = ExactNeighbors(counts.astype(np.float64)).query(counts[:3].astype(np.float64), 9)
    for rows in (sp.csr_array(counts.astype(dtype)), counts.astype(dtype)):
        for (found, _), (wanted, _) in zip(ExactNeighbors(rows).query(rows[:3], 9), expected, strict=True):
            assert found.tolist() == wanted.tolist()
