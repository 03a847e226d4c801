"""The student of a teacher's scores: a regressor, its out-of-fold errors, and how far it can be relied on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.metrics import r2_score

from skprune.selections import lowest, size_of
from skprune.streams import generator, seed_open_states

N_FOLDS = 5
_MIN_MEASURED = 10  # fewer scores measure nothing
_ALPHAS = np.logspace(-2, 3, 11)  # penalties of the ridge regression, for columns of unit length
_MAX_TUNED = 4_000  # rows that choose the penalty: it takes a singular value decomposition of them
_SHARES = (1 / 8, 1 / 4, 1 / 2, 1.0)  # of the training rows, along the learning curve
_FARTHEST = 20  # the learning curve is not extrapolated beyond this many times the sample


class Student:
    """A regressor fitted to scores, and one more per fold that has not seen the fold.

    Parameters
    ----------
    template : regressor or None
        None: a ridge regression, whose penalty minimizes the leave-one-out error of the first 4,000 rows.
    columns : ndarray of float64, shape (n, n_columns)
    scores : ndarray of float64, shape (n,)
        The targets, finite.
    folds : ndarray of int, shape (n,)
        The fold of each row, below ``N_FOLDS``.
    seed : int
        Seeds a random template.

    Attributes
    ----------
    template : regressor
        The unfitted regressor; the folds share its penalty.
    regressor : regressor
        Fitted to all rows.
    out_of_fold : ndarray of float64, shape (n,)
        The prediction of each row by the regressor that has not seen its fold; NaN if there are too few rows.
    """

    def __init__(
        self, template: Any, columns: np.ndarray, scores: np.ndarray, folds: np.ndarray, seed: int
    ) -> None:
        self.template = _ridge(columns, scores) if template is None else template
        self.regressor = _fitted(self.template, columns, scores, seed)
        self.out_of_fold = np.full(len(scores), np.nan)
        self._parts = []
        if len(scores) >= _MIN_MEASURED:
            for fold in range(N_FOLDS):
                part = _fitted(self.template, columns[folds != fold], scores[folds != fold], seed)
                self.out_of_fold[folds == fold] = part.predict(columns[folds == fold])
                self._parts.append(part)
        errors = scores - self.out_of_fold
        self._mean_square = float(np.mean(errors**2)) if self._parts else np.nan

    def predict(self, columns: np.ndarray) -> np.ndarray:
        """Return the predicted score of each row."""
        return np.asarray(self.regressor.predict(columns), dtype=np.float64).ravel()

    def uncertainty(self, columns: np.ndarray) -> np.ndarray:
        """Return a standard deviation per row: out-of-fold error plus the jackknife's of the prediction."""
        if not self._parts:
            return np.full(len(columns), np.inf)
        predicted = np.array([part.predict(columns) for part in self._parts]).reshape(N_FOLDS, -1)
        return np.asarray(np.sqrt(self._mean_square + (N_FOLDS - 1) * predicted.var(axis=0)))


class Agreement(NamedTuple):
    """How well predictions agree with the teacher's scores; NaN where it cannot be measured."""

    spearman: float
    r2: float
    recall: float


def agreement(scores: np.ndarray, predicted: np.ndarray, top: float, ties: np.ndarray) -> Agreement:
    """Compare predictions with scores of which the highest are best.

    Parameters
    ----------
    scores, predicted : ndarray of float64, shape (n,)
    top : float
        Share of the rows whose recall is measured.
    ties : ndarray of float64, shape (n,)
        Uniform numbers that order equal values.

    Examples
    --------
    >>> scores = np.arange(12.0)
    >>> agreement(scores, scores - 1, top=0.25, ties=scores).recall
    1.0
    """
    if len(scores) < _MIN_MEASURED or np.isnan(predicted).any():
        return Agreement(np.nan, np.nan, np.nan)
    k = size_of(top, len(scores))
    # Opposite ties: rows that are equal to the teacher and to the student must not agree by their order.
    best = np.intersect1d(lowest(-scores, k, ties), lowest(-predicted, k, -ties))
    if np.ptp(scores) == 0 or np.ptp(predicted) == 0:
        return Agreement(np.nan, np.nan, len(best) / k)
    rank = float(spearmanr(scores, predicted).statistic)
    return Agreement(rank, float(r2_score(scores, predicted)), len(best) / k)


def calls_needed(
    student: Any,
    columns: np.ndarray,
    scores: np.ndarray,
    folds: np.ndarray,
    measured: np.ndarray,
    *,
    sign: float,
    top: float,
    goal: float,
    ties: np.ndarray,
    seed: int,
) -> int | None:
    """Return the number of scores at which the recall reaches ``goal``; None if that cannot be told.

    The missed share falls with the number of training rows as a power law. Its exponent is estimated by least
    squares from the learning curve. The answer is None unless the recall rises along the curve by more than
    twice its standard error, and the goal lies within 20 times the sample.

    Parameters
    ----------
    student, columns, scores, folds, seed
        As for :class:`Student`.
    measured : ndarray of int
        Rows on which the recall is measured.
    sign : float
        1 if the best rows have the highest scores, else −1.
    top : float
        Share of the rows whose recall is measured.
    goal : float
        The recall to reach.
    ties : ndarray of float64, shape (n,)
        Uniform numbers; they also order the rows that join the training along the curve.
    """
    join = np.argsort(np.argsort(ties))
    sizes, missed = [], []
    for share in _SHARES:
        rows = np.flatnonzero(join < share * len(scores))
        predicted = np.full(len(scores), np.nan)
        for fold in range(N_FOLDS):
            train, test = rows[folds[rows] != fold], folds == fold
            if len(train) < 2:
                break
            predicted[test] = _fitted(student, columns[train], scores[train], seed).predict(columns[test])
        found = agreement(sign * scores[measured], sign * predicted[measured], top, ties[measured])
        if not np.isnan(found.recall):
            sizes.append(len(rows))
            missed.append(1 - found.recall)
    if len(missed) < 3 or goal == 1:
        return None
    n_top = size_of(top, len(measured))
    error = np.sqrt(2 * np.mean(missed) * (1 - np.mean(missed)) / n_top)
    if missed[0] - missed[-1] <= 2 * error or missed[-1] == 0:
        return None
    slope = np.polyfit(np.log(sizes), np.log(missed), 1)[0]
    if slope >= 0:
        return None
    needed = len(scores) * ((1 - goal) / missed[-1]) ** (1 / slope)
    return int(np.ceil(needed)) if needed <= _FARTHEST * len(scores) else None


def _fitted(template: Any, columns: np.ndarray, scores: np.ndarray, seed: int) -> Any:
    regressor = clone(template)
    draw = generator(seed).integers
    seed_open_states(regressor, lambda: int(draw(2**31)))
    return regressor.fit(columns, scores)


def _ridge(columns: np.ndarray, scores: np.ndarray) -> Ridge:
    if len(scores) == 1:  # there is nothing to leave out
        return Ridge()
    return Ridge(RidgeCV(_ALPHAS).fit(columns[:_MAX_TUNED], scores[:_MAX_TUNED]).alpha_)
