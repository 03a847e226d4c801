"""Class probabilities and logits of a learner, how uncertain they leave it, and which classes are rare."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import entr, expit, softmax
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import _num_samples

# Logits are taken of probabilities that are clipped here.
_CLIP = 1e-6
# A class is rare if it is at most this many times as frequent as the rarest class.
_RARE = 2.0


def predict_proba(learner: Any, X: Any, *, needed_by: str, **kwargs: Any) -> np.ndarray | None:
    """Return the learner's checked class probabilities for each row, or None if it is not fitted.

    Parameters
    ----------
    learner : object with ``predict_proba``
        A scikit-learn classifier, a skorch net, or modAL's ``ActiveLearner``.
    X : container of n_rows rows
    needed_by : str
        What needs the probabilities; errors name it.
    **kwargs
        Passed on to ``predict_proba``.

    Returns
    -------
    ndarray of float64, shape (n_rows, n_classes), or None

    Raises
    ------
    TypeError
        If the learner has no ``predict_proba``.
    ValueError
        If the result is not an array with one row of finite probabilities for each row of ``X``.

    Examples
    --------
    >>> from sklearn.dummy import DummyClassifier
    >>> predict_proba(DummyClassifier(), [[0.0]], needed_by="an example") is None
    True
    """
    estimator = held_estimator(learner)  # modAL's learners have predict_proba whatever they hold
    name = type(estimator).__name__
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(f"{needed_by} needs predict_proba, which {name} does not have")
    try:
        proba = np.asarray(learner.predict_proba(X, **kwargs), dtype=np.float64)
    except NotFittedError:
        return None
    return checked_proba(proba, _num_samples(X), name, needed_by)


def checked_proba(proba: np.ndarray, n_rows: int, name: str, needed_by: str) -> np.ndarray:
    """Return ``proba`` if it holds one row of finite numbers for each of ``n_rows`` rows.

    Parameters
    ----------
    proba : ndarray
    n_rows : int
    name : str
        The estimator that predicted ``proba``; errors name it.
    needed_by : str
        What needs the probabilities; errors name it.
    """
    if proba.ndim != 2 or len(proba) != n_rows:
        raise ValueError(
            f"predict_proba of {name} returned an array of shape {proba.shape} "
            f"for {n_rows} rows; {needed_by} needs one row of class probabilities each"
        )
    broken = ~np.isfinite(proba).all(axis=1)
    if broken.any():
        row = int(np.argmax(broken))
        raise ValueError(f"predict_proba of {name} is not finite (first in row {row} of X_pool)")
    return proba


def held_estimator(learner: Any) -> Any:
    """Return the estimator that an active learner holds; return any other learner itself.

    An active learner keeps the rows it was taught in ``X_training``, and its estimator in ``estimator``.
    modAL's learners and the simulator's do. A scikit-learn meta-estimator also has ``estimator``, but it
    keeps no training rows.
    """
    return getattr(learner, "estimator", learner) if hasattr(learner, "X_training") else learner


def least_confidence(proba: np.ndarray) -> np.ndarray:
    """Return 1 − max_c p_c, between 0 and 1 − 1/C.

    Parameters
    ----------
    proba : ndarray of shape (n, n_classes)

    Returns
    -------
    ndarray of shape (n,)

    Examples
    --------
    >>> least_confidence(np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]))
    array([0.5, 0. ])
    """
    return 1.0 - np.asarray(proba).max(axis=1)


def margin(proba: np.ndarray) -> np.ndarray:
    """Return p_(1) − p_(2), the lead of the most likely class over the second, between 0 and 1.

    With a single class there is no second one, and the margin is 0.

    Parameters
    ----------
    proba : ndarray of shape (n, n_classes)

    Returns
    -------
    ndarray of shape (n,)

    Examples
    --------
    >>> margin(np.array([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]]))
    array([0.25, 1.  ])
    """
    proba = np.asarray(proba)
    if proba.shape[1] == 1:
        return np.zeros(len(proba))
    highest = np.partition(proba, -2, axis=1)[:, -2:]
    return highest[:, 1] - highest[:, 0]


def entropy(proba: np.ndarray) -> np.ndarray:
    """Return −Σ_c p_c ln p_c in nats, with 0 ln 0 = 0, between 0 and ln C.

    Parameters
    ----------
    proba : ndarray of shape (n, n_classes)

    Returns
    -------
    ndarray of shape (n,)

    Examples
    --------
    >>> entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).round(3)
    array([0.693, 0.   ])
    """
    proba = np.asarray(proba, dtype=np.float64)
    return entr(proba).sum(axis=1)


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
        function, if it has a column per class. None: the learner is not fitted, knows one class only, or
        has neither method.

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
    if values.ndim == 2 and values.shape[1] != len(getattr(estimator, "classes_", values[0])):
        return None  # one column per pair of classes
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
