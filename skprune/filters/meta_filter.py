"""Filters made of other filters."""

from __future__ import annotations

from abc import abstractmethod
from copy import copy
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.pipeline import _name_estimators
from sklearn.utils.metaestimators import _BaseComposition

from skprune.base import BaseFilter
from skprune.cost import ModelUse
from skprune.pools import Pool
from skprune.selections import mask_of


class MetaFilter(BaseFilter):
    """A filter made of other filters, which are cloned and fitted by :meth:`fit`.

    Subclasses name the filters that they are given and those that they have fitted. Labels, learners and new
    parameters reach all of these; an error in one of them restores all of them.
    """

    _needs_memory = "its filters select among each other's rows"

    @property
    @abstractmethod
    def _given_filters(self) -> list[tuple[str, BaseFilter]]:
        """The filters among the parameters, under the names that prefix their parameters."""

    @property
    @abstractmethod
    def _fitted_filters(self) -> dict[str, BaseFilter]:
        """The fitted clones under the same names; empty before :meth:`fit`."""

    @property
    def text(self) -> Any:
        """The column of texts that the filters read: the one that the first of them names."""
        return next((part.text for _, part in self._given_filters if part.text is not None), None)

    @property
    def n_llm_calls_(self) -> int:
        """Number of texts that the LLMs of all filters have read since :meth:`fit`."""
        return sum(getattr(part, "n_llm_calls_", 0) for part in self._fitted_filters.values())

    @property
    def journal_state_(self) -> dict[str, Any] | None:
        """What the filters have learned from the newest model, as plain JSON; None if none of them tells."""
        states = {n: getattr(part, "journal_state_", None) for n, part in self._fitted_filters.items()}
        return states if any(state is not None for state in states.values()) else None

    def set_params(self, **params: Any) -> Self:
        """Set parameters, nested ones included, as in scikit-learn.

        Nested parameters also reach the fitted filters: as with any filter, ``keep`` may change after
        :meth:`fit`. A filter that is replaced as a whole takes effect at the next :meth:`fit`.
        """
        super().set_params(**params)
        for name, part in self._fitted_filters.items():
            prefix = f"{name}__"
            own = {key.removeprefix(prefix): v for key, v in params.items() if key.startswith(prefix)}
            part.set_params(**{key: value for key, value in own.items() if key in part.get_params()})
        return self

    # ------------------------------------------------------------------ hooks

    def _model_uses(self, pool: Pool, n_eligible: int) -> list[ModelUse]:
        # An upper bound: a later filter of a chain gets fewer rows.
        return [
            use._replace(name=f"{name}__{use.name or use.model.name}")
            for name, part in self._given_filters
            for use in part._model_uses(pool, n_eligible)
        ]

    def _summary_html(self) -> str:
        # A selection could let the model of a nested filter run.
        return f"<p>Fitted on {len(self.pool_):,} rows.</p>" if hasattr(self, "pool_") else ""

    def _learn(self, pool: Pool, *, learner: Any) -> None:
        if self.round_ == 0:  # fit has given the filters their labels already
            return
        labels = self.labeled_.labels_of(pool)
        recorded = getattr(learner, "filter_state", None)
        for name, part in self._fitted_filters.items():
            if recorded is not None:  # a run is resumed: each filter continues from its own record
                learner = copy(learner)
                learner.filter_state = recorded.get(name)
            part.partial_fit(pool, labels, learner=learner)

    def _check_sizes(self, n_rows: int) -> None:
        super()._check_sizes(n_rows)
        for name, part in self._given_filters:
            check_sizes_of(name, part, n_rows)

    def _check_labels(self, labels: np.ndarray) -> None:
        super()._check_labels(labels)
        for _, part in self._given_filters:
            part._check_labels(labels)

    def _validate_params(self) -> None:
        super()._validate_params()
        for name, part in self._given_filters:
            if not isinstance(part, BaseFilter):
                raise TypeError(f"{type(self).__name__} is made of filters, but {name!r} is {part!r}")
            part._validate_params()
            if part.text not in (None, self.text):
                raise ValueError(
                    f"all filters of a {type(self).__name__} read one column, {self.text!r}, but {name!r} "
                    f"has text={part.text!r}; give all of them the same, or only the first"
                )

    @property
    def _takes_texts(self) -> bool:  # type: ignore[override]
        return all(part._takes_texts for _, part in self._given_filters)

    @property
    def _takes_vectors(self) -> bool:  # type: ignore[override]
        return all(part._takes_vectors for _, part in self._given_filters)

    @property
    def _round_parameters(self) -> list[str]:
        """The parameters that have no effect without rounds."""
        parts = self._given_filters
        return [f"{name}__{key}" for name, part in parts for key in getattr(part, "_round_parameters", ())]


class Composition(_BaseComposition, MetaFilter):
    """A list of named filters, with the parameters and names of scikit-learn's Pipeline."""

    filters: list[tuple[str, BaseFilter]]

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MetaFilter._parameter_constraints,
        "filters": [list],
    }

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters: by default also the filters under their names, and their parameters."""
        return dict(self._get_params("filters", deep=deep))

    def set_params(self, **params: Any) -> Self:
        """Set parameters, whole filters by their names (``name=filter``), or theirs (``name__keep=0.5``).

        Nested parameters also reach the fitted filters: as with any filter, ``keep`` may change after
        :meth:`fit`. A filter that is replaced as a whole takes effect at the next :meth:`fit`.
        """
        self._set_params("filters", **params)
        return self

    @property
    def _given_filters(self) -> list[tuple[str, BaseFilter]]:
        return self.filters

    @property
    def _fitted_filters(self) -> dict[str, BaseFilter]:
        return getattr(self, "filters_", {})

    def _validate_params(self) -> None:
        pairs = self.filters if isinstance(self.filters, list) else []
        if not pairs or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs):
            raise ValueError(
                f"filters must be a list of (name, filter) pairs and not empty, got {self.filters!r}"
            )
        self._validate_names([name for name, _ in pairs])
        super()._validate_params()


def named(filters: tuple[BaseFilter, ...]) -> list[tuple[str, BaseFilter]]:
    """Return filters under the names that scikit-learn's ``make_pipeline`` gives: the class in lowercase."""
    return list(_name_estimators(filters))


def check_sizes_of(name: str, part: BaseFilter, n_rows: int) -> None:
    """Refuse sizes of a filter that ``n_rows`` different rows cannot satisfy.

    Raises
    ------
    ValueError
        The message names the filter.
    """
    try:
        part._check_sizes(n_rows)
    except ValueError as error:
        raise ValueError(f"filter {name!r}, which gets {n_rows} rows: {error}") from error


def columns_of(name: str, columns: dict[str, Any], rows: np.ndarray, n_rows: int) -> dict[str, Any]:
    """Return what a filter explains about some rows as columns over all rows, prefixed by its name.

    Parameters
    ----------
    name : str
    columns : dict of ndarray of shape (n,)
    rows : ndarray of int, shape (n,)
        The rows, among ``n_rows``. The others get NaN or an empty string.
    n_rows : int

    Examples
    --------
    >>> columns_of("a", {"score": np.array([0.5])}, np.array([1]), 2)
    {'a__score': array([nan, 0.5])}
    """
    spread = {}
    for key, values in columns.items():
        numeric = values.dtype.kind == "f"
        column = np.full(n_rows, np.nan if numeric else "", dtype=float if numeric else object)
        column[rows] = values
        spread[f"{name}__{key}"] = column
    return spread


def rank_of(order: np.ndarray, n_rows: int) -> np.ndarray:
    """Return the rank of each row, NaN for rows that are not in ``order``.

    Examples
    --------
    >>> rank_of(np.array([2, 0]), 3)
    array([ 1., nan,  0.])
    """
    rank = np.where(mask_of(order, n_rows), 0.0, np.nan)
    rank[order] = np.arange(len(order))
    return rank
