"""Squared distances between rows that are outer products, and the greedy selection of distant rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skprune.strategies.base import top_row
from skprune.vectors import dense, squared_norms

_BLOCK = 4_000_000  # numbers compared at a time


class OuterProducts:
    """The rows g_i = q_i ⊗ h_i, represented by their factors: no product is computed.

    Parameters
    ----------
    h : ndarray or csr_array of float, shape (n, d)
        First factors: the features.
    q : ndarray of float64, shape (n, c), default=None
        Second factors, such as the residuals of the probabilities. None means q_i = 1, so that the rows are
        the h_i.

    Attributes
    ----------
    h, q : as given
        The factors.
    epsilon : float
        Machine epsilon of ``h``.
    squared_norms : ndarray of float64, shape (n,)
        |g_i|² = |q_i|² |h_i|².

    Notes
    -----
    |g_i − g_j|² = |q_i|²|h_i|² + |q_j|²|h_j|² − 2 (q_i·q_j)(h_i·h_j) costs one pass over ``h`` in its own
    precision, and cancels for rows that are close. If fewer than half of the digits remain, the distance is
    computed again in double precision from g_i − g_j = (q_i − q_j) ⊗ h_i + q_j ⊗ (h_i − h_j), which is
    exactly 0 for copies.

    Examples
    --------
    >>> rows = OuterProducts(np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 0.0]]), np.array([[1.0], [1.0], [1.0]]))
    >>> rows.squared_to(0)
    array([0., 5., 0.])
    """

    def __init__(self, h: Any, q: np.ndarray | None = None) -> None:
        self.h = h
        self.q = np.ones((h.shape[0], 1)) if q is None else q
        self.epsilon = float(np.finfo(h.dtype).eps)
        self.squared_norms = np.einsum("ij,ij->i", self.q, self.q) * squared_norms(h)

    def squared_to(self, row: int) -> np.ndarray:
        """Return the squared distance of every row to the given row, float64 of shape (n,)."""
        h, q = dense(self.h[[row]])[0], self.q[row]
        squared = self.squared_norms + self.squared_norms[row]
        cancelled_below = squared * self.epsilon**0.5
        squared -= 2.0 * (self.q @ q) * (self.h @ h)
        near = np.flatnonzero(squared < cancelled_below)
        squared[near] = self.squared_between(near, h[None], q[None])
        return squared

    def squared_between(self, rows: np.ndarray, h: Any, q: np.ndarray) -> np.ndarray:
        """Return the squared distance of each of ``rows`` to a row of ``q`` ⊗ ``h``, in double precision.

        ``h`` and ``q`` hold one row for each of ``rows``, or a single row for all of them.
        """
        out = np.empty(len(rows))
        size = max(1, _BLOCK // self.h.shape[1])
        for start in range(0, len(rows), size):
            block = slice(start, start + size)
            other_h, other_q = (factor if factor.shape[0] == 1 else factor[block] for factor in (h, q))
            own_h = dense(self.h[rows[block]]).astype(np.float64)
            difference_h = own_h - dense(other_h)
            difference_q = self.q[rows[block]] - other_q
            out[block] = (
                squared_norms(difference_q) * squared_norms(own_h)
                + squared_norms(other_q) * squared_norms(difference_h)
                + 2.0 * (difference_q * other_q).sum(axis=1) * (own_h * difference_h).sum(axis=1)
            )
        return np.maximum(out, 0.0)

    def farthest(self, squared: np.ndarray, rank: np.ndarray) -> int:
        """Return the row of largest ``squared`` distance; if rounding makes several tie, the lowest rank."""
        tolerance = 8.0 * self.epsilon * (self.squared_norms + squared)
        return top_row(squared, np.where(squared > 0, tolerance, 0.0), rank)

    def pick_distant(
        self,
        picked: list[int],
        nearest: np.ndarray,
        n_instances: int,
        choose: Callable[[np.ndarray], int],
        shuffled: np.ndarray,
    ) -> np.ndarray:
        """Pick further rows, each distant from the earlier ones, until there are ``n_instances``.

        Parameters
        ----------
        picked : list of int
            The rows picked so far. New picks are appended.
        nearest : ndarray of float64, shape (n,)
            Squared distance of every row to the nearest center, not counting the last of ``picked``; inf if
            there is no center. Changed in place.
        n_instances : int
            Length of ``picked`` at the end.
        choose : callable
            ``choose(nearest)`` returns a row whose distance is above 0. It is called as long as such a row
            exists; after that the next row of ``shuffled`` is picked, which is a uniform draw.
        shuffled : ndarray of int, shape (n,)
            All rows in random order.

        Returns
        -------
        ndarray of float64
            The squared distance of each new row to the nearest earlier one.
        """
        gains = []
        remaining = (row for row in shuffled.tolist() if row not in picked)
        while len(picked) < n_instances:
            if picked and nearest.any():
                np.minimum(nearest, self.squared_to(picked[-1]), out=nearest)
                nearest[picked[-1]] = 0.0  # also if products underflow
            row = choose(nearest) if nearest.any() else next(remaining)
            gains.append(nearest[row])
            picked.append(row)
        return np.array(gains)
