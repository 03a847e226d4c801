"""Labels: which rows have one, and the record of the labeled rows."""

from __future__ import annotations

from collections import Counter
from copy import copy
from functools import reduce
from numbers import Real
from typing import Any

import numpy as np
import scipy.sparse as sp

from skprune.containers import column_names, join_rows
from skprune.pools import Pool
from skprune.vectors import dense


class Labeled:
    """The rows whose label is known, in order of arrival; each content once.

    Attributes
    ----------
    pool : Pool or None
        The rows; None if there are none.
    positions : dict
        The position of each key (see :attr:`Pool.keys`) among them.
    """

    def __init__(self) -> None:
        self.pool: Pool | None = None
        self._frames: list[Any] = []  # the rows with all columns, one frame per call of add
        self._labels: list[Any] = []
        self.positions: dict[Any, int] = {}

    def __len__(self) -> int:
        return len(self._labels)

    @property
    def y(self) -> np.ndarray:
        """Their labels, an object array."""
        labels = np.empty(len(self), dtype=object)
        labels[:] = self._labels
        return labels

    def add(self, pool: Pool, y: np.ndarray) -> None:
        """Add rows in place; a row that is known already takes the newer label."""
        if self.pool is None:  # many rows at once: all labels known at the start
            table, newest = pool.table, np.empty(len(pool.table), dtype=np.intp)
            newest[table.row_of] = np.arange(len(pool))
            self._labels = y[newest].tolist()
            self.positions = dict(zip(table.keys.tolist(), range(len(table)), strict=True))
            self.pool = _append(None, pool, table.first)
            self._frames = [_columns_of(pool, table.first)]
            return
        fresh = []
        for row, (key, label) in enumerate(zip(pool.keys, y.tolist(), strict=True)):
            if key in self.positions:
                self._labels[self.positions[key]] = label
            else:
                self.positions[key] = len(self)
                self._labels.append(label)
                fresh.append(row)
        if fresh:
            self.pool = _append(self.pool, pool, np.array(fresh))
            self._frames = [*self._frames, _columns_of(pool, np.array(fresh))]

    def rows_like(self, pool: Pool) -> Any:
        """Return the rows in the form in which a learner reads ``pool``: of frames, with all columns."""
        wanted, frames = column_names(pool.data), self._frames
        if wanted and len({type(frame) for frame in frames}) == 1:
            columns = column_names(frames[0])
            if set(wanted) <= set(columns) and all(column_names(frame) == columns for frame in frames):
                self._frames = [reduce(join_rows, frames)]
                return self._frames[0]
        rows: Any = self.pool
        return rows.like(pool)

    def labels_of(self, pool: Pool) -> np.ndarray:
        """Return the label of each row of a pool, an object array; None for rows that are not known."""
        labels = np.full(len(pool), None, dtype=object)
        known = np.flatnonzero(pool.isin(self))
        for row, key in zip(known, pool.keys_at(known), strict=True):
            labels[row] = self._labels[self.positions[key]]
        return labels

    def copy(self) -> Labeled:
        """Return a ledger that grows apart from this one."""
        twin = Labeled()
        twin.pool, twin._frames = self.pool, self._frames  # add binds new ones
        twin._labels, twin.positions = self._labels.copy(), self.positions.copy()
        return twin

    def __getstate__(self) -> dict[str, Any]:
        # Without the positions: skops cannot save a dict with keys of bytes.
        return {"pool": self.pool, "_frames": self._frames, "_labels": self._labels}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        keys = [] if self.pool is None else self.pool.keys.tolist()
        self.positions = {key: position for position, key in enumerate(keys)}


def check_labels(y: Any, n_rows: int, name: str = "y") -> tuple[np.ndarray, np.ndarray]:
    """Return ``(labels, known)``: the labels as an array, and the mask of the rows that have one.

    Parameters
    ----------
    y : array-like of shape (n_rows,) or (n_rows, n_outputs), or None
        −1, NaN, NaT, NA, None or a mask marks a row without a label, as in :mod:`sklearn.semi_supervised`.
        With several outputs a row has no label if none of its outputs has one.
    n_rows : int
        Number of rows that ``y`` must match.

    Raises
    ------
    ValueError
        If ``y`` has another length or more than two dimensions.

    Notes
    -----
    With several outputs the labels are tuples.
    """
    if y is None:
        return np.broadcast_to(np.intp(-1), n_rows), np.zeros(n_rows, dtype=bool)
    if isinstance(y, np.ma.MaskedArray):
        mask, y = np.ma.getmaskarray(y), y.data.astype(object)
        y[mask] = None  # a masked label is a missing one
    labels = y.toarray() if sp.issparse(y) else np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim not in (1, 2):
        raise ValueError(f"{name} must hold one label per row, got an array of shape {labels.shape}")
    if len(labels) != n_rows:
        raise ValueError(f"{name} has {len(labels)} labels for {n_rows} rows")
    if labels.ndim == 2:
        rows = np.empty(n_rows, dtype=object)
        rows[:] = [tuple(row) for row in labels.tolist()]
        return rows, np.array([not all(map(_is_missing, row)) for row in rows], dtype=bool)
    if labels.dtype.kind in "iu":
        return labels, labels != -1
    if labels.dtype.kind == "f":
        return labels, ~np.isnan(labels) & (labels != -1)
    return labels, ~np.array([_is_missing(label) for label in labels.tolist()], dtype=bool)


def minus_one_hint(labels: np.ndarray, known: np.ndarray) -> str:
    """Return what an error adds that asks for a label of every row: empty unless −1 marks a row without one.

    Examples
    --------
    >>> minus_one_hint(np.array([1, -1]), np.array([True, False]))
    '. y holds −1, which means no label; if it is a class, rename it'
    """
    missing = labels[~known]
    if labels.dtype.kind == "O":
        missing = np.array([isinstance(label, Real) and label == -1 for label in missing.tolist()])
    else:
        missing = missing == -1
    return ". y holds −1, which means no label; if it is a class, rename it" if missing.any() else ""


def check_classes(labels: Any) -> None:
    """Refuse labels that are not classes: several per row, or numbers with a fractional part.

    Raises
    ------
    ValueError
        The message quotes the first such label.

    Examples
    --------
    >>> check_classes(["a", 1, 2.0])
    """
    for label in np.asarray(labels).tolist():
        if isinstance(label, (tuple, list, dict)):
            raise ValueError(f"y must hold one class per row, got several labels such as {label!r}")
        if isinstance(label, Real) and not float(label).is_integer():
            raise ValueError(f"y must hold class labels, got continuous values such as {label!r}")


def lost_classes(labels: np.ndarray, kept: np.ndarray) -> dict[Any, int]:
    """Return the classes without a row among ``kept``, with the number of their rows, largest first.

    Parameters
    ----------
    labels : ndarray of shape (n_rows,)
        Fractions and tuples (several outputs) are not classes, nor are labels that mostly occur once.
    kept : ndarray of int
        Rows.

    Examples
    --------
    >>> lost_classes(np.array(["a", "b", "a", "b", "c", "a"]), np.array([0, 2]))
    {'b': 2, 'c': 1}
    """
    if labels.dtype.kind == "f" and (labels != np.floor(labels)).any():
        return {}
    sizes = Counter(labels.tolist())
    if len(sizes) > len(labels) / 2 or any(isinstance(label, tuple) for label in sizes):
        return {}
    survivors = set(labels[kept].tolist())
    return {label: size for label, size in sizes.most_common() if label not in survivors}


def _is_missing(label: Any) -> bool:
    """Return whether a label means that there is none. The string "-1" is a class; the number is not."""
    if label is None or type(label).__name__ == "NAType":  # pandas.NA is neither equal nor unequal to itself
        return True
    return not isinstance(label, str) and bool(label != label or label == -1)


def _columns_of(pool: Pool, rows: np.ndarray) -> Any:
    """Return some rows of a frame with all columns; None if they came in another container."""
    if not column_names(pool.data):
        return None
    return copy(pool.data) if len(rows) == len(pool) else pool.take(rows)  # a shallow copy


def _append(known: Pool | None, pool: Pool, rows: np.ndarray) -> Pool:
    """Return ``known`` and the given rows of ``pool`` as one pool of texts or of vectors."""
    values = pool.texts if pool.texts is not None else pool.vectors
    fresh = values[rows]
    if known is None:
        return Pool(fresh)
    old = known.data
    if sp.issparse(old):
        return Pool(sp.vstack([old, fresh], format="csr"))
    return Pool(np.concatenate([old, dense(fresh)]))
