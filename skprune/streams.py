"""Random numbers that depend only on the seed, the round and the content of a row.

One stream per (``random_state``, round) makes a loop repeatable after a crash. A number per row that depends
on the row's content also makes it independent of the pool's order and of the number of threads: within a
round a row has the same number wherever it stands.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.utils import check_random_state

from skprune.hashing import mix


def draw_seed(random_state: Any) -> int:
    """Return the seed that ``random_state`` stands for: itself if it is an int, else a draw from it."""
    if isinstance(random_state, (int, np.integer)):
        return int(random_state)
    return int(check_random_state(random_state).randint(2**31 - 1))


def generator(seed: int, *stream: int) -> np.random.Generator:
    """Return the generator of one stream of ``seed``, for instance of a round."""
    return np.random.default_rng([seed, *stream])


def seed_open_states(estimator: Any, draw: Callable[[], int]) -> None:
    """Set every ``random_state`` that is None, nested ones included, to ``draw()``.

    The parameters are set in place, in the order of their names.

    Parameters
    ----------
    estimator : object with ``get_params`` and ``set_params``
    draw : callable
        Returns a seed. Called once per parameter that is set.

    Examples
    --------
    >>> from sklearn.ensemble import BaggingClassifier
    >>> from sklearn.linear_model import LogisticRegression
    >>> bagging = BaggingClassifier(LogisticRegression())
    >>> seed_open_states(bagging, iter([5, 9]).__next__)
    >>> bagging.estimator.random_state, bagging.random_state
    (5, 9)
    """
    for name, value in sorted(estimator.get_params().items()):
        if value is None and name.rpartition("__")[2] == "random_state":
            estimator.set_params(**{name: draw()})


def row_uniforms(digests: np.ndarray, rows: np.ndarray, seed: int, *stream: int) -> np.ndarray:
    """Return uniform numbers in (0, 1), one for each entry of ``rows``.

    Parameters
    ----------
    digests : ndarray of uint64, shape (n_distinct, 2)
        Content hashes of the distinct rows.
    rows : ndarray of int, shape (n,)
        The distinct row of each entry.
    seed, *stream : int
        As in :func:`generator`.

    Returns
    -------
    ndarray of float64, shape (n,)

    Examples
    --------
    >>> hashes = np.array([[1, 2], [3, 4]], dtype=np.uint64)
    >>> u = row_uniforms(hashes, np.array([0, 1, 0]), 0, 0)
    >>> bool(u[0] == u[2]), len(set(u)), bool((u > 0).all() and (u < 1).all())
    (True, 2, True)
    """
    high, low = generator(seed, *stream).integers(2**64, size=2, dtype=np.uint64)
    state = mix(digests[rows, 0] ^ high)
    state = mix(state ^ digests[rows, 1] ^ low)
    state = mix(state)
    return ((state >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def count_occurrences(rows: np.ndarray, n_distinct: int) -> np.ndarray:
    """Return how often each entry has occurred earlier in ``rows``.

    Examples
    --------
    >>> count_occurrences(np.array([3, 1, 3, 3]), 4)
    array([0, 0, 1, 2])
    """
    counts = np.bincount(rows, minlength=n_distinct)
    if counts.max(initial=0) <= 1:
        return np.zeros(len(rows), dtype=np.int64)
    order = np.argsort(rows, kind="stable")
    first = np.concatenate([[0], np.cumsum(counts)[:-1]])
    occurrence = np.empty(len(rows), dtype=np.int64)
    occurrence[order] = np.arange(len(rows)) - first[rows[order]]
    return occurrence
