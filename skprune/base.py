"""The contract of every pool filter: the public verbs, over two hooks that a method implements."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import TransformerTags
from sklearn.utils._param_validation import Interval
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from skprune.containers import take_rows
from skprune.exceptions import PoolExhaustedError
from skprune.fitting import check_clones_keep_fit
from skprune.pools import Labeled, Pool, RowTable, check_labels, check_pool, digests
from skprune.streams import draw_seed, row_uniforms

KEEP_CONSTRAINT = [
    Interval(Real, 0, 1, closed="right"),
    Interval(Integral, 1, None, closed="left"),
]


@dataclass
class Selection:
    """What a method decided about the eligible rows of one pool.

    Attributes
    ----------
    order : ndarray of int, shape (n_kept,)
        Positions among the eligible rows, unique, best first.
    explain : callable
        Returns a dict of columns, one value an eligible row: the scores, ``stage``, ``threshold`` and
        ``reason``. Called by :meth:`BaseFilter.explain` only.
    """

    order: np.ndarray
    explain: Callable[[], dict[str, Any]]


class BaseFilter(TransformerMixin, BaseEstimator, ABC):
    """A pool filter: keeps the part of a pool that is worth labeling.

    Subclasses implement :meth:`_fit` and :meth:`_select`, and :meth:`_learn` where labels matter.

    Attributes
    ----------
    pool_ : Pool
        The rows given to :meth:`fit`.
    labeled_ : Labeled
        Every row whose label is known by now.
    round_ : int
        Calls of :meth:`partial_fit` since :meth:`fit`.
    seed_ : int
        What ``random_state`` stands for since :meth:`fit`.
    n_features_in_ : int
        Columns of a numeric pool. Not set for texts.
    feature_names_in_ : ndarray of str
        Column names, where a numeric pool came as a DataFrame with string names.
    """

    #: Whether the method reads texts, vectors, or both.
    _takes_texts: ClassVar[bool] = True
    _takes_vectors: ClassVar[bool] = True

    keep: float | int  # of the methods that have it
    random_state: Any

    # ------------------------------------------------------------------ public verbs

    def fit(self, X: Any, y: Any = None) -> BaseFilter:
        """Do the expensive work on the pool once, and forget any earlier state.

        Parameters
        ----------
        X : container of n_rows texts or numeric rows
            The pool: list, str or object ndarray, Series, DataFrame, sparse or numeric 2-D array, memmap,
            torch or Hugging Face Dataset.
        y : array-like of shape (n_rows,), default=None
            Labels known already; −1, NaN or None where there is none. Rows with a label are not selected
            again, unless every row has one: then the set itself is being pruned.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the pool is empty, a row is no text or not finite, ``y`` has another length, or ``keep``
            exceeds the rows there are. Nothing expensive has run by then.
        """
        self._validate_params()
        pool = check_pool(X)
        labels, known = check_labels(y, len(pool))
        prunes_labeled = bool(known.all())
        self._check_sizes(len(pool) if prunes_labeled else int((~known).sum()))
        self._check_kind(pool, reset=True)
        self._check_labels(labels[known])

        self.pool_ = pool
        self.seed_ = draw_seed(self.random_state)
        self.round_ = 0
        self.labeled_ = Labeled()
        # Rows that select passes over; where the set itself is pruned, only those that come later.
        self._excluded = Labeled() if prunes_labeled else self.labeled_
        if known.any():
            labeled = Pool(pool.take(np.flatnonzero(known)))
            self.labeled_.add(labeled, labels[known])
        try:
            self._fit(pool)
            if known.any():
                self._learn(labeled, learner=None)
        except BaseException:
            del self.pool_  # half a fit must not pass for a whole one
            raise
        return self

    def partial_fit(self, X: Any, y: Any, *, learner: Any = None) -> BaseFilter:
        """Take note of rows that were labeled since, and begin the next round.

        Parameters
        ----------
        X : container of n_new rows
            Need not be rows of the pool.
        y : array-like of shape (n_new,)
            Their labels, all known.
        learner : object with ``predict_proba``, default=None
            The model, trained on everything labeled so far. Only methods that look at it need it.

        Returns
        -------
        self

        Notes
        -----
        On an unfitted filter this is ``fit(X, y)``, as with scikit-learn's incremental estimators.
        """
        if not hasattr(self, "pool_"):
            return self.fit(X, y)
        pool = check_pool(X)
        self._check_kind(pool, reset=False)
        labels, known = check_labels(y, len(pool))
        if not known.all():
            row = int(np.flatnonzero(~known)[0])
            raise ValueError(f"partial_fit takes labeled rows only: y[{row}] is {labels[row]}")
        self.labeled_.add(pool, labels)
        if self._excluded is not self.labeled_:
            self._excluded.add(pool, labels)
        self.round_ += 1
        self._learn(pool, learner=learner)
        return self

    def select(self, X: Any, *, min_rows: int = 0) -> np.ndarray:
        """Return the rows of ``X`` that survive.

        Parameters
        ----------
        X : container of n_rows rows
            The pool at hand: shrunk, reordered, with rows never seen before, as it comes.
        min_rows : int, default=0
            Return at least so many rows (all eligible ones if there are fewer), whatever the sizes say:
            a query must never get fewer rows than it asks for.

        Returns
        -------
        ndarray of intp, shape (n_kept,)
            Indices into ``X``, unique, best first.

        Raises
        ------
        PoolExhaustedError
            If every row is labeled by now.
        """
        pool, eligible = self._eligible(X)
        return eligible[self._select(pool, eligible, min_rows).order]

    def transform(self, X: Any) -> Any:
        """Return the rows of ``X`` that survive, in X's own container and order.

        After ``set_output(transform="pandas")`` they come as a DataFrame: with X's own index where X has one,
        else the index says which rows of X they are.
        """
        rows = np.sort(self.select(X))
        kept = take_rows(X, rows)
        wants_frame = _get_output_config("transform", self)["dense"] != "default"
        return _as_frame(kept, rows) if wants_frame else kept

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit, then :meth:`transform` the same ``X``."""
        return self.fit(X, y).transform(X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the columns: those that came in, for a filter drops rows only.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the columns of a numeric pool that has none.

        Returns
        -------
        ndarray of object, shape (n_features,)
            Texts make one column, ``"text"`` unless the pool was a Series with a name, or a DataFrame.
        """
        check_is_fitted(self)
        if not self.pool_.holds_texts:
            return np.asarray(_check_feature_names_in(self, input_features))
        data = self.pool_.data
        names = data.columns if hasattr(data, "columns") else [getattr(data, "name", None) or "text"]
        return np.asarray(names, dtype=object)

    def get_support(self, indices: bool = False) -> np.ndarray:
        """Return which rows given to :meth:`fit` survive now.

        Parameters
        ----------
        indices : bool, default=False
            Return their indices in ascending order rather than a mask.
        """
        check_is_fitted(self)
        kept = self.select(self.pool_.rows)
        if indices:
            return np.sort(kept)
        mask = np.zeros(len(self.pool_), dtype=bool)
        mask[kept] = True
        return mask

    def explain(self, X: Any = None) -> Any:
        """Say why each row survives or not.

        Parameters
        ----------
        X : container of n_rows rows, default=None
            By default the rows given to :meth:`fit`.

        Returns
        -------
        DataFrame of n_rows rows
            ``kept`` (bool), ``rank`` (0 is best, −1 where not kept), ``stage``, the method's scores,
            ``threshold`` and ``reason`` in words. It has X's own index where X has one.
        """
        import pandas as pd

        check_is_fitted(self)
        data = self.pool_.rows if X is None else X
        pool, eligible = self._eligible(data)
        selection = self._select(pool, eligible, 0)
        rank = np.full(len(pool), -1)
        rank[eligible[selection.order]] = np.arange(len(selection.order))
        index = data.index if hasattr(data, "iloc") else None
        frame = pd.DataFrame({"kept": rank >= 0, "rank": rank}, index=index)
        for name, values in selection.explain().items():
            if values.dtype.kind == "f":
                column = np.full(len(pool), np.nan)
            else:
                column = np.full(len(pool), "already labeled" if name == "reason" else "", dtype=object)
            column[eligible] = values
            frame[name] = column
        return frame

    # ------------------------------------------------------------------ hooks

    @abstractmethod
    def _fit(self, pool: Pool) -> None:
        """Do the expensive work on the whole pool."""

    def _learn(self, pool: Pool, *, learner: Any) -> None:
        """Update the method's memory with rows labeled since; ``labeled_`` holds them already."""

    @abstractmethod
    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        """Decide about the rows of ``pool`` at ``eligible``, of which there is at least one."""

    def _check_sizes(self, n_rows: int) -> None:
        """Refuse sizes that ``n_rows`` eligible rows cannot satisfy, before any work."""
        keep = getattr(self, "keep", None)
        if isinstance(keep, int | np.integer) and keep > n_rows:
            raise ValueError(f"keep={keep} exceeds the {n_rows} rows of the pool without a label")

    def _check_labels(self, labels: np.ndarray) -> None:
        """Refuse the known labels that the method cannot work with, before any work."""

    # ------------------------------------------------------------------ shared by methods

    @property
    def _table(self) -> RowTable:
        """The distinct rows given to :meth:`fit`."""
        return self.pool_.table

    def _locate(self, pool: Pool, rows: np.ndarray) -> np.ndarray:
        """Return which distinct row given to :meth:`fit` each row of ``pool`` is, −1 where none.

        Only the pool that ``fit`` was given is known without a look at its rows. Numeric rows of any other
        are hashed each time, also of an array that was here before: it may have been changed in place, and
        would be taken for what it was.
        """
        if pool is self.pool_:
            return np.asarray(self._table.row_of[rows])
        return self._table.locate(pool.keys_at(rows))

    def _kept_size(self, n_rows: int, min_rows: int) -> int:
        """Return how many of ``n_rows`` eligible rows ``keep`` and ``min_rows`` ask for."""
        return min(max(size_of(self.keep, n_rows), min_rows), n_rows)

    def _uniforms(self, pool: Pool, rows: np.ndarray, *stream: int) -> np.ndarray:
        """Random numbers of this round for the rows of ``pool``, by content; others in another stream."""
        located = self._locate(pool, rows)
        unseen = located < 0
        hashes = self._table.digests
        if unseen.any():
            strangers = RowTable(pool.keys_at(rows[unseen]))
            located[unseen] = len(hashes) + strangers.row_of
            hashes = np.concatenate([hashes, digests(strangers.keys)])
        return row_uniforms(hashes, located, self.seed_, self.round_, *stream)

    def _eligible(self, X: Any) -> tuple[Pool, np.ndarray]:
        """Read the pool at hand and find the rows without a label."""
        check_is_fitted(self)
        pool = self.pool_ if X is self.pool_.data and self.pool_.is_as_read() else check_pool(X)
        self._check_kind(pool, reset=False)
        eligible = np.flatnonzero(~pool.isin(self._excluded))
        if not len(eligible):
            raise PoolExhaustedError(f"all {len(pool)} rows of X are labeled already")
        return pool, eligible

    def _check_kind(self, pool: Pool, *, reset: bool) -> None:
        takes = self._takes_texts if pool.holds_texts else self._takes_vectors
        if not takes:
            got, wants = ("texts", "vectors") if pool.holds_texts else ("numeric rows", "texts")
            raise TypeError(f"{type(self).__name__} reads {wants}, got {got}")
        if not reset and pool.holds_texts != self.pool_.holds_texts:
            raise ValueError("X and the pool given to fit must both be texts or both be numeric")
        if pool.holds_texts:
            if reset:
                for name in ("n_features_in_", "feature_names_in_"):
                    self.__dict__.pop(name, None)
        else:
            X = pool.data if hasattr(pool.data, "iloc") else pool.vectors  # a frame's columns have names
            validate_data(self, X, reset=reset, skip_check_array=True)

    def __sklearn_clone__(self) -> BaseFilter:
        for name, value in self.get_params(deep=False).items():
            check_clones_keep_fit(value, name)
        return super().__sklearn_clone__()

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "pool_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = self._takes_texts
        tags.input_tags.two_d_array = self._takes_vectors
        tags.input_tags.sparse = self._takes_vectors
        tags.target_tags.required = False
        tags.transformer_tags = TransformerTags(preserves_dtype=["float64", "float32"])
        return tags


def size_of(share_or_count: float | int, n_rows: int) -> int:
    """Return how many of ``n_rows`` rows a share (float) or a count (int) means: at least one.

    Examples
    --------
    >>> size_of(0.25, 10), size_of(3, 10), size_of(20, 10), size_of(0.01, 10)
    (3, 3, 10, 1)
    """
    if isinstance(share_or_count, Integral):
        return min(int(share_or_count), n_rows)
    return min(max(1, int(np.floor(share_or_count * n_rows + 0.5))), n_rows)


def lowest(values: np.ndarray, k: int, ties: np.ndarray) -> np.ndarray:
    """Return the positions of the ``k`` lowest values, ascending; ``ties`` decide between equal ones.

    Examples
    --------
    >>> lowest(np.array([2.0, 1.0, 1.0]), 2, ties=np.array([0.1, 0.9, 0.2]))
    array([2, 1])
    """
    if k >= len(values):
        candidates = np.arange(len(values))
    else:
        threshold = np.partition(values, k - 1)[k - 1] if k else -np.inf
        candidates = np.flatnonzero(values <= threshold)
    return candidates[np.lexsort((ties[candidates], values[candidates]))[:k]]


def _as_frame(kept: Any, rows: np.ndarray) -> Any:
    """Return the kept rows of any container as a frame, whose columns scikit-learn then names."""
    import pandas as pd

    if hasattr(kept, "iloc"):
        return kept if kept.ndim == 2 else kept.to_frame()
    pool = Pool(kept)
    values = pool.texts if pool.holds_texts else pool.vectors
    return values if sp.issparse(values) else pd.DataFrame(values, index=rows)
