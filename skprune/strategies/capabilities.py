"""What strategies ask of a learner beside probabilities: penultimate features, and scores of sequences."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.special import expit
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import _num_samples, check_is_fitted

from skprune.pools import Pool
from skprune.probabilities import held_estimator

_ACTIVATIONS = {
    "identity": lambda z: z,
    "logistic": expit,
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0.0),
}


def penultimate_features(learner: Any, X: Any, *, needed_by: str = "penultimate_features") -> Any:
    """Return what the last layer of the learner sees of each row, checked.

    Parameters
    ----------
    learner : estimator
        Whichever of these comes first, also inside modAL's ``ActiveLearner``, a ``Pipeline`` (whose earlier
        steps transform ``X`` first), or a meta-estimator that holds a fitted ``estimator_``:

        - an object with a method ``penultimate(X)``, such as :class:`skprune.TransformerClassifier`;
        - ``MLPClassifier``: the activations of its last hidden layer;
        - a skorch net: the input of its module's last linear layer;
        - any other classifier, where its rows are vectors: the vectors themselves, which is what a linear
          classifier sees.
    X : container of n_rows rows
    needed_by : str
        What errors say needs them.

    Returns
    -------
    ndarray or csr_array of float, shape (n_rows, n_features)

    Raises
    ------
    NotFittedError
        If the learner was never fitted, and they depend on that.
    TypeError
        If the learner offers nothing of the kind.
    ValueError
        If the features are not one row of finite numbers a row.

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
    estimator, rows = _reach("penultimate", learner, X)
    if hasattr(estimator, "penultimate"):
        features = estimator.penultimate(rows)
    elif isinstance(estimator, MLPClassifier):
        features = _last_hidden_layer(estimator, rows)
    elif hasattr(estimator, "module") and hasattr(estimator, "forward_iter"):
        features = _input_of_last_linear(estimator, rows)
    else:
        features = _vectors(estimator, rows, needed_by)
    return _checked(features, _num_samples(X), type(estimator).__name__, needed_by)


def sequence_scores(learner: Any, X: Any, *, needed_by: str = "sequence_scores") -> np.ndarray:
    """Return how sure the learner is of what it generates for each row, checked.

    Parameters
    ----------
    learner : object with a method ``sequence_scores(X)``
        A sequence-to-sequence model; also inside modAL's ``ActiveLearner``, a ``Pipeline``, or a
        meta-estimator that holds a fitted ``estimator_``.
    X : container of n_rows rows
    needed_by : str
        What errors say needs them.

    Returns
    -------
    ndarray of float64, shape (n_rows,)
        Natural logarithm of the geometric mean probability of the generated tokens: at most 0.

    Raises
    ------
    NotFittedError
        If the learner was never fitted.
    TypeError
        If the learner has no ``sequence_scores``.
    ValueError
        If what it returns is not one number of at most 0 a row.
    """
    estimator, rows = _reach("sequence_scores", learner, X)
    name = type(estimator).__name__
    if not hasattr(estimator, "sequence_scores"):
        raise TypeError(
            f"{needed_by} needs sequence_scores(X), the mean log probability of the tokens that the "
            f"learner generates, which {name} does not have"
        )
    scores = np.asarray(estimator.sequence_scores(rows), dtype=np.float64)
    if scores.shape != (_num_samples(X),):
        raise ValueError(
            f"sequence_scores of {name} returned an array of shape {scores.shape} for {_num_samples(X)} rows"
        )
    broken = ~(scores <= 1e-6)  # NaN too; rounding may carry a certain sequence past 0
    if broken.any():
        row = int(np.argmax(broken))
        raise ValueError(
            f"sequence_scores of {name} must be log probabilities, at most 0: got {scores[row]} "
            f"for row {row} of X_pool"
        )
    return np.minimum(scores, 0.0)


def labeled_rows(learner: Any) -> Any:
    """Return the learner's ``X_training``, or None where it has none."""
    rows = getattr(learner, "X_training", None)
    return None if rows is None or _num_samples(rows) == 0 else rows


def _reach(method: str, learner: Any, X: Any) -> tuple[Any, Any]:
    """Return the estimator in the learner that has ``method``, or the innermost, and what it sees of X."""
    estimator = held_estimator(learner)
    while not hasattr(estimator, method):
        if isinstance(estimator, Pipeline):
            for _, step in estimator.steps[:-1]:
                if hasattr(step, "transform"):  # else "passthrough", or a sampler, which acts in fit only
                    X = step.transform(X)
            estimator = estimator.steps[-1][1]
        elif hasattr(estimator, "estimator_") and not hasattr(estimator, "estimators_"):
            estimator = estimator.estimator_  # an ensemble's is but the template of its members
        elif hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            break
    return estimator, X


def _vectors(estimator: Any, X: Any, needed_by: str) -> Any:
    pool = Pool(X, name="X_pool")
    classifies = hasattr(estimator, "predict_proba") or hasattr(estimator, "decision_function")
    if pool.holds_texts or not classifies:
        if pool.holds_texts and hasattr(estimator, "fit"):
            check_is_fitted(estimator)  # what it holds may serve, once it is there
        raise TypeError(
            f"{needed_by} needs penultimate features, which {type(estimator).__name__} does not offer for "
            f"{'texts' if pool.holds_texts else 'vectors'}. What serves: a method penultimate(X), as "
            "skprune.TransformerClassifier has; a Pipeline that turns the rows into vectors; a skorch net "
            "whose last layer is linear; or any classifier, on a pool of vectors"
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
    """Run a skorch net and note what its last linear layer was given."""
    from torch import nn

    check_is_fitted(net, "module_")
    layers = [module for module in net.module_.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise TypeError(f"the module of {type(net).__name__} has no linear layer to take the input of")
    me, seen = threading.get_ident(), []

    def note(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if threading.get_ident() == me:  # not what another thread predicts meanwhile
            seen.append(inputs[0].detach().float().cpu().numpy())

    handle = layers[-1].register_forward_pre_hook(note)
    try:
        for _ in net.forward_iter(X, training=False):
            pass
    finally:
        handle.remove()
    return np.concatenate(seen)


def _checked(features: Any, n_rows: int, name: str, needed_by: str) -> Any:
    features = sp.csr_array(features) if sp.issparse(features) else np.asarray(features)
    if features.ndim != 2 or features.shape[0] != n_rows:
        raise ValueError(
            f"the penultimate features of {name} have shape {features.shape} for {n_rows} rows; "
            f"{needed_by} needs one vector each"
        )
    if features.dtype not in (np.float32, np.float64):
        features = features.astype(np.float64)
    Pool(features, name=f"{needed_by}: penultimate features of {name}").check()
    return features
