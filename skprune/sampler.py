"""A filter as a sampler of imbalanced-learn: its Pipeline may change the number of rows, at fit only."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_consistent_length, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, _routing_enabled, process_routing

from skprune._optional import require
from skprune.base import BaseFilter
from skprune.compose import FILTER_CONSTRAINT, MIN_PER_CLASS_CONSTRAINT, class_labels, prune
from skprune.containers import take_rows
from skprune.pools import Pool

_imblearn = require("imblearn.base", extra="imblearn", purpose="PruneSampler")


class PruneSampler(_imblearn.SamplerMixin, BaseEstimator):  # type: ignore[name-defined]
    """Prune a training set within a Pipeline of imbalanced-learn.

    The rows that the filter drops are gone for all later steps while the pipeline is fitted. Nothing is
    pruned when it predicts.

    Parameters
    ----------
    filter : BaseFilter
        What chooses the rows. Cloned, never changed.
    min_per_class : int, default=0
        Rows of each class that survive at least, or all it has. Those that the filter would keep first are
        added to what it keeps. With 0, a class that loses all of its rows makes a warning.

    Attributes
    ----------
    filter_ : BaseFilter
        The fitted filter; ``filter_.explain()`` says why each row was kept or not.
    sample_indices_ : ndarray of intp, shape (n_kept,)
        Rows that survive, ascending.
    n_features_in_ : int
        Columns of numeric rows. As ``feature_names_in_``.

    See Also
    --------
    PrunedClassifier : For any Pipeline, and the one to take where rows have weights.

    Notes
    -----
    Rows may be texts (a list, an array, a Series, a frame) or numbers (an array, a frame, a sparse matrix),
    and come back in the container they came in. imbalanced-learn's own samplers insist on two dimensions.

    What the filter sees of ``y`` is as with :class:`~skprune.PrunedClassifier`: with every label known all
    rows are eligible; rows without one (−1, NaN, None) are pruned and the others stay; a continuous target or
    several outputs are kept from the filter.

    *Metadata.* ``fit_resample`` passes on what the filter requests. imbalanced-learn (0.14) hands the steps
    that follow the ``sample_weight`` that the pipeline's ``fit`` was given, uncut: a sampler can only return
    X and y. Its length is wrong by then, and the classifier says so. Where rows have weights, put the whole
    pipeline into ``PrunedClassifier(filter, pipeline)``, which cuts whatever has one entry a row.

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
        """Fit the filter and find the rows that survive; see :meth:`fit_resample`."""
        self._validate_params()
        if y is not None:
            check_consistent_length(np.arange(len(Pool(X))), y)
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
            Of the kind that came in, in its order.
        y : array-like of n_kept entries, or None

        Raises
        ------
        ValueError
            As the filter's ``fit``, and where ``y`` has another length.
        """
        rows = self.fit(X, y, **params).sample_indices_
        return take_rows(X, rows), None if y is None else take_rows(y, rows)

    def _fit_resample(self, X: Any, y: Any, **params: Any) -> tuple[Any, Any]:
        return self.fit_resample(X, y, **params)  # abstract in imbalanced-learn

    @property
    def n_features_in_(self) -> int:
        """Columns of numeric rows."""
        return self.filter_.n_features_in_

    @property
    def feature_names_in_(self) -> np.ndarray:
        """Their names, where they came with names."""
        return self.filter_.feature_names_in_

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns: those that came in."""
        return self.filter_.get_feature_names_out(input_features)

    def get_metadata_routing(self) -> MetadataRouter:
        """Return what the filter requests, see the user guide of scikit-learn."""
        to_filter = MethodMapping().add(caller="fit", callee="fit").add(caller="fit_resample", callee="fit")
        return MetadataRouter(owner=type(self).__name__).add(filter=self.filter, method_mapping=to_filter)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.estimator_type = "sampler"
        tags.target_tags.required = False
        tags.input_tags = get_tags(self.filter).input_tags
        return tags
