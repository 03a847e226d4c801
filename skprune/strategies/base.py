"""What every query strategy shares: modAL's signature, the checks of its arguments, its random stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import _num_samples

from skprune.streams import draw_seed, generator

Picks = tuple[np.ndarray, np.ndarray]


class Strategy(BaseEstimator, ABC):
    """A query strategy: which rows of a pool to label next. A subclass implements :meth:`_pick`.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        See :class:`skprune.strategies.RandomSampling`.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"random_state": ["random_state"]}

    def __init__(self, random_state: Any = None) -> None:
        self.random_state = random_state

    def __call__(self, learner: Any, X_pool: Any, n_instances: int = 1, **kwargs: Any) -> Picks:
        """Return ``(indices, metrics)`` of the rows to label next, the best first.

        Parameters
        ----------
        learner : object
            A scikit-learn classifier, a skorch net, modAL's ``ActiveLearner``: whatever offers what the
            strategy looks at, and ``X_training``, the rows labeled so far, where it has them.
        X_pool : container of n_rows rows
            Whatever the learner takes.
        n_instances : int, default=1
        **kwargs
            Passed on to ``predict_proba``; ignored by strategies that do not call it, so that any can stand
            in for another.

        Returns
        -------
        indices : ndarray of intp, shape (n_instances,)
            Unique rows of ``X_pool``.
        metrics : ndarray of float64, shape (n_instances,)
            What the strategy says of each.

        Raises
        ------
        ValueError
            If ``n_instances`` is below 1 or above the rows of the pool, or what the learner returns is not
            finite or of another shape.
        TypeError
            If the learner lacks what the strategy looks at.
        """
        self._validate_params()
        n_rows = _num_samples(X_pool)
        if not isinstance(n_instances, Integral) or isinstance(n_instances, bool) or n_instances < 1:
            raise ValueError(f"n_instances must be an int of at least 1, got {n_instances!r}")
        if n_instances > n_rows:
            raise ValueError(f"n_instances={n_instances} exceeds the {n_rows} rows of X_pool")
        known = getattr(learner, "X_training", None)
        n_labeled = 0 if known is None else _num_samples(known)
        rng = generator(draw_seed(self.random_state), n_labeled)
        try:
            indices, metrics = self._pick(learner, X_pool, int(n_instances), rng, **kwargs)
        except NotFittedError:  # there is nothing to go by yet: any rows, none of them preferred
            indices, metrics = rng.permutation(n_rows)[:n_instances], np.zeros(n_instances)
        return np.asarray(indices, dtype=np.intp), np.asarray(metrics, dtype=np.float64)

    @abstractmethod
    def _pick(
        self, learner: Any, X_pool: Any, n_instances: int, rng: np.random.Generator, **kwargs: Any
    ) -> Picks:
        """Return ``(indices, metrics)``.

        The learner is asked first, so that one that was never fitted raises ``NotFittedError`` before ``rng``
        has drawn; the first draw is the permutation that breaks ties.
        """


def best_first(utility: np.ndarray, n_instances: int, rng: np.random.Generator) -> np.ndarray:
    """Return the rows of largest ``utility``, ties in random order."""
    shuffled = rng.permutation(len(utility))
    # A stable sort of the shuffled rows leaves ties in their random order.
    return shuffled[np.argsort(-utility[shuffled], kind="stable")[:n_instances]]


def first_of_best(values: np.ndarray, slack: np.ndarray, rank: np.ndarray) -> int:
    """Return the row of largest value; of those within ``slack`` of it, the one of lowest ``rank``.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
    slack : ndarray of float64, shape (n,)
        By how much rounding may have lowered each value.
    rank : ndarray of int, shape (n,)

    Examples
    --------
    >>> first_of_best(np.array([1.0, 2.0, 2.0 - 1e-9]), np.full(3, 1e-6), rank=np.array([0, 2, 1]))
    2
    """
    tied = np.flatnonzero(values + slack >= values.max())
    return int(tied[np.argmin(rank[tied])])
