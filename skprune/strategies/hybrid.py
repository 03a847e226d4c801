"""Query strategies that combine the learner's uncertainty with the geometry of its features."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from scipy.special import entr
from sklearn.neighbors import NearestNeighbors
from sklearn.utils._param_validation import Interval

from skprune.probabilities import checked_proba, held_estimator
from skprune.strategies.base import Picks, Strategy, top_rows
from skprune.strategies.capabilities import class_probabilities, labeled_rows, penultimate_features
from skprune.strategies.distances import OuterProducts


class BADGE(Strategy):
    """Pick rows with large and diverse loss gradients: batch active learning by diverse gradient embeddings.

    Parameters
    ----------
    random_state : int, RandomState or None, default=None
        Seeds the draws; see :class:`RandomSampling`.

    See Also
    --------
    Coreset : Uses the features alone.

    Notes
    -----
    The gradient of the cross-entropy with respect to the last layer's weights, with the predicted class ŷ in
    place of the true one, is g = (p − onehot ŷ) ⊗ h. Here p are the class probabilities and h the penultimate
    features (:func:`skprune.strategies.capabilities.penultimate_features`). The first pick is the row with
    the longest gradient. Each further row is drawn with probability proportional to D², the squared distance
    of its gradient to the nearest gradient picked so far, as in k-means++ (Algorithm 1 of [1]_; AnchorAL's
    appendix A.4). The gradient of the intercepts is left out, as in both papers.

    Gradients are never computed: distances come from the two factors. A pick costs one pass over the
    features, and memory beyond the features is the probabilities and a few numbers per row. Once every row
    is at distance 0, for instance because the learner knows one class only, the remaining rows are drawn
    uniformly. The metric of the first row is the length of its gradient; that of each further row is the
    distance to the nearest gradient picked before. An unfitted learner gets random rows.

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
    >>> indices  # the most certain rows have almost no gradient
    array([2, 0])
    """

    def _pick(
        self, learner: Any, X_pool: Any, n_instances: int, rng: np.random.Generator, **kwargs: Any
    ) -> Picks:
        proba, features = _proba_and_features(learner, X_pool, "BADGE", **kwargs)
        residual = proba.copy()
        residual[np.arange(len(proba)), proba.argmax(axis=1)] -= 1.0
        gradients = OuterProducts(features, residual)

        shuffled = rng.permutation(len(proba))
        longest = gradients.farthest(gradients.squared_norms, np.argsort(shuffled))
        picked = [longest]
        gains = gradients.pick_distant(
            picked,
            np.full(len(proba), np.inf),
            n_instances,
            lambda squared: _weighted_draw(squared, rng.random()),
            shuffled,
        )
        return np.array(picked), np.sqrt(np.append(gradients.squared_norms[longest], gains))


class CAL(Strategy):
    """Pick rows predicted differently from their labeled neighbors: contrastive active learning.

    Parameters
    ----------
    n_neighbors : int, default=10
        Number of nearest labeled rows that each row is compared with; all labeled rows if there are fewer.
    random_state : int, RandomState or None, default=None
        Breaks ties; see :class:`RandomSampling`.

    Notes
    -----
    The score of a row x is the mean of KL(p_l ‖ p_x), in nats, over its nearest labeled rows l (Algorithm 1
    of [1]_). Distances are Euclidean, between penultimate features
    (:func:`skprune.strategies.capabilities.penultimate_features`). The labeled rows are the learner's
    ``X_training``. A probability of 0 is replaced by the smallest positive number, so that scores are finite.
    The metrics are the scores. An unfitted learner gets random rows.

    From 20 to 200 labels, with logistic regression on sentence vectors, accuracy was lower than with
    :class:`Margin` on three of three text sets, and lower than with random rows on one
    (``docs/results/query_strategies.md``).

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
        proba, features = _proba_and_features(learner, X_pool, "CAL", **kwargs)
        labeled = labeled_rows(learner)
        if labeled is None:
            raise TypeError(
                f"CAL compares rows with the labeled ones, but {type(learner).__name__} has no X_training; "
                "pass a learner that keeps the labeled rows, such as skprune.modal.ActiveLearner"
            )
        labeled_proba, labeled_features = _proba_and_features(learner, labeled, "CAL", **kwargs)
        n_neighbors = min(self.n_neighbors, labeled_features.shape[0])
        search = NearestNeighbors(n_neighbors=n_neighbors, algorithm="brute").fit(labeled_features)
        neighbors = search.kneighbors(features, return_distance=False)
        scores = _mean_divergence(labeled_proba, neighbors, proba)
        order = top_rows(scores, n_instances, rng)
        return order, scores[order]


def _proba_and_features(learner: Any, X: Any, needed_by: str, **kwargs: Any) -> tuple[np.ndarray, Any]:
    """Return the learner's class probabilities and penultimate features of each row.

    A learner that computes probabilities from features runs once instead of twice. With a transformer, this
    run dominates the cost of a query.
    """
    estimator = held_estimator(learner)
    if hasattr(estimator, "proba_from_penultimate") and not kwargs:
        features = penultimate_features(learner, X, needed_by=needed_by)
        proba = np.asarray(estimator.proba_from_penultimate(features), dtype=np.float64)
        return checked_proba(proba, features.shape[0], type(estimator).__name__, needed_by), features
    proba = class_probabilities(learner, X, needed_by=needed_by, **kwargs)
    return proba, penultimate_features(learner, X, needed_by=needed_by)


def _weighted_draw(weights: np.ndarray, uniform: float) -> int:
    """Return the row that a number in [0, 1) selects, with probability proportional to ``weights``."""
    edges = np.cumsum(weights)
    row = int(np.searchsorted(edges, uniform * edges[-1], side="right"))
    return min(row, int(np.flatnonzero(weights)[-1]))  # rounding may lift the product to the last edge


def _mean_divergence(p: np.ndarray, neighbors: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Return the mean of KL(p_l ‖ q_x) over the neighbors l of each row x: Σ p̄ ln(1/q) − mean entropy."""
    mean_p = np.zeros_like(q)
    for column in neighbors.T:  # one neighbor at a time avoids a rows × neighbors × classes array
        mean_p += p[column]
    mean_p /= neighbors.shape[1]
    entropy = entr(p).sum(axis=1)[neighbors].mean(axis=1)
    cross_entropy = -(mean_p * np.log(np.maximum(q, np.finfo(np.float64).tiny))).sum(axis=1)
    return np.maximum(cross_entropy - entropy, 0.0)
