"""EUDS: rows with medium entropies, neither trivial nor noisy."""

from __future__ import annotations

import warnings
from functools import partial
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from skprune.base import BaseFilter
from skprune.cost import ModelUse
from skprune.filters.entropy_interval.search import check_search_labels, search_interval
from skprune.fitting import fitted_on, learns_from_pool
from skprune.pools import Pool
from skprune.scorers.entropy import GenerativeEntropy, InformationEntropy
from skprune.scorers.semantic import SemanticEntropy
from skprune.selections import Selection, lowest, size_of
from skprune.store import Remembered

ENTROPIES = ("information", "generative", "semantic")

# An interquartile range below this share of the range of the central 98 % of values counts as tiny (uniform:
# 0.51, normal: 0.29). The full range would not do: one very long text would make any entropy look
# concentrated.
_CONCENTRATED = 0.05
_MIN_ROWS_TO_JUDGE = 20
_DECIMALS = 12
_DROPPED, _WINDOW, _FILL = range(3)
_STAGES = np.array(["", "window", "fill"], dtype=object)


class EntropyIntervalFilter(BaseFilter):
    """Keep the rows whose entropies lie within a window of the pool's: neither trivial nor noisy.

    Three entropies can be measured, once: of the tokens of a text (information), of the predictions of a
    language model (generative), and over the topics of the pool (semantic). Each becomes a quantile of the
    pool. A row survives if its quantile is near the center; with ``combine="igse"``, if all three are.

    Parameters
    ----------
    keep : float or int, default=0.25
        Share or count of the eligible rows that survive, exactly. Ignored if ``interval`` is given.
    interval : None, (float, float), dict or "search", default=None
        Quantiles (lo, hi) between which a row survives; they determine the size. A dict
        ``{entropy: (lo, hi)}`` sets one window per entropy. ``"search"`` picks the window by cross-validating
        ``proxy`` on the labels given to :meth:`fit`. None keeps the ``keep`` rows nearest to ``center``.
    center : float or dict, default=0.5
        Quantile, or ``{entropy: quantile}``. Rows are ranked by their distance to it. Ignored if ``interval``
        is given.
    combine : {"igse", "information", "generative", "semantic"}, default="generative"
        ``"igse"`` intersects the three windows, as in the paper. The others use, and compute, one entropy
        only.
    information : None or callable, default=None
        ``texts -> (n,)``. None is :class:`~skprune.InformationEntropy`. Unfitted scorers are fitted on the
        pool.
    generative : None, str, path, scorer or callable, default=None
        None is :class:`~skprune.GenerativeEntropy` of an n-gram model trained on the pool; a string or path
        names the causal language model of one.
    semantic : None, str, path, scorer or callable, default=None
        None is :class:`~skprune.SemanticEntropy`; a string or path names its SentenceTransformer.
    proxy : None or classifier of texts, default=None
        The classifier that ``interval="search"`` trains. None is a linear support vector machine on TF-IDF.
    cv : int, default=3
        Number of folds of the search.
    text : column name, default=None
        The column of texts, if the pool is a frame with several. The other columns travel along.
    memory : None or path, default=None
        Where scores are kept: in this process, or in a folder.
    n_jobs : int or None, default=None
        Number of processes of the scorers that the filter makes, and of the search.
    random_state : int, RandomState or None, default=None
        Seed of the order of rows at the same distance, and of the folds.
    verbose : int, default=0
        1 reports the progress of the scorers that the filter makes.

    Attributes
    ----------
    entropies_ : dict of ndarray of float64, shape (n_distinct,)
        For each entropy, the value of every distinct text of the pool.
    windows_ : dict of (float, float) or None
        The windows, in quantiles; None if ``keep`` determines the size.
    search_results_ : list of dict
        After a search only. One dict per window: ``lo``, ``hi``, ``score`` (mean accuracy), ``std_error``,
        and ``share`` (of the labeled rows inside the window).

    Warns
    -----
    UserWarning
        If an entropy is concentrated: its interquartile range is at most 5 % of the range of its central 98 %
        (our threshold). Such an entropy distinguishes few rows; the paper names this as a limitation.
    UserWarning
        If scorers are given, but only for entropies that ``combine`` does not use.

    See Also
    --------
    ActivePruneFilter : Low perplexity, and the quality score of an LLM.

    Notes
    -----
    EUDS [1]_ keeps samples "within an optimal entropy interval", and calls its combination of the three
    entropies IGSE. The source available to us has neither the formulas nor the intervals. Ours are:

    * the formulas; see the scorers;
    * quantiles instead of values: F(h) = (pool rows below h + half the rows at h) / pool rows. Rows of equal
      entropy share a quantile; rows that :meth:`fit` has not seen are placed among those it has;
    * the exact size: rows are ranked by the largest ``|F_j − c_j|`` over the entropies. This keeps the rows
      inside three windows of the same width, just wide enough;
    * the default of ``combine``: generative entropy alone was better than IGSE on the sets that chose it, by
      5.0 ± 0.9 points of macro F1, and on another one by 1.4 ± 0.7 (``docs/results/filter_defaults.md``).
      That does not make it better than random rows;
    * the search: widths of 0.2, 0.4, ..., 1 at every tenth, one window for all entropies, scored by the
      accuracy on held-out rows, which are not pruned. Among the windows within one standard error of the
      best, it picks the one that keeps fewest rows.

    A blank text has no entropy, whatever the scorer returns, and lies in no window. Neither does a row whose
    entropy is not finite.

    References
    ----------
    .. [1] Huang, Li and Liu, "Entropy-Based Data Selection for Language Models", 2026, arXiv:2602.17465.

    Examples
    --------
    >>> from skprune import EntropyIntervalFilter
    >>> pool = ["a a a a", "a b a b", "a b c a", "a b c d", "a b c d e f g h"]
    >>> EntropyIntervalFilter(keep=3, combine="information").fit_transform(pool)
    ['a b a b', 'a b c a', 'a b c d']
    """

    _takes_vectors = False
    _needs_memory = ""

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseFilter._parameter_constraints,
        "interval": [None, tuple, list, dict, StrOptions({"search"})],
        "center": [Interval(Real, 0, 1, closed="both"), dict],
        "combine": [StrOptions({"igse", *ENTROPIES})],
        "information": [None, callable, FrozenEstimator],
        "generative": [None, str, HasMethods(["__fspath__"]), callable, FrozenEstimator],
        "semantic": [None, str, HasMethods(["__fspath__"]), callable, FrozenEstimator],
        "proxy": [None, HasMethods(["fit", "predict"])],
        "cv": [Interval(Integral, 2, None, closed="left")],
    }

    def __init__(
        self,
        keep: float | int = 0.25,
        *,
        interval: Any = None,
        center: float | dict[str, float] = 0.5,
        combine: str = "generative",
        information: Any = None,
        generative: Any = None,
        semantic: Any = None,
        proxy: Any = None,
        cv: int = 3,
        text: Any = None,
        memory: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.keep = keep
        self.interval = interval
        self.center = center
        self.combine = combine
        self.information = information
        self.generative = generative
        self.semantic = semantic
        self.proxy = proxy
        self.cv = cv
        self.text = text
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    # ------------------------------------------------------------------ hooks

    def _check_sizes(self, n_rows: int) -> None:
        if self.interval is None:
            super()._check_sizes(n_rows)
            _per_entropy("center", self.center, self._names, _check_quantile)
        elif self.interval != "search":
            _per_entropy("interval", self.interval, self._names, _check_window)

    def _check_labels(self, labels: np.ndarray) -> None:
        if self.interval == "search":
            check_search_labels(labels, self.cv)

    def _remembered(self, name: str, pool: Pool) -> Remembered:
        scorer = fitted_on(self._scorer(name), pool.training_texts, name=name)
        return Remembered(scorer, self.memory, name=name, batch_size=32_768)

    def _model_uses(self, pool: Pool, n_eligible: int) -> list[ModelUse]:
        names = [name for name in self._names if not learns_from_pool(self._scorer(name))]
        written = np.flatnonzero(pool.table.written)
        return [ModelUse(self._remembered(name, pool), written, len(written)) for name in names]

    def _fit(self, pool: Pool) -> None:
        given = [name for name in ENTROPIES if getattr(self, name) is not None]
        if given and not set(given) & set(self._names):  # a search over combine= is given all scorers
            warnings.warn(
                f"{', '.join(f'{name}=' for name in given)} is not used with combine={self.combine!r}; "
                'combine="igse" uses all three entropies',
                stacklevel=2,
            )
        table = self._table
        self._scorers = {name: self._remembered(name, pool) for name in self._names}
        self.entropies_ = {
            name: self._scored(name, table.keys, table.written, table.digests) for name in self._names
        }
        self._sorted = {name: np.sort(values[table.row_of]) for name, values in self.entropies_.items()}
        self._quantiles = {name: self._quantile(name, values) for name, values in self.entropies_.items()}
        for name, values in self._sorted.items():
            _warn_if_concentrated(name, values)
        self.__dict__.pop("search_results_", None)
        self.windows_ = None
        if self.interval == "search":
            self.windows_ = dict.fromkeys(self._names, self._searched())
        elif self.interval is not None:
            self.windows_ = _per_entropy("interval", self.interval, self._names, _check_window)

    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        entropies, quantiles = self._measure(pool, eligible)
        distance, inside = self._place(quantiles)
        if inside is None:
            n_kept = size_of(self.keep, len(eligible))
        else:
            n_kept = int(inside.sum())
        order = lowest(
            # Every row inside the windows comes before every row outside them.
            distance if inside is None else np.where(inside, distance - 2, distance),
            min(max(n_kept, min_rows), len(eligible)),
            self._uniforms(pool, eligible),
        )
        stage = np.zeros(len(eligible), dtype=np.int8)
        stage[order] = np.where(np.isfinite(distance[order]), _WINDOW, _FILL)
        stage[order[n_kept:]] = _FILL
        return Selection(order, lambda: self._columns(entropies, quantiles, distance, stage))

    # ------------------------------------------------------------------ entropies

    @property
    def _names(self) -> tuple[str, ...]:
        return ENTROPIES if self.combine == "igse" else (self.combine,)

    def _scorer(self, name: str) -> Any:
        given = getattr(self, name)
        named = isinstance(given, str) or hasattr(given, "__fspath__")
        if given is not None and not named:
            return given
        if name == "information":
            return InformationEntropy(n_jobs=self.n_jobs)
        if name == "generative":
            return GenerativeEntropy(given, n_jobs=self.n_jobs, verbose=self.verbose)
        return SemanticEntropy(given, memory=self.memory, verbose=self.verbose)

    def _scored_rows(self, name: str, pool: Pool, rows: np.ndarray) -> np.ndarray:
        return self._scored(name, pool.texts[rows], pool.written_at(rows))

    def _scored(
        self, name: str, texts: np.ndarray, written: np.ndarray, digests: np.ndarray | None = None
    ) -> np.ndarray:
        return np.where(written, self._scorers[name](texts, digests), np.nan)

    def _measure(self, pool: Pool, rows: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Return the entropies and their quantiles for rows of any pool."""
        entropies, quantiles = {}, {}
        for name in self._names:
            score = partial(self._scored_rows, name, pool)
            entropies[name] = self._values_at(pool, rows, self.entropies_[name], score)
            place = partial(self._quantile_of_rows, name, pool)  # the store returns their scores again
            quantiles[name] = self._values_at(pool, rows, self._quantiles[name], place)
        return entropies, quantiles

    def _quantile_of_rows(self, name: str, pool: Pool, rows: np.ndarray) -> np.ndarray:
        return self._quantile(name, self._scored_rows(name, pool, rows))

    def _quantile(self, name: str, values: np.ndarray) -> np.ndarray:
        """Return the quantiles of values in the pool, in [0, 1]; NaN if a value is not finite."""
        pool = self._sorted[name]
        return np.where(np.isfinite(values), mid_rank(values, pool[np.isfinite(pool)]), np.nan)

    # ------------------------------------------------------------------ windows

    def _place(self, quantiles: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the distance of each row to the center, and the mask of the rows inside all windows.

        Distances are in quantiles if ``keep`` determines the size, else in half widths of the windows.
        """
        if self.windows_ is None:
            centers = _per_entropy("center", self.center, self._names, _check_quantile)
            distances = [np.abs(quantiles[name] - centers[name]) for name in self._names]
            return _largest(distances), None
        distances, inside = [], []
        for name, (lo, hi) in self.windows_.items():
            distances.append(np.abs(quantiles[name] - (lo + hi) / 2) / ((hi - lo) / 2))
            inside.append((quantiles[name] >= lo) & (quantiles[name] <= hi))
        return _largest(distances), np.logical_and.reduce(inside)

    def _searched(self) -> tuple[float, float]:
        labeled: Any = self.labeled_.pool
        quantiles = self._measure(labeled, np.arange(len(labeled)))[1]
        self.search_results_ = search_interval(
            np.column_stack([quantiles[name] for name in self._names]),
            labeled.texts,
            self.labeled_.y,
            proxy=self.proxy,
            cv=self.cv,
            seed=self.seed_,
            n_jobs=self.n_jobs,
        )
        best = max(self.search_results_, key=lambda result: result["score"])
        enough = best["score"] - best["std_error"]
        good = [result for result in self.search_results_ if result["score"] >= enough and result["share"]]
        picked = min(good, key=lambda result: (result["share"], -result["score"]))
        return picked["lo"], picked["hi"]

    def _columns(
        self,
        entropies: dict[str, np.ndarray],
        quantiles: dict[str, np.ndarray],
        distance: np.ndarray,
        stage: np.ndarray,
    ) -> dict[str, Any]:
        kept = stage == _WINDOW
        if self.windows_ is None:
            threshold = distance[kept].max() if kept.any() else np.nan
            centers = _per_entropy("center", self.center, self._names, _check_quantile)
            reach = threshold + 10.0**-_DECIMALS
            windows = {name: (centers[name] - reach, centers[name] + reach) for name in self._names}
        else:
            threshold, windows = 1.0, self.windows_
        reason = np.full(len(distance), "", dtype=object)
        for name, (lo, hi) in windows.items():
            places = quantiles[name]
            for outside, side in ((places < lo, "low"), (places > hi, "high"), (np.isnan(places), None)):
                words = f"{name} entropy too {side}" if side else f"{name} entropy is not finite"
                rows = np.flatnonzero(outside)
                reason[rows] = [f"{so_far}, {words}" if so_far else words for so_far in reason[rows]]
        reason[reason == ""] = "as far from the center as the last row kept, with a higher random number"
        reason[kept] = "kept: inside every window"
        reason[stage == _FILL] = "kept: fills the size, next in line"
        columns: dict[str, Any] = {"stage": _STAGES[stage]}
        for name in self._names:
            columns[f"{name}_entropy"], columns[f"{name}_quantile"] = entropies[name], quantiles[name]
        columns |= {"distance": distance, "threshold": np.full(len(distance), threshold), "reason": reason}
        return columns


def mid_rank(values: np.ndarray, pool: np.ndarray) -> np.ndarray:
    """Return the mid-rank quantiles of values in a pool: the share below plus half the share of ties.

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
    pool : ndarray of float64, shape (n_pool,)
        Ascending.

    Examples
    --------
    >>> mid_rank(np.array([1.0, 2.0, 2.5, 9.0]), np.array([1.0, 2.0, 2.0, 3.0]))
    array([0.125, 0.5  , 0.75 , 1.   ])
    """
    if not len(pool):
        return np.full(len(values), np.nan)
    return (np.searchsorted(pool, values) + np.searchsorted(pool, values, side="right")) / (2 * len(pool))


def _largest(distances: list[np.ndarray]) -> np.ndarray:
    largest = np.maximum.reduce(distances)  # NaN if any of them is
    # Rows at the same distance on both sides of the center must tie despite rounding errors.
    return np.where(np.isnan(largest), np.inf, largest.round(_DECIMALS))


def _per_entropy(parameter: str, value: Any, names: tuple[str, ...], check: Any) -> dict[str, Any]:
    """Return the checked value of each entropy: one for all, or one per entropy from a dict."""
    if not isinstance(value, dict):
        return dict.fromkeys(names, check(parameter, value))
    unknown = sorted(set(value) - set(ENTROPIES), key=repr)
    if unknown:
        raise ValueError(f"{parameter} names {unknown[0]!r}; the entropies are {', '.join(ENTROPIES)}")
    missing = [name for name in names if name not in value]
    if missing:
        raise ValueError(f"{parameter} has no value for {missing[0]!r}")
    return {name: check(f"{parameter}[{name!r}]", value[name]) for name in names}


def _check_quantile(parameter: str, value: Any) -> float:
    if isinstance(value, Real) and 0 <= float(value) <= 1:
        return float(value)
    raise ValueError(f"{parameter} must be a quantile in [0, 1], got {value!r}")


def _check_window(parameter: str, value: Any) -> tuple[float, float]:
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(v, Real) for v in value):
        lo, hi = map(float, value)
        if 0 <= lo < hi <= 1:
            return lo, hi
    raise ValueError(f"{parameter} must be two quantiles, 0 <= lo < hi <= 1, got {value!r}")


def _warn_if_concentrated(name: str, values: np.ndarray) -> None:
    values = values[np.isfinite(values)]
    if len(values) < _MIN_ROWS_TO_JUDGE:
        return
    bottom, low, high, top = np.percentile(values, [1, 25, 75, 99])
    if high - low <= _CONCENTRATED * (top - bottom):
        warnings.warn(
            f"{name} entropy is concentrated: half of the pool spans {high - low:.3g} and 98 % of it "
            f"{top - bottom:.3g}, so it distinguishes few rows. Try another scorer as {name}=, or a combine= "
            "without it",
            stacklevel=4,
        )
