"""A score for a filter alone, to tune it before a classifier is trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from skprune.base import BaseFilter
from skprune.labels import check_labels
from skprune.metrics import rarest_class


def pool_recall(
    filter: BaseFilter,
    X: Any,
    y: Any,
    *,
    n_rows: int | None = None,
    minority: Any = None,
    adjusted: bool = True,
) -> float:
    """Return the share of a rare class that a filter keeps, compared with as many random rows.

    Use it as a scorer for ``GridSearchCV`` or a similar search over a filter alone; no classifier is trained.
    The training fold provides the labels known at the start, and the test fold is the pool.

    Parameters
    ----------
    filter : BaseFilter
        Fitted on the training fold with every label known, as in a search. It is not changed: a clone is
        fitted on the pool and told about the training fold's rows and labels, as
        :class:`~skprune.PrunedQuery` does in the first round.
    X : container of n_pool rows
        The pool: the test fold.
    y : array-like of shape (n_pool,)
        The labels of the pool. The filter does not see them.
    n_rows : int or None, default=None
        Number of rows to count (M): the best ones, and at least as many. None counts all the rows that the
        filter keeps. Copies count as rows, and survive with their first.
    minority : label, default=None
        The class to count. None is the rarest class of the pool.
    adjusted : bool, default=True
        Correct for chance: 0 is what as many random rows find, and 1 is every row of the class. So a filter
        does not score better just by keeping more rows. False returns the share itself.

    Returns
    -------
    float
        (recall − M/N) / (1 − M/N) with N rows in the pool. At most 1; negative if the filter is worse than
        random; 0 if all rows of the pool are kept.

    Raises
    ------
    ValueError
        If the pool has no row of ``minority``.

    See Also
    --------
    PrunedClassifier : Tunes a filter by the score of a classifier trained on the rows that it keeps.

    Notes
    -----
    This measure is our own. The pool is the test fold, so a small training fold resembles the start of a
    loop: ``StratifiedShuffleSplit(5, train_size=50)``. A copy of a training row counts as labeled, and no
    filter can find it. If there are many copies, split by group.

    Examples
    --------
    >>> import numpy as np
    >>> from functools import partial
    >>> from sklearn.model_selection import GridSearchCV, StratifiedShuffleSplit
    >>> from skprune import AnchorFilter, pool_recall
    >>> rng = np.random.default_rng(0)
    >>> y = (np.arange(400) % 20 == 0).astype(int)
    >>> X = rng.normal(size=(400, 4)) + 2 * y[:, None]
    >>> search = GridSearchCV(
    ...     AnchorFilter(n_neighbors=20, random_state=0),
    ...     {"n_anchors": [1, 5]},
    ...     scoring=partial(pool_recall, n_rows=40),
    ...     cv=StratifiedShuffleSplit(3, train_size=60, random_state=0),
    ...     refit=False,
    ... )
    >>> bool(search.fit(X, y).best_score_ > 0.5)
    True
    """
    labels, _ = check_labels(y, len(y))
    if minority is None:
        minority = rarest_class(labels)
    rare = labels == minority
    if not rare.any():
        raise ValueError(f"y has no row of the class minority={minority!r}")
    training, known = filter.pool_, filter.labeled_
    rows = np.flatnonzero(training.isin(known))
    on_pool = clone(filter).fit(X)
    if len(rows):
        positions = [known.positions[key] for key in training.keys_at(rows)]
        on_pool.partial_fit(training.take(rows), known.y[positions])
    kept = on_pool.select(X, min_rows=n_rows or 0)[:n_rows]
    recall = float(rare[kept].sum() / rare.sum())
    share = len(kept) / len(rare)
    if not adjusted:
        return recall
    return (recall - share) / (1 - share) if share < 1 else 0.0
