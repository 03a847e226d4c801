"""Which rows are labeled before the first round, and which are held out of the pool."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from skprune.pools import Pool
from skprune.strategies.typiclust import TypiClust
from skprune.streams import count_occurrences


def initial_rows(
    pool: Pool,
    y: np.ndarray,
    rows: np.ndarray,
    initial: Any,
    *,
    n_initial: int | None,
    n_instances: int,
    are_classes: bool,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return which of the pool's rows are labeled before the first round.

    They are drawn among the different rows: one label is enough for all copies of a row. Blank texts are
    drawn only if nothing else is in the pool.

    Parameters
    ----------
    pool : Pool of n_pool rows
    y : ndarray of shape (n_pool,)
        The labels of the pool.
    rows : ndarray of int, shape (n_pool,), ascending
        The rows of ``X`` that are in the pool.
    initial, n_initial, n_instances
        See :class:`~skprune.ActiveLearningSimulator`.
    are_classes : bool
        Whether ``y`` holds classes.
    rng : Generator

    Returns
    -------
    ndarray of intp
        Positions in ``rows``.
    """
    if not isinstance(initial, str):
        return named_initial(initial, rows)
    written = pool.table.first[pool.table.written]
    candidates = written if len(written) else pool.table.first
    y = y[candidates]
    how = initial
    if how == "auto":
        how = "per_class" if are_classes else "random"
    if n_initial is None:
        n_classes = len(np.unique(y)) if how == "per_class" else 1
        n_initial = min(max(n_instances, n_classes), len(y))
    if how == "typiclust" and n_initial <= len(y):
        strategy = TypiClust(random_state=int(rng.integers(2**31)))
        picked, _ = strategy(None, pool.take(candidates), n_instances=n_initial)
        return np.sort(candidates[picked])
    return candidates[draw_initial(y, how, n_initial, rng)]


def draw_initial(y: np.ndarray, how: str, n_rows: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the rows that are labeled before the first round.

    Parameters
    ----------
    y : ndarray of shape (n,)
    how : {"per_class", "stratified", "random"}
        See ``ActiveLearningSimulator(initial=)``.
    n_rows : int
    rng : Generator

    Returns
    -------
    ndarray of intp, shape (n_rows,)
        Unique, ascending.

    Raises
    ------
    ValueError
        If ``n_rows`` exceeds the rows of the pool, or is less than the number of classes with
        ``"per_class"``.

    Examples
    --------
    >>> y = np.repeat(["a", "b"], [9, 3])
    >>> rng = np.random.default_rng(0)
    >>> y[draw_initial(y, "per_class", 2, rng)], y[draw_initial(y, "stratified", 4, rng)]
    (array(['a', 'b'], dtype='<U1'), array(['a', 'a', 'a', 'b'], dtype='<U1'))
    """
    if n_rows > len(y):
        raise ValueError(f"n_initial={n_rows} exceeds the {len(y)} different rows of the pool")
    shuffled = rng.permutation(len(y))
    if how == "random":
        return np.sort(shuffled[:n_rows])
    classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    if how == "per_class":
        if n_rows < len(classes):
            raise ValueError(f"n_initial={n_rows} is less than the {len(classes)} classes of y")
        first = np.unique(codes[shuffled], return_index=True)[1]
        others = np.delete(np.arange(len(y)), first)
        return np.sort(shuffled[np.concatenate([first, others[: n_rows - len(first)]])])
    # Each class gets its share rounded down. The rows left over go to the classes with the largest
    # remainders, in random order where these are equal.
    shares = n_rows * counts / len(y)
    quota = np.floor(shares).astype(int)
    order = rng.permutation(len(classes))
    quota[order[np.argsort((quota - shares)[order], kind="stable")[: n_rows - quota.sum()]]] += 1
    within = count_occurrences(codes[shuffled], len(classes))
    return np.sort(shuffled[within < quota[codes[shuffled]]])


def named_initial(initial: Any, rows: np.ndarray) -> np.ndarray:
    """Return the positions in ``rows`` of the initial rows that the user named.

    Parameters
    ----------
    initial : array-like of int
        Rows of ``X``.
    rows : ndarray of int, ascending
        The rows of ``X`` that are in the pool.

    Raises
    ------
    ValueError
        If ``initial`` is not a one-dimensional array of distinct rows of the pool.

    Examples
    --------
    >>> named_initial([7, 2], np.array([0, 2, 5, 7]))
    array([3, 1])
    """
    named = np.asarray(initial)
    if named.ndim != 1 or named.dtype.kind not in "iu" or not len(named):
        raise ValueError(
            "initial must be 'auto', 'per_class', 'stratified', 'random', 'typiclust', or the positions of "
            "some rows"
        )
    if not np.isin(named, rows).all() or len(np.unique(named)) < len(named):
        raise ValueError("initial must name rows of X, each of them once")
    return np.searchsorted(rows, named)


def draw_held_out(
    y: np.ndarray, fraction: float, initial: Any, by_class: bool, rng: np.random.Generator
) -> np.ndarray:
    """Draw the rows that are held out of the pool for validation.

    Parameters
    ----------
    y : ndarray of shape (n_rows,)
    fraction : float
        Share of the rows to hold out.
    initial : str or array-like of int
        If it names rows, none of these is held out.
    by_class : bool
        Draw the same share of each class. A stratified split needs two rows of each class, so the split is
        random if a class has only one.
    rng : Generator

    Returns
    -------
    ndarray of int
        Ascending.
    """
    rows = np.arange(len(y))
    candidates = rows if isinstance(initial, str) else np.setdiff1d(rows, initial)
    stratify = y[candidates] if by_class else None
    if stratify is not None and np.unique(stratify, return_counts=True)[1].min() < 2:
        stratify = None
    seed = int(rng.integers(2**31))
    _, held_out = train_test_split(candidates, test_size=fraction, stratify=stratify, random_state=seed)
    return np.sort(held_out)
