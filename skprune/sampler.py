"""A filter as a sampler for imbalanced-learn, whose Pipeline lets a step change the number of rows in fit."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone
from sklearn.utils import check_consistent_length, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, _routing_enabled, process_routing
from sklearn.utils.validation import _num_samples

from skprune._optional import require
from skprune.base import BaseFilter
from skprune.containers import take_rows
from skprune.training_set import (
    FILTER_CONSTRAINT,
    MIN_PER_CLASS_CONSTRAINT,
    WithoutRounds,
    class_labels,
    prune,
)

_imblearn = require("imblearn.base", extra="imblearn", purpose="PruneSampler")


class PruneSampler(_imblearn.SamplerMixin, WithoutRounds):  # type: ignore[name-defined]
    """Prune a training set within a Pipeline of imbalanced-learn.

    While the pipeline is fitted, all later steps get only the rows that survive. When the pipeline predicts,
    nothing is pruned.

    Parameters
    ----------
    filter : BaseFilter
        Chooses the rows. Cloned, never changed.
    min_per_class : int, default=0
        Minimum number of rows of each class that survive; smaller classes survive whole. The rows that the
        filter ranks best within a class are added to those it keeps. With 0, a class that loses all of its
        rows causes a warning.

    Attributes
    ----------
    filter_ : BaseFilter
        The fitted filter. ``filter_.explain()`` tells why each row was kept or not.
    sample_indices_ : ndarray of intp, shape (n_kept,)
        The rows that survive, ascending.
    n_features_in_ : int
        Delegated to ``filter_`` if it has the attribute, like ``feature_names_in_``.

    See Also
    --------
    PrunedClassifier : For any Pipeline. Use it if the rows have weights.

    Notes
    -----
    Rows may be texts (a list, an array, a Series, a frame) or numbers (an array, a frame, a sparse matrix).
    They are returned in the same kind of container. imbalanced-learn's own samplers require two dimensions.

    The filter sees ``y`` as in :class:`~skprune.PrunedClassifier`. If every label is known, all rows are
    eligible. Rows without a label (−1, NaN, None) are pruned, and the others stay. The filter gets no ``y``
    if it is continuous or has several outputs.

    *Metadata.* ``fit_resample`` passes on what the filter requests. imbalanced-learn (0.14) gives the later
    steps the full ``sample_weight`` that the pipeline's ``fit`` was given, because a sampler can return only
    X and y. Its length is then wrong, and the classifier raises an error. If your rows have weights, use
    ``PrunedClassifier(pipeline, filter)`` around the whole pipeline instead: it cuts all metadata with one
    entry per row.

    Examples
    --------
    >>> from imblearn.pipeline import make_pipeline
    >>> from sklearn.feature_extraction.text import TfidfVectorizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skprune import PruneSampler, RandomFilter
    >>> texts = [f"{mood} film, number {i}" for i in range(10) for mood in ("good", "bad")]
    >>> sampler = PruneSampler(RandomFilter(keep=0.5, random_state=0))
    >>> model = make_pipeline(sampler, TfidfVectorizer(), LogisticRegression()).fit(texts, ["+", "-"] * 10)
    >>> len(model[0].sample_indices_), model.predict(["what a bad film"])
    (10, array(['-'], dtype='<U1'))
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "filter": FILTER_CONSTRAINT,
        "min_per_class": MIN_PER_CLASS_CONSTRAINT,
    }

    def __init__(self, filter: BaseFilter, *, min_per_class: int = 0) -> None:
        self.filter = filter
        self.min_per_class = min_per_class

    def fit(self, X: Any, y: Any = None, **params: Any) -> PruneSampler:
        """Fit the filter and determine the rows that survive; see :meth:`fit_resample`."""
        self._validate_params()
        if y is not None:
            check_consistent_length(np.arange(_num_samples(X)), y)
        if _routing_enabled():
            params = process_routing(self, "fit_resample", **params).filter.fit
        fitted = clone(self.filter)
        self.sample_indices_ = prune(fitted, X, class_labels(y), self.min_per_class, **params)
        self.filter_ = fitted
        return self

    def fit_resample(self, X: Any, y: Any = None, **params: Any) -> tuple[Any, Any]:
        """Fit the filter and return the rows that survive.

        Parameters
        ----------
        X : container of n_rows texts or numeric rows
        y : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
        **params : dict
            Metadata that the filter's ``fit`` requests.

        Returns
        -------
        X : container of n_kept rows
            In the same kind of container and the same order as given.
        y : array-like of n_kept entries, or None

        Raises
        ------
        ValueError
            If the filter's ``fit`` refuses ``X``, or ``y`` has another length.
        """
        rows = self.fit(X, y, **params).sample_indices_
        return take_rows(X, rows), None if y is None else take_rows(y, rows)

    def _fit_resample(self, X: Any, y: Any, **params: Any) -> tuple[Any, Any]:
        return self.fit_resample(X, y, **params)  # the abstract method of imbalanced-learn

    @property
    def n_features_in_(self) -> int:
        """Number of columns of numeric rows."""
        return self.filter_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Names of the columns, if the rows came in a DataFrame."""
        return self.filter_.feature_names_in_

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns, which are those of the input."""
        return self.filter_.get_feature_names_out(input_features)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return the metadata routing; see scikit-learn's user guide."""
        to_filter = MethodMapping().add(caller="fit", callee="fit").add(caller="fit_resample", callee="fit")
        return MetadataRouter(owner=type(self).__name__).add(filter=self.filter, method_mapping=to_filter)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "sampler"
        tags.target_tags.required = False
        tags.input_tags = get_tags(self.filter).input_tags
        return tags
