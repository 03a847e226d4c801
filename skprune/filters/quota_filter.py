"""QuotaFilter: a filter that keeps enough rows of every class, language or source."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from copy import copy
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from skprune.base import BaseFilter
from skprune.containers import column_names
from skprune.filters.meta_filter import MetaFilter
from skprune.pools import Pool
from skprune.row_table import RowTable
from skprune.selections import Selection, either, mask_of, size_of
from skprune.streams import count_occurrences
from skprune.transaction import unchanged_on_error
from skprune.vectors import dense


class QuotaFilter(MetaFilter):
    """Guarantee each group of rows a number of places in the selection of any filter.

    The groups are classes, languages, sources, or whatever else divides the rows. The size of the selection
    stays that of the filter.

    Parameters
    ----------
    filter : BaseFilter
        Selects rows. Cloned, never changed.
    groups : None, str or callable, default=None
        The group of each row. None: what ``fit(X, y, groups=...)`` is given, else the labels, which must be
        known for every row then. A string names a column of the frame that holds the pool. A callable takes
        a row (a text, or an array of numbers) and returns its group.
    min_per_group : int or dict, default=0
        Least number of different rows of each group that survive; a group with fewer rows survives whole. A
        dict ``{group: number}`` sets it for some groups.
    balance : {"equal"} or None, default=None
        ``"equal"`` gives every group the same number of places. Places that a small group cannot fill are
        shared among the others. None changes as little as possible: the best rows of a group that has too few
        take the places of the worst rows of groups that have more than they are guaranteed.

    Attributes
    ----------
    filter_ : BaseFilter
        The fitted filter.
    n_llm_calls_ : int
        Number of texts that the LLM of the filter has read since :meth:`fit`.

    See Also
    --------
    DRoPFilter : More places for the classes that are hard to learn.
    PrunedClassifier : Its ``min_per_class`` adds rows to the selection instead.

    Notes
    -----
    *Within a group* the filter selects as it does in a pool: a k-means filter that has to fill ten places of
    a group forms ten clusters of its rows.

    *Copies* have the group of the first copy; :meth:`fit` warns if they differ. A row that :meth:`fit` has
    not seen gets its group from the callable or the column. If there is none, it has no group, and so has a
    row whose group is None or NaN: such rows are guaranteed nothing, and share the places of one group under
    ``"equal"``.

    *If the guarantees exceed the size* of the selection, :meth:`fit` raises. Later in a loop, when the pool
    has shrunk, all guarantees are lowered to the same number of rows instead.

    A filter by perplexity may remove whole languages or domains; the Limitations of [1]_ ask for such floors.

    References
    ----------
    .. [1] Azeemi, Qazi and Raza, "Language Model-Driven Data Pruning Enables Efficient Active Learning",
       Findings of EACL 2026.

    Examples
    --------
    >>> from skprune import PerplexityFilter, QuotaFilter
    >>> shortest = PerplexityFilter(keep=3, perplexity=lambda texts: [len(t) for t in texts])
    >>> pool = ["a", "an", "and", "ands", "die Tante", "der Onkel Otto"]
    >>> language = ["en", "en", "en", "en", "de", "de"]
    >>> QuotaFilter(shortest, min_per_group=1).fit(pool, groups=language).transform(pool)
    ['a', 'an', 'die Tante']

    In a frame, the groups are a column:

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"text": pool, "words": [1, 1, 1, 1, 2, 3]})
    >>> QuotaFilter(shortest, groups="words", balance="equal").fit_transform(frame)["words"].tolist()
    [1, 2, 3]
    """

    filter_: BaseFilter

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **MetaFilter._parameter_constraints,
        "filter": [BaseFilter],
        "groups": [str, callable, None],
        "min_per_group": [Interval(Integral, 0, None, closed="left"), dict],
        "balance": [StrOptions({"equal"}), None],
    }

    def __init__(
        self,
        filter: BaseFilter,
        *,
        groups: str | Callable[[Any], Any] | None = None,
        min_per_group: int | dict[Any, int] = 0,
        balance: str | None = None,
    ) -> None:
        self.filter = filter
        self.groups = groups
        self.min_per_group = min_per_group
        self.balance = balance

    def fit(self, X: Any, y: Any = None, *, groups: Any = None) -> QuotaFilter:
        """Fit the filter to the pool.

        Parameters
        ----------
        X : container of n_rows texts or numeric rows
            The pool, as in :meth:`BaseFilter.fit`.
        y : array-like of shape (n_rows,), default=None
            Labels known already.
        groups : array-like of shape (n_rows,), default=None
            The group of each row, in place of the parameter ``groups``.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the groups are not known, ``groups`` has another length, or ``min_per_group`` asks for more
            rows than the filter keeps, or names a group without rows; and as in :meth:`BaseFilter.fit`.
        """
        with unchanged_on_error(self):
            self._given_groups = groups
            super().fit(X, y)
            del self._given_groups
        return self

    def rethreshold(self, keep: float | int | None) -> QuotaFilter:
        """Change the size of the filter inside, as :meth:`BaseFilter.rethreshold` does.

        Parameters
        ----------
        keep : float, int or None
            As in the constructor of that filter.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Also if the guarantees exceed the new size. The filter stays what it was.
        TypeError
            If that filter has no parameter ``keep``.

        Examples
        --------
        >>> from skprune import PerplexityFilter, QuotaFilter
        >>> shortest = PerplexityFilter(keep=2, perplexity=lambda texts: [len(t) for t in texts])
        >>> quota = QuotaFilter(shortest, min_per_group=1).fit(["a", "an", "and"], groups=[1, 1, 2])
        >>> quota.get_support(), quota.rethreshold(3).get_support()
        (array([ True, False,  True]), array([ True,  True,  True]))
        """
        check_is_fitted(self)
        rows = self._different_at_fit()
        with unchanged_on_error(self):
            self.filter_.rethreshold(keep)
            self._check_floors(rows, len(self.filter_._select(self.pool_, rows, 0).order))
        self.filter.set_params(keep=keep)
        return self

    # ------------------------------------------------------------------ hooks

    @property
    def _needs_memory(self) -> str:  # type: ignore[override]
        if isinstance(self.filter, MetaFilter):
            return MetaFilter._needs_memory
        if callable(self.groups):
            return "groups= is a function of single rows; name a column of groups instead"
        needs = self.filter._needs_memory
        return needs and f"its filter is a {type(self.filter).__name__}, and {needs}"

    @property
    def _given_filters(self) -> list[tuple[str, BaseFilter]]:
        return [("filter", self.filter)]

    @property
    def _fitted_filters(self) -> dict[str, BaseFilter]:
        return {"filter": self.filter_} if hasattr(self, "filter_") else {}

    def _validate_params(self) -> None:
        super()._validate_params()
        floors = self.min_per_group if isinstance(self.min_per_group, dict) else {}
        for group, floor in floors.items():
            if not isinstance(floor, Integral) or isinstance(floor, bool) or floor < 0:
                raise ValueError(f"min_per_group[{group!r}] must be a number of rows, got {floor!r}")

    def _fit(self, pool: Pool) -> None:
        self._groups = self._groups_at_fit(pool)
        rows = self._different_at_fit()
        keep = getattr(self.filter, "keep", None)
        if keep is not None and len(rows):  # before the filter does any work
            self._check_floors(rows, size_of(keep, len(rows)))
        self.filter_ = clone(self.filter).fit(pool, self.labeled_.labels_of(pool))
        if keep is None and len(rows):
            self._check_floors(rows, len(self.filter_._select(pool, rows, 0).order))

    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        found = self.filter_._select(pool, eligible, min_rows)
        groups = Groups(self._groups_of(pool, eligible), self.min_per_group)
        floors = groups.floors_within(len(found.order))
        weights = self._weights(groups)
        if weights is None:
            order, added = self._raised(pool, eligible, groups, floors, found.order)
            return Selection(order, lambda: _floor_columns(found, groups, order, added))
        places = allot(weights, floors, groups.sizes, len(found.order))
        order = self._shared_out(pool, eligible, groups, places)
        return Selection(order, lambda: _quota_columns(found, groups, order))

    def _weights(self, groups: Groups) -> np.ndarray | None:
        """Return the relative numbers of places of the groups; None changes as little as possible."""
        return None if self.balance is None else np.ones(len(groups.sizes))

    # ------------------------------------------------------------------ places

    def _raised(
        self, pool: Pool, eligible: np.ndarray, groups: Groups, floors: np.ndarray, order: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows with the floors satisfied, and those that joined for it."""
        missing = floors - np.bincount(groups.number_of[order], minlength=len(floors))
        outside = ~mask_of(order, len(eligible))
        joined = [order[:0]]
        for number in np.flatnonzero(missing > 0):
            rows = np.flatnonzero(outside & (groups.number_of == number))
            joined.append(rows[self._best_within(pool, eligible[rows], int(missing[number]))])
        added = np.concatenate(joined)
        of_group = groups.number_of[order]
        replaceable = np.flatnonzero(count_occurrences(of_group, len(floors)) >= floors[of_group])
        leaves = mask_of(replaceable[len(replaceable) - len(added) :], len(order))
        return np.concatenate([order[~leaves], added]), added

    def _shared_out(self, pool: Pool, eligible: np.ndarray, groups: Groups, places: np.ndarray) -> np.ndarray:
        """Return the best rows of each group, as many as it has places; every head has the same shares."""
        best, quantile = [], []
        for number in np.flatnonzero(places):
            rows = np.flatnonzero(groups.number_of == number)
            best.append(rows[self._best_within(pool, eligible[rows], int(places[number]))])
            quantile.append((np.arange(places[number]) + 0.5) / places[number])
        return np.concatenate(best)[np.argsort(np.concatenate(quantile), kind="stable")]

    def _best_within(self, pool: Pool, rows: np.ndarray, size: int) -> np.ndarray:
        """Return the positions of the ``size`` rows that the filter selects if it sees no others."""
        part: Any = copy(self.filter_)
        if "keep" in part.get_params(deep=False):
            part.keep = size
        return part._select(pool, rows, size).order[:size]

    def _check_floors(self, rows: np.ndarray, n_kept: int) -> None:
        groups = Groups(self._groups_of(self.pool_, rows), self.min_per_group)
        if isinstance(self.min_per_group, dict):
            unknown = set(self.min_per_group) - set(groups.names)
            if unknown:
                raise ValueError(
                    f"min_per_group names {min(unknown, key=repr)!r}, but no eligible row has that group"
                )
        wanted = int(groups.floors.sum())
        if wanted > n_kept:
            n_groups = sum(name is not None for name in groups.names)
            raise ValueError(
                f"min_per_group={self.min_per_group} asks for {wanted} rows of {n_groups} groups, "
                f"but the filter keeps {n_kept}; lower it, or let the filter keep more"
            )

    # ------------------------------------------------------------------ groups

    def _groups_at_fit(self, pool: Pool) -> np.ndarray:
        """Return the group of each distinct row of the pool."""
        first = self._table.first
        if self._given_groups is not None:
            given = np.asarray(self._given_groups, dtype=object)
            if given.shape != (len(pool),):
                raise ValueError(f"groups has the shape {given.shape}, but X has {len(pool)} rows")
            _warn_of_shared_rows(given, self._table)
            return given[first]
        if isinstance(self.groups, str):
            groups = self._computed_groups(pool, np.arange(len(pool)))
            _warn_of_shared_rows(groups, self._table)
            return groups[first]
        if self.groups is not None:
            return self._computed_groups(pool, first)
        labels = self.labeled_.labels_of(pool)[first]
        if self._excluded is self.labeled_:
            raise ValueError(
                f"{type(self).__name__} does not know the groups of the rows: pass y with a label for every "
                "row, fit(X, groups=...), or the parameter groups"
            )
        return labels

    def _groups_of(self, pool: Pool, rows: np.ndarray) -> np.ndarray:
        return self._values_at(
            pool, rows, self._groups, lambda unseen: self._computed_groups(pool, unseen, required=False)
        )

    def _computed_groups(self, pool: Pool, rows: np.ndarray, *, required: bool = True) -> np.ndarray:
        """Return the groups that the column or the callable gives; None if there is neither."""
        groups = np.full(len(rows), None, dtype=object)
        if isinstance(self.groups, str):
            columns = column_names(pool.data)
            if self.groups in columns:
                groups[:] = pool.column(self.groups)[rows]
            elif required:
                raise ValueError(f"groups={self.groups!r} is not a column of X, which has {columns}")
        elif self.groups is not None:
            texts, vectors = pool.texts, pool.vectors
            groups[:] = [
                self.groups(texts[row] if pool.holds_texts else dense(vectors[[row]])[0]) for row in rows
            ]
        return groups


def _floor_columns(found: Selection, groups: Groups, order: np.ndarray, added: np.ndarray) -> dict[str, Any]:
    columns = found.explain()
    stage, reason = (np.array(columns[key], dtype=object) for key in ("stage", "reason"))
    leaves, of_row = np.setdiff1d(found.order, order), groups.words
    stage[added], stage[leaves] = "floor", ""
    reason[added] = [f"kept: the floor of group {name!r}" for name in of_row[added]]
    reason[leaves] = "makes room for the floor of another group"
    return columns | {"stage": stage, "reason": reason, "group": of_row}


def _quota_columns(found: Selection, groups: Groups, order: np.ndarray) -> dict[str, Any]:
    of_row = groups.words
    kept = mask_of(order, len(of_row))
    reason = np.array([f"better rows fill the places of group {name!r}" for name in of_row], dtype=object)
    reason[kept] = [f"kept: among the best of group {name!r}" for name in of_row[kept]]
    return found.explain() | {"stage": either(kept, "quota", ""), "reason": reason, "group": of_row}


def _warn_of_shared_rows(groups: np.ndarray, table: RowTable) -> None:
    """Warn if copies of a row have different groups: they count for one group only."""
    import pandas as pd

    codes = pd.factorize(groups)[0]
    n_shared = len(np.unique(table.row_of[codes != codes[table.first][table.row_of]]))
    if n_shared:
        warnings.warn(
            f"{n_shared} different rows have copies in several groups; each counts for the group of its "
            "first copy, so that other groups may get fewer places than min_per_group. Remove the copies, or "
            "pass groups that agree on them",
            stacklevel=5,
        )


class Groups:
    """The groups of some rows, in an order that does not depend on that of the rows.

    Attributes
    ----------
    names : list
        The groups; None for rows without a group.
    number_of : ndarray of intp, shape (n_rows,)
        The number of each row's group.
    sizes, floors : ndarray of int, shape (n_groups,)
        Number of rows of each group, and the number that must survive.
    """

    def __init__(self, values: np.ndarray, min_per_group: int | dict[Any, int]) -> None:
        import pandas as pd

        named = [None if value is pd.NA or value != value else value for value in values.tolist()]
        self.names: list[Any] = sorted(dict.fromkeys(named), key=repr)
        numbers = {name: number for number, name in enumerate(self.names)}
        self.number_of = np.array([numbers[name] for name in named], dtype=np.intp)
        self.sizes = np.bincount(self.number_of, minlength=len(self.names))
        per_group = min_per_group if isinstance(min_per_group, dict) else {}
        default = 0 if isinstance(min_per_group, dict) else int(min_per_group)
        floors = [0 if name is None else per_group.get(name, default) for name in self.names]
        self.floors = np.minimum(np.array(floors, dtype=np.intp), self.sizes)

    @property
    def words(self) -> np.ndarray:
        """The group of each row in words, object of shape (n_rows,); empty if it has none."""
        words = ["" if name is None else str(name) for name in self.names]
        return np.array(words, dtype=object)[self.number_of]

    def floors_within(self, total: int) -> np.ndarray:
        """Return the floors, lowered to a common number of rows if their sum exceeds ``total``."""
        if self.floors.sum() <= total:
            return self.floors
        return allot(np.ones(len(self.floors)), np.zeros_like(self.floors), self.floors, total)


def allot(weights: np.ndarray, floors: np.ndarray, sizes: np.ndarray, total: int) -> np.ndarray:
    """Return numbers of places proportional to the weights, within floors and sizes, that sum to ``total``.

    Parameters
    ----------
    weights : ndarray of float, shape (n_groups,)
        Positive.
    floors, sizes : ndarray of int, shape (n_groups,)
        The least and the largest number of each group.
    total : int
        Between the sums of both.

    Returns
    -------
    ndarray of intp, shape (n_groups,)

    Examples
    --------
    >>> allot(np.ones(3), np.array([0, 0, 0]), np.array([2, 30, 30]), 12)
    array([2, 5, 5])
    >>> allot(np.array([1.0, 3.0]), np.array([4, 0]), np.array([30, 30]), 12)
    array([4, 8])
    """
    # The sum of clip(scale * weights, floors, sizes) is linear between the scales at which a group leaves its
    # floor or reaches its size.
    turns = np.concatenate([floors / weights, sizes / weights])
    ascending = np.argsort(turns, kind="stable")
    turns, slopes = turns[ascending], np.cumsum(np.concatenate([weights, -weights])[ascending])
    sums = floors.sum() + np.concatenate([[0.0], np.cumsum(slopes[:-1] * np.diff(turns))])
    scale = np.interp(total, np.maximum.accumulate(sums), turns)
    exact = np.clip(scale * weights, floors, sizes)
    whole = np.floor(exact + 1e-9).astype(np.intp)
    # The largest fractions are rounded up.
    by_fraction = np.argsort(-np.where(whole < sizes, (exact - whole).round(9), -1.0), kind="stable")
    whole[by_fraction[: total - whole.sum()]] += 1
    return whole
