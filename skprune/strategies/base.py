"""Base class of the query strategies: modAL's signature, argument checks and a random stream per round."""

from __future__ import annotations

from abc import ABC, abstractmethod
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import _num_samples

from skprune.strategies.capabilities import labeled_rows
from skprune.streams import draw_seed, generator

Picks = tuple[np.ndarray, np.ndarray]


class Strategy(BaseEstimator, ABC):
    """A query strategy: picks the rows of a pool to label next. Subclasses implement :meth:`_pick`.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        See :class:`skprune.strategies.RandomSampling`.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"random_state": ["random_state"]}

    def __init__(self, random_state: Any = None) -> None:
        self.random_state = random_state

    def __call__(self, learner: Any, X_pool: Any, n_instances: int = 1, **kwargs: Any) -> Picks:
        """Return ``(indices, metrics)`` of the rows to label next, best first.

        Parameters
        ----------
        learner : object
            A scikit-learn classifier, a skorch net, modAL's ``ActiveLearner`` or any other object that has
            the methods the strategy needs. If it has an attribute ``X_training``, that holds the rows
            labeled so far.
        X_pool : container of n_rows rows
            Any container that the learner accepts.
        n_instances : int, default=1
            Number of rows to pick.
        **kwargs
            Passed on to ``predict_proba``. Strategies that do not call it ignore them, so that strategies
            are interchangeable.

        Returns
        -------
        indices : ndarray of intp, shape (n_instances,)
            Unique row indices into ``X_pool``.
        metrics : ndarray of float64, shape (n_instances,)
            The strategy's score of each picked row. Zeros if the learner is not fitted: the rows are then
            picked at random.

        Raises
        ------
        ValueError
            If ``n_instances`` is below 1 or exceeds the number of rows, or if the learner returns values
            that are not finite or have the wrong shape.
        TypeError
            If the learner lacks a method that the strategy needs.
        """
        self._validate_params()
        n_rows = _num_samples(X_pool)
        if not isinstance(n_instances, Integral) or isinstance(n_instances, bool) or n_instances < 1:
            raise ValueError(f"n_instances must be an int of at least 1, got {n_instances!r}")
        if n_instances > n_rows:
            raise ValueError(f"n_instances={n_instances} exceeds the {n_rows} rows of X_pool")
        labeled = labeled_rows(learner)
        n_labeled = 0 if labeled is None else _num_samples(labeled)
        rng = generator(draw_seed(self.random_state), n_labeled)
        try:
            indices, metrics = self._pick(learner, X_pool, int(n_instances), rng, **kwargs)
        except NotFittedError:
            indices, metrics = random_rows(n_rows, int(n_instances), rng)
        return np.asarray(indices, dtype=np.intp), np.asarray(metrics, dtype=np.float64)

    @abstractmethod
    def _pick(
        self, learner: Any, X_pool: Any, n_instances: int, rng: np.random.Generator, **kwargs: Any
    ) -> Picks:
        """Return ``(indices, metrics)``.

        Call the learner before the first draw from ``rng``, so that an unfitted learner raises
        ``NotFittedError`` while the stream is still at its start. The first draw is the permutation that
        breaks ties.
        """


def random_rows(n_rows: int, n_instances: int, rng: np.random.Generator) -> Picks:
    """Return rows drawn uniformly without replacement, and zeros as their metrics."""
    return rng.permutation(n_rows)[:n_instances], np.zeros(n_instances)


def top_rows(utility: np.ndarray, n_instances: int, rng: np.random.Generator) -> np.ndarray:
    """Return the rows of largest ``utility``, best first, ties in random order."""
    shuffled = rng.permutation(len(utility))
    # A stable sort of the shuffled rows leaves ties in their random order.
    return shuffled[np.argsort(-utility[shuffled], kind="stable")[:n_instances]]


def top_row(values: np.ndarray, tolerance: np.ndarray, rank: np.ndarray) -> int:
    """Return the row of largest value; among ties, the row of lowest ``rank``.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
        The score of each row.
    tolerance : ndarray of float64, shape (n,)
        Largest rounding error of each value. Values that rounding cannot tell from the maximum are ties.
    rank : ndarray of int, shape (n,)
        A random order of the rows.

    Examples
    --------
    >>> top_row(np.array([1.0, 2.0, 2.0 - 1e-9]), np.full(3, 1e-6), rank=np.array([0, 2, 1]))
    2
    """
    tied = np.flatnonzero(values + tolerance >= values.max())
    return int(tied[np.argmin(rank[tied])])
