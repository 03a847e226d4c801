"""FilterChain: filters one after another."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import clone

from skprune.base import BaseFilter
from skprune.filters.meta_filter import Composition, check_sizes_of, columns_of, named
from skprune.pools import Pool
from skprune.selections import Selection, mask_of, size_of


class FilterChain(Composition):
    """Filters one after another: each works on the rows that the previous one keeps.

    Put a cheap filter in front of an expensive one: the second one is fitted on the rows that the first one
    keeps, and scores no others.

    Parameters
    ----------
    filters : list of (str, BaseFilter)
        Names and filters, in order. They are cloned, never changed. A share as ``keep`` is a share of the
        rows that reach the filter. Nested parameters are ``name__parameter``; ``set_params(name=filter)``
        replaces a filter.

    Attributes
    ----------
    filters_ : dict of str to BaseFilter
        The fitted filters by name.
    n_llm_calls_ : int
        Number of texts that the LLMs of all filters have read since :meth:`fit`.

    See Also
    --------
    FilterUnion : Filters beside each other.
    make_filter_chain : Names the filters by their classes.

    Notes
    -----
    *What each filter is fitted on.* Each filter is fitted on the rows that the previous one keeps at
    :meth:`fit`, and on the labeled rows, as the steps of scikit-learn's Pipeline are. If later filters were
    fitted on the whole pool, each of them would score all of it, and a chain would save nothing.

    *In a loop* the first selection changes: labeled rows leave the pool, and a filter that draws anew in each
    round keeps other rows. Rows that a later filter has not seen at :meth:`fit` are scored when they first
    reach it; scores and vectors come from the store if they are known. A component that a later filter
    trains on its pool (the n-gram model of ``perplexity=None``, the TF-IDF of ``encoder=None``) stays as
    :meth:`fit` trained it, so that the scores of one loop are comparable. If the first filter is random and
    draws anew in each round, pass trained components to the later ones, or fit the chain anew.

    *Ranks* are those of the last filter. A query that asks for more rows than the chain keeps gets them,
    because each filter lets at least that many pass.

    *If every row is labeled*, a filter that learns from labels learns from those of the rows that reach it.

    :meth:`explain` gives in the column ``step`` the filter that let a row go, or the last one for the rows
    that survive, and the columns of every filter with its name in front, as ``name__score``.

    Examples
    --------
    >>> from skprune import FilterChain, PerplexityFilter, RandomFilter
    >>> by_length = lambda texts: [len(t) for t in texts]
    >>> chain = FilterChain(
    ...     [("short", PerplexityFilter(keep=0.5, perplexity=by_length)), ("few", RandomFilter(keep=2))]
    ... )
    >>> chain = chain.set_params(few__random_state=0).fit(["aaaa", "bb", "c", "ddd", "eeeee", "fffffff"])
    >>> len(chain.get_support(indices=True))
    2
    >>> chain.explain()["step"].tolist()
    ['short', 'few', 'few', 'few', 'short', 'short']
    """

    filters_: dict[str, BaseFilter]

    def __init__(self, filters: list[tuple[str, BaseFilter]]) -> None:
        self.filters = filters

    # ------------------------------------------------------------------ hooks

    def _check_sizes(self, n_rows: int) -> None:
        for name, part in self.filters:
            check_sizes_of(name, part, n_rows)
            keep = getattr(part, "keep", None)
            if keep is None:  # its fit tells how many rows it keeps
                return
            n_rows = size_of(keep, n_rows)

    def _fit(self, pool: Pool) -> None:
        labels = self.labeled_.labels_of(pool)
        prunes_labeled = self._excluded is not self.labeled_
        fitted: dict[str, BaseFilter] = {}
        for name, part in self.filters:
            if fitted:
                previous = next(reversed(fitted.values()))
                if len(previous._different_at_fit()):
                    passes = mask_of(previous.select(pool), len(pool))
                    if not prunes_labeled:
                        passes |= np.array([label is not None for label in labels])
                    pool, labels = Pool(pool.take(np.flatnonzero(passes)), text=pool.text), labels[passes]
            fitted[name] = clone(part).fit(pool, labels)
        self.filters_ = fitted

    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        order = np.arange(len(eligible))
        steps = []
        for name, part in self.filters_.items():
            reached = np.sort(order)
            selection = part._select(pool, eligible[reached], min_rows)
            order = reached[selection.order]
            steps.append((name, reached, selection))
        return Selection(order, lambda: _columns(steps, len(eligible)))


def make_filter_chain(*filters: BaseFilter) -> FilterChain:
    """Return a :class:`FilterChain` of filters, named by their classes in lowercase.

    Examples
    --------
    >>> from skprune import KMeansFilter, RandomFilter, make_filter_chain
    >>> [name for name, _ in make_filter_chain(RandomFilter(), KMeansFilter()).filters]
    ['randomfilter', 'kmeansfilter']
    """
    return FilterChain(named(filters))


def _columns(steps: list[tuple[str, np.ndarray, Selection]], n_rows: int) -> dict[str, Any]:
    decided: dict[str, Any] = {key: np.full(n_rows, "", dtype=object) for key in ("step", "stage", "reason")}
    decided["threshold"] = np.full(n_rows, np.nan)
    scores: dict[str, Any] = {}
    for name, reached, selection in steps:
        columns = selection.explain()
        # A later step decides about the rows that pass, and overwrites this.
        decided["step"][reached] = name
        for key in ("stage", "threshold"):
            decided[key][reached] = columns[key]
        decided["reason"][reached] = [f"{reason} (step {name!r})" for reason in columns["reason"]]
        scores |= columns_of(name, columns, reached, n_rows)
    return decided | scores
