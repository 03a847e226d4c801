"""The metrics of the learning curve, and the area under it that a search over simulators maximizes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import check_scoring
from sklearn.utils.validation import check_is_fitted

from skprune.metrics import learning_curve_auc

if TYPE_CHECKING:
    from skprune.simulate.simulator import ActiveLearningSimulator


class LearningCurveScorer(BaseEstimator):
    """Area under the learning curve on held-out rows, for a search over pool filters to maximize.

    Pass it as ``scoring`` to :class:`~sklearn.model_selection.GridSearchCV` or a similar search, over an
    :class:`ActiveLearningSimulator` with ``keep_estimators=True``.

    Parameters
    ----------
    scoring : str, callable or None, default=None
        The metric to compute for every round's model. None means the estimator's own ``score``.
    normalize : bool, default=True
        Divide the area by the number of labels added after the initial ones. This is the mean height of the
        curve, in the unit of the metric. False returns the area, in metric × labels.

    Notes
    -----
    The area follows from the trapezoid rule over the number of labels. A curve with a single round has no
    area; the result is its height if normalized, else 0.

    Every round's model predicts the fold that the search holds out, whose rows no round has seen. This is
    why the models are kept. An inner validation set would instead take rows from the pool and leave the fold
    unused.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import GridSearchCV
    >>> from skprune import ActiveLearningSimulator, LearningCurveScorer, RandomFilter
    >>> from skprune.strategies import Margin
    >>> simulator = ActiveLearningSimulator(
    ...     LogisticRegression(max_iter=1000), Margin(), RandomFilter(),
    ...     n_instances=3, n_rounds=4, keep_estimators=True, random_state=0,
    ... )
    >>> grid = {"filter__keep": [0.1, 1.0]}
    >>> search = GridSearchCV(simulator, grid, scoring=LearningCurveScorer("f1_macro"))
    >>> search.fit(*load_iris(return_X_y=True)).cv_results_["mean_test_score"].shape
    (2,)
    """

    def __init__(self, scoring: Any = None, *, normalize: bool = True) -> None:
        self.scoring = scoring
        self.normalize = normalize

    def __call__(self, simulator: ActiveLearningSimulator, X: Any, y: Any) -> float:
        """Return the area under the curve of a fitted simulator on held-out rows."""
        labels = simulator.learning_curve_["labels"]
        return learning_curve_auc(self.scores(simulator, X, y), labels, normalize=self.normalize)

    def scores(self, simulator: ActiveLearningSimulator, X: Any, y: Any) -> np.ndarray:
        """Return the score of every round's model, float64 of shape (n_rounds + 1,).

        Raises
        ------
        ValueError
            If the simulator was not fitted with ``keep_estimators=True``.
        """
        check_is_fitted(simulator)
        if not simulator.estimators_:
            raise ValueError("LearningCurveScorer needs a simulator with keep_estimators=True")
        scorer = check_scoring(simulator.estimators_[0], self.scoring)
        return np.array([scorer(model, X, y) for model in simulator.estimators_], dtype=np.float64)


def metric_names(scoring: Any) -> list[str]:
    """Return the names of the learning curve's metrics; ``["score"]`` if a function computes them."""
    if scoring is None or callable(scoring):
        return ["score"]
    return [scoring] if isinstance(scoring, str) else list(scoring)
