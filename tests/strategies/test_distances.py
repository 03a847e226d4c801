"""Distances between outer products, against explicit products."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from skprune.strategies.distances import OuterProducts


def explicit(h: Any, q: np.ndarray) -> np.ndarray:
    h = np.asarray(h.todense() if sp.issparse(h) else h, dtype=np.float64)
    return (q[:, :, None] * h[:, None, :]).reshape(len(h), -1)


def all_distances(rows: OuterProducts) -> np.ndarray:
    return np.stack([rows.squared_to(row) for row in range(len(rows.q))])


def explicit_distances(h: Any, q: np.ndarray) -> np.ndarray:
    g = explicit(h, q)
    return ((g[:, None] - g[None]) ** 2).sum(axis=-1)


@given(seed=st.integers(0, 999), n=st.integers(1, 12), d=st.integers(1, 9), c=st.integers(1, 4))
def test_distances_equal_those_of_the_explicit_products(seed: int, n: int, d: int, c: int) -> None:
    rng = np.random.default_rng(seed)
    h, q = rng.normal(size=(n, d)), rng.normal(size=(n, c))
    rows = OuterProducts(h, q)
    assert rows.squared_norms == pytest.approx((explicit(h, q) ** 2).sum(axis=1))
    assert all_distances(rows) == pytest.approx(explicit_distances(h, q), abs=1e-12)
    assert all_distances(OuterProducts(h)) == pytest.approx(explicit_distances(h, np.ones((n, 1))), abs=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("container", [np.asarray, sp.csr_array])
def test_copies_have_distance_zero_and_close_rows_an_exact_one(dtype: Any, container: Any) -> None:
    """|a|² + |b|² − 2 a·b alone has a rounding error of 1e-7 |a|² in single precision, of either sign."""
    rng = np.random.default_rng(0)
    base = 100.0 + rng.normal(size=(300, 384))
    h = np.concatenate([base, base[:100], base[:100] + 1e-3 * rng.normal(size=(100, 384))]).astype(dtype)
    q = rng.normal(size=(300, 3))
    q = np.concatenate([q, q[:100], q[:100] * (1 + 1e-4)])
    rows = OuterProducts(container(h), q)
    g = explicit(h, q)
    for row in (0, 42, 99):
        squared = rows.squared_to(row)
        expected = ((g - g[row]) ** 2).sum(axis=1)
        assert squared[row] == squared[300 + row] == 0.0
        assert squared.min() >= 0.0
        # The second formula takes over where half of the digits are lost.
        tolerance = 1e-3 if dtype == np.float32 else 1e-6
        assert squared[400 + row] == pytest.approx(expected[400 + row], rel=1e-9)
        assert squared == pytest.approx(expected, rel=tolerance)


def test_all_zero_products() -> None:
    rows = OuterProducts(np.ones((4, 3), np.float32), np.zeros((4, 2)))
    assert not all_distances(rows).any()
    assert not rows.squared_norms.any()


def test_farthest_breaks_ties_within_rounding_by_rank() -> None:
    h = np.array([[1.0], [1e4], [2.0], [2.0], [2.0 - 1e-3]], dtype=np.float32)
    rows = OuterProducts(h)
    rank = np.array([0, 1, 4, 3, 2])
    assert rows.farthest(rows.squared_norms, rank) == 1
    nearest = np.array([1.0, 0.0, 4.0, 4.0 - 1e-7, 3.996])  # row 1 is already picked
    assert rows.farthest(nearest, rank) == 3
    assert rows.farthest(np.full(5, np.inf), rank) == 0


def test_no_row_is_picked_twice_if_products_underflow() -> None:
    rows = OuterProducts(np.float32([[1e-30], [2e-30], [3e-30], [4e-30]]))
    picked: list[int] = []
    rows.pick_distant(picked, np.full(4, np.inf), 4, lambda squared: int(squared.argmax()), np.arange(4))
    assert sorted(picked) == [0, 1, 2, 3]


@pytest.mark.parametrize("n_distinct", [1, 3])
def test_rows_at_distance_zero_are_drawn_uniformly(n_distinct: int) -> None:
    h = np.tile(np.eye(3)[:n_distinct], (4, 1))
    rows = OuterProducts(h)
    shuffled = np.random.default_rng(5).permutation(len(h))
    rank = np.argsort(shuffled)
    picked: list[int] = []
    gains = rows.pick_distant(
        picked, np.full(len(h), np.inf), len(h), lambda squared: rows.farthest(squared, rank), shuffled
    )
    assert sorted(picked) == list(range(len(h)))
    assert (gains[:n_distinct] > 0).all()
    assert not gains[n_distinct:].any()
    assert picked[n_distinct:] == [row for row in shuffled.tolist() if row not in picked[:n_distinct]]
