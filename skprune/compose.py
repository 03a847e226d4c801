"""Estimators that are trained on the rows a filter keeps: the last step of any Pipeline."""

from __future__ import annotations

import warnings
from copy import deepcopy
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier
from sklearn.utils import check_consistent_length, get_tags
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils._set_output import _safe_set_output
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, _routing_enabled, process_routing
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted

from skprune.base import BaseFilter
from skprune.containers import take_rows
from skprune.pools import Pool, check_labels

FILTER_CONSTRAINT = [HasMethods(["fit", "select"])]
MIN_PER_CLASS_CONSTRAINT = [Interval(Integral, 0, None, closed="left")]


def estimator_has(*names: str) -> Any:
    """Return ``available_if``'s condition: the fitted estimator, or the one to be fitted, has them all."""

    def check(self: Any) -> bool:
        for name in names:
            getattr(getattr(self, "estimator_", self.estimator), name)  # raises the estimator's own error
        return True

    return check


class PrunedEstimator(MetaEstimatorMixin, BaseEstimator):
    """An estimator fitted on the rows that a filter keeps: a regressor, a clusterer, an outlier detector.

    ``fit`` fits the filter on X, and the estimator on the rows that survive. Everything else is the
    estimator's own, for every row it is given. A filter drops rows, which a step of a scikit-learn Pipeline
    must not; this can be the last step of any.

    Parameters
    ----------
    filter : BaseFilter
        What chooses the rows. Cloned, never changed.
    estimator : estimator
        What is trained on them. Cloned, never changed.

    Attributes
    ----------
    filter_ : BaseFilter
        The fitted filter; ``filter_.explain()`` says why each row was kept or not.
    estimator_ : estimator
        The fitted estimator.
    support_ : ndarray of intp, shape (n_kept,)
        Rows given to :meth:`fit` that the estimator was fitted on, ascending.
    n_features_in_ : int
        That of ``estimator_``, where it has it. As ``feature_names_in_``.

    See Also
    --------
    PrunedClassifier : For classifiers: the filter sees the classes.
    PruneSampler : For imbalanced-learn's Pipeline.

    Notes
    -----
    The filter is given no ``y``: no filter reads a target that is no class, and −1 is a number there, not a
    missing label. All rows are eligible.

    What has one entry a row (``sample_weight``, ``groups``) is cut to the kept rows. Without metadata routing
    the estimator gets all that ``fit`` is given, as in ``GridSearchCV``; with it, filter and estimator get
    what each requests, the filter for all rows.

    A pickle holds the filter, and so the rows given to :meth:`fit`; ``estimator_`` predicts without them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from skprune import PrunedEstimator, RandomFilter
    >>> X = np.arange(20.0).reshape(-1, 1)
    >>> model = PrunedEstimator(RandomFilter(keep=5, random_state=0), Ridge(alpha=1e-6)).fit(X, 2 * X[:, 0])
    >>> len(model.support_), model.predict([[100.0]]).round(2)
    (5, array([200.]))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "filter": FILTER_CONSTRAINT,
        "estimator": [HasMethods("fit")],
    }

    def __init__(self, filter: BaseFilter, estimator: Any) -> None:
        self.filter = filter
        self.estimator = estimator

    def fit(self, X: Any, y: Any = None, **params: Any) -> PrunedEstimator:
        """Fit the filter on ``X``, and the estimator on the rows that survive.

        Parameters
        ----------
        X : container of n_rows texts or numeric rows
            Whatever the filter takes. The estimator is given the kept rows in the same container.
        y : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
        **params : dict
            ``sample_weight`` and other metadata, see Notes.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As the filter's ``fit``, and where ``y`` has another length.
        """
        self._validate_params()
        self._check_estimator()
        n_rows = len(Pool(X))
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
        self.estimator_ = clone(self.estimator).fit(take_rows(X, rows), target, **cut)
        self.filter_, self.support_ = fitted, rows
        return self

    def _check_estimator(self) -> None:
        if is_classifier(self.estimator):
            raise TypeError(
                f"{type(self.estimator).__name__} is a classifier: PrunedClassifier lets the filter see the "
                "classes"
            )

    def _prune(self, filter: BaseFilter, X: Any, y: Any, **params: Any) -> np.ndarray:
        """Fit the filter and return the rows that survive, ascending."""
        return np.sort(filter.fit(X, **params).select(X))

    # ------------------------------------------------------------------ passed on

    @available_if(estimator_has("predict"))
    def predict(self, X: Any, **params: Any) -> Any:
        """The estimator's ``predict``, for every row of ``X``."""
        return self._pass_on("predict", X, **params)

    @available_if(estimator_has("predict_proba"))
    def predict_proba(self, X: Any, **params: Any) -> Any:
        """The estimator's ``predict_proba``, for every row of ``X``."""
        return self._pass_on("predict_proba", X, **params)

    @available_if(estimator_has("predict_log_proba"))
    def predict_log_proba(self, X: Any, **params: Any) -> Any:
        """The estimator's ``predict_log_proba``, for every row of ``X``."""
        return self._pass_on("predict_log_proba", X, **params)

    @available_if(estimator_has("decision_function"))
    def decision_function(self, X: Any, **params: Any) -> Any:
        """The estimator's ``decision_function``, for every row of ``X``."""
        return self._pass_on("decision_function", X, **params)

    @available_if(estimator_has("score_samples"))
    def score_samples(self, X: Any) -> Any:
        """The estimator's ``score_samples``, for every row of ``X``."""
        return self._pass_on("score_samples", X)

    @available_if(estimator_has("transform"))
    def transform(self, X: Any, **params: Any) -> Any:
        """The estimator's ``transform``, for every row of ``X``."""
        return self._pass_on("transform", X, **params)

    @available_if(estimator_has("inverse_transform"))
    def inverse_transform(self, X: Any, **params: Any) -> Any:
        """The estimator's ``inverse_transform``, for every row of ``X``."""
        return self._pass_on("inverse_transform", X, **params)

    @available_if(estimator_has("score"))
    def score(self, X: Any, y: Any = None, **params: Any) -> float:
        """The estimator's ``score``, over every row of ``X``."""
        return float(self._pass_on("score", X, y, **params))

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
        """The estimator's ``get_feature_names_out``."""
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
        """Columns that the estimator was fitted on."""
        return int(self.estimator_.n_features_in_)

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Their names."""
        return np.asarray(self.estimator_.feature_names_in_)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return who gets which metadata, see the user guide of scikit-learn."""
        passed_on = MethodMapping().add(caller="fit", callee="fit")
        for method in (
            "predict",
            "predict_proba",
            "predict_log_proba",
            "decision_function",
            "transform",
            "inverse_transform",
            "score",
        ):
            passed_on.add(caller=method, callee=method)
        return (
            MetadataRouter(owner=type(self).__name__)
            .add(filter=self.filter, method_mapping=MethodMapping().add(caller="fit", callee="fit"))
            .add(estimator=self.estimator, method_mapping=passed_on)
        )

    def _pass_on(self, method: str, *args: Any, **params: Any) -> Any:
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

    ``fit`` fits the filter on X and y, and the classifier on the rows that survive. Everything else is the
    classifier's own, for every row it is given. A filter drops rows, which a step of a scikit-learn Pipeline
    must not; this can be the last step of any. Both parts are searched as usual: ``filter__keep``,
    ``estimator__C``.

    Parameters
    ----------
    filter : BaseFilter
        What chooses the rows. Cloned, never changed.
    estimator : classifier
        What is trained on them: of scikit-learn, skorch, a Pipeline over texts. Cloned, never changed.
    min_per_class : int, default=0
        Rows of each class that survive at least, or all it has. Those that the filter would keep first are
        added to what it keeps. With 0, a class that loses all of its rows makes a warning.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        That of ``estimator_``: a class that lost all of its rows is not among them.
    filter_ : BaseFilter
        The fitted filter; ``filter_.explain()`` says why each row was kept or not.
    estimator_ : classifier
        The fitted classifier.
    support_ : ndarray of intp, shape (n_kept,)
        Rows given to :meth:`fit` that the classifier was fitted on, ascending.
    n_features_in_ : int
        That of ``estimator_``, where it has it. As ``feature_names_in_``.

    See Also
    --------
    PrunedEstimator : For all but classifiers.
    PruneSampler : For imbalanced-learn's Pipeline.
    PrunedQuery : Prunes the pool of an active learner, not its training set.

    Notes
    -----
    *Every row has a label*, the ordinary case: the training set itself is pruned, and all rows are
    eligible. The filter knows all labels, so that one that learns from them (AnchorFilter's anchors,
    EntropyIntervalFilter's search) uses them all.

    *Some have none* (−1, NaN or None, as in :mod:`sklearn.semi_supervised`): rows with a label always stay,
    the others are pruned, and the classifier gets both. It has to be one that learns from rows without a
    label, such as ``SelfTrainingClassifier``; one that takes −1 for a class is an error. Where −1 and one
    other class are all there is, −1 is a class, as in ``y = ±1``.

    *Several outputs*: the filter is given no labels.

    Metadata and pickles are as with :class:`PrunedEstimator`.

    Examples
    --------
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from skprune import PrunedClassifier, RandomFilter
    >>> texts = [f"{mood} film, number {i}" for i in range(10) for mood in ("good", "bad")]
    >>> model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    >>> model = PrunedClassifier(RandomFilter(keep=0.5, random_state=0), model).fit(texts, ["+", "-"] * 10)
    >>> len(model.support_), model.predict(["what a bad film"])
    (10, array(['-'], dtype='<U1'))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **PrunedEstimator._parameter_constraints,
        "min_per_class": MIN_PER_CLASS_CONSTRAINT,
    }

    def __init__(self, filter: BaseFilter, estimator: Any, *, min_per_class: int = 0) -> None:
        super().__init__(filter, estimator)
        self.min_per_class = min_per_class

    def fit(self, X: Any, y: Any = None, **params: Any) -> PrunedClassifier:
        """Fit the filter on ``X`` and ``y``, and the classifier on the rows that survive.

        Parameters
        ----------
        X : container of n_rows texts or numeric rows
            Whatever the filter takes. The classifier is given the kept rows in the same container.
        y : array-like of shape (n_rows,) or (n_rows, n_outputs)
            Classes; −1, NaN or None for a row without one.
        **params : dict
            ``sample_weight`` and other metadata, see :class:`PrunedEstimator`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            As the filter's ``fit``; where ``y`` is no class or has another length; where the classifier takes
            −1 for a class and the filter for a missing label.
        """
        super().fit(X, y, **params)
        classes = np.asarray(getattr(self.estimator_, "classes_", ()))
        if classes.ndim == 1 and len(classes) > 2 and classes.dtype.kind in "if" and -1 in classes:
            del self.estimator_
            raise ValueError(
                f"y holds -1, which marks rows without a label, but {type(self.estimator).__name__} takes it "
                "for a class: give that class another name, leave rows without a label out, or take an "
                "estimator of sklearn.semi_supervised"
            )
        return self

    @property
    def classes_(self) -> np.ndarray:
        """The classes that the classifier knows."""
        return self.estimator_.classes_

    def _check_estimator(self) -> None:
        if not is_classifier(self.estimator):
            raise TypeError(f"{type(self.estimator).__name__} is no classifier: take PrunedEstimator")

    def _prune(self, filter: BaseFilter, X: Any, y: Any, **params: Any) -> np.ndarray:
        labels = class_labels(y)
        if labels is None:
            with np.errstate(invalid="ignore"):  # as in class_labels
                check_classification_targets(y)
        return prune(filter, X, labels, self.min_per_class, **params)


def class_labels(y: Any) -> np.ndarray | None:
    """Return ``y`` as a filter should see it, None where it says nothing about classes.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or (n_rows, n_outputs), or None

    Returns
    -------
    ndarray of shape (n_rows,), or None
        None for several outputs, continuous targets, or no label at all.

    Examples
    --------
    >>> class_labels([1, 0, -1]), class_labels([0.5, 1.5])
    (array([ 1,  0, -1]), None)

    Nobody could learn from a single class, so that −1 is a class of its own here.

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
    with np.errstate(invalid="ignore"):  # infinity is refused in words, not by a warning of a cast
        if not present or type_of_target(np.array(present)) not in {"binary", "multiclass"}:
            return None
    missing = labels[~known].tolist()
    if len(set(present)) == 1 and missing and all(label == -1 for label in missing):
        return known.astype(int)
    return labels


def prune(
    filter: BaseFilter, X: Any, labels: np.ndarray | None, min_per_class: int, **params: Any
) -> np.ndarray:
    """Fit the filter to training rows and return those that survive, ascending.

    Parameters
    ----------
    filter : BaseFilter
        Fitted here.
    X : container of n_rows rows
    labels : ndarray of shape (n_rows,), or None
        From :func:`class_labels`.
    min_per_class : int
        See :class:`PrunedClassifier`.
    **params : dict
        Metadata that the filter's ``fit`` requests.

    Returns
    -------
    ndarray of intp, shape (n_kept,)
    """
    kept = filter.fit(X, labels, **params).select(X)
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
    if min_per_class == 0 and not survive.all():
        named = zip(classes.tolist(), sizes, survive, strict=True)
        lost = ", ".join(f"{label!r} ({size} rows)" for label, size, n_left in named if not n_left)
        warnings.warn(
            f"{type(filter).__name__} keeps no row of class {lost}: it cannot be learned. "
            "min_per_class=1 keeps the best row of every class",
            stacklevel=4,
        )
    return np.sort(kept)


def _is_per_row(value: Any, n_rows: int) -> bool:
    """Whether a piece of metadata has one entry a row."""
    if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__len__"):
        return False
    shape: Any = getattr(value, "shape", None)
    return tuple(shape[:1]) == (n_rows,) if shape is not None else len(value) == n_rows
