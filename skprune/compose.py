"""Estimators that are trained on the rows a filter keeps. They can be the last step of a Pipeline."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, ClassVar

import numpy as np
from sklearn.base import MetaEstimatorMixin, clone, is_classifier
from sklearn.utils import check_consistent_length, get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils._set_output import _safe_set_output
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, _routing_enabled, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _num_samples, check_is_fitted

from skprune.base import BaseFilter
from skprune.containers import take_rows
from skprune.selections import mask_of
from skprune.training_set import (
    FILTER_CONSTRAINT,
    MIN_PER_CLASS_CONSTRAINT,
    WithoutRounds,
    class_labels,
    prune,
)


def estimator_has(*names: str) -> Any:
    """Return a condition for ``available_if``: the estimator has all these attributes.

    The condition looks at ``estimator_`` if it exists, else at ``estimator``.
    """

    def check(self: Any) -> bool:
        for name in names:
            getattr(getattr(self, "estimator_", self.estimator), name)  # raises the estimator's own error
        return True

    return check


class PrunedEstimator(MetaEstimatorMixin, WithoutRounds):
    """An estimator fitted on the rows that a filter keeps: a regressor, a clusterer, an outlier detector.

    ``fit`` fits the filter on X, and the estimator on the rows that survive. All other methods are the
    estimator's own and use every row they are given. A filter drops rows, which a step of a scikit-learn
    Pipeline must not do; a PrunedEstimator can be the last step of any Pipeline.

    Parameters
    ----------
    estimator : estimator
        Trained on the rows that survive. Cloned, never changed.
    filter : BaseFilter
        Chooses the rows. Cloned, never changed.

    Attributes
    ----------
    estimator_ : estimator
        The fitted estimator.
    filter_ : BaseFilter
        The fitted filter. ``filter_.explain()`` tells why each row was kept or not.
    support_ : ndarray of bool, shape (n_rows,)
        Mask of the rows given to :meth:`fit` on which the estimator was fitted.
    n_features_in_ : int
        Delegated to ``estimator_`` if it has the attribute, like ``feature_names_in_``.

    See Also
    --------
    PrunedClassifier : For classifiers: the filter sees the classes.
    PruneSampler : For imbalanced-learn's Pipeline.

    Notes
    -----
    The filter gets no ``y``. Filters use class labels only, and a target of −1 is a number here, not a
    missing label. All rows are eligible.

    Metadata with one entry per row (``sample_weight``, ``groups``) is cut to the rows that survive. Without
    metadata routing, the estimator gets everything that ``fit`` is given, as in ``GridSearchCV``. With
    metadata routing, the filter and the estimator get what each of them requests; the filter gets the
    entries of all rows.

    A pickle includes the filter, and so the rows given to :meth:`fit`. ``estimator_`` alone is enough to
    predict.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from skprune import PrunedEstimator, RandomFilter
    >>> X = np.arange(20.0).reshape(-1, 1)
    >>> model = PrunedEstimator(Ridge(alpha=1e-6), RandomFilter(keep=5, random_state=0)).fit(X, 2 * X[:, 0])
    >>> int(model.support_.sum()), model.predict([[100.0]]).round(2)
    (5, array([200.]))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "estimator": [HasMethods("fit")],
        "filter": FILTER_CONSTRAINT,
    }

    def __init__(self, estimator: Any, filter: BaseFilter) -> None:
        self.estimator = estimator
        self.filter = filter

    def fit(self, X: Any, y: Any = None, **params: Any) -> PrunedEstimator:
        """Fit the filter on ``X``, and the estimator on the rows that survive.

        Parameters
        ----------
        X : container of n_rows texts or numeric rows
            Any container that the filter reads. The estimator gets the rows that survive in the same kind
            of container.
        y : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
        **params : dict
            ``sample_weight`` and other metadata; see Notes.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If ``estimator`` is a filter, or a classifier, which needs :class:`PrunedClassifier`.
        ValueError
            If the filter's ``fit`` refuses ``X``, or ``y`` has another length.

        Notes
        -----
        If ``fit`` raises, or is interrupted, an earlier fit stays.
        """
        if isinstance(self.estimator, BaseFilter):
            owner, filter = type(self).__name__, type(self.estimator).__name__
            raise TypeError(
                f"estimator={filter}(...) is a filter; pass the estimator first: {owner}(estimator, filter)"
            )
        self._validate_params()
        self._check_estimator()
        n_rows = _num_samples(X)
        if y is not None:
            check_consistent_length(np.arange(n_rows), y)
        elif is_classifier(self.estimator) or get_tags(self.estimator).target_tags.required:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None")
        for_filter: dict[str, Any] = {}
        if _routing_enabled():
            routed = process_routing(self, "fit", **params)
            for_filter, params = routed.filter.fit, routed.estimator.fit
        fitted = clone(self.filter)
        rows = self._prune(fitted, X, y, **for_filter)
        cut = {k: take_rows(v, rows) if _is_per_row(v, n_rows) else v for k, v in params.items()}
        target = None if y is None else take_rows(y, rows)
        estimator = clone(self.estimator).fit(take_rows(X, rows), target, **cut)
        self._check_fitted(estimator)
        self.estimator_, self.filter_, self.support_ = estimator, fitted, mask_of(rows, n_rows)
        return self

    def _check_estimator(self) -> None:
        if is_classifier(self.estimator):
            raise TypeError(
                f"{type(self.estimator).__name__} is a classifier; use PrunedClassifier, whose filter sees "
                "the classes"
            )

    def _check_fitted(self, estimator: Any) -> None:
        """Refuse a fitted estimator that has taken a missing label for a class."""

    def _prune(self, filter: BaseFilter, X: Any, y: Any, **params: Any) -> np.ndarray:
        """Fit the filter and return the rows that survive, ascending."""
        return np.sort(filter.fit(X, **params).select(X))

    # ------------------------------------------------------------------ delegated to the estimator

    @available_if(estimator_has("predict"))
    def predict(self, X: Any, **params: Any) -> Any:
        """Return the estimator's ``predict`` for every row of ``X``."""
        return self._delegate("predict", X, **params)

    @available_if(estimator_has("predict_proba"))
    def predict_proba(self, X: Any, **params: Any) -> Any:
        """Return the estimator's ``predict_proba`` for every row of ``X``."""
        return self._delegate("predict_proba", X, **params)

    @available_if(estimator_has("predict_log_proba"))
    def predict_log_proba(self, X: Any, **params: Any) -> Any:
        """Return the estimator's ``predict_log_proba`` for every row of ``X``."""
        return self._delegate("predict_log_proba", X, **params)

    @available_if(estimator_has("decision_function"))
    def decision_function(self, X: Any, **params: Any) -> Any:
        """Return the estimator's ``decision_function`` for every row of ``X``."""
        return self._delegate("decision_function", X, **params)

    @available_if(estimator_has("score_samples"))
    def score_samples(self, X: Any) -> Any:
        """Return the estimator's ``score_samples`` for every row of ``X``."""
        return self._delegate("score_samples", X)

    @available_if(estimator_has("transform"))
    def transform(self, X: Any, **params: Any) -> Any:
        """Return the estimator's ``transform`` for every row of ``X``."""
        return self._delegate("transform", X, **params)

    @available_if(estimator_has("inverse_transform"))
    def inverse_transform(self, X: Any, **params: Any) -> Any:
        """Return the estimator's ``inverse_transform`` for every row of ``X``."""
        return self._delegate("inverse_transform", X, **params)

    @available_if(estimator_has("score"))
    def score(self, X: Any, y: Any = None, **params: Any) -> float:
        """Return the estimator's ``score`` on every row of ``X``."""
        return float(self._delegate("score", X, y, **params))

    @available_if(estimator_has("fit_predict", "predict"))
    def fit_predict(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit on the rows that survive, then predict every row of ``X``."""
        return self.fit(X, y, **params).predict(X)

    @available_if(estimator_has("transform"))
    def fit_transform(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Fit on the rows that survive, then transform every row of ``X``."""
        return self.fit(X, y, **params).transform(X)

    @available_if(estimator_has("get_feature_names_out"))
    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the estimator's ``get_feature_names_out``."""
        check_is_fitted(self)
        return np.asarray(self.estimator_.get_feature_names_out(input_features))

    @available_if(estimator_has("set_output"))
    def set_output(self, *, transform: str | None = None) -> PrunedEstimator:
        """Set the container that the estimator's ``transform`` returns, as in scikit-learn."""
        for estimator in (self.estimator, getattr(self, "estimator_", None)):
            if estimator is not None:
                _safe_set_output(estimator, transform=transform)
        return self

    @property
    def n_features_in_(self) -> int:
        """Number of columns that the estimator was fitted on."""
        return int(self.estimator_.n_features_in_)

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns that the estimator was fitted on."""
        return np.asarray(self.estimator_.feature_names_in_)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the metadata routing; see scikit-learn's user guide."""
        to_estimator = MethodMapping().add(caller="fit", callee="fit")
        for method in (
            "predict",
            "predict_proba",
            "predict_log_proba",
            "decision_function",
            "transform",
            "inverse_transform",
            "score",
        ):
            to_estimator.add(caller=method, callee=method)
        return (
            MetadataRouter(owner=type(self).__name__)
            .add(filter=self.filter, method_mapping=MethodMapping().add(caller="fit", callee="fit"))
            .add(estimator=self.estimator, method_mapping=to_estimator)
        )

    def _delegate(self, method: str, *args: Any, **params: Any) -> Any:
        check_is_fitted(self)
        if params and _routing_enabled():
            params = process_routing(self, method, **params).estimator[method]
        return getattr(self.estimator_, method)(*args, **params)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self) -> Any:
        tags = deepcopy(get_tags(self.estimator))
        read = get_tags(self.filter).input_tags
        for kind in ("two_d_array", "sparse", "allow_nan"):
            setattr(tags.input_tags, kind, getattr(tags.input_tags, kind) and getattr(read, kind))
        tags.array_api_support = False
        return tags


class PrunedClassifier(PrunedEstimator):
    """A classifier fitted on the rows that a filter keeps.

    ``fit`` fits the filter on X and y, and the classifier on the rows that survive. All other methods are the
    classifier's own and use every row they are given. A filter drops rows, which a step of a scikit-learn
    Pipeline must not do; a PrunedClassifier can be the last step of any Pipeline. Searches reach the
    parameters of both parts, as ``estimator__C`` and ``filter__keep``.

    Parameters
    ----------
    estimator : classifier
        Trained on the rows that survive: a classifier of scikit-learn or skorch, or a Pipeline that reads
        texts. Cloned, never changed.
    filter : BaseFilter
        Chooses the rows. Cloned, never changed.
    min_per_class : int, default=0
        Minimum number of rows of each class that survive; smaller classes survive whole. The rows that the
        filter ranks best within a class are added to those it keeps. With 0, a class that loses all of its
        rows causes a warning.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Delegated to ``estimator_``. A class that lost all of its rows is not included.
    estimator_ : classifier
        The fitted classifier.
    filter_ : BaseFilter
        The fitted filter. ``filter_.explain()`` tells why each row was kept or not.
    support_ : ndarray of bool, shape (n_rows,)
        Mask of the rows given to :meth:`fit` on which the classifier was fitted.
    n_features_in_ : int
        Delegated to ``estimator_`` if it has the attribute, like ``feature_names_in_``.

    See Also
    --------
    PrunedEstimator : For every estimator that is not a classifier.
    PruneSampler : For imbalanced-learn's Pipeline.
    PrunedQuery : Prunes the pool of an active learner instead of its training set.

    Notes
    -----
    *If every row has a label*, which is the usual case, the training set itself is pruned, and all rows are
    eligible. The filter knows all labels, so filters that learn from labels (AnchorFilter's anchors,
    EntropyIntervalFilter's search) use them all.

    *If some rows have no label* (−1, NaN or None, as in :mod:`sklearn.semi_supervised`), rows with a label
    always survive, the others are pruned, and the classifier gets both. It must be a classifier that learns
    from rows without a label, such as ``SelfTrainingClassifier``. If the classifier treats −1 as a class,
    ``fit`` raises an error. If −1 and one other class are the only values, as in ``y = ±1``, −1 is a class.

    *If there are several outputs*, the filter gets no labels.

    Metadata and pickles behave as with :class:`PrunedEstimator`.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skprune import PrunedClassifier, RandomFilter
    >>> texts = [f"{mood} film, number {i}" for i in range(10) for mood in ("good", "bad")]
    >>> model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    >>> model = PrunedClassifier(model, RandomFilter(keep=0.5, random_state=0)).fit(texts, ["+", "-"] * 10)
    >>> int(model.support_.sum()), model.predict(["what a bad film"])
    (10, array(['-'], dtype='<U1'))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **PrunedEstimator._parameter_constraints,
        "min_per_class": MIN_PER_CLASS_CONSTRAINT,
    }

    def __init__(self, estimator: Any, filter: BaseFilter, *, min_per_class: int = 0) -> None:
        super().__init__(estimator, filter)
        self.min_per_class = min_per_class

    def fit(self, X: Any, y: Any = None, **params: Any) -> PrunedClassifier:
        """Fit the filter on ``X`` and ``y``, and the classifier on the rows that survive.

        Parameters
        ----------
        X : container of n_rows texts or numeric rows
            Any container that the filter reads. The classifier gets the rows that survive in the same kind
            of container.
        y : array-like of shape (n_rows,) or (n_rows, n_outputs)
            Classes. −1, NaN and None mark rows without a label.
        **params : dict
            ``sample_weight`` and other metadata; see :class:`PrunedEstimator`.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            If ``estimator`` is a filter, or not a classifier.
        ValueError
            If the filter's ``fit`` refuses ``X``; if ``y`` holds no classes, or has another length; or if −1
            is a missing label for the filter, but a class for the classifier.
        """
        super().fit(X, y, **params)
        return self

    @property
    def classes_(self) -> np.ndarray:
        """The classes of the fitted classifier."""
        return self.estimator_.classes_

    def _check_estimator(self) -> None:
        if not is_classifier(self.estimator):
            raise TypeError(f"{type(self.estimator).__name__} is not a classifier; use PrunedEstimator")

    def _check_fitted(self, estimator: Any) -> None:
        classes = np.asarray(getattr(estimator, "classes_", ()))
        if classes.ndim == 1 and len(classes) > 2 and classes.dtype.kind in "if" and -1 in classes:
            raise ValueError(
                f"y holds -1, which marks rows without a label, but {type(self.estimator).__name__} treats "
                "it as a class; if it is a class, rename it, else remove the rows without a label, or use an "
                "estimator of sklearn.semi_supervised"
            )

    def _prune(self, filter: BaseFilter, X: Any, y: Any, **params: Any) -> np.ndarray:
        labels = class_labels(y)
        if labels is None:
            with np.errstate(invalid="ignore"):  # see class_labels
                check_classification_targets(y)
        return prune(filter, X, labels, self.min_per_class, **params)


def _is_per_row(value: Any, n_rows: int) -> bool:
    """Return whether a piece of metadata has one entry per row."""
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__len__"):
        return False
    shape: Any = getattr(value, "shape", None)
    return tuple(shape[:1]) == (n_rows,) if shape is not None else len(value) == n_rows
