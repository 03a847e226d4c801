"""Query strategies that ask for the rows the learner is least sure of, and their random baseline."""

from __future__ import annotations

from abc import ABC, abstractmethod
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import _num_samples

from skprune.probabilities import entropy, least_confidence, margin, predict_proba
from skprune.streams import draw_seed, generator


class _Strategy(BaseEstimator):
    """What every strategy here shares: its seed and the checks of its arguments."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {"random_state": ["random_state"]}

    def __init__(self, random_state: Any = None) -> None:
        self.random_state = random_state

    def _permutation(self, learner: Any, X_pool: Any, n_instances: int) -> np.ndarray:
        """Check the arguments and return the pool's rows in seeded random order."""
        self._validate_params()
        n_rows = _num_samples(X_pool)
        _check_n_instances(n_instances, n_rows)
        known = getattr(learner, "X_training", None)
        n_labelled = 0 if known is None else _num_samples(known)
        return generator(draw_seed(self.random_state), n_labelled).permutation(n_rows)


class RandomSampling(_Strategy):
    """Ask for rows at random, without looking at the learner.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        An int makes a query repeatable: its stream is (``random_state``, number of rows in the learner's
        ``X_training``), so that every round draws anew and a resumed loop draws what it would have drawn.
        None draws fresh numbers at every query.

    Examples
    --------
    >>> indices, metrics = RandomSampling(random_state=0)(None, ["a", "b", "c", "d"], n_instances=2)
    >>> len(set(indices.tolist())), metrics
    (2, array([0., 0.]))
    """

    def __call__(
        self, learner: Any, X_pool: Any, n_instances: int = 1, **kwargs: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(indices, metrics)``; the metrics are zeros, as no row is preferred.

        Parameters
        ----------
        learner : object
            Only the length of its ``X_training``, where it has one, matters.
        X_pool : container of n_rows rows
        n_instances : int, default=1
        **kwargs
            Ignored, so that the strategy can stand in for any other.

        Returns
        -------
        indices : ndarray of intp, shape (n_instances,)
        metrics : ndarray of float64, shape (n_instances,)

        Raises
        ------
        ValueError
            If ``n_instances`` is below 1 or above the rows of the pool.
        """
        order = self._permutation(learner, X_pool, n_instances)
        return order[:n_instances].astype(np.intp), np.zeros(n_instances)


class _ProbabilityStrategy(_Strategy, ABC):
    """Rank the pool by a measure of the predicted probabilities; a subclass is that measure."""

    _largest_first: ClassVar[bool] = True

    @abstractmethod
    def measure(self, proba: np.ndarray) -> np.ndarray:
        """Return the strategy's measure of each row of ``proba``."""

    def __call__(
        self, learner: Any, X_pool: Any, n_instances: int = 1, **kwargs: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(indices, metrics)`` of the most informative rows, the best first.

        Parameters
        ----------
        learner : object with ``predict_proba``
            A scikit-learn classifier, a skorch net, modAL's ``ActiveLearner``.
        X_pool : container of n_rows rows
            Whatever the learner's ``predict_proba`` takes.
        n_instances : int, default=1
        **kwargs
            Passed on to ``predict_proba``.

        Returns
        -------
        indices : ndarray of intp, shape (n_instances,)
            Unique rows of ``X_pool``.
        metrics : ndarray of float64, shape (n_instances,)
            The measure of each.

        Raises
        ------
        ValueError
            If ``n_instances`` is below 1 or above the rows of the pool, or a probability is not finite.
        TypeError
            If the learner has no ``predict_proba``.
        """
        shuffled = self._permutation(learner, X_pool, n_instances)
        proba = predict_proba(learner, X_pool, needed_by=type(self).__name__, **kwargs)
        if proba is None:  # never fitted
            proba = np.full((len(shuffled), 2), 0.5)
        metrics = self.measure(proba)
        utility = metrics if self._largest_first else -metrics
        # A stable sort of the shuffled rows leaves ties in their random order.
        order = shuffled[np.argsort(-utility[shuffled], kind="stable")[:n_instances]].astype(np.intp)
        return order, metrics[order]


class LeastConfidence(_ProbabilityStrategy):
    """Ask for the rows whose most likely class is the least likely: largest 1 − max_c p_c.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        Breaks ties; see :class:`RandomSampling`.

    See Also
    --------
    Margin, Entropy

    Notes
    -----
    A learner that was never fitted counts as giving every row the same probabilities, ½ and ½: the query is
    a seeded random pick then. With two classes, least confidence, margin and entropy rank alike.

    References
    ----------
    .. [1] D. D. Lewis and W. A. Gale, "A sequential algorithm for training text classifiers", SIGIR 1994.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.array([[-2.0], [-1.0], [0.1], [2.0]])
    >>> learner = LogisticRegression().fit([[-2.0], [2.0]], ["cold", "warm"])
    >>> indices, metrics = LeastConfidence(random_state=0)(learner, X, n_instances=2)
    >>> indices
    array([2, 1])
    """

    def measure(self, proba: np.ndarray) -> np.ndarray:
        """Return :func:`least_confidence` of each row."""
        return least_confidence(proba)


class Margin(_ProbabilityStrategy):
    """Ask for the rows whose two most likely classes are closest: smallest p_(1) − p_(2).

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        Breaks ties; see :class:`RandomSampling`.

    See Also
    --------
    LeastConfidence : Its notes hold here too.

    References
    ----------
    .. [1] T. Scheffer, C. Decomain and S. Wrobel, "Active hidden Markov models for information extraction",
       IDA 2001.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.array([[-2.0], [-1.0], [0.0], [2.0]])
    >>> learner = LogisticRegression().fit([[-2.0], [2.0]], ["cold", "warm"])
    >>> Margin(random_state=0)(learner, X)
    (array([2]), array([0.]))
    """

    _largest_first = False

    def measure(self, proba: np.ndarray) -> np.ndarray:
        """Return :func:`margin` of each row."""
        return margin(proba)


class Entropy(_ProbabilityStrategy):
    """Ask for the rows whose class is the most open: largest entropy of the probabilities.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        Breaks ties; see :class:`RandomSampling`.

    See Also
    --------
    LeastConfidence : Its notes hold here too.

    References
    ----------
    .. [1] D. Roth and K. Small, "Margin-based active learning for structured output spaces", ECML 2006.
    .. [2] B. Settles, "Active learning literature survey", 2009, section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.array([[-2.0], [-1.0], [0.0], [2.0]])
    >>> learner = LogisticRegression().fit([[-2.0], [2.0]], ["cold", "warm"])
    >>> indices, metrics = Entropy(random_state=0)(learner, X)
    >>> indices, metrics.round(3)  # ln 2
    (array([2]), array([0.693]))
    """

    def measure(self, proba: np.ndarray) -> np.ndarray:
        """Return :func:`entropy` of each row."""
        return entropy(proba)


def _check_n_instances(n_instances: int, n_rows: int) -> None:
    if not isinstance(n_instances, Integral) or isinstance(n_instances, bool) or n_instances < 1:
        raise ValueError(f"n_instances must be an int of at least 1, got {n_instances!r}")
    if n_instances > n_rows:
        raise ValueError(f"n_instances={n_instances} exceeds the {n_rows} rows of X_pool")
