"""modAL's ``ActiveLearner``, made to work with current scikit-learn and with pools of texts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length

from skprune._optional import require
from skprune.pools import Pool, take_rows
from skprune.query import PrunedQuery, as_pair

__all__ = ["ActiveLearner", "PrunedQuery"]

_modal = require("modAL.models", extra="modal", purpose="skprune.modal")
_uncertainty = require("modAL.uncertainty", extra="modal", purpose="skprune.modal")


class ActiveLearner(_modal.ActiveLearner):  # type: ignore[name-defined]
    """The estimator, the rows it was taught, and the strategy that asks for more.

    As ``modAL.models.ActiveLearner``, of which it is a subclass, with these faults of modAL 0.4.2 mended:
    ``teach`` and ``fit`` work on scikit-learn 1.8 and later, and with Series, DataFrames, lists and ragged
    object arrays; rows are taken by position whatever the pool's index; a strategy is called once, outside
    any bare ``except``, and a bare array of two indices is not taken for a pair; ``clone`` and ``repr`` work;
    bootstrapping takes a seed.

    Parameters
    ----------
    estimator : estimator
    query_strategy : callable, default=modAL.uncertainty.uncertainty_sampling
        ``(learner, X_pool, n_instances=..., **kwargs) -> (indices, metrics)``.
    X_training, y_training : default=None
        Rows labelled so far; the estimator is fitted on them.
    bootstrap_init : bool, default=False
        Fit on a bootstrap sample of them.
    on_transformed : bool, default=False
        See modAL.
    random_state : int, RandomState or None, default=None
        Seed of bootstrap samples.
    **fit_kwargs
        Passed on to the first ``fit`` of the estimator.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skprune import PrunedQuery, RandomFilter
    >>> from skprune.modal import ActiveLearner
    >>> from skprune.strategies import LeastConfidence
    >>> learner = ActiveLearner(
    ...     make_pipeline(TfidfVectorizer(), LogisticRegression()),
    ...     PrunedQuery(RandomFilter(keep=3, random_state=0), LeastConfidence(random_state=0)),
    ...     X_training=["good film", "bad film"],
    ...     y_training=[1, 0],
    ... )
    >>> pool = ["a good one", "a bad one", "bad", "good", "no idea"]
    >>> indices, rows = learner.query(pool, n_instances=2)
    >>> learner.teach(rows, [1, 0])
    >>> len(learner.X_training)
    4
    """

    def __init__(
        self,
        estimator: Any,
        query_strategy: Callable[..., Any] = _uncertainty.uncertainty_sampling,
        X_training: Any = None,
        y_training: Any = None,
        bootstrap_init: bool = False,
        on_transformed: bool = False,
        random_state: Any = None,
        **fit_kwargs: Any,
    ) -> None:
        self.bootstrap_init = bootstrap_init
        self.random_state = random_state
        if X_training is not None:
            _check(X_training, y_training)
        super().__init__(
            estimator,
            query_strategy,
            X_training,
            y_training,
            bootstrap_init=bootstrap_init,
            on_transformed=on_transformed,
            **fit_kwargs,
        )

    def query(
        self, X_pool: Any, *query_args: Any, return_metrics: bool = False, **query_kwargs: Any
    ) -> tuple[Any, ...]:
        """Ask the strategy which rows of ``X_pool`` to label next.

        Parameters
        ----------
        X_pool : container of n_rows rows
        *query_args, **query_kwargs
            Passed on to the strategy, ``n_instances`` for one.
        return_metrics : bool, default=False

        Returns
        -------
        indices : ndarray of int, shape (n_instances,)
        rows : the rows themselves, in X_pool's container
        metrics : ndarray, only with ``return_metrics``
        """
        indices, metrics = as_pair(self.query_strategy(self, X_pool, *query_args, **query_kwargs))
        rows = take_rows(X_pool, indices)
        return (indices, rows, metrics) if return_metrics else (indices, rows)

    def teach(
        self, X: Any, y: Any, bootstrap: bool = False, only_new: bool = False, **fit_kwargs: Any
    ) -> None:
        """Add rows and their labels to what is known, and fit the estimator again.

        Parameters
        ----------
        X : container of n_new rows
        y : array-like of shape (n_new,)
        bootstrap : bool, default=False
            Fit on a bootstrap sample.
        only_new : bool, default=False
            Fit on these rows alone. They are not added to ``X_training``.
        **fit_kwargs
            Passed on to the estimator's ``fit``.
        """
        _check(X, y)
        if only_new:
            self._fit_on_new(X, y, bootstrap=bootstrap, **fit_kwargs)
            return
        self._add_training_data(X, y)
        self._fit_to_known(bootstrap=bootstrap, **fit_kwargs)

    def fit(self, X: Any, y: Any, bootstrap: bool = False, **fit_kwargs: Any) -> ActiveLearner:
        """Forget what was taught, and fit the estimator on these rows."""
        _check(X, y)
        self.X_training, self.y_training = X, y
        return self._fit_to_known(bootstrap=bootstrap, **fit_kwargs)

    def _add_training_data(self, X: Any, y: Any) -> None:
        if self.X_training is None:
            self.X_training, self.y_training = X, y
        else:
            self.X_training = _concatenate(self.X_training, X)
            self.y_training = _concatenate(self.y_training, y)

    def _fit_to_known(self, bootstrap: bool = False, **fit_kwargs: Any) -> ActiveLearner:
        return self._fit_on_new(self.X_training, self.y_training, bootstrap=bootstrap, **fit_kwargs)

    def _fit_on_new(self, X: Any, y: Any, bootstrap: bool = False, **fit_kwargs: Any) -> ActiveLearner:
        if bootstrap:
            n_rows = len(Pool(X))
            sample = check_random_state(self.random_state).randint(n_rows, size=n_rows)
            X, y = take_rows(X, sample), take_rows(y, sample)
        self.estimator.fit(X, y, **fit_kwargs)
        return self


def _check(X: Any, y: Any) -> None:
    pool = Pool(X)
    pool.check()
    check_consistent_length(np.arange(len(pool)), y)


def _concatenate(known: Any, new: Any) -> Any:
    """Return both as one container of the kind of ``known``."""
    if hasattr(known, "iloc"):
        import pandas as pd

        return pd.concat([known, type(known)(new)], ignore_index=True)
    if sp.issparse(known):
        return sp.vstack([known, new], format="csr")
    if isinstance(known, list):
        return known + list(new)
    return np.concatenate([np.asarray(known), np.asarray(new)])
