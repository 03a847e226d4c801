"""Pools: rows that are checked, and identified by their content."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from skprune.containers import column_names, read_rows, take_rows
from skprune.exceptions import EmptyPoolError
from skprune.hashing import hash_keys, mix, row_hashes
from skprune.row_table import RowTable, is_written, table_of_texts
from skprune.selections import mask_of
from skprune.vectors import at_least_single

_CHUNK = 65_536
# Bins that a row's mark may fall in: a mask of them stays in the processor's cache.
_N_BINS = 2**16
# Number of features that tell most different rows apart.
_SIEVE_COLUMNS = 8
# Tables in which the rows of one pool are found once: filters made of other filters have one table each.
_N_TABLES = 4


class Pool:
    """Rows of one container, as texts or as vectors.

    Parameters
    ----------
    X : container
        Texts: a list, a tuple, a 1-D ``str`` or object ndarray, a Series, a frame, a torch or Hugging Face
        ``Dataset``. Vectors: a numeric 2-D array, memmap, sparse matrix, numeric frame, torch tensor, or
        either ``Dataset``. Frames and Series are those of pandas, polars, pyarrow and whatever else narwhals
        reads. Frames and Hugging Face Datasets are read from the column ``text``, else from their only column
        of texts, else from their only column of lists; a torch ``Dataset`` from the first element of each
        item.
    name : str, default="X"
        The name in error messages.
    text : column name, default=None
        The column of texts. Ignored if ``X`` has no columns.

    Attributes
    ----------
    data : container
        ``X`` itself.
    texts : ndarray of object, shape (n_rows,), or None
        The texts as given. :meth:`check` validates them, not the constructor, so that a pool that comes back
        every round costs nothing.
    stored : ndarray, memmap or csr_array, shape (n_rows, n_features), or None
        The numeric rows as given, in half precision if they are. A float array is not copied.
    row_shape : tuple of int
        Shape of one numeric row as given: ``(n_features,)``, or for instance ``(height, width)``; ``()`` for
        texts.
    """

    def __init__(self, X: Any, *, name: str = "X", text: Any = None) -> None:
        self.data = X
        self.name = name
        self.text = text
        self.texts: Any = None
        self.stored: Any = None
        self._numbers: tuple[tuple[RowTable, np.ndarray], ...] = ()  # newest first
        values = read_rows(X, name, text)
        self.row_shape: tuple[int, ...] = values.shape[1:]
        if sp.issparse(values):
            self.stored = values.tocsr()
        elif values.ndim == 1:
            self.texts = values
        else:
            self.stored = values.reshape(len(values), -1) if values.ndim > 2 else values

    def __len__(self) -> int:
        return len(self.texts) if self.texts is not None else int(self.stored.shape[0])

    @cached_property
    def vectors(self) -> Any:
        """The numeric rows, None for texts. Those in half precision are copied, as their squares overflow."""
        return None if self.stored is None else at_least_single(self.stored)

    @property
    def holds_texts(self) -> bool:
        """Whether the rows are texts."""
        return self.texts is not None

    def is_as_read(self) -> bool:
        """Return whether the container still holds the rows read: a list may have lost some in place."""
        data = self.data
        if isinstance(data, list) and self.texts is not None:
            return bool(data == self.texts.tolist())
        if hasattr(data, "shape"):
            return bool(data.shape[0] == len(self))
        return not hasattr(data, "__len__") or len(data) == len(self)  # it only converts to an array

    @property
    def rows(self) -> Any:
        """The rows in the original container, or as they were read if that container has changed since."""
        if self.is_as_read():
            return self.data
        return self.texts if self.texts is not None else self.vectors

    @cached_property
    def keys(self) -> np.ndarray:
        """The key that identifies each row: the text itself, or the 16-byte digest of a numeric row."""
        if self.texts is not None:
            return np.asarray(self.texts)
        return self.keys_at(np.arange(len(self)))

    @cached_property
    def table(self) -> RowTable:
        """The distinct rows, numbered."""
        return RowTable(row_hashes(self.stored)) if self.texts is None else table_of_texts(self.texts)

    @property
    def written(self) -> np.ndarray:
        """Mask of the texts that hold more than white space."""
        return is_written(self.texts)

    def written_at(self, indices: np.ndarray) -> np.ndarray:
        """Return which of the texts at ``indices`` hold more than white space."""
        return is_written(self.texts[indices])

    @property
    def training_texts(self) -> np.ndarray:
        """What a component that learns from the pool is fitted on: all texts, if they are in memory."""
        return self.texts

    def encoded(self, encode: Any) -> Any:
        """Return the vectors of the distinct texts, in memory unless the texts are elsewhere."""
        return encode(self.table.keys, self.table.digests)

    def __getstate__(self) -> dict[str, Any]:
        made_on_demand = {"table", "vectors", "_isin_last", "_content_numbers", "_mark_bins"}
        state = {name: value for name, value in self.__dict__.items() if name not in made_on_demand}
        return state | {"_numbers": ()}

    def keys_at(self, indices: np.ndarray) -> np.ndarray:
        """Return the keys of the rows at ``indices``."""
        if self.texts is not None:
            return np.asarray(self.texts[indices])
        return hash_keys(row_hashes(self.stored, indices))

    def contents_at(self, indices: np.ndarray) -> np.ndarray:
        """Return what :meth:`RowTable.locate` looks for: texts, or the hashes of numeric rows."""
        return self.texts[indices] if self.texts is not None else row_hashes(self.stored, indices)

    def distinct(self, rows: np.ndarray, numbers: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Find copies among some rows.

        Parameters
        ----------
        rows : ndarray of int, shape (n,)
        numbers : ndarray of int, shape (n_rows,), default=None
            Numbers that equal rows share, and no others, if they are known.

        Returns
        -------
        first : ndarray of intp, shape (n_distinct,)
            Positions in ``rows`` of the first row of each content, ascending.
        copy_of : ndarray of intp, shape (n,)
            For each of the rows, which of ``first`` has the same content.
        """
        return _distinct_numbers((self._content_numbers if numbers is None else numbers)[rows])

    @cached_property
    def _content_numbers(self) -> np.ndarray:
        """One number per row that equal rows share, and no others.

        Hashing all features of a million rows would cost more than a search among them, so that only the rows
        that agree in a few features are hashed in full.
        """
        import pandas as pd

        if "table" in self.__dict__ or self.texts is not None or sp.issparse(self.stored):
            return self.table.row_of
        columns = np.unique(np.linspace(0, self.stored.shape[1] - 1, _SIEVE_COLUMNS).astype(int))
        marks = row_hashes(self.stored[:, columns])[:, 0]
        shared = np.flatnonzero(pd.Index(marks).duplicated(keep=False))
        marks[shared] ^= row_hashes(self.stored, shared)[:, 1]
        return pd.factorize(marks, use_na_sentinel=False)[0]

    @cached_property
    def _row_marks(self) -> np.ndarray:
        """Each row's first feature, which equal rows share: a cheap first sieve for :meth:`isin`."""
        if sp.issparse(self.stored):
            first = self.stored[:, [0]].toarray()[:, 0]
            return np.asarray(first, dtype=np.float64)
        return np.array(self.stored[:, 0], dtype=np.float64)

    @cached_property
    def _mark_bins(self) -> np.ndarray:
        """The bin of each row's mark: a mask of bins is read ten times as fast as a hash table of marks."""
        return _bins(self._row_marks)

    @cached_property
    def _isin_last(self) -> tuple[KnownRows | None, int, np.ndarray]:
        """The last argument of :meth:`isin`, how many rows it held then, and the answer."""
        return None, 0, np.zeros(len(self), dtype=bool)

    def isin(self, known: KnownRows) -> np.ndarray:
        """Return the mask of the rows whose content is among ``known``.

        ``known`` may grow from call to call; the pool then checks only the rows added since.
        """
        last, n_seen, mask = self._isin_last
        if last is not known:
            n_seen, mask = 0, np.zeros(len(self), dtype=bool)
        n_known = len(known.positions)
        if n_known > n_seen:
            mask = mask | self._isin_from(known, n_seen)
            self._isin_last = (known, n_known, mask)  # one assignment: another thread may run this too
        return mask.copy()

    def isin_at(self, known: KnownRows, indices: np.ndarray) -> np.ndarray:
        """Return which of the texts at ``indices`` are among ``known``."""
        return np.array([text in known.positions for text in self.texts[indices]], dtype=bool)

    def _isin_from(self, known: KnownRows, first: int) -> np.ndarray:
        """Return the mask of the rows that are in ``known`` at position ``first`` or later.

        A numeric row is hashed only if its mark matches one of theirs: hashing a million rows per round would
        cost more than the search.
        """
        positions = known.positions
        if self.texts is not None:
            found = (positions.get(text, -1) >= first for text in self.texts)
            return np.fromiter(found, dtype=bool, count=len(self))
        new_marks = known.pool._row_marks[first:]  # type: ignore[union-attr]
        mask = np.zeros(len(self), dtype=bool)
        suspects = np.flatnonzero(mask_of(_bins(new_marks), _N_BINS)[self._mark_bins])
        suspects = suspects[np.isin(self._row_marks[suspects], new_marks)]
        mask[suspects] = [positions.get(key, -1) >= first for key in self.keys_at(suspects)]
        return mask

    def numbers_in(self, table: RowTable) -> np.ndarray:
        """Return the number of every text in a table; texts that are not in it get numbers of their own.

        Found once per table. Numbers from ``len(table)`` on are those of texts that are not in it.
        """
        for known, numbers in self._numbers:
            if known is table:
                return numbers
        numbers = self._numbered_by(table)
        self._numbers = ((table, numbers), *self._numbers[: _N_TABLES - 1])  # another thread may run this too
        return numbers

    def _numbered_by(self, table: RowTable) -> np.ndarray:
        return table.numbers_of(self.texts)

    def check(self, indices: np.ndarray | None = None) -> None:
        """Check the rows, or those at ``indices``: texts must be valid text, numbers finite.

        Raises
        ------
        ValueError
            If a text is missing or holds a lone surrogate, or a number is NaN or infinite. The message names
            the row.
        TypeError
            If a row is not text.
        """
        if self.texts is not None:
            _check_each_text(self.texts, self.name, indices)
        else:
            _check_finite(self.stored, self.name)

    def take(self, indices: np.ndarray) -> Any:
        """Return the rows at ``indices`` in a container of the original kind."""
        return take_rows(self.data, indices)

    def filtered(self, rows: np.ndarray) -> Any:
        """Return some rows, given in ascending order, as :meth:`skprune.BaseFilter.transform` does."""
        return self.take(rows)

    def indexed_lines(self, table: Any) -> Any:
        """Return a DataFrame of one line per row with the index of the rows, if they have one."""
        return table.set_axis(self.data.index) if hasattr(self.data, "iloc") else table

    def column(self, name: Any) -> np.ndarray:
        """Return a column of the frame that holds the rows, an object array of shape (n_rows,)."""
        return np.asarray(self.data[name], dtype=object)

    def like(self, other: Pool) -> Any:
        """Return the rows in the form that a learner reads ``other``: a frame with its columns, or images."""
        values = self.texts if self.texts is not None else self.vectors
        columns = column_names(other.data)
        if len(columns) and len(columns) == (1 if values.ndim == 1 else values.shape[1]):
            import pandas as pd

            return pd.DataFrame(values, columns=columns)
        return values.reshape(-1, *other.row_shape) if len(other.row_shape) > 1 else self.data


class KnownRows(Protocol):
    """A collection of rows, and the position of each key in it."""

    pool: Pool | None
    positions: dict[Any, int]


def check_texts(texts: Any, name: str = "texts") -> np.ndarray:
    """Return ``texts`` as a 1-D object array of ``str``, each one checked.

    Parameters
    ----------
    texts : sequence of str
        List, tuple, ndarray or Series; may be empty.
    name : str, default="texts"
        The name in error messages.

    Returns
    -------
    ndarray of object, shape (n,)

    Raises
    ------
    ValueError
        If a text is None, NaN or holds a lone surrogate. The message names the row.
    TypeError
        If a row is bytes or not text at all, or ``texts`` is one string.

    Examples
    --------
    >>> check_texts(["a", "b"])
    array(['a', 'b'], dtype=object)
    >>> check_texts(["a", None])
    Traceback (most recent call last):
        ...
    ValueError: texts[1] is None: every row must be a text. Drop the row, or fill it with ''
    """
    values = read_rows(texts, name)
    if sp.issparse(values) or values.ndim != 1:
        raise TypeError(f"{name} must hold texts, got rows of numbers")
    _check_each_text(values, name)
    return np.asarray(values)


def check_pool(X: Any, name: str = "X", text: Any = None) -> Pool:
    """Return ``X`` as a validated, non-empty :class:`Pool`. A Pool counts as validated already.

    Raises
    ------
    EmptyPoolError
        If there are no rows.
    """
    if isinstance(X, Pool):
        return X
    pool = read_pool(X, name, text)
    pool.check()
    return pool


def read_pool(X: Any, name: str = "X", text: Any = None) -> Pool:
    """Return ``X`` as a non-empty :class:`Pool`, whose rows are not checked yet.

    Raises
    ------
    EmptyPoolError
        If there are no rows.
    """
    if isinstance(X, Pool):
        return X
    pool = Pool(X, name=name, text=text)
    if len(pool) == 0:
        raise EmptyPoolError(f"{name} has no rows")
    return pool


def _bins(marks: np.ndarray) -> np.ndarray:
    """Return one of ``_N_BINS`` numbers for each mark, the same for equal marks."""
    return (mix((marks + 0.0).view(np.uint64)) % _N_BINS).astype(np.uint16)  # + 0.0: −0.0 equals 0.0


def _distinct_numbers(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what :meth:`Pool.distinct` does, without a hash table.

    Examples
    --------
    >>> _distinct_numbers(np.array([5, 2, 5, 7]))
    (array([0, 1, 3]), array([0, 1, 0, 2]))
    """
    places = np.arange(len(numbers))
    first_place = np.empty(numbers.max(initial=-1) + 1, dtype=np.intp)
    first_place[numbers[::-1]] = places[::-1]
    first_of = first_place[numbers]
    is_first = first_of == places
    if is_first.all():
        return places, places
    return places[is_first], (np.cumsum(is_first) - 1)[first_of]


def _check_each_text(texts: np.ndarray, name: str, indices: np.ndarray | None = None) -> None:
    rows = np.arange(len(texts)) if indices is None else indices
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        try:
            "".join(texts[chunk]).encode()
        except (TypeError, UnicodeEncodeError):
            for row in chunk:
                _check_text(texts[row], f"{name}[{row}]")


def _check_text(text: Any, where: str) -> None:
    if text is None or (isinstance(text, float) and text != text) or type(text).__name__ == "NAType":
        missing = "None" if text is None else "NaN"
        raise ValueError(f"{where} is {missing}: every row must be a text. Drop the row, or fill it with ''")
    if not isinstance(text, str):
        raise TypeError(f"{where} is {type(text).__name__}, not text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{where} holds a lone surrogate at character {error.start}, so it is not valid text"
        ) from error


def _check_finite(vectors: Any, name: str) -> None:
    if vectors.dtype.kind not in "fc":
        return
    values = vectors.data if sp.issparse(vectors) else vectors
    # One pass: a sum is finite unless a term is not, or the sum overflows; hence the second pass.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(values.sum(dtype=np.result_type(values.dtype, np.float32))):
            return
    for start in range(0, vectors.shape[0], _CHUNK):
        block = vectors[start : start + _CHUNK]
        finite = np.isfinite(block.toarray() if sp.issparse(block) else block).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            values = vectors[[row]].data if sp.issparse(vectors) else vectors[row]
            kind = "NaN" if np.isnan(values).any() else "infinity"
            raise ValueError(
                f"Input {name} contains {kind} (first in row {row}): drop such rows, or replace the value, "
                "for instance with sklearn.impute.SimpleImputer"
            )
