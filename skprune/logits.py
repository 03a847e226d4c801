"""Logits of a learner, which classes they make rare, and the margin between the two likeliest classes."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.exceptions import NotFittedError

from skprune.probabilities import held_estimator, predict_proba

# Probabilities are clipped here before their logarithm is taken.
_CLIP = 1e-6
# A class is rare if it is at most this many times as frequent as the rarest class.
_RARE = 2.0


def logits_of(learner: Any, X: Any, *, needed_by: str) -> np.ndarray | None:
    """Return the logits that a learner gives to rows, or None if it gives none.

    Parameters
    ----------
    learner : object
        A classifier, or an active learner that holds one.
    X : container of n_rows rows
    needed_by : str
        What needs the logits; errors name it.

    Returns
    -------
    ndarray of shape (n_rows, 1), (n_rows, n_classes), or None
        Two classes: the log-odds of the second, from probabilities clipped to [1e-6, 1 − 1e-6]. More: the
        logarithms of the clipped probabilities minus their mean. Without ``predict_proba``: the decision
        function. None: the learner is not fitted, knows one class only, or has neither method.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    >>> logits = logits_of(model, [[3.0]], needed_by="an example")
    >>> bool(np.allclose(logits[:, 0], model.decision_function([[3.0]])))
    True
    """
    estimator = held_estimator(learner)
    if hasattr(estimator, "predict_proba"):
        proba = predict_proba(learner, X, needed_by=needed_by)
        if proba is None or proba.shape[1] < 2:
            return None
        logs = np.log(np.clip(proba, _CLIP, 1 - _CLIP))
        if proba.shape[1] == 2:
            return logs[:, 1:] - logs[:, :1]
        return logs - logs.mean(axis=1, keepdims=True)
    if not hasattr(estimator, "decision_function"):
        return None
    try:
        values = np.asarray(estimator.decision_function(X), dtype=np.float64)
    except NotFittedError:
        return None
    if not np.isfinite(values).all():
        raise ValueError(f"decision_function of {type(estimator).__name__} is not finite")
    return values[:, None] if values.ndim == 1 else values - values.mean(axis=1, keepdims=True)


def rare_columns(logits: np.ndarray) -> list[int]:
    """Return the classes that are rare among rows with these logits: at most twice as frequent as the rarest.

    With two classes it is the rarer one; the frequency of a class is its mean probability.

    Examples
    --------
    >>> rare_columns(np.array([[-3.0], [-2.0]])), rare_columns(np.array([[2.0, 0.0, 0.1], [3.0, 0.0, 0.1]]))
    ([1], [1, 2])
    """
    if logits.shape[1] == 1:
        return [int(expit(logits).mean() < 0.5)]
    frequency = softmax(logits, axis=1).mean(axis=0)
    return np.flatnonzero(frequency <= _RARE * frequency.min()).tolist()


def margin_and_rare_logit(logits: np.ndarray, rare: list[int]) -> np.ndarray:
    """Return the margin between the two largest logits, and the largest logit of the rare classes.

    Parameters
    ----------
    logits : ndarray of shape (n, 1) or (n, n_classes)
    rare : list of int
        Columns; for two classes, [0] or [1].

    Returns
    -------
    ndarray of float64, shape (n, 2)

    Examples
    --------
    >>> margin_and_rare_logit(np.array([[-2.0], [0.5]]), [1]).tolist()
    [[2.0, -2.0], [0.5, 0.5]]
    >>> margin_and_rare_logit(np.array([[1.0, 0.0, -1.0]]), [1, 2]).tolist()
    [[1.0, 0.0]]
    """
    found = np.empty((len(logits), 2))
    if logits.shape[1] == 1:
        found[:, 0] = np.abs(logits[:, 0])
        found[:, 1] = logits[:, 0] if rare == [1] else -logits[:, 0]
        return found
    largest = np.partition(logits, -2, axis=1)[:, -2:]
    found[:, 0] = largest[:, 1] - largest[:, 0]
    found[:, 1] = logits[:, rare].max(axis=1)
    return found
