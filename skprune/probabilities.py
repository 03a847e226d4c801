"""Class probabilities of a learner, and how uncertain they leave the class."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import entr
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import _num_samples


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
