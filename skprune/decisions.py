"""What a filter decided, part by part, and whether it can decide about a pool that is not in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skprune.base import BaseFilter
from skprune.containers import column_names, frame_of
from skprune.filters.quota_filter import QuotaFilter
from skprune.labels import check_labels
from skprune.pools import Pool, check_pool
from skprune.row_table import digests

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


class KnownLabels:
    """What a filter is told about labels: those of rows of the pool, or those of other rows.

    Parameters
    ----------
    label : column name or None
        The column of labels, of ``labeled`` if that is given, else of the pool.
    labeled : frame or None
        Labeled rows, in memory.
    text : column name or None
        Their column of texts; None: the only one besides ``label``.

    Attributes
    ----------
    column : column name or None
        The column of labels of the pool.

    Raises
    ------
    ValueError, TypeError
        If a column is missing, or a row of ``labeled`` has no text or no label.
    """

    def __init__(self, label: Any, labeled: Any, text: Any) -> None:
        self.label = label
        self.column = label if labeled is None else None
        self._rows: tuple[Pool, np.ndarray] | None = None
        if labeled is None:
            return
        if label is None:
            raise ValueError("labeled= needs label=, the name of its column of labels")
        frame = frame_of(labeled)
        if frame is None or label not in frame.columns:
            names = ", ".join(map(repr, column_names(labeled))) or "none"
            raise ValueError(f"labeled has no column {label!r}, which label= names; its columns are {names}")
        pool = check_pool(frame.drop(label).to_native(), "labeled", text)
        column = frame.get_column(label)
        y = column.to_numpy()
        without = np.flatnonzero(column.is_null().to_numpy() | (y != y))
        if len(without):
            raise ValueError(
                f"labeled[{without[0]}] has no label in the column {label!r}; drop the rows without one"
            )
        self._rows = pool, y

    @property
    def fingerprint(self) -> str | None:
        """A hash of the rows of ``labeled`` and their labels."""
        if self._rows is None:
            return None
        pool, y = self._rows
        content = digests(pool.texts).tobytes() + repr(y.tolist()).encode()
        return hashlib.blake2b(content, digest_size=16).hexdigest()

    def fit(
        self,
        filter: BaseFilter,
        pool: Pool,
        y: np.ndarray | None,
        sizes: Sequence[int],
        missing: Sequence[np.ndarray],
        **fit_params: Any,
    ) -> BaseFilter:
        """Fit a filter on a pool, and tell it about the labels.

        Parameters
        ----------
        filter : BaseFilter
            Changed in place.
        pool : Pool
        y : ndarray of shape (n_rows,) or None
            The labels of all rows, in the order of the parts of the pool, those without a text included.
        sizes, missing
            See :func:`by_part`.
        **fit_params
            Passed to the filter's ``fit``.

        Raises
        ------
        ValueError
            If there is a column of labels, and no row has a label.
        """
        if y is not None:
            ends = np.cumsum([size + len(without) for size, without in zip(sizes, missing, strict=True)])
            starts = np.append(0, ends[:-1])
            y = np.delete(y, np.concatenate([s + rows for s, rows in zip(starts, missing, strict=True)]))
            if not check_labels(y, len(pool))[1].any():
                raise ValueError(
                    f"no row has a label in the column {self.label!r}, which label= names; -1, NaN and null "
                    "mean that a row has none"
                )
        if self._rows is not None:
            filter._check_labels(self._rows[1])  # before all texts are scored
        filter.fit(pool, y, **fit_params)
        return filter if self._rows is None else filter.partial_fit(*self._rows)


def check_filter(filter: Any, what: str) -> None:
    """Refuse what cannot prune a pool outside of memory, before any work.

    Parameters
    ----------
    filter : BaseFilter
    what : str
        What holds the texts: "the files".
    """
    if not isinstance(filter, BaseFilter):
        raise TypeError(f"filter must be a filter of skprune, got {type(filter).__name__}")
    if type(filter) is QuotaFilter and not isinstance(filter.groups, str):
        raise TypeError(f"groups of a QuotaFilter must name a column of {what}, got {filter.groups!r}")
    filter._check_needs_no_memory(what)
    filter._validate_params()


def check_options(on_missing: str, n_train: int) -> None:
    """Refuse invalid options of a job."""
    if on_missing not in ("error", "drop", "keep"):
        raise ValueError(f"on_missing must be 'error', 'drop' or 'keep', got {on_missing!r}")
    if n_train < 1:
        raise ValueError(f"n_train must be at least 1, got {n_train}")
