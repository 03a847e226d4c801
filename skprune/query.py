"""Query strategies that see only the part of the pool that a filter keeps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import _num_samples

from skprune.base import BaseFilter
from skprune.containers import take_rows
from skprune.exceptions import PoolExhaustedError
from skprune.pools import Pool
from skprune.training_set import FILTER_CONSTRAINT
from skprune.transaction import unchanged_on_error


class PrunedQuery(BaseEstimator):
    """A query strategy that sees only the rows a filter keeps.

    It is called as ``(learner, X_pool, n_instances) -> (indices, metrics)``, which is modAL's signature, so
    an ``ActiveLearner`` takes it as its ``query_strategy``. The first query fits the filter on the pool. Each
    query tells the filter which rows the learner was taught since the last one.

    Parameters
    ----------
    filter : BaseFilter
        Cloned, never changed.
    strategy : callable
        ``(learner, X, n_instances=..., **kwargs) -> (indices, metrics)``: one of :mod:`skprune.strategies`,
        one of modAL's, or your own.

    Attributes
    ----------
    filter_ : BaseFilter
        The fitted filter.
    n_told_ : list of int
        How many different labeled rows the filter knew after ``fit``, and after each round since.
    subpool_ : ndarray of intp
        The rows of the last pool that the strategy saw, best first.
    picked_ : ndarray of intp
        The rows of the last pool that the strategy picked, best first.
    metrics_ : ndarray
        The strategy's metric of each of them.

    Notes
    -----
    :class:`PrunedClassifier` and :class:`PrunedEstimator` take the estimator that they wrap first, as
    scikit-learn's meta-estimators do. PrunedQuery does not wrap an estimator; its two parts stand in the
    order in which they act on the pool.

    If a query raises or is interrupted, this object is what it was before the call: a filter that the query
    had fitted is gone, and one that it had told about labels has forgotten them. The next query gives what an
    undisturbed one would have given. To keep the fit of an expensive filter, call :meth:`fit` first.

    Rows whose label is −1 have no label, unless −1 and 1 are the only labels.

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

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "filter": FILTER_CONSTRAINT,
        "strategy": [callable],
    }

    def __init__(self, filter: BaseFilter, strategy: Callable[..., Any]) -> None:
        self.filter = filter
        self.strategy = strategy

    def fit(self, X_pool: Any, y: Any = None) -> PrunedQuery:
        """Fit the filter on the pool. The first query does this if you have not.

        Parameters
        ----------
        X_pool : container of n_rows rows, or Pool
        y : array-like of shape (n_rows,), default=None
            Labels that are known already, as in :meth:`BaseFilter.fit`.

        Raises
        ------
        TypeError
            If ``filter`` is not a filter, ``strategy`` is not callable, or one of them is a class.
        """
        self._validate_params()
        for name, part in (("filter", self.filter), ("strategy", self.strategy)):
            if isinstance(part, type):
                raise TypeError(f"{name} must be an instance, got the class {part.__name__}")
        self.filter_ = clone(self.filter).fit(X_pool, y)
        self.n_told_ = [len(self.filter_.labeled_)]
        return self

    def tell(self, X: Any, y: Any, *, learner: Any = None) -> PrunedQuery:
        """Tell the filter about the newly labeled rows of one round.

        Every query does this itself. After an interruption, call it once per round, in order, to bring a new
        query to the state of the old one.

        Parameters
        ----------
        X : container of n_new rows
        y : array-like of shape (n_new,)
        learner : object with ``predict_proba``, default=None
            The model trained on everything labeled so far, for filters that use it.
        """
        self.filter_.partial_fit(X, y, learner=learner)
        self.n_told_ = [*self.n_told_, len(self.filter_.labeled_)]
        return self

    def catch_up(self, learner: Any) -> PrunedQuery:
        """Tell the filter about the rows that the learner was taught since the last query.

        Every query begins with this. The rows are found by their content in the learner's ``X_training``; a
        learner without that attribute is ignored.
        """
        X = getattr(learner, "X_training", None)
        if X is None or not len(taught := Pool(X, name="X_training", text=self.filter_.text)):
            return self
        new = np.flatnonzero(~taught.isin(self.filter_.labeled_))
        if len(new):
            self.tell(take_rows(X, new), take_rows(learner.y_training, new), learner=learner)
        return self

    def __call__(
        self, learner: Any, X_pool: Any, n_instances: int = 1, **kwargs: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(indices, metrics)``: the rows of ``X_pool`` to label, and the strategy's metrics of them.

        Parameters
        ----------
        learner : object with the methods that the strategy needs
            modAL's ``ActiveLearner``, or a classifier.
        X_pool : container of n_rows rows
        n_instances : int, default=1
        **kwargs
            Passed on to the strategy.

        Raises
        ------
        ValueError
            If ``n_instances`` is less than 1.
        PoolExhaustedError
            If ``n_instances`` exceeds the number of different rows without a label.
        """
        if n_instances < 1:
            raise ValueError(f"n_instances must be at least 1, got {n_instances}")
        with unchanged_on_error(self):
            if not hasattr(self, "filter_"):
                self.fit(X_pool)
            with unchanged_on_error(self.filter_):
                self.catch_up(learner)
                self.subpool_ = self.filter_.select(X_pool, min_rows=n_instances, copies=False)
                if len(self.subpool_) < n_instances:
                    raise PoolExhaustedError(
                        f"n_instances={n_instances} exceeds the {len(self.subpool_)} different rows without "
                        "a label (blank texts count only if nothing else is left)"
                    )
                rows = take_rows(X_pool, self.subpool_)
                result = self.strategy(learner, rows, n_instances=n_instances, **kwargs)
                picked, self.metrics_ = as_pair(result)
                self.picked_ = self.subpool_[picked]
                self._last = _Last(X_pool, _num_samples(X_pool), n_instances, self.filter_.round_)
                return self.picked_, self.metrics_

    def explain(self) -> Any:
        """Say what happened to each row of the pool in the last query: the filter, then the strategy.

        Returns
        -------
        DataFrame of one row per row of the pool
            The columns of :meth:`BaseFilter.explain`; ``picked`` (bool); ``pick`` (0 is the strategy's first
            pick, −1 for other rows); ``strategy_score``, the strategy's metric of the picked rows, else NaN;
            and ``reason``, which also says whether the strategy picked a kept row.

        Raises
        ------
        NotFittedError
            If the query has not run since it was made or loaded from a file.
        ValueError
            If the pool or the filter has changed since the query.

        Notes
        -----
        Of a row with copies, the strategy sees the first only. Its copies count as kept.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skprune import PrunedQuery, RandomFilter
        >>> from skprune.strategies import Margin
        >>> X = np.random.default_rng(0).normal(size=(100, 2))
        >>> query = PrunedQuery(RandomFilter(keep=20, random_state=0), Margin(random_state=0))
        >>> picked, _ = query(LogisticRegression().fit(X, X[:, 0] > 0), X, n_instances=5)
        >>> query.explain()["reason"].value_counts().tolist()
        [80, 15, 5]
        """
        import pandas as pd

        last = getattr(self, "_last", None)
        if last is None:
            raise NotFittedError("there is no query to explain in this process; call the query first")
        if self.filter_.round_ != last.round:
            raise ValueError(
                "the filter was told about labels since the last query; call explain before tell"
            )
        explained = None
        if _num_samples(last.pool) == last.n_rows:
            pool = self.filter_._current_pool(last.pool)
            explained = pool.indexed_lines(self.filter_._explained(pool, min_rows=last.n_instances))
        if explained is None or not explained["kept"].to_numpy()[self.subpool_].all():
            raise ValueError("the pool has changed since the last query; call explain before you change it")
        pick = np.full(len(explained), -1)
        pick[self.picked_] = np.arange(len(self.picked_))
        score = np.full(len(explained), np.nan)
        if np.shape(self.metrics_) == np.shape(self.picked_):
            score[self.picked_] = self.metrics_
        kept, reason = explained["kept"].to_numpy(), explained["reason"].astype(object)
        reason = reason.where(~kept | (pick < 0), reason + "; picked by the strategy")
        reason = reason.where(~kept | (pick >= 0), reason + "; not picked by the strategy")
        explained["reason"] = pd.Categorical(reason)
        return explained.assign(picked=pick >= 0, pick=pick, strategy_score=score)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in super().__getstate__().items() if name != "_last"}


class _Last(NamedTuple):
    """The last query: its pool, which pickles leave out, and when it was."""

    pool: Any
    n_rows: int
    n_instances: int
    round: int


def as_pair(result: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return a strategy's result as ``(indices, metrics)``; the metrics are NaN if it returns none.

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
