"""UPS: what the learner was sure of in earlier rounds is mostly left out."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import brentq
from sklearn.utils._param_validation import Interval, StrOptions

from skprune.base import KEEP_CONSTRAINT, BaseFilter, Selection
from skprune.pools import Pool
from skprune.probabilities import entropy, least_confidence, margin, predict_proba
from skprune.streams import generator

_MEASURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "least_confidence": least_confidence,
    "entropy": entropy,
    "margin": lambda proba: -margin(proba),
}
# The stream of a round that the systematic sample starts from.
_OFFSET = 1


class UPSFilter(BaseFilter):
    """Keep rows by chance, the more certainly the less sure the learner was of them when it last saw them.

    Rows are ranked by uncertainty; the share ``gamma`` of the most uncertain ones is kept in any case, and
    the probability of the others falls exponentially with their rank.

    Parameters
    ----------
    keep : float or int, default=0.25
        Share or count of the eligible rows that survive.
    gamma : float, default=0.1
        Share of the eligible rows that is kept in any case (γ). Where it exceeds ``keep``, the most uncertain
        rows are kept and nothing is left to chance.
    uncertainty : {"least_confidence", "entropy", "margin"}, default="least_confidence"
        Measure of the learner's probabilities; a small margin is uncertain.
    refresh_rounds : tuple of int, default=(0, 1, 4, 8)
        Rounds in which the learner looks at the whole pool, counted from 0 for the first round with a
        learner, which is always one of them. In the other rounds it looks at the surviving rows only.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    uncertainty_ : ndarray of float64, shape (n_distinct,)
        Uncertainty that this round ranks the pool's distinct rows by; NaN before any learner was seen.
    n_scored_ : int
        Rows of the pool that learners predicted since :meth:`fit`.

    See Also
    --------
    RandomFilter : What this is until a learner was seen.

    Notes
    -----
    Unlabeled pool subsampling [1]_. With r the rank of a row (0: most uncertain) over the number of rows,
    P(keep) = exp(−max(0, r − γ)/T). The paper fixes T; here T is solved for the size that ``keep`` asks for,
    and a systematic sample with these probabilities has exactly that size (ours).

    The learner comes with ``partial_fit(X, y, learner=model)``, as :class:`~skprune.PrunedQuery` calls it.
    Uncertainties are kept by the row's content. In a round between the full ones, rows survive by what
    earlier learners thought of them; what the newest one thinks of the survivors counts from the next round
    on. Rows that were not in the pool given to :meth:`fit` are shown to the newest learner on the spot: the
    filter holds on to it.

    References
    ----------
    .. [1] Tsvigun et al., "Towards Computationally Feasible Deep Active Learning", Findings of NAACL 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skprune import UPSFilter
    >>> pool = np.linspace(-1, 1, 100)[:, None]
    >>> model = LogisticRegression(C=100).fit(pool[[0, 99]], [0, 1])
    >>> pruner = UPSFilter(keep=10, gamma=0.1).fit(pool)
    >>> kept = pruner.partial_fit(pool[[0, 99]], [0, 1], learner=model).transform(pool)
    >>> len(kept), bool(np.abs(kept).max() < 0.12)
    (10, True)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "keep": KEEP_CONSTRAINT,
        "gamma": [Interval(Real, 0, 1, closed="both")],
        "uncertainty": [StrOptions(set(_MEASURES))],
        "refresh_rounds": ["array-like"],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        keep: float | int = 0.25,
        *,
        gamma: float = 0.1,
        uncertainty: str = "least_confidence",
        refresh_rounds: tuple[int, ...] = (0, 1, 4, 8),
        random_state: Any = None,
    ) -> None:
        self.keep = keep
        self.gamma = gamma
        self.uncertainty = uncertainty
        self.refresh_rounds = refresh_rounds
        self.random_state = random_state

    # ------------------------------------------------------------------ hooks

    def _fit(self, pool: Pool) -> None:
        self.uncertainty_ = self._newest = np.full(len(self._table), np.nan)
        self.n_scored_ = 0
        self._n_learners = 0
        self._learner: Any = None

    def _learn(self, pool: Pool, *, learner: Any) -> None:
        self.uncertainty_ = self._newest
        eligible = np.flatnonzero(~self.pool_.isin(self._excluded))
        if learner is None or not len(eligible):
            return
        full = self._n_learners == 0 or self._n_learners in self.refresh_rounds
        rows = eligible if full else eligible[self._select(self.pool_, eligible, 0).order]
        located, first = np.unique(self._locate(self.pool_, rows), return_index=True)
        scores = self._measure(learner, self.pool_, rows[first])
        if scores is None:  # never fitted: as good as none
            return
        self._learner = learner
        self._n_learners += 1
        self.n_scored_ += len(scores)
        self._newest = self.uncertainty_.copy()
        self._newest[located] = scores
        if full:
            self.uncertainty_ = self._newest

    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        n_rows = len(eligible)
        n_kept = self._kept_size(n_rows, min_rows)
        luck = self._uniforms(pool, eligible)
        if self._learner is None:
            order = np.argsort(luck, kind="stable")[:n_kept]
            unknown = np.full(n_rows, np.nan)
            return Selection(order, lambda: _columns(order, unknown, unknown))
        uncertainty = self._uncertainties(pool, eligible)
        ranked = np.lexsort((luck, -uncertainty))
        by_rank = keep_probabilities(n_rows, n_kept, self.gamma)
        probability = np.empty(n_rows)
        probability[ranked] = by_rank
        # Rows stand in the order of their luck: a systematic sample of a random order.
        shuffled = np.argsort(luck, kind="stable")
        start = generator(self.seed_, self.round_, _OFFSET).random()
        kept = np.zeros(n_rows, dtype=bool)
        kept[shuffled[systematic_sample(probability[shuffled], n_kept, start)]] = True
        order = ranked[kept[ranked]]
        return Selection(order, lambda: _columns(order, uncertainty, probability))

    # ------------------------------------------------------------------ uncertainty

    def _uncertainties(self, pool: Pool, rows: np.ndarray) -> np.ndarray:
        located = self._locate(pool, rows)
        uncertainty = np.where(located >= 0, self.uncertainty_[located], np.nan)
        unknown = np.flatnonzero(np.isnan(uncertainty))
        if len(unknown):
            uncertainty[unknown] = self._measure(self._learner, pool, rows[unknown])
        return uncertainty

    def _measure(self, learner: Any, pool: Pool, rows: np.ndarray) -> np.ndarray | None:
        proba = predict_proba(learner, pool.take(rows), needed_by=type(self).__name__)
        return None if proba is None else _MEASURES[self.uncertainty](proba)


def keep_probabilities(n_rows: int, n_kept: int, gamma: float) -> np.ndarray:
    """Probabilities exp(−max(0, r − γ)/T) that sum to ``n_kept``, r = 0, 1/n, 2/n, ...

    Returns
    -------
    ndarray of float64, shape (n_rows,)
        Descending. If γ alone asks for ``n_kept`` rows or more, 1 for so many and 0 for the rest (T → 0).

    Examples
    --------
    >>> keep_probabilities(5, 3, gamma=0.2).round(3)
    array([1.   , 1.   , 0.544, 0.296, 0.161])
    >>> keep_probabilities(4, 2, gamma=0.5)
    array([1., 1., 0., 0.])
    """
    excess = np.maximum(0.0, np.round(np.arange(n_rows) / n_rows - gamma, 12))
    n_certain = int((excess == 0).sum())
    if n_kept <= n_certain or n_kept == n_rows:
        return (np.arange(n_rows) < n_kept).astype(float)

    def surplus(log_temperature: float) -> float:
        return float(np.exp(-excess / np.exp(log_temperature)).sum()) - n_kept

    # At the lower end all but the certain rows underflow to 0; at the upper end hardly a row is lost.
    low, high = np.log(excess[n_certain] / 800), np.log(n_rows * n_rows)
    probability = np.exp(-excess / np.exp(brentq(surplus, low, high, xtol=1e-14)))
    return np.asarray(probability)


def systematic_sample(probability: np.ndarray, n_kept: int, start: float) -> np.ndarray:
    """Return ``n_kept`` unique positions, each with its probability, which sum to ``n_kept``.

    Parameters
    ----------
    probability : ndarray of shape (n,)
    n_kept : int
    start : float
        Uniform in [0, 1).

    Notes
    -----
    Madow's method: the probabilities are laid end to end, and every unit of length picks where it falls.

    Examples
    --------
    >>> systematic_sample(np.array([0.5, 0.5, 1.0, 0.25, 0.75]), 3, start=0.4)
    array([0, 2, 4])
    """
    ends = np.cumsum(probability)
    steps = np.arange(n_kept)
    picked = np.searchsorted(ends * (n_kept / ends[-1]), steps + start, side="right")
    # A last bit may let two steps fall on one row, or the last one behind the end.
    spread = np.minimum(np.maximum.accumulate(picked - steps), len(probability) - n_kept)
    return spread + steps


def _columns(order: np.ndarray, uncertainty: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    kept = np.zeros(len(uncertainty), dtype=bool)
    kept[order] = True
    certain = probability == 1
    if np.isnan(probability).all():
        stage, why, why_not = "random", "kept: drawn at random, no learner was seen yet", "not drawn"
    else:
        stage, why, why_not = "uncertainty", "kept: drawn by its uncertainty", "not drawn by its uncertainty"
    reason = np.where(kept, why, why_not).astype(object)
    reason[kept & certain] = "kept: among the most uncertain rows"
    return {
        "stage": np.where(kept, stage, ""),
        "uncertainty": uncertainty,
        "keep_probability": probability,
        "threshold": np.full(len(kept), uncertainty[certain].min() if certain.any() else np.nan),
        "reason": reason,
    }
