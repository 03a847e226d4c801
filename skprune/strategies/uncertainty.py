"""Query strategies that pick the rows the learner is least certain about, and the random baseline."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from sklearn.utils.validation import _num_samples

from skprune.probabilities import entropy, least_confidence, margin
from skprune.strategies.base import Picks, Strategy, random_rows, top_rows
from skprune.strategies.capabilities import class_probabilities


class RandomSampling(Strategy):
    """Pick rows uniformly at random, without using the learner.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        An int makes a query repeatable: the random stream depends on ``random_state`` and on the number of
        rows in the learner's ``X_training``. So every round makes new draws, and a resumed loop repeats the
        draws of an uninterrupted one. None makes new draws at every query.

    Notes
    -----
    The metrics are zeros. The draws go by position: the same rows in another order give other picks.
    :class:`skprune.RandomFilter` draws by content.

    Examples
    --------
    >>> indices, metrics = RandomSampling(random_state=0)(None, ["a", "b", "c", "d"], n_instances=2)
    >>> len(set(indices.tolist())), metrics
    (2, array([0., 0.]))
    """

    def _pick(
        self, learner: Any, X_pool: Any, n_instances: int, rng: np.random.Generator, **kwargs: Any
    ) -> Picks:
        return random_rows(_num_samples(X_pool), n_instances, rng)


class _ProbabilityStrategy(Strategy):
    """Rank the pool by a measure of the predicted probabilities, which subclasses implement."""

    _largest_first: ClassVar[bool] = True

    @abstractmethod
    def measure(self, proba: np.ndarray) -> np.ndarray:
        """Return the strategy's measure of each row of ``proba``."""

    def _pick(
        self, learner: Any, X_pool: Any, n_instances: int, rng: np.random.Generator, **kwargs: Any
    ) -> Picks:
        metrics = self.measure(class_probabilities(learner, X_pool, needed_by=type(self).__name__, **kwargs))
        order = top_rows(metrics if self._largest_first else -metrics, n_instances, rng)
        return order, metrics[order]


class LeastConfidence(_ProbabilityStrategy):
    """Pick the rows whose most likely class has the lowest probability: largest 1 − max_c p_c.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        Breaks ties; see :class:`RandomSampling`.

    See Also
    --------
    Margin, Entropy

    Notes
    -----
    An unfitted learner gets random rows. With two classes, least confidence, margin and entropy give the same
    ranking.

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
        """Return ``least_confidence`` of each row."""
        return least_confidence(proba)


class Margin(_ProbabilityStrategy):
    """Pick the rows whose two most likely classes are closest: smallest p_(1) − p_(2).

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        Breaks ties; see :class:`RandomSampling`.

    See Also
    --------
    LeastConfidence : Its notes apply here too.

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
        """Return ``margin`` of each row."""
        return margin(proba)


class Entropy(_ProbabilityStrategy):
    """Pick the rows whose predicted class is most uncertain: largest entropy of the probabilities.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        Breaks ties; see :class:`RandomSampling`.

    See Also
    --------
    LeastConfidence : Its notes apply here too.

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
        """Return ``entropy`` of each row."""
        return entropy(proba)
