"""Query strategies that weigh how sure the learner is against how its features lie."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from scipy.special import entr
from sklearn.exceptions import NotFittedError
from sklearn.neighbors import NearestNeighbors
from sklearn.utils._param_validation import Interval

from skprune.probabilities import checked_proba, held_estimator, predict_proba
from skprune.strategies.base import Picks, Strategy, best_first
from skprune.strategies.capabilities import labeled_rows, penultimate_features
from skprune.strategies.distances import OuterProducts


class BADGE(Strategy):
    """Ask for rows whose loss gradients are large and differ: batch active learning by diverse gradients.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        Seed of the draws; see :class:`RandomSampling`.

    See Also
    --------
    Coreset : Looks at the features alone.

    Notes
    -----
    The gradient of the cross-entropy in the last layer's weights, the predicted class ŷ taken for the true
    one, is g = (p − onehot ŷ) ⊗ h, with the class probabilities p and the penultimate features h
    (:func:`skprune.strategies.capabilities.penultimate_features`). The first row is that of the longest
    gradient; each other one is drawn with probability proportional to D², the squared distance of its
    gradient to the nearest one picked so far, as k-means++ starts (Algorithm 1 of [1]_; AnchorAL's appendix
    A.4). The gradient of the intercepts is left out, as in both.

    No gradient is formed: distances come from the two factors, a pick costs one pass over the features, and
    memory beyond them is the probabilities and a few numbers a row. Once every row is at distance 0, as where
    the learner knows one class only, the rest is drawn uniformly. The metrics are the distances to the
    nearest gradient picked before, of the first row its length. A learner that was never fitted is asked at
    random.

    References
    ----------
    .. [1] J. T. Ash, C. Zhang, A. Krishnamurthy, J. Langford and A. Agarwal, "Deep batch active learning by
       diverse, uncertain gradient lower bounds", ICLR 2020.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> X = np.array([[-9.0], [0.1], [1.0], [9.0]])
    >>> learner = LogisticRegression().fit([[-2.0], [2.0]], ["cold", "warm"])
    >>> indices, metrics = BADGE(random_state=0)(learner, X, n_instances=2)
    >>> indices  # the most certain rows have hardly any gradient
    array([2, 0])
    """

    def _pick(
        self, learner: Any, X_pool: Any, n_instances: int, rng: np.random.Generator, **kwargs: Any
    ) -> Picks:
        proba, features = _look(learner, X_pool, "BADGE", **kwargs)
        residual = proba.copy()
        residual[np.arange(len(proba)), proba.argmax(axis=1)] -= 1.0
        gradients = OuterProducts(features, residual)

        shuffled = rng.permutation(len(proba))
        longest = gradients.farthest(gradients.squared_norms, np.argsort(shuffled))
        picked = [longest]
        gains = gradients.pick_apart(
            picked,
            np.full(len(proba), np.inf),
            n_instances,
            lambda squared: _draw(squared, rng.random()),
            shuffled,
        )
        return np.array(picked), np.sqrt(np.append(gradients.squared_norms[longest], gains))


class CAL(Strategy):
    """Ask for the rows whose labeled neighbors are predicted otherwise: contrastive active learning.

    Parameters
    ----------
    n_neighbors : int, default=10
        Labeled rows that each row is compared with; all of them where there are fewer.
    random_state : int, RandomState or None, default=None
        Breaks ties; see :class:`RandomSampling`.

    Notes
    -----
    The score of a row x is the mean over its nearest labeled rows l, by Euclidean distance between
    penultimate features (:func:`skprune.strategies.capabilities.penultimate_features`), of KL(p_l ‖ p_x), in
    nats (Algorithm 1 of [1]_). The labeled rows are the learner's ``X_training``. A probability of 0 counts
    as the smallest positive number, so that scores are finite. The metrics are the scores. A learner that
    was never fitted is asked at random.

    References
    ----------
    .. [1] K. Margatina, G. Vernikos, L. Barrault and N. Aletras, "Active learning by acquiring contrastive
       examples", EMNLP 2021.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skprune.modal import ActiveLearner
    >>> query = CAL(n_neighbors=1, random_state=0)
    >>> learner = ActiveLearner(LogisticRegression(), query, np.array([[-3.0], [1.0]]), [0, 1])
    >>> indices, metrics = query(learner, np.array([[-3.0], [-1.2], [1.1]]))
    >>> indices
    array([1])
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_neighbors": [Interval(Integral, 1, None, closed="left")],
        **Strategy._parameter_constraints,
    }

    def __init__(self, n_neighbors: int = 10, *, random_state: Any = None) -> None:
        super().__init__(random_state)
        self.n_neighbors = n_neighbors

    def _pick(
        self, learner: Any, X_pool: Any, n_instances: int, rng: np.random.Generator, **kwargs: Any
    ) -> Picks:
        proba, features = _look(learner, X_pool, "CAL", **kwargs)
        labeled = labeled_rows(learner)
        if labeled is None:
            raise TypeError(
                f"CAL compares with the labeled rows, and {type(learner).__name__} has no X_training: "
                "pass a learner that keeps them, such as skprune.modal.ActiveLearner"
            )
        known_proba, known = _look(learner, labeled, "CAL", **kwargs)
        search = NearestNeighbors(n_neighbors=min(self.n_neighbors, known.shape[0]), algorithm="brute")
        neighbors = search.fit(known).kneighbors(features, return_distance=False)
        scores = _mean_divergence(known_proba, neighbors, proba)
        order = best_first(scores, n_instances, rng)
        return order, scores[order]


def _look(learner: Any, X: Any, needed_by: str, **kwargs: Any) -> tuple[np.ndarray, Any]:
    """Return the learner's probabilities and penultimate features of each row.

    A learner that makes the former of the latter is run once; a transformer is what such a query costs.
    """
    estimator = held_estimator(learner)
    if hasattr(estimator, "proba_from_penultimate") and not kwargs:
        features = penultimate_features(learner, X, needed_by=needed_by)
        found = np.asarray(estimator.proba_from_penultimate(features), dtype=np.float64)
        return checked_proba(found, features.shape[0], type(estimator).__name__, needed_by), features
    proba = predict_proba(learner, X, needed_by=needed_by, **kwargs)
    if proba is None:
        raise NotFittedError(f"{needed_by} was given a learner that was never fitted")
    return proba, penultimate_features(learner, X, needed_by=needed_by)


def _draw(weights: np.ndarray, uniform: float) -> int:
    """Return the row that ``uniform`` in [0, 1) falls on, rows being as wide as their weights."""
    edges = np.cumsum(weights)
    row = int(np.searchsorted(edges, uniform * edges[-1], side="right"))
    return min(row, int(np.flatnonzero(weights)[-1]))  # the product may be rounded up to the last edge


def _mean_divergence(p: np.ndarray, neighbors: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return the mean of KL(p_l ‖ q_x) over the neighbors l of each row x: Σ p̄ ln(1/q) − mean entropy."""
    mean_p = np.zeros_like(q)
    for column in neighbors.T:  # one neighbor at a time: no rows × neighbors × classes array
        mean_p += p[column]
    mean_p /= neighbors.shape[1]
    entropy = entr(p).sum(axis=1)[neighbors].mean(axis=1)
    cross_entropy = -(mean_p * np.log(np.maximum(q, np.finfo(np.float64).tiny))).sum(axis=1)
    return np.maximum(cross_entropy - entropy, 0.0)
