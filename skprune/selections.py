"""What a method decides about the rows of a pool, and the arithmetic of positions behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

# Number of values in the sample that guesses a threshold.
_SIEVE = 10_000


@dataclass
class Selection:
    """What a method decided about the eligible rows of one pool.

    Attributes
    ----------
    order : ndarray of int, shape (n_kept,)
        Positions among the eligible rows, unique, best first.
    explain : callable
        Returns a dict of columns with one value per eligible row: the scores, ``stage``, ``threshold`` and
        ``reason``. Only :meth:`BaseFilter.explain` calls it.
    """

    order: np.ndarray
    explain: Callable[[], dict[str, Any]]


def size_of(share_or_count: float | int, n_rows: int) -> int:
    """Return how many of ``n_rows`` rows a share (float) or a count (int) stands for; at least one.

    Examples
    --------
    >>> size_of(0.25, 10), size_of(3, 10), size_of(20, 10), size_of(0.01, 10)
    (3, 3, 10, 1)
    """
    if isinstance(share_or_count, Integral):
        return min(int(share_or_count), n_rows)
    return min(max(1, int(np.floor(share_or_count * n_rows + 0.5))), n_rows)


def lowest(values: np.ndarray, k: int, ties: np.ndarray) -> np.ndarray:
    """Return the positions of the ``k`` lowest values, ascending; ``ties`` orders equal values.

    Examples
    --------
    >>> lowest(np.array([2.0, 1.0, 1.0]), 2, ties=np.array([0.1, 0.9, 0.2]))
    array([2, 1])
    """
    if k >= len(values):
        candidates = np.arange(len(values))
    elif k == 0:
        candidates = np.empty(0, dtype=np.intp)
    else:
        candidates = _sieved(values, k)
        threshold = np.partition(values[candidates], k - 1)[k - 1]
        candidates = candidates[values[candidates] <= threshold]
    return candidates[np.lexsort((ties[candidates], values[candidates]))[:k]]


def _sieved(values: np.ndarray, k: int) -> np.ndarray:
    """Return positions that include those of the ``k`` lowest values, and mostly few others.

    Partitioning a million values takes ten times as long as comparing them with a number, which is guessed
    from a sample.
    """
    sample = values[:: max(1, len(values) // _SIEVE)]
    rank = 2 * k * len(sample) // len(values) + 50
    if rank < len(sample):
        guess = np.partition(sample, rank)[rank]
        candidates = np.flatnonzero(values <= guess)
        if len(candidates) >= k:
            return candidates
    return np.arange(len(values))


def mask_of(rows: np.ndarray, n_rows: int) -> np.ndarray:
    """Return the mask of ``n_rows`` rows that is true at ``rows``.

    Examples
    --------
    >>> mask_of(np.array([2, 0]), 4)
    array([ True, False,  True, False])
    """
    mask = np.zeros(n_rows, dtype=bool)
    mask[rows] = True
    return mask


def with_copies(order: np.ndarray, copy_of: np.ndarray) -> np.ndarray:
    """Return the positions of all copies of some different rows, each right after its first.

    Parameters
    ----------
    order : ndarray of int, shape (n_kept,)
        Different rows, best first.
    copy_of : ndarray of int, shape (n_rows,)
        Which of the different rows each row is.

    Examples
    --------
    >>> with_copies(np.array([1, 0]), np.array([0, 1, 2, 1]))
    array([1, 3, 0])
    """
    rank = np.full(copy_of.max(initial=-1) + 1, -1)
    rank[order] = np.arange(len(order))
    rows = np.flatnonzero(rank[copy_of] >= 0)
    return rows[np.argsort(rank[copy_of[rows]], kind="stable")]


def one_of(numbers: np.ndarray, words: list[str]) -> Any:
    """Return the word that each number stands for, a byte per row: ten million objects would take 80 MB.

    Examples
    --------
    >>> list(one_of(np.array([1, 0, 1]), ["dropped", "kept"]))
    ['kept', 'dropped', 'kept']
    """
    import pandas as pd

    return pd.Categorical.from_codes(numbers.astype(np.int8), words)


def either(mask: np.ndarray, if_true: str, if_false: str) -> np.ndarray:
    """Return one of two strings per row, as objects that rows share: an array of strings would copy them.

    Examples
    --------
    >>> either(np.array([True, False]), "kept", "dropped")
    array(['kept', 'dropped'], dtype=object)
    """
    return np.array([if_false, if_true], dtype=object)[mask.astype(np.int8)]
