"""Query strategies that look at the surviving part of the pool only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, clone

from skprune.base import BaseFilter
from skprune.containers import take_rows
from skprune.exceptions import PoolExhaustedError
from skprune.pools import Pool


class PrunedQuery(BaseEstimator):
    """A query strategy that sees only the rows a filter keeps.

    It is called as ``(learner, X_pool, n_instances) -> (indices, metrics)``, which is modAL's signature: give
    it to an ``ActiveLearner`` as its ``query_strategy``. On the first query the filter is fitted on the pool;
    on each one it is told which rows the learner was taught since.

    Parameters
    ----------
    filter : BaseFilter
        Cloned, never changed.
    strategy : callable
        ``(learner, X, n_instances=..., **kwargs) -> (indices, metrics)``; one of
        :mod:`skprune.strategies`, of modAL, or your own.

    Attributes
    ----------
    filter_ : BaseFilter
        The fitted filter.
    subpool_ : ndarray of intp
        Rows of the last pool that the strategy looked at, best first.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skprune import PrunedQuery, RandomFilter
    >>> from skprune.strategies import Margin
    >>> X = np.random.default_rng(0).normal(size=(100, 2))
    >>> y = (X[:, 0] > 0).astype(int)
    >>> query = PrunedQuery(RandomFilter(keep=20, random_state=0), Margin(random_state=0))
    >>> indices, margins = query(LogisticRegression().fit(X, y), X, n_instances=5)
    >>> len(indices), len(query.subpool_)
    (5, 20)
    """

    def __init__(self, filter: BaseFilter, strategy: Callable[..., Any]) -> None:
        self.filter = filter
        self.strategy = strategy

    def fit(self, X_pool: Any, y: Any = None) -> PrunedQuery:
        """Fit the filter on the pool. The first query does it where you have not.

        Raises
        ------
        TypeError
            If ``filter`` is no filter, or ``strategy`` no strategy.
        """
        if isinstance(self.filter, type) or not hasattr(self.filter, "select"):
            raise TypeError(f"filter must be a filter of skprune, an instance, got {self.filter!r}")
        if isinstance(self.strategy, type) or not callable(self.strategy):
            raise TypeError(f"strategy must be callable, and no class, got {self.strategy!r}")
        self.filter_ = clone(self.filter).fit(X_pool, y)
        return self

    def tell(self, X: Any, y: Any, *, learner: Any = None) -> PrunedQuery:
        """Tell the filter about one round's newly labeled rows.

        A query does so by itself. Calling it a round at a time, in order, brings a fresh query to the state
        of one that was interrupted.

        Parameters
        ----------
        X : container of n_new rows
        y : array-like of shape (n_new,)
        learner : object with ``predict_proba``, default=None
        """
        self.filter_.partial_fit(X, y, learner=learner)
        return self

    def __call__(
        self, learner: Any, X_pool: Any, n_instances: int = 1, **kwargs: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(indices, metrics)``: rows of ``X_pool`` to label, and what the strategy says of them.

        Raises
        ------
        ValueError
            If ``n_instances`` exceeds the rows without a label.
        """
        if n_instances < 1:
            raise ValueError(f"n_instances must be at least 1, got {n_instances}")
        if not hasattr(self, "filter_"):
            self.fit(X_pool)
        self._tell_news(learner)
        self.subpool_ = self.filter_.select(X_pool, min_rows=n_instances)
        if len(self.subpool_) < n_instances:
            raise PoolExhaustedError(
                f"n_instances={n_instances} exceeds the {len(self.subpool_)} rows without a label"
            )
        rows = take_rows(X_pool, self.subpool_)
        picked, metrics = as_pair(self.strategy(learner, rows, n_instances=n_instances, **kwargs))
        return self.subpool_[picked], metrics

    def _tell_news(self, learner: Any) -> None:
        """Find by content what the learner was taught since the last query."""
        X = getattr(learner, "X_training", None)
        if X is None or not len(taught := Pool(X, name="X_training")):
            return
        news = np.flatnonzero(~taught.isin(self.filter_.labeled_))
        if len(news):
            self.tell(take_rows(X, news), take_rows(learner.y_training, news), learner=learner)


def as_pair(result: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return a strategy's answer as ``(indices, metrics)``; metrics are NaN where it gives none.

    Examples
    --------
    >>> as_pair(np.array([4, 2]))
    (array([4, 2]), array([nan, nan]))
    """
    indices, metrics = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
    indices = np.atleast_1d(np.asarray(indices))
    if metrics is None:
        metrics = np.full(len(indices), np.nan)
    return indices, np.asarray(metrics)
