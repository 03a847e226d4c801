"""Squared distances between rows that are outer products, and the greedy pick of rows far from each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from skprune.strategies.base import first_of_best
from skprune.vectors import dense, squared_norms

_BLOCK = 4_000_000  # numbers that are compared at a time


class OuterProducts:
    """The rows g_i = q_i ⊗ h_i, none of which is ever formed.

    Parameters
    ----------
    h : ndarray or csr_array of float, shape (n, d)
    q : ndarray of float64, shape (n, c), default=None
        None for q_i = 1: the rows are the h_i.

    Attributes
    ----------
    squared_norms : ndarray of float64, shape (n,)
        |g_i|² = |q_i|² |h_i|².

    Notes
    -----
    |g_i − g_j|² = |q_i|²|h_i|² + |q_j|²|h_j|² − 2 (q_i·q_j)(h_i·h_j) costs one pass over ``h`` in its own
    precision, and cancels where rows are close. Where less than half of the digits are left, the distance is
    taken again in double precision from g_i − g_j = (q_i − q_j) ⊗ h_i + q_j ⊗ (h_i − h_j), which is exactly 0
    for copies.

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
        """Return the squared distance of every row to one of them, float64 of shape (n,)."""
        h, q = dense(self.h[[row]])[0], self.q[row]
        squared = self.squared_norms + self.squared_norms[row]
        border = squared * self.epsilon**0.5
        squared -= 2.0 * (self.q @ q) * (self.h @ h)
        near = np.flatnonzero(squared < border)
        squared[near] = self.squared_between(near, h[None], q[None])
        return squared

    def squared_between(self, rows: np.ndarray, h: Any, q: np.ndarray) -> np.ndarray:
        """Return the squared distance of each of ``rows`` to its own (or the one) row of ``q`` ⊗ ``h``."""
        out = np.empty(len(rows))
        size = max(1, _BLOCK // self.h.shape[1])
        for start in range(0, len(rows), size):
            block = slice(start, start + size)
            other_h, other_q = (part if part.shape[0] == 1 else part[block] for part in (h, q))
            mine = dense(self.h[rows[block]]).astype(np.float64)
            apart_h = mine - dense(other_h)
            apart_q = self.q[rows[block]] - other_q
            out[block] = (
                squared_norms(apart_q) * squared_norms(mine)
                + squared_norms(other_q) * squared_norms(apart_h)
                + 2.0 * (apart_q * other_q).sum(axis=1) * (mine * apart_h).sum(axis=1)
            )
        return np.maximum(out, 0.0)

    def farthest(self, squared: np.ndarray, rank: np.ndarray) -> int:
        """Return the row of largest ``squared`` distance; of those that rounding cannot tell from it, the
        one of lowest ``rank``.
        """
        slack = 8.0 * self.epsilon * (self.squared_norms + squared)
        return first_of_best(squared, np.where(squared > 0, slack, 0.0), rank)

    def pick_apart(
        self,
        picked: list[int],
        nearest: np.ndarray,
        n_instances: int,
        choose: Callable[[np.ndarray], int],
        shuffled: np.ndarray,
    ) -> np.ndarray:
        """Go on picking rows, each far from those before it, until there are ``n_instances``.

        Parameters
        ----------
        picked : list of int
            The rows picked so far; appended to.
        nearest : ndarray of float64, shape (n,)
            Squared distance of every row to the nearest one to keep away from, but for the last of
            ``picked``; inf where there is none. Changed in place.
        choose : callable
            ``nearest -> row``; asked while some row is at a distance, and must return such a row. After that
            the next of ``shuffled`` is picked, which is a uniform draw.
        shuffled : ndarray of int, shape (n,)

        Returns
        -------
        ndarray of float64
            The squared distance of each new row to those before it.
        """
        gains = []
        rest = (row for row in shuffled.tolist() if row not in picked)
        while len(picked) < n_instances:
            if picked and nearest.any():
                np.minimum(nearest, self.squared_to(picked[-1]), out=nearest)
                nearest[picked[-1]] = 0.0  # also where products underflow
            row = choose(nearest) if nearest.any() else next(rest)
            gains.append(nearest[row])
            picked.append(row)
        return np.array(gains)
