"""Pruning a training set: the labels that a filter sees, and the rows that survive."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.multiclass import type_of_target

from skprune.base import BaseFilter
from skprune.containers import take_rows
from skprune.exceptions import LostClassWarning
from skprune.labels import check_labels

FILTER_CONSTRAINT = [HasMethods(["fit", "select"])]
MIN_PER_CLASS_CONSTRAINT = [Interval(Integral, 0, None, closed="left")]


class WithoutRounds(BaseEstimator):
    """An estimator whose ``filter`` prunes a training set, and so never begins a second round."""

    filter: Any

    def set_params(self, **params: Any) -> Self:
        """Set parameters, nested ones included, as in scikit-learn.

        Warns
        -----
        UserWarning
            If a parameter of the filter is set that has no effect without rounds, such as β of
            :class:`~skprune.ActivePruneFilter`: a search over it would compare equal settings.
        """
        super().set_params(**params)
        inert = {f"filter__{name}" for name in getattr(self.filter, "_round_parameters", ())}
        without_effect = sorted(inert.intersection(params))
        if without_effect:
            warnings.warn(
                f"{', '.join(without_effect)} has no effect here: {type(self.filter).__name__} uses it after "
                "the first round of a loop, and pruning a training set plays no rounds. Tune it with "
                "ActiveLearningSimulator and LearningCurveScorer",
                stacklevel=2,
            )
        return self


def class_labels(y: Any) -> np.ndarray | None:
    """Return ``y`` as a filter should see it, or None if it holds no classes.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or (n_rows, n_outputs), or None

    Returns
    -------
    ndarray of shape (n_rows,), or None
        None for several outputs, for continuous targets, and if no row has a label.

    Examples
    --------
    >>> class_labels([1, 0, -1]), class_labels([0.5, 1.5])
    (array([ 1,  0, -1]), None)

    If −1 and one other class are the only values, −1 is a class and not a missing label, because nothing can
    be learned from a single class.

    >>> class_labels([1, -1, -1])
    array([1, 0, 0])
    """
    if y is None or sp.issparse(y):
        return None
    target = np.asarray(y)
    if target.ndim > 1 and target.shape[1] != 1:
        return None
    labels, known = check_labels(target, len(target))
    present = labels[known].tolist()
    with np.errstate(invalid="ignore"):  # scikit-learn refuses infinity, without a warning about a cast first
        if not present or type_of_target(np.array(present)) not in {"binary", "multiclass"}:
            return None
    missing = labels[~known].tolist()
    if len(set(present)) == 1 and missing and all(label == -1 for label in missing):
        return known.astype(int)
    return labels


def prune(
    filter: BaseFilter, X: Any, labels: np.ndarray | None, min_per_class: int, **params: Any
) -> np.ndarray:
    """Fit the filter to a training set, and return the rows that survive, ascending.

    Parameters
    ----------
    filter : BaseFilter
        Fitted here.
    X : container of n_rows rows
    labels : ndarray of shape (n_rows,), or None
        The return value of :func:`class_labels`.
    min_per_class : int
        See :class:`~skprune.PrunedClassifier`.
    **params : dict
        Metadata that the filter's ``fit`` requests.

    Returns
    -------
    ndarray of intp, shape (n_kept,)
    """
    filter.fit(X, labels, **params)
    with warnings.catch_warnings():
        if min_per_class:  # every class keeps rows in the end
            warnings.simplefilter("ignore", LostClassWarning)
        kept = filter.select(X)
    if labels is None:
        return np.sort(kept)
    known = check_labels(labels, len(labels))[1]
    if not known.all():
        return np.union1d(kept, np.flatnonzero(known))
    classes, class_of = np.unique(labels, return_inverse=True)
    sizes = np.bincount(class_of)
    survive = np.bincount(class_of[kept], minlength=len(classes))
    for c in np.flatnonzero(survive < np.minimum(min_per_class, sizes)):
        rows = np.flatnonzero(class_of == c)
        best = rows[filter.select(take_rows(X, rows), min_rows=len(rows))]
        kept = np.append(kept, best[~np.isin(best, kept)][: min_per_class - survive[c]])
    return np.sort(kept)
