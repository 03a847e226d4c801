"""What a cheap classifier says about labeled rows that it was not trained on."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.utils._param_validation import HasMethods, Interval

from skprune.filters.semi_prune.scaling import CommonScaler
from skprune.filters.vector_filter import VectorFilter
from skprune.labels import check_classes
from skprune.streams import generator, seed_open_states

# The random stream of a seed that seeds the classifier.
_CLASSIFIER = 3


class HeldOutFilter(VectorFilter):
    """A filter that judges labels by cross-validation. Subclasses also have ``classifier`` and ``cv``."""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **VectorFilter._parameter_constraints,
        "classifier": [HasMethods(["fit", "predict_proba", "get_params"]), None],
        "cv": [Interval(Integral, 2, None, closed="left")],
    }

    classifier: Any
    cv: int

    def _check_labels(self, labels: np.ndarray) -> None:
        super()._check_labels(labels)
        check_classes(labels)

    def _judge_labels(self) -> HeldOut:
        """Return the predictions of the distinct rows given to :meth:`fit`, all of which have a label."""
        rows = self._table.first
        return held_out(
            self._vectors_at(self.pool_, rows),
            self.labeled_.labels_of(self.pool_)[rows],
            self._uniforms(self.pool_, rows),
            classifier=self.classifier,
            cv=self.cv,
            seed=self.seed_,
        )


@dataclass
class HeldOut:
    """Predictions of labeled rows by classifiers trained on the other folds.

    Attributes
    ----------
    classes : list
        The classes, in an order that does not depend on that of the rows.
    class_of : ndarray of intp, shape (n_rows,)
        The number of each row's class.
    plausibility : ndarray of float64, shape (n_rows,)
        Probability of the row's own class; NaN if it cannot be judged.
    right : ndarray of bool, shape (n_rows,)
        Whether the row's own class is the most probable one.
    """

    classes: list[Any]
    class_of: np.ndarray
    plausibility: np.ndarray
    right: np.ndarray

    @property
    def recalls(self) -> np.ndarray:
        """The recall of each class; 0 for a class whose rows cannot be judged."""
        return np.bincount(self.class_of, self.right) / np.bincount(self.class_of)


def held_out(
    vectors: Any, labels: np.ndarray, draws: np.ndarray, *, classifier: Any, cv: int, seed: int
) -> HeldOut:
    """Predict each labeled row by a classifier that is trained without its fold.

    A row that is the only one of its class cannot be judged: without it, no classifier knows the class. It
    takes no part. If fewer than two classes are left, no row can be judged.

    Parameters
    ----------
    vectors : ndarray or csr_array, shape (n_rows, n_features)
    labels : ndarray of object, shape (n_rows,)
    draws : ndarray of float64, shape (n_rows,)
        A random number per row that depends on its content. The rows of each class are dealt out to the folds
        in this order, so that a class with fewer rows than folds is missing from no training set.
    classifier : estimator with ``predict_proba``, or None
        Cloned. None is :func:`default_classifier`.
    cv : int
        Number of folds.
    seed : int
        Seeds every ``random_state`` of the classifier that is None.

    Returns
    -------
    HeldOut
    """
    classes = sorted(dict.fromkeys(labels.tolist()), key=lambda label: (str(type(label)), label))
    numbers = {label: number for number, label in enumerate(classes)}
    class_of = np.array([numbers[label] for label in labels.tolist()], dtype=np.intp)
    result = HeldOut(classes, class_of, np.full(len(labels), np.nan), np.zeros(len(labels), dtype=bool))
    by_class = np.lexsort((draws, class_of))
    rows = by_class[np.bincount(class_of)[class_of[by_class]] > 1]
    judged, columns = np.unique(class_of[rows], return_inverse=True)
    if len(judged) < 2:
        return result
    model = default_classifier() if classifier is None else clone(classifier)
    rng = generator(seed, _CLASSIFIER)
    seed_open_states(model, lambda: int(rng.integers(2**31)))
    folds = PredefinedSplit(np.arange(len(rows)) % cv)
    proba = cross_val_predict(model, vectors[rows], columns, cv=folds, method="predict_proba")
    result.plausibility[rows] = proba[np.arange(len(rows)), columns]
    result.right[rows] = proba.argmax(axis=1) == columns
    return result


def default_classifier() -> Any:
    """Return logistic regression on vectors that are scaled as a whole."""
    return make_pipeline(CommonScaler(), LogisticRegression(C=10.0, max_iter=1000))
