"""FilterUnion: filters beside each other."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.base import clone

from skprune.base import KEEP_CONSTRAINT, BaseFilter
from skprune.filters.meta_filter import Composition, columns_of, named, rank_of
from skprune.pools import Pool
from skprune.selections import Selection, size_of


class FilterUnion(Composition):
    """Filters beside each other: the best rows of each filter in turn.

    Every filter ranks the whole pool. In each turn, each filter takes the best of its rows that no filter
    has taken yet, until the size is met. A row counts once, whichever filters want it.

    Parameters
    ----------
    filters : list of (str, BaseFilter)
        Names and filters; the first one takes first. They are cloned, never changed. Nested parameters are
        ``name__parameter``; ``set_params(name=filter)`` replaces a filter.
    keep : float, int or None, default=None
        Share or count of the eligible rows that survive. None keeps every row that one of the filters keeps.

    Attributes
    ----------
    filters_ : dict of str to BaseFilter
        The fitted filters by name.
    n_llm_calls_ : int
        Number of texts that the LLMs of all filters have read since :meth:`fit`.

    See Also
    --------
    FilterChain : Filters one after another.
    make_filter_union : Names the filters by their classes.

    Notes
    -----
    A filter offers the rows that its own ``keep`` allows. If all of them together are fewer than the size of
    the union, every filter is asked for at least as many rows as that size, and the turns begin anew.

    :meth:`explain` gives in the column ``step`` the filter that took a row, and the columns of every filter
    with its name in front: its scores, its reason, and the row's rank among the rows it offers.

    Examples
    --------
    >>> from skprune import FilterUnion, PerplexityFilter
    >>> short = PerplexityFilter(keep=3, perplexity=lambda texts: [len(t) for t in texts])
    >>> late = PerplexityFilter(keep=3, perplexity=lambda texts: [-ord(t[0]) for t in texts])
    >>> union = FilterUnion([("short", short), ("late", late)], keep=3)
    >>> union.fit_transform(["a", "bb", "ccc", "dddd", "eeeee"])
    ['a', 'bb', 'eeeee']
    >>> union.explain()["step"].tolist()
    ['short', 'short', '', '', 'late']
    """

    filters_: dict[str, BaseFilter]

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Composition._parameter_constraints,
        "keep": [None, *KEEP_CONSTRAINT],
    }

    def __init__(self, filters: list[tuple[str, BaseFilter]], *, keep: float | int | None = None) -> None:
        self.filters = filters
        self.keep = keep

    # ------------------------------------------------------------------ hooks

    def _fit(self, pool: Pool) -> None:
        labels = self.labeled_.labels_of(pool)
        self.filters_ = {name: clone(part).fit(pool, labels) for name, part in self.filters}

    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        n_rows = len(eligible)
        at_least = min(min_rows if self.keep is None else max(size_of(self.keep, n_rows), min_rows), n_rows)
        offers = [part._select(pool, eligible, 0) for part in self.filters_.values()]
        if len(np.unique(np.concatenate([offer.order for offer in offers]))) < at_least:
            offers = [part._select(pool, eligible, at_least) for part in self.filters_.values()]
        order, taker = in_turn([offer.order for offer in offers], None if self.keep is None else at_least)
        return Selection(order, lambda: self._columns(offers, order, taker, n_rows))

    def _columns(
        self, offers: list[Selection], order: np.ndarray, taker: np.ndarray, n_rows: int
    ) -> dict[str, Any]:
        step, stage = (np.full(n_rows, "", dtype=object) for _ in range(2))
        threshold, reason = np.full(n_rows, np.nan), np.full(n_rows, "no filter keeps it", dtype=object)
        scores: dict[str, Any] = {}
        for number, (name, offer) in enumerate(zip(self.filters_, offers, strict=True)):
            columns = offer.explain()
            scores |= columns_of(name, columns, np.arange(n_rows), n_rows)
            scores[f"{name}__rank"] = rank_of(offer.order, n_rows)
            reason[offer.order] = "a filter keeps it, but better rows of the filters met the size"
            took = order[taker == number]
            step[took], stage[took] = name, columns["stage"][took]
            threshold[took] = columns["threshold"][took]
        for number, name in enumerate(self.filters_):
            took = order[taker == number]
            reason[took] = [f"{why} (filter {name!r})" for why in scores[f"{name}__reason"][took]]
        return {"step": step, "stage": stage, "threshold": threshold, "reason": reason} | scores


def make_filter_union(*filters: BaseFilter, keep: float | int | None = None) -> FilterUnion:
    """Return a :class:`FilterUnion` of filters, named by their classes in lowercase.

    Examples
    --------
    >>> from skprune import KMeansFilter, RandomFilter, make_filter_union
    >>> [name for name, _ in make_filter_union(RandomFilter(), KMeansFilter(), keep=0.5).filters]
    ['randomfilter', 'kmeansfilter']
    """
    return FilterUnion(named(filters), keep=keep)


def in_turn(rankings: list[np.ndarray], size: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Return ``size`` rows, the best of each ranking in turn, and which ranking each row is from.

    Parameters
    ----------
    rankings : list of ndarray of int
        Rows, best first; unique within a ranking.
    size : int or None
        None: all rows.

    Returns
    -------
    order, taker : ndarray of intp, shape (size,)

    Examples
    --------
    >>> in_turn([np.array([4, 2, 0]), np.array([4, 1])], 3)
    (array([4, 1, 2]), array([0, 1, 0]))
    """
    taken: dict[int, int] = {}
    n_wanted = len(np.unique(np.concatenate(rankings))) if size is None else size
    waiting = [(number, iter(ranking.tolist())) for number, ranking in enumerate(rankings)]
    while len(taken) < n_wanted:
        for number, rows in waiting:
            for row in rows:
                if row not in taken:
                    taken[row] = number
                    break
    order, taker = (np.fromiter(part, dtype=np.intp) for part in (taken, taken.values()))
    return order[:n_wanted], taker[:n_wanted]  # the last turn may go beyond
