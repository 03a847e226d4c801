"""How good a filter is by itself: a score to tune it with, before anybody labels anything."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from skprune.base import BaseFilter
from skprune.pools import check_labels


def pool_recall(
    filter: BaseFilter,
    X: Any,
    y: Any,
    *,
    n_rows: int | None = None,
    minority: Any = None,
    adjusted: bool = True,
) -> float:
    """Share of a rare class that is among the rows a filter keeps, against as many random rows.

    A scorer for ``GridSearchCV`` and the like over a filter by itself: no classifier is trained. The rows of
    the training fold are the labels known at the start, those of the test fold are the pool.

    Parameters
    ----------
    filter : BaseFilter
        Fitted on the training fold, every label known, as a search does it. Not changed: a clone is fitted
        on the pool, and told of these rows and labels, as :class:`~skprune.PrunedQuery` does it in the first
        round.
    X : container of n_pool rows
        The pool: the test fold.
    y : array-like of shape (n_pool,)
        Its labels. The filter does not see them.
    n_rows : int or None, default=None
        Count only the best so many of the rows kept, and at least so many (M). None: what the filter
        keeps, as many as it may be.
    minority : label, default=None
        The class that counts. None is the rarest of the pool.
    adjusted : bool, default=True
        Correct for chance: 0 is what as many random rows find, 1 is all there is. So a filter is not the
        better for keeping more. False returns the share itself.

    Returns
    -------
    float
        (recall − M/N) / (1 − M/N) with N rows in the pool; at most 1, negative below random. 0 where all rows
        of the pool are kept.

    Raises
    ------
    ValueError
        If the pool has no row of ``minority``.

    See Also
    --------
    PrunedClassifier : To tune a filter by what a classifier learns from the rows kept.

    Notes
    -----
    Ours. The pool is the test fold, so a small training fold makes it like the start of a loop:
    ``StratifiedShuffleSplit(5, train_size=50)``. A copy of a training row is known already, and found by
    no filter: split by group where there are many.

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
        classes, counts = np.unique(labels, return_counts=True)
        minority = classes[counts.argmin()]
    rare = labels == minority
    if not rare.any():
        raise ValueError(f"y has no row of the class minority={minority!r}")
    seeds, known = filter.pool_, filter.labeled_
    rows = np.flatnonzero(seeds.isin(known))
    at_start = clone(filter).fit(X)
    if len(rows):
        at_start.partial_fit(seeds.take(rows), known.y[[known.positions[key] for key in seeds.keys_at(rows)]])
    kept = at_start.select(X, min_rows=n_rows or 0)[:n_rows]
    recall = float(rare[kept].sum() / rare.sum())
    share = len(kept) / len(rare)
    if not adjusted:
        return recall
    return (recall - share) / (1 - share) if share < 1 else 0.0
