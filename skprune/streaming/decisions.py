"""What a filter decided, part by part, and whether it can decide about a pool that is not in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skprune.base import BaseFilter
from skprune.filters.quota_filter import QuotaFilter

#: The reasons of a row without a text.
MISSING = "missing"
KEPT_MISSING = "kept: missing"


@dataclass
class Decisions:
    """What a filter decided about the rows of one part of a pool, such as a file.

    Parameters
    ----------
    table : DataFrame
        The explanations of the rows that have a text, without the column ``stage``.
    missing : ndarray of int
        The rows of the part that have none, ascending.
    keep_missing : bool
        Whether these survive.
    """

    table: Any
    missing: np.ndarray
    keep_missing: bool

    @property
    def n_rows(self) -> int:
        """Number of rows, those without a text included."""
        return len(self.table) + len(self.missing)

    def of(self, start: int, n_rows: int) -> tuple[np.ndarray, Any]:
        """Return the mask of the rows that survive, and the explanation, of a batch."""
        import pandas as pd

        first, last = np.searchsorted(self.missing, [start, start + n_rows])
        without = np.zeros(n_rows, dtype=bool)
        without[self.missing[first:last] - start] = True
        rows = self.table.iloc[start - first : start - first + n_rows - (last - first)]
        kept = np.full(n_rows, self.keep_missing)
        kept[~without] = rows["kept"].to_numpy()
        columns = {}
        for name in rows.columns.drop("kept"):
            values = rows[name].to_numpy()
            if values.dtype.kind == "f":
                column = np.full(n_rows, np.nan)
            elif values.dtype.kind == "i":
                column = np.full(n_rows, -1)
            else:
                why = KEPT_MISSING if self.keep_missing else MISSING
                column = np.full(n_rows, why if name == "reason" else "", dtype=object)
            column[~without] = values
            columns[name] = column
        return kept, pd.DataFrame(columns)


def by_part(
    table: Any, sizes: Sequence[int], missing: Sequence[np.ndarray], keep_missing: bool
) -> Iterator[Decisions]:
    """Yield the decisions about the rows of each part of a pool.

    Parameters
    ----------
    table : DataFrame
        What the fitted filter's ``explain`` returns for the pool.
    sizes : sequence of int
        Number of rows of each part that have a text.
    missing : sequence of ndarray of int
        The rows of each part that have none.
    keep_missing : bool
        Whether these survive.
    """
    table = table.drop(columns="stage", errors="ignore")
    start = 0
    for size, without in zip(sizes, missing, strict=True):
        yield Decisions(table.iloc[start : start + size], without, keep_missing)
        start += size


def names_added(names: list[str], columns: Iterable[Any]) -> list[str]:
    """Return names for added columns: with the prefix ``prune_`` where there is such a column already.

    Examples
    --------
    >>> names_added(["reason", "rank"], ["text", "rank"])
    ['reason', 'prune_rank']
    """
    taken = set(columns)
    unique = []
    for name in names:
        while name in taken:
            name = f"prune_{name}"
        taken.add(name)
        unique.append(name)
    return unique


def scoring_filter(filter: BaseFilter) -> BaseFilter:
    """Return the filter that scores the rows: the one inside a :class:`QuotaFilter`, else ``filter``."""
    return filter.filter if type(filter) is QuotaFilter else filter


def check_filter(filter: Any, what: str, *, has_groups: bool = False) -> None:
    """Refuse what cannot prune a pool outside of memory, before any work.

    Parameters
    ----------
    filter : BaseFilter
    what : str
        What holds the texts: "the files".
    has_groups : bool, default=False
        Whether the groups of a :class:`QuotaFilter` can be read from a column there.
    """
    if not isinstance(filter, BaseFilter):
        raise TypeError(f"filter must be a filter of skprune, got {type(filter).__name__}")
    scoring = scoring_filter(filter) if has_groups else filter
    if scoring is not filter and not isinstance(getattr(filter, "groups", None), str):
        raise TypeError(f"groups of a QuotaFilter must name a column of {what}, got {filter.groups!r}")
    if scoring._needs_memory:
        name = type(scoring).__name__
        raise TypeError(
            f"{name} needs the pool in memory: {scoring._needs_memory}. Prune a part that fits with "
            f"{name}.transform, or prune {what} with PerplexityFilter, AskLLMFilter, ActivePruneFilter, "
            "EntropyIntervalFilter or RandomFilter first"
        )
    filter._validate_params()


def check_options(on_missing: str, n_train: int) -> None:
    """Refuse invalid options of a job."""
    if on_missing not in ("error", "drop", "keep"):
        raise ValueError(f"on_missing must be 'error', 'drop' or 'keep', got {on_missing!r}")
    if n_train < 1:
        raise ValueError(f"n_train must be at least 1, got {n_train}")
