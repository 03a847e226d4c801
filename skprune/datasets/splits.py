"""Subsamples and splits: long-tailed class sizes, and splits that keep groups together."""

from __future__ import annotations

from numbers import Real

import numpy as np
from sklearn.utils import Bunch, check_consistent_length, check_random_state
from sklearn.utils._param_validation import Interval, validate_params

from skprune.datasets._bunch import take


@validate_params(
    {
        "y": ["array-like"],
        "imbalance": [Interval(Real, 0, 1, closed="right")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def long_tail(
    y: np.ndarray,
    imbalance: float = 0.01,
    random_state: int | np.random.RandomState | None = None,
) -> np.ndarray:
    """Return the rows of a long-tailed subsample, whose class sizes decrease exponentially.

    Parameters
    ----------
    y : array-like of shape (n,)
        The labels.
    imbalance : float, default=0.01
        The imbalance factor IF: the size of the last class divided by that of the first. Class
        c = 0, …, C − 1 keeps n_max · IF^(c / (C − 1)) rows, but at least one and at most all of its rows;
        n_max is the size of the largest class.
    random_state : int, RandomState or None, default=None
        Seeds the draw of rows from each class.

    Returns
    -------
    ndarray of intp
        Indices of the rows, ascending.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.repeat([0, 1, 2], 100)
    >>> np.bincount(y[long_tail(y, 0.01, random_state=0)])
    array([100,  10,   1])
    """
    rng = check_random_state(random_state)
    _, codes, sizes = np.unique(y, return_inverse=True, return_counts=True)
    shares = imbalance ** (np.arange(len(sizes)) / max(1, len(sizes) - 1))
    kept = np.minimum(sizes, np.maximum(1, np.round(sizes.max() * shares).astype(np.intp)))
    parts = [rng.choice(np.flatnonzero(codes == c), k, replace=False) for c, k in enumerate(kept)]
    return np.sort(np.concatenate(parts))


@validate_params(
    {
        "bunch": [Bunch],
        "test_size": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def split_by_group(
    bunch: Bunch,
    test_size: float = 0.2,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[Bunch, Bunch]:
    """Split into training and test rows: each group stays on one side, and both sides have similar classes.

    Parameters
    ----------
    bunch : sklearn.utils.Bunch
        A Bunch with ``data``, ``target`` and ``groups``, as from `load_debian`.
    test_size : float, default=0.2
        Share of the groups that go to the test set, between 0 and 1. The share of rows comes close to it.
    random_state : int, RandomState or None, default=None
        Seeds the split.

    Returns
    -------
    train, test : sklearn.utils.Bunch
        Bunches with all fields of ``bunch``, restricted to their rows; ``digest`` is computed anew.

    Raises
    ------
    ValueError
        If ``bunch`` has no groups, or its fields differ in length.

    Notes
    -----
    This is systematic sampling. Groups are sorted by their rarest class, then by size; ties are shuffled.
    From a random start on, every ``1 / test_size``-th group goes to the test set. So a class with a single
    group needs no special treatment, and 20,000 groups take half a second (``StratifiedGroupKFold``: 13 to 17
    seconds).

    Examples
    --------
    >>> from sklearn.utils import Bunch
    >>> from skprune.datasets import split_by_group
    >>> bunch = Bunch(data=list("abcdef"), target=[0, 1, 0, 1, 0, 1], groups=[1, 1, 2, 2, 3, 3])
    >>> train, test = split_by_group(bunch, test_size=1 / 3, random_state=0)
    >>> len(train.data), len(test.data), set(train.groups) & set(test.groups)
    (4, 2, set())
    """
    if "groups" not in bunch:
        raise ValueError("bunch has no groups to split by; add an array bunch.groups with one entry per row")
    check_consistent_length(bunch.data, bunch.target, bunch.groups)
    rng = check_random_state(random_state)
    _, classes, sizes = np.unique(bunch.target, return_inverse=True, return_counts=True)
    rarity = np.argsort(np.argsort(-sizes, kind="stable"))
    names, groups, rows = np.unique(bunch.groups, return_inverse=True, return_counts=True)
    rarest = np.zeros(len(names), dtype=np.intp)
    np.maximum.at(rarest, groups, rarity[classes])
    order = np.lexsort((rng.permutation(len(names)), rows, rarest))
    ticks = np.floor(rng.uniform() + test_size * np.arange(len(names) + 1))
    tested = np.empty(len(names), dtype=bool)
    tested[order] = np.diff(ticks) > 0
    return take(bunch, ~tested[groups]), take(bunch, tested[groups])
