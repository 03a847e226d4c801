"""The contract of every pool filter: the public methods, over two hooks that a method implements.

The file is long because the contract is documented here once, for all filters.
"""

from __future__ import annotations

import inspect
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import islice
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.utils import TransformerTags, check_scalar
from sklearn.utils._param_validation import HasMethods, Interval, InvalidParameterError
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted, validate_data

from skprune import pools
from skprune.containers import column_names, is_dask
from skprune.cost import ModelUse, estimate
from skprune.exceptions import LostClassWarning, PoolExhaustedError
from skprune.fitting import check_clones_keep_fit
from skprune.frames import as_frame, explanation
from skprune.labels import Labeled, check_labels, lost_classes
from skprune.notebook import NotebookDisplay
from skprune.pools import Pool
from skprune.row_table import RowTable
from skprune.selections import Selection, lowest, mask_of, size_of, with_copies
from skprune.streaming.reading import check_pool, read_pool
from skprune.streams import draw_seed, row_uniforms
from skprune.transaction import unchanged_on_error

KEEP_CONSTRAINT = [
    Interval(Real, 0, 1, closed="right"),
    Interval(Integral, 1, None, closed="left"),
]


# The most lost classes that a warning names.
_MOST_NAMED = 10


class BaseFilter(TransformerMixin, NotebookDisplay, ABC):
    """A pool filter: it keeps the part of a pool that is worth labeling.

    A subclass implements ``_fit`` and ``_select``, and ``_learn`` if the method uses labels. Its
    ``_parameter_constraints`` extend those of this class, which cover the parameters that filters share.

    Attributes
    ----------
    pool_ : Pool
        The rows given to :meth:`fit`.
    labeled_ : Labeled
        Every row whose label is known so far.
    round_ : int
        Number of calls of :meth:`partial_fit` since :meth:`fit`.
    seed_ : int
        The seed that :meth:`fit` took from ``random_state``.
    n_features_in_ : int
        Number of columns of a numeric pool. Not set for texts.
    feature_names_in_ : ndarray of str
        Column names, if a numeric pool came as a DataFrame with string names.
    """

    #: Whether the method reads texts, vectors, or both.
    _takes_texts: ClassVar[bool] = True
    _takes_vectors: ClassVar[bool] = True

    #: Why a pool must fit into memory, in words. Empty for a method that keeps scores of single rows, reads
    #: all texts only in batches, in the order of the pool, and all vectors only in parts: then it takes files
    #: and dask frames, too.
    _needs_memory: ClassVar[str] = "its class does not say that it reads texts in batches"

    #: What the method does as long as no row has a label, in words. Empty if it does not look at labels.
    _without_labels: ClassVar[str] = ""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "keep": KEEP_CONSTRAINT,
        "encoder": "no_validation",  # make_encoder checks it
        "memory": [None, str, HasMethods(["__fspath__"])],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "text": "no_validation",  # whatever names a column
        "verbose": ["verbose"],
    }

    random_state: Any = 0  # of filters without that parameter, which draw nothing
    text: Any = None  # of filters without that parameter

    #: Whether :meth:`select` uses stored scores only: from :meth:`rethreshold` until the next labels.
    _stored_only: bool = False

    # ------------------------------------------------------------------ public methods

    def fit(self, X: Any, y: Any = None) -> BaseFilter:
        """Do the expensive work on the pool once, and forget any earlier state.

        Parameters
        ----------
        X : container of n_rows texts or numeric rows
            The pool: a list, str or object ndarray, Series or frame (pandas, polars, pyarrow), sparse or
            numeric 2-D array, memmap, torch or Hugging Face Dataset. Of a frame with several columns of
            texts, the filter reads the one that its parameter ``text`` names. Filters that need
            not have all rows in memory also take a dask DataFrame or Series (``docs/dask.md``).
        y : array-like of shape (n_rows,), default=None
            Labels known already; −1, NaN or None marks a row without a label. Labeled rows are not selected
            again, unless every row has a label: then the labeled set itself is pruned.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If the pool is empty, a row is not text or not finite, ``y`` has another length, or ``keep``
            exceeds the number of eligible rows. Nothing expensive has run by then.

        Notes
        -----
        If ``fit`` raises, or is interrupted, the filter is what it was before the call.
        """
        self._validate_params()
        self._check_memory(X)
        pool = check_pool(X, text=self.text)
        labels, known = check_labels(y, len(pool))
        prunes_labeled = bool(known.all())
        self._check_sizes(_n_eligible(pool, known))
        with unchanged_on_error(self):
            self._check_kind(pool, reset=True)
            self._check_labels(labels[known])
            self.pool_ = pool
            self.seed_ = draw_seed(self.random_state)
            self.round_ = 0
            self._stored_only = False
            self.labeled_ = Labeled()
            # The rows that select passes over. If the labeled set itself is pruned: only rows labeled later.
            self._excluded = Labeled() if prunes_labeled else self.labeled_
            self._pruned_labels = labels if prunes_labeled else None
            labeled = Pool(pool.take(np.flatnonzero(known)), text=pool.text) if known.any() else None
            if labeled is not None:
                self.labeled_.add(labeled, labels[known])
            self._fit(pool)
            if labeled is not None:
                self._learn(labeled, learner=None)
        return self

    def partial_fit(self, X: Any, y: Any, *, learner: Any = None) -> BaseFilter:
        """Add newly labeled rows and begin the next round.

        Parameters
        ----------
        X : container of n_new rows
            They need not be rows of the pool.
        y : array-like of shape (n_new,)
            Their labels; none may be missing.
        learner : object with ``predict_proba``, default=None
            The model, trained on everything labeled so far. Only some methods use it.

        Returns
        -------
        self

        Notes
        -----
        On an unfitted filter this is ``fit(X, y)``, as with scikit-learn's incremental estimators. If it
        raises, or is interrupted, the filter is what it was before the call.
        """
        if not hasattr(self, "pool_"):
            return self.fit(X, y)
        pool = check_pool(X.compute() if is_dask(X) else X, text=self.text)
        self._check_kind(pool, reset=False)
        labels = self._check_new_labels(y, len(pool))
        with unchanged_on_error(self):
            self.labeled_.add(pool, labels)
            if self._excluded is not self.labeled_:
                self._excluded.add(pool, labels)
            self.round_ += 1
            self._stored_only = False
            self._learn(pool, learner=learner)
        return self

    def select(self, X: Any, *, min_rows: int = 0, copies: bool = True) -> np.ndarray:
        """Return the rows of ``X`` that survive.

        Parameters
        ----------
        X : container of n_rows rows
            The current pool. It may have shrunk, be reordered, or hold rows that :meth:`fit` has not seen.
        min_rows : int, default=0
            Return at least this many different rows, or all eligible ones if there are fewer, whatever
            ``keep`` says: a query must never get fewer rows than it asks for.
        copies : bool, default=True
            Whether the copies of a row survive with it. Sizes count different rows either way: a label is
            known for all copies of its row.

        Returns
        -------
        ndarray of intp, shape (n_kept,)
            Indices into ``X``, unique, best first.

        Raises
        ------
        PoolExhaustedError
            If every row is labeled.

        Warns
        -----
        LostClassWarning
            If every row was given to :meth:`fit` with a label, ``X`` is that pool, and no row of a class
            survives.
        """
        self._validate_params()  # they may have been set since fit
        check_scalar(min_rows, "min_rows", Integral, min_val=0)
        pool = self._current_pool(X)
        eligible = self._eligible(pool)
        first, copy_of = pool.distinct(eligible, self._numbers(pool))
        order = self._select(pool, eligible[first], int(min_rows)).order
        kept = eligible[with_copies(order, copy_of) if copies else first[order]]
        if pool is self.pool_ and self._pruned_labels is not None:
            self._warn_of_lost_classes(self._pruned_labels, kept)
        return kept

    def estimate_cost(self, X: Any, y: Any = None, *, n_probe: int = 100) -> Any:
        """Estimate what :meth:`fit` will ask models, by asking them about a few rows now.

        Parameters
        ----------
        X : container of n_rows rows
        y : array-like of shape (n_rows,), default=None
            As in :meth:`fit`.
        n_probe : int, default=100
            Number of texts that each model scores now. 0 counts calls only, without loading a model.

        Returns
        -------
        DataFrame of one row per model
            Its index names the parameters that hold the scorers and encoders. ``texts``: different texts that
            the model is asked about; ``stored``: those whose value is in ``memory``; ``calls``: the others;
            ``probed``: those of the calls that were made now; ``tokens`` of all calls, NaN if the model does
            not count them; ``seconds`` of all calls, loading included; ``memory``: peak of this process so
            far, in bytes, that of its GPUs included. The last three are NaN if the probe is too small to
            tell. There are no rows if the filter asks no model.

        Notes
        -----
        Values of the probe go to ``memory``, so that :meth:`fit` does not compute them again. Seconds and
        tokens are extrapolated by the number of characters, from a sample that depends on the rows' content.
        Models that are trained on the pool, such as an n-gram model, are not estimated, and neither is the
        work of the filter itself. :class:`~skprune.ActivePruneFilter` chooses the rows for its LLM by
        perplexity, which is unknown before :meth:`fit`; its probe may score rows that it will not need. For a
        filter made of other filters, the counts are upper bounds: each one as if it got the whole pool.

        Examples
        --------
        >>> from skprune import AskLLMFilter
        >>> vowels = lambda texts: [sum(c in "aeiou" for c in t) / len(t) for t in texts]
        >>> pruner = AskLLMFilter(keep=2, quality=vowels)
        >>> cost = pruner.estimate_cost(["sea", "xyz", "tree", "sea"], n_probe=2)
        >>> cost[["texts", "stored", "calls", "probed"]]
                 texts  stored  calls  probed
        quality      3       0      3       2
        """
        self._validate_params()
        check_scalar(n_probe, "n_probe", Integral, min_val=0)
        pool = pools.check_pool(X, text=self.text)
        self._check_takes(pool)
        known = check_labels(y, len(pool))[1]
        self._check_sizes(_n_eligible(pool, known))
        if not pool.holds_texts:
            return estimate([], pool.table, n_probe)
        numbers = pool.table.row_of
        n_eligible = _n_eligible(pool, np.isin(numbers, numbers[known]))  # copies of labeled rows excluded
        return estimate(self._model_uses(pool, n_eligible), pool.table, n_probe)

    def rethreshold(self, keep: float | int | None) -> BaseFilter:
        """Change the number of rows to keep after :meth:`fit`, without asking any model again.

        Parameters
        ----------
        keep : float, int or None
            As in the constructor.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If ``keep`` is not valid for this filter, or a count exceeds the number of different rows without
            a label. The filter stays what it was.
        TypeError
            If the filter has no parameter ``keep``.

        Notes
        -----
        The next :meth:`select` uses the scores and vectors that :meth:`fit` and :meth:`partial_fit` stored.
        For filters with one score that is a new threshold, in less than a second per million rows. Others
        repeat their own rule for the new size: :class:`~skprune.KMeansFilter` forms as many clusters,
        :class:`~skprune.SemiPruneFilter` picks another coreset, :class:`~skprune.AnchorFilter` searches for
        more neighbors. :class:`~skprune.ActivePruneFilter` considers as candidates only the rows that its LLM
        has scored; perplexity picks the others. That differs from a new ``fit`` where the LLM would have been
        asked about other rows. The next :meth:`partial_fit` asks the LLM again, about the candidates of the
        new size. Rows that :meth:`fit` has not seen are scored as always.

        Examples
        --------
        >>> from skprune import PerplexityFilter
        >>> by_length = lambda texts: [len(t) for t in texts]
        >>> pruner = PerplexityFilter(keep=1, perplexity=by_length).fit(["ccc", "a", "bb"])
        >>> pruner.rethreshold(2).get_support()
        array([False,  True,  True])
        """
        check_is_fitted(self)
        if "keep" not in self.get_params(deep=False):
            raise TypeError(f"{type(self).__name__} has no parameter keep")
        with unchanged_on_error(self):
            self.set_params(keep=keep)
            self._validate_params()
            self._check_sizes(len(self._different_at_fit()))
            self._stored_only = True
        return self

    def transform(self, X: Any) -> Any:
        """Return the rows of ``X`` that survive, in the container and order of ``X``.

        After ``set_output(transform="pandas")`` they come as a DataFrame. It has the index of ``X`` if ``X``
        has one; otherwise the index holds their positions in ``X``. Of a dask DataFrame they come as a lazy
        one, with the partitions and divisions of ``X``, unless ``set_output`` asks for pandas.
        """
        pool = self._current_pool(X)
        rows = np.sort(self.select(pool))
        kept = pool.filtered(rows)
        wants_frame = _get_output_config("transform", self)["dense"] != "default"
        return as_frame(kept, rows) if wants_frame else kept

    def fit_transform(self, X: Any, y: Any = None) -> Any:
        """Fit, then :meth:`transform` the same ``X``.

        Raises
        ------
        TypeError
            If a Pipeline, FeatureUnion or ColumnTransformer calls it: their steps must not drop rows.
        """
        _refuse_to_be_a_step(type(self).__name__)
        return self.fit(X, y).transform(X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the column names, which are those of the input: a filter drops rows only.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names for the columns of a numeric pool that has none.

        Returns
        -------
        ndarray of object, shape (n_features,)
            Texts make one column. It is called ``"text"`` unless the pool is a named Series or a DataFrame.
        """
        check_is_fitted(self)
        if not self.pool_.holds_texts:
            return np.asarray(_check_feature_names_in(self, input_features))
        data = self.pool_.data
        names = column_names(data) or [getattr(data, "name", None) or "text"]
        return np.asarray(names, dtype=object)

    def get_support(self, indices: bool = False) -> np.ndarray:
        """Return which rows given to :meth:`fit` survive now.

        Parameters
        ----------
        indices : bool, default=False
            Return their indices in ascending order instead of a mask.
        """
        check_is_fitted(self)
        kept = self.select(self.pool_.rows)
        return np.sort(kept) if indices else mask_of(kept, len(self.pool_))

    def explain(self, X: Any = None) -> Any:
        """Say why each row survives or not.

        Parameters
        ----------
        X : container of n_rows rows, default=None
            By default the rows given to :meth:`fit`.

        Returns
        -------
        DataFrame of n_rows rows
            ``kept`` (bool), ``rank`` (0 is best, −1 for rows that are not kept), ``stage``, the scores of the
            method, ``threshold``, and ``reason`` in words; words are categories. It has the index of ``X`` if
            ``X`` has one. If ``X`` is a dask DataFrame or Series, it is a dask DataFrame with its partitions.
        """
        check_is_fitted(self)
        self._validate_params()  # they may have been set since fit
        pool = self._current_pool(self.pool_.rows if X is None else X)
        return pool.indexed_lines(self._explained(pool, min_rows=0))

    # ------------------------------------------------------------------ hooks

    @abstractmethod
    def _fit(self, pool: Pool) -> None:
        """Do the expensive work on the whole pool."""

    def _learn(self, pool: Pool, *, learner: Any) -> None:
        """Use newly labeled rows; ``labeled_`` holds them already. Rebind attributes, never change them."""

    @abstractmethod
    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        """Decide about the rows of ``pool`` at ``eligible``: at least one, all different, none blank."""

    def _model_uses(self, pool: Pool, n_eligible: int) -> list[ModelUse]:
        """Return the models that :meth:`fit` asks about a pool of texts; those trained on it are left out."""
        return []

    def _check_sizes(self, n_rows: int) -> None:
        """Refuse sizes that ``n_rows`` different eligible rows cannot satisfy, before any work."""
        keep = getattr(self, "keep", None)
        if isinstance(keep, int | np.integer) and keep > n_rows:
            raise ValueError(
                f"keep={keep} exceeds the {n_rows} different rows of the pool without a label "
                "(blank texts do not count); pass a smaller count, or a share such as keep=0.25"
            )

    def _check_labels(self, labels: np.ndarray) -> None:
        """Refuse known labels that the method cannot use, before any work."""

    # ------------------------------------------------------------------ shared by methods

    def _explained(self, pool: Pool, min_rows: int) -> Any:
        """Return the lines of :meth:`explain` for a selection of at least ``min_rows`` rows."""
        eligible = self._eligible(pool)
        first, copy_of = pool.distinct(eligible, self._numbers(pool))
        selection = self._select(pool, eligible[first], min_rows)
        kept = eligible[with_copies(selection.order, copy_of)]
        decided = selection.explain()
        del first, selection
        # One column at a time: with ten million rows each takes 80 MB.
        columns = ((name, decided.pop(name)[copy_of]) for name in list(decided))
        return explanation(pool, eligible, kept, columns)

    def _validate_params(self) -> None:
        super()._validate_params()
        if isinstance(
            getattr(self, "keep", None), bool | np.bool_
        ):  # scikit-learn takes True for the integer 1
            raise InvalidParameterError(
                f"The 'keep' parameter of {type(self).__name__} must be a share or a count, got {self.keep!r}"
            )

    def _warn_of_lost_classes(self, labels: np.ndarray, kept: np.ndarray) -> None:
        """Warn if no row of a class of the labeled set survives."""
        lost = lost_classes(labels, kept)
        if lost:
            named = [f"{label!r} ({size} rows)" for label, size in islice(lost.items(), _MOST_NAMED)]
            if len(lost) > _MOST_NAMED:
                named.append(f"and {len(lost) - _MOST_NAMED} more")
            warnings.warn(
                f"{type(self).__name__} keeps no row of class {', '.join(named)}, so it cannot be learned. "
                "Keep a floor per class: QuotaFilter(filter, min_per_group=1), or min_per_class=1 of "
                "PrunedClassifier and PruneSampler",
                LostClassWarning,
                stacklevel=3,
            )

    @property
    def _table(self) -> RowTable:
        """The distinct rows given to :meth:`fit`."""
        return self.pool_.table

    def _locate(self, pool: Pool, rows: np.ndarray) -> np.ndarray:
        """Return the number of each row of ``pool`` among the distinct rows given to :meth:`fit`, or −1.

        The pool that ``fit`` was given is known without reading its rows. Numeric rows of any other array are
        hashed every time, even if the same array was here before: it may have been changed in place.
        """
        numbers = self._numbers(pool)
        if numbers is None:
            return (
                self._table.locate(pool.contents_at(rows))
                if pool is not self.pool_
                else self._table.row_of[rows]
            )
        located = numbers[rows]
        located[located >= len(self._table)] = -1
        return located

    def _numbers(self, pool: Pool) -> np.ndarray | None:
        """Return numbers that equal rows of a pool of texts share; None for numeric rows.

        The distinct rows given to :meth:`fit` come first.
        """
        if not pool.holds_texts:
            return None
        return self._table.row_of if pool is self.pool_ else pool.numbers_in(self._table)

    def _values_at(
        self, pool: Pool, rows: np.ndarray, values: np.ndarray, compute: Callable[[np.ndarray], Any]
    ) -> np.ndarray:
        """Return one value per row: known for the rows given to :meth:`fit`, computed for the others.

        Parameters
        ----------
        pool : Pool
        rows : ndarray of int, shape (n,)
            Rows of ``pool``.
        values : ndarray, shape (n_distinct, ...)
            The values of the distinct rows given to :meth:`fit`.
        compute : callable
            Takes those of ``rows`` that :meth:`fit` has not seen, and returns their values.

        Returns
        -------
        ndarray, shape (n, ...)
            A copy.
        """
        located = self._locate(pool, rows)
        found = values[located]
        unseen = np.flatnonzero(located < 0)
        if len(unseen):
            found[unseen] = compute(rows[unseen])
        return found

    def _kept_size(self, n_rows: int, min_rows: int) -> int:
        """Return how many of ``n_rows`` eligible rows ``keep`` and ``min_rows`` ask for."""
        return min(max(size_of(self.keep, n_rows), min_rows), n_rows)

    def _uniforms(self, pool: Pool, rows: np.ndarray, *stream: int) -> np.ndarray:
        """Return this round's random number of each row, which depends on its content and the stream."""
        located = self._locate(pool, rows)
        hashes = self._table.digests
        unseen = located < 0
        if unseen.any():
            others = RowTable(pool.contents_at(rows[unseen]))
            located[unseen] = len(hashes) + others.row_of
            hashes = np.concatenate([hashes, others.digests])
        return row_uniforms(hashes, located, self.seed_, self.round_, *stream)

    def _random_rows(self, pool: Pool, eligible: np.ndarray, n: int) -> np.ndarray:
        """Return ``n`` positions among the eligible rows, drawn uniformly for this round."""
        draws = self._uniforms(pool, eligible)
        return lowest(draws, n, ties=draws)

    def _current_pool(self, X: Any) -> Pool:
        """Read the current pool, and check it."""
        check_is_fitted(self)
        self._check_sizes(len(self.pool_))
        pool = X if isinstance(X, Pool) else self.pool_
        if X is not pool and (X is not pool.data or not pool.is_as_read()):
            self._check_memory(X)
            pool = read_pool(X, text=self.text)
            if pool.holds_texts and self.pool_.holds_texts:  # texts that fit has seen are valid
                pool.check(np.flatnonzero(pool.numbers_in(self._table) >= len(self._table)))
            else:
                pool.check()
        self._check_kind(pool, reset=False)
        return pool

    def _eligible(self, pool: Pool) -> np.ndarray:
        """Return the rows without a label, of which there must be some."""
        eligible = self._eligible_rows(pool)
        if not len(eligible):
            raise PoolExhaustedError(f"all {len(pool)} rows of X are labeled already")
        return eligible

    def _eligible_rows(self, pool: Pool) -> np.ndarray:
        """Return the rows of ``pool`` without a label; blank texts only if there is nothing else."""
        numbers = self._numbers(pool)
        if numbers is None:
            return np.flatnonzero(~pool.isin(self._excluded))
        table, labeled = self._table, self._excluded.pool
        unseen = np.flatnonzero(numbers >= len(table))
        # One entry per number: what is free, and what is written.
        free = np.ones(len(table) + len(unseen), dtype=bool)
        written = np.ones(len(free), dtype=bool)
        written[: len(table)] = table.written
        if labeled is not None:
            located = labeled.numbers_in(table)
            free[located[located < len(table)]] = False
        if len(unseen):
            free[numbers[unseen]] = ~pool.isin_at(self._excluded, unseen)
            written[numbers[unseen]] = pool.written_at(unseen)
        rows = np.flatnonzero(free[numbers])
        worth = rows[written[numbers[rows]]]
        return worth if len(worth) else rows

    def _different_at_fit(self) -> np.ndarray:
        """Return the different rows given to :meth:`fit` that have no label yet."""
        rows = self._eligible_rows(self.pool_)
        return rows[self.pool_.distinct(rows, self._numbers(self.pool_))[0]]

    def _check_new_labels(self, y: Any, n_rows: int) -> np.ndarray:
        """Return the labels of :meth:`partial_fit`; none may be missing."""
        labels, known = check_labels(y, n_rows)
        if not known.all():
            row = int(np.flatnonzero(~known)[0])
            # -1 is a class if the only other one is 1, as in y = ±1.
            if set(labels.tolist()) | set(self.labeled_.y.tolist()) <= {-1, 1}:
                return labels
            raise ValueError(
                f"partial_fit takes labeled rows only: y[{row}] is {labels[row]}, which means that the row "
                "has no label"
            )
        return labels

    def _check_memory(self, X: Any) -> None:
        """Refuse a dask frame, before it is computed, if the method needs the rows in memory."""
        if is_dask(X):
            self._check_needs_no_memory("the dask DataFrame")

    def _check_needs_no_memory(self, what: str) -> None:
        """Raise an error if the method needs its pool in memory; ``what`` is the pool: "the files"."""
        if self._needs_memory:
            name = type(self).__name__
            raise TypeError(
                f"{name} needs the pool in memory: {self._needs_memory}. Prune a part that fits with "
                f"{name}.transform, or first prune {what} with a filter that reads them in parts; "
                "docs/files.md tells which do"
            )

    def _check_takes(self, pool: Pool) -> None:
        takes = self._takes_texts if pool.holds_texts else self._takes_vectors
        if not takes:
            got, wants = ("texts", "vectors") if pool.holds_texts else ("numeric rows", "texts")
            raise TypeError(f"{type(self).__name__} reads {wants}, got {got}")

    def _check_kind(self, pool: Pool, *, reset: bool) -> None:
        self._check_takes(pool)
        if not reset and pool.holds_texts != self.pool_.holds_texts:
            raise ValueError("X and the pool given to fit must both be texts or both be numeric")
        if pool.holds_texts:
            if reset:
                for name in ("n_features_in_", "feature_names_in_"):
                    self.__dict__.pop(name, None)
        else:
            # The columns of a frame have names.
            X = pool.data if len(column_names(pool.data)) == pool.stored.shape[1] else pool.stored
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


def _n_eligible(pool: Pool, known: np.ndarray) -> int:
    """Return the number of different rows without a label; of all rows if every row has one."""
    unlabeled = np.flatnonzero(~known | known.all())
    numbers = pool.table.row_of if pool.holds_texts else None
    if numbers is not None and pool.table.written[numbers[unlabeled]].any():
        unlabeled = unlabeled[pool.table.written[numbers[unlabeled]]]
    return len(pool.distinct(unlabeled, numbers)[0])


def _refuse_to_be_a_step(name: str) -> None:
    """Raise if scikit-learn runs a filter as a step that must keep all rows.

    A later step would fail on the numbers of rows, or without y be fitted on fewer rows silently.
    """
    frame: Any = inspect.currentframe()
    for _ in range(5):  # scikit-learn wraps fit_transform once or twice
        frame = frame.f_back
        if frame is None:
            return
        if frame.f_code.co_name == "_fit_transform_one" and "sklearn" in frame.f_code.co_filename:
            raise TypeError(
                f"{name} drops rows, which a step of a Pipeline, FeatureUnion or ColumnTransformer must not. "
                "Use PrunedClassifier(estimator, filter) as the last step, or PruneSampler in a Pipeline of "
                "imbalanced-learn"
            )
