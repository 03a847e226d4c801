"""Stopping criteria: when to stop asking for labels, given the rounds played so far."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import cohen_kappa_score
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import _num_samples

from skprune.containers import take_rows
from skprune.probabilities import entropy, predict_proba
from skprune.streams import generator

# The stream of the run's seed from which a criterion draws the rows that it looks at.
_STOP_SET = 5


@dataclass(frozen=True)
class PlayedRound:
    """What a criterion may measure after a round's training.

    Attributes
    ----------
    learner : fitted estimator
        The model of this round.
    previous : fitted estimator or None
        The model of the round before; None in round 0.
    X : container of n_rows rows
        The whole pool.
    unlabeled : ndarray of intp
        Rows of the pool without a label.
    seed : int
        The seed for draws that are the same in every round.
    """

    learner: Any
    previous: Any
    X: Any
    unlabeled: np.ndarray
    seed: int


class StoppingCriterion(BaseEstimator, ABC):
    """Base class of the criteria, which decide from the learning curve whether to stop.

    A criterion is called with the curve so far, a DataFrame with one row per round, and returns a bool. If it
    needs more than the curve's own columns, :meth:`measure` adds the others to the curve, so that a resumed
    run decides in the same way. A plain function of the curve is a criterion too.
    """

    def measure(self, played: PlayedRound) -> dict[str, float]:
        """Return additional columns of the curve, by name."""
        return {}

    @abstractmethod
    def __call__(self, curve: Any) -> bool:
        """Return whether to stop after the last round of ``curve``."""


class ValidationPlateau(StoppingCriterion):
    """Stop when the score on validation data has not risen for several rounds.

    Parameters
    ----------
    metric : str, default="score"
        The metric to watch, by its name in the learning curve. Higher is better.
    patience : int, default=3
        Number of rounds without a new best score after which the run stops.
    min_delta : float, default=0.0
        How much a score must exceed the best one to count as a new best score.

    Notes
    -----
    This is early stopping, applied to rounds. It uses up labels, namely those of the validation data. The two
    other criteria need no labels, and performed better in the comparison of [1]_.

    References
    ----------
    .. [1] G. Beatty, E. Kochis and M. Bloodgood, "The use of unlabeled data versus labeled data for stopping
       active learning for text classification", ICSC 2019.

    Examples
    --------
    >>> import pandas as pd
    >>> plateau = ValidationPlateau(patience=2)
    >>> plateau(pd.DataFrame({"score": [0.5, 0.7, 0.7]})), plateau(pd.DataFrame({"score": [0.7, 0.7, 0.6]}))
    (False, True)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "metric": [str],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "min_delta": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, metric: str = "score", patience: int = 3, min_delta: float = 0.0) -> None:
        self.metric = metric
        self.patience = patience
        self.min_delta = min_delta

    def check(self, metrics: Collection[str]) -> None:
        """Refuse a run whose ``metrics`` do not include the one to watch. Called before the first round.

        Raises
        ------
        ValueError
        """
        if self.metric not in metrics:
            has = f"the metrics are {', '.join(metrics)}" if metrics else "there is no validation data"
            raise ValueError(
                f"ValidationPlateau watches {self.metric!r}, but {has}; pass X_val and y_val to fit, or set "
                "validation_fraction, and name the metric in scoring"
            )

    def __call__(self, curve: Any) -> bool:
        """Return whether the last ``patience`` rounds brought no new best score."""
        self.check(list(curve))
        best, n_since = -np.inf, 0
        for score in curve[self.metric]:
            is_best = score > best + self.min_delta
            best, n_since = (score, 0) if is_best else (best, n_since + 1)
        return n_since >= self.patience


class OverallUncertainty(StoppingCriterion):
    """Stop when the learner is, on average, certain about the rows that have no label yet.

    Parameters
    ----------
    threshold : float, default=0.05
        Stop when the mean uncertainty is below this. Uncertainty is the entropy of the predicted
        probabilities divided by ln C, between 0 and 1.
    max_rows : int or None, default=2000
        Maximum number of unlabeled rows to predict, drawn anew in each round. None predicts all of them.

    Notes
    -----
    The criterion adds the column ``overall_uncertainty``. In [1]_ this is the mean over all unlabeled rows.
    Three things are our own: the division by ln C, which gives the threshold the same meaning for any number
    of classes; the sample of rows; and the default threshold.

    References
    ----------
    .. [1] J. Zhu, H. Wang and E. Hovy, "Multi-criteria-based strategy to stop active learning for data
       annotation", COLING 2008.
    """

    columns: ClassVar[tuple[str, ...]] = ("overall_uncertainty",)

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "threshold": [Interval(Real, 0, 1, closed="both")],
        "max_rows": [Interval(Integral, 1, None, closed="left"), None],
    }

    def __init__(self, threshold: float = 0.05, max_rows: int | None = 2000) -> None:
        self.threshold = threshold
        self.max_rows = max_rows

    def measure(self, played: PlayedRound) -> dict[str, float]:
        """Return ``overall_uncertainty``, which is 0 if every row is labeled."""
        if not len(played.unlabeled):
            return {"overall_uncertainty": 0.0}
        rows = _draw(played.unlabeled, self.max_rows, played.seed)
        proba = predict_proba(played.learner, take_rows(played.X, rows), needed_by="OverallUncertainty")
        # predict_proba returns None for an unfitted learner only, and this one was just trained.
        mean = float(entropy(proba).mean())  # type: ignore[arg-type]
        return {"overall_uncertainty": mean / np.log(max(2, proba.shape[1]))}  # type: ignore[union-attr]

    def __call__(self, curve: Any) -> bool:
        """Return whether the last round's uncertainty is below the threshold."""
        return bool(curve["overall_uncertainty"].iloc[-1] < self.threshold)


class StabilizingPredictions(StoppingCriterion):
    """Stop when successive models make the same predictions.

    Agreement is Cohen's kappa between the predictions of a round's model and those of the previous round's
    model, on a fixed set of rows: the stop set.

    Parameters
    ----------
    threshold : float, default=0.99
        Stop when the mean kappa is above this.
    window : int, default=3
        Number of rounds over which the mean is taken.
    stop_set_size : int, default=2000
        Size of the stop set: rows of the pool that are predicted, the same in every round. If the pool is
        smaller, it is the whole pool. The rows need no labels.

    Notes
    -----
    The criterion adds the column ``kappa``, which is NaN in the first round. The default parameters are
    those of [1]_.

    References
    ----------
    .. [1] M. Bloodgood and K. Vijay-Shanker, "A method for stopping active learning based on stabilizing
       predictions and the need for user-adjustable stopping", CoNLL 2009.
    """

    columns: ClassVar[tuple[str, ...]] = ("kappa",)

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "threshold": [Interval(Real, -1, 1, closed="both")],
        "window": [Interval(Integral, 1, None, closed="left")],
        "stop_set_size": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, threshold: float = 0.99, window: int = 3, stop_set_size: int = 2000) -> None:
        self.threshold = threshold
        self.window = window
        self.stop_set_size = stop_set_size

    def measure(self, played: PlayedRound) -> dict[str, float]:
        """Return ``kappa``."""
        if played.previous is None:
            return {"kappa": np.nan}
        rows = _draw(np.arange(_num_samples(played.X)), self.stop_set_size, played.seed)
        stop_set = take_rows(played.X, rows)
        before, now = (np.asarray(m.predict(stop_set)) for m in (played.previous, played.learner))
        if (before == now).all():
            return {"kappa": 1.0}  # kappa would be 0/0 if both predict a single class
        return {"kappa": float(cohen_kappa_score(before, now))}

    def __call__(self, curve: Any) -> bool:
        """Return whether the mean kappa of the last ``window`` rounds is above the threshold."""
        kappa = curve["kappa"].to_numpy()[-self.window :]
        return len(kappa) == self.window and bool(kappa.mean() > self.threshold)  # False if kappa is NaN


def as_criteria(stopping: Any) -> list[Callable[[Any], bool]]:
    """Return the simulator's ``stopping`` parameter as a list of criteria."""
    if stopping is None:
        return []
    return [stopping] if callable(stopping) else list(stopping)


def criterion_met(stopping: Any, curve: Any) -> str | None:
    """Return the name of the first criterion that ends the run after the last round of ``curve``, or None."""
    for criterion in as_criteria(stopping):
        if criterion(curve):
            return getattr(criterion, "__name__", None) or repr(criterion)
    return None


def _draw(rows: np.ndarray, n: int | None, seed: int) -> np.ndarray:
    """Draw ``n`` of the rows with the seed, and return them in order; return all rows if there are fewer."""
    if n is None or len(rows) <= n:
        return rows
    return np.sort(generator(seed, _STOP_SET).choice(rows, n, replace=False))
