"""What strategies read from a learner besides probabilities: features, sequence scores, labeled rows."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.special import expit
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import _num_samples, check_is_fitted

from skprune.pools import Pool
from skprune.probabilities import held_estimator, predict_proba

_ACTIVATIONS = {
    "identity": lambda z: z,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0.0),
}


def penultimate_features(learner: Any, X: Any, *, needed_by: str = "penultimate_features") -> Any:
    """Return the input of the learner's last layer for each row, validated.

    Parameters
    ----------
    learner : estimator
        One of these, possibly inside modAL's ``ActiveLearner``, a ``Pipeline`` (its earlier steps then
        transform ``X``) or a meta-estimator with a fitted ``estimator_``. The first that applies is used:

        - an object with a method ``penultimate(X)``, such as :class:`skprune.TransformerClassifier`;
        - ``MLPClassifier``: the activations of its last hidden layer;
        - a skorch net: the input of its module's last linear layer;
        - any other classifier whose rows are vectors: the vectors themselves, which are the input of a
          linear classifier.
    X : container of n_rows rows
        The rows to compute features for.
    needed_by : str
        The strategy that error messages name.

    Returns
    -------
    ndarray or csr_array of float, shape (n_rows, n_features)
        The features.

    Raises
    ------
    NotFittedError
        If the features depend on a fit and the learner is not fitted.
    TypeError
        If the learner has no penultimate features.
    ValueError
        If the features are not one vector of finite numbers per row.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> X = [[0.0], [2.0]]
    >>> model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, [0, 1])
    >>> penultimate_features(model, X).tolist()
    [[-1.0], [1.0]]
    """
    estimator, rows = _innermost("penultimate", learner, X)
    if hasattr(estimator, "penultimate"):
        features = estimator.penultimate(rows)
    elif isinstance(estimator, MLPClassifier):
        features = _last_hidden_layer(estimator, rows)
    elif hasattr(estimator, "module") and hasattr(estimator, "forward_iter"):
        features = _input_of_last_linear(estimator, rows)
    else:
        features = _vectors_of_pool(estimator, rows, needed_by)
    return _checked(features, _num_samples(X), type(estimator).__name__, needed_by)


def sequence_scores(learner: Any, X: Any, *, needed_by: str = "sequence_scores") -> np.ndarray:
    """Return the log probability of the sequence that the learner generates for each row, validated.

    Parameters
    ----------
    learner : object with a method ``sequence_scores(X)``
        A sequence-to-sequence model, possibly inside modAL's ``ActiveLearner``, a ``Pipeline`` or a
        meta-estimator with a fitted ``estimator_``.
    X : container of n_rows rows
        The inputs.
    needed_by : str
        The strategy that error messages name.

    Returns
    -------
    ndarray of float64, shape (n_rows,)
        Natural logarithm of the geometric mean probability of the generated tokens: at most 0.

    Raises
    ------
    NotFittedError
        If the learner is not fitted.
    TypeError
        If the learner has no ``sequence_scores``.
    ValueError
        If ``sequence_scores`` does not return one number of at most 0 per row.
    """
    estimator, rows = _innermost("sequence_scores", learner, X)
    name = type(estimator).__name__
    if not hasattr(estimator, "sequence_scores"):
        raise TypeError(
            f"{needed_by} needs a learner with a method sequence_scores(X), the mean log probability of the "
            f"generated tokens; {name} does not have one"
        )
    scores = np.asarray(estimator.sequence_scores(rows), dtype=np.float64)
    if scores.shape != (_num_samples(X),):
        raise ValueError(
            f"sequence_scores of {name} returned an array of shape {scores.shape} for {_num_samples(X)} rows"
        )
    invalid = ~(scores <= 1e-6)  # also NaN; rounding may lift a probability of 1 slightly above 0
    if invalid.any():
        row = int(np.argmax(invalid))
        raise ValueError(
            f"sequence_scores of {name} must return log probabilities of at most 0, got {scores[row]} "
            f"for row {row} of X_pool"
        )
    return np.minimum(scores, 0.0)


def class_probabilities(learner: Any, X: Any, *, needed_by: str, **kwargs: Any) -> np.ndarray:
    """Return the learner's class probabilities of each row, validated.

    As :func:`skprune.probabilities.predict_proba`, but an unfitted learner raises ``NotFittedError``.
    """
    proba = predict_proba(learner, X, needed_by=needed_by, **kwargs)
    if proba is None:
        raise NotFittedError(f"{needed_by} was given a learner that is not fitted")
    return proba


def labeled_rows(learner: Any) -> Any:
    """Return the learner's ``X_training``, or None if it has none or it is empty."""
    rows = getattr(learner, "X_training", None)
    return None if rows is None or _num_samples(rows) == 0 else rows


def _innermost(method: str, learner: Any, X: Any) -> tuple[Any, Any]:
    """Unwrap the learner down to an estimator with ``method``, or to the innermost one.

    Return that estimator and its input: ``X``, transformed by the earlier steps of the pipelines around it.
    """
    estimator = held_estimator(learner)
    while not hasattr(estimator, method):
        if isinstance(estimator, Pipeline):
            for _, step in estimator.steps[:-1]:
                if hasattr(step, "transform"):  # not "passthrough" or a sampler, which acts in fit only
                    X = step.transform(X)
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "estimator_") and not hasattr(estimator, "estimators_"):
            estimator = estimator.estimator_  # not an ensemble's, which is only a template of its members
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            break
    return estimator, X


def _vectors_of_pool(estimator: Any, X: Any, needed_by: str) -> Any:
    """Return the rows themselves as features, if they are vectors and the estimator is a classifier."""
    pool = Pool(X, name="X_pool")
    is_classifier = hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function")
    if pool.holds_texts or not is_classifier:
        if pool.holds_texts and hasattr(estimator, "fit"):
            check_is_fitted(estimator)  # once fitted, it may hold an estimator that has features
        raise TypeError(
            f"{needed_by} needs penultimate features, which {type(estimator).__name__} does not have for "
            f"{'texts' if pool.holds_texts else 'vectors'}. Use a learner with a method penultimate(X), such "
            "as skprune.TransformerClassifier; a Pipeline that turns the rows into vectors; a skorch net "
            "whose last layer is linear; or any classifier on a pool of vectors"
        )
    return pool.vectors


def _last_hidden_layer(mlp: MLPClassifier, X: Any) -> np.ndarray:
    check_is_fitted(mlp)
    activation = _ACTIVATIONS[mlp.activation]
    hidden = Pool(X, name="X_pool").vectors
    for weights, intercept in zip(mlp.coefs_[:-1], mlp.intercepts_[:-1], strict=True):
        hidden = activation(np.asarray(hidden @ weights) + intercept)
    return hidden


def _input_of_last_linear(net: Any, X: Any) -> np.ndarray:
    """Run a skorch net and record the input of its last linear layer."""
    from torch import nn

    check_is_fitted(net, "module_")
    layers = [module for module in net.module_.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise TypeError(
            f"the module of {type(net).__name__} has no linear layer, so it has no penultimate features; "
            "give the net a method penultimate(X)"
        )
    this_thread, recorded = threading.get_ident(), []

    def record(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if threading.get_ident() == this_thread:  # another thread may call the same net meanwhile
            recorded.append(inputs[0].detach().float().cpu().numpy())

    handle = layers[-1].register_forward_pre_hook(record)
    try:
        for _ in net.forward_iter(X, training=False):
            pass
    finally:
        handle.remove()
    return np.concatenate(recorded)


def _checked(features: Any, n_rows: int, name: str, needed_by: str) -> Any:
    features = sp.csr_array(features) if sp.issparse(features) else np.asarray(features)
    if features.ndim != 2 or features.shape[0] != n_rows:
        raise ValueError(
            f"the penultimate features of {name} have shape {features.shape} for {n_rows} rows; "
            f"{needed_by} needs one vector per row"
        )
    if features.dtype not in (np.float32, np.float64):
        features = features.astype(np.float64)
    Pool(features, name=f"{needed_by}: penultimate features of {name}").check()
    return features
