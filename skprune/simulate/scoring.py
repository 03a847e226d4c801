"""What a search over simulators maximizes."""

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
    """Area under the learning curve on held-out rows: what a search over pool filters maximizes.

    For the ``scoring`` of :class:`~sklearn.model_selection.GridSearchCV` and its kin, over an
    :class:`ActiveLearningSimulator` with ``keep_estimators=True``.

    Parameters
    ----------
    scoring : str, callable or None, default=None
        The metric that every round's model is put to. None is the estimator's own ``score``.
    normalize : bool, default=True
        Divide by the number of labels bought after the initial ones: the mean height of the curve, in the
        metric's own unit. False leaves the area, in metric × labels.

    Notes
    -----
    The trapezoid rule over the number of labels. A curve of one round has no area: its height if
    normalized, else 0.

    Every round's model predicts the fold that the search holds out, which no round has seen: that is why the
    models are kept. An inner validation set instead would take rows from the pool, and leave the fold unused.

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
            If the simulator kept no models.
        """
        check_is_fitted(simulator)
        if not simulator.estimators_:
            raise ValueError("the learning curve on held-out rows needs keep_estimators=True")
        scorer = check_scoring(simulator.estimators_[0], self.scoring)
        return np.array([scorer(model, X, y) for model in simulator.estimators_], dtype=np.float64)
