"""UPS: a random sample that favors rows the learner was unsure of in earlier rounds."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import brentq
from sklearn.utils._param_validation import Interval, StrOptions

from skprune.base import BaseFilter
from skprune.pools import Pool
from skprune.probabilities import entropy, least_confidence, margin, predict_proba
from skprune.selections import Selection, either, mask_of
from skprune.streams import generator

_MEASURES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "least_confidence": least_confidence,
    "entropy": entropy,
    "margin": lambda proba: -margin(proba),
}
# The random stream of a round that starts the systematic sample.
_OFFSET = 1


class UPSFilter(BaseFilter):
    """Keep a random sample that favors rows the learner is unsure of.

    Rows are ranked by the learner's most recent uncertainty about them. The most uncertain share ``gamma`` is
    always kept; the probability of keeping another row falls exponentially with its rank.

    Parameters
    ----------
    keep : float or int, default=0.25
        Share or count of the eligible rows that survive.
    gamma : float, default=0.1
        Share of the eligible rows that is always kept (γ). If it exceeds ``keep``, the most uncertain rows
        are kept and nothing is random.
    uncertainty : {"least_confidence", "entropy", "margin"}, default="least_confidence"
        How the learner's probabilities measure uncertainty; a small margin means uncertain.
    refresh_rounds : tuple of int, default=(0, 1, 4, 8)
        Rounds in which the learner predicts the whole pool. Round 0, the first with a learner, is always one
        of them. In other rounds the learner predicts only the surviving rows.
    text : column name, default=None
        The column of texts, if the pool is a frame with several. The other columns travel along.
    random_state : int, RandomState or None, default=None
        Seed of the sample.

    Attributes
    ----------
    uncertainty_ : ndarray of float64, shape (n_distinct,)
        Uncertainty of each distinct row of the pool, as this round ranks them; NaN before the first learner.
    n_scored_ : int
        Number of pool rows that learners have predicted since :meth:`fit`.

    See Also
    --------
    RandomFilter : What this filter does before the first learner.

    Notes
    -----
    Unlabeled pool subsampling [1]_. Let r be the rank of a row (0 is most uncertain) divided by the number of
    rows. Then P(keep) = exp(−max(0, r − γ)/T). The paper fixes T; here T is solved for the size that ``keep``
    asks for, and a systematic sample with these probabilities has exactly that size (ours).

    Pass the learner as ``partial_fit(X, y, learner=model)``; :class:`~skprune.PrunedQuery` does so.
    Uncertainties are stored by row content. In a round without a full refresh, rows are kept by the
    uncertainty of earlier learners; the newest learner's uncertainty about the survivors counts from the next
    round on. Rows that :meth:`fit` has not seen are predicted by the newest learner, to which the filter
    keeps a reference.

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

    _needs_memory = "it needs the predictions of a learner"

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseFilter._parameter_constraints,
        "gamma": [Interval(Real, 0, 1, closed="both")],
        "uncertainty": [StrOptions(set(_MEASURES))],
        "refresh_rounds": ["array-like"],
    }

    def __init__(
        self,
        keep: float | int = 0.25,
        *,
        gamma: float = 0.1,
        uncertainty: str = "least_confidence",
        refresh_rounds: tuple[int, ...] = (0, 1, 4, 8),
        text: Any = None,
        random_state: Any = None,
    ) -> None:
        self.keep = keep
        self.gamma = gamma
        self.uncertainty = uncertainty
        self.refresh_rounds = refresh_rounds
        self.text = text
        self.random_state = random_state

    # ------------------------------------------------------------------ hooks

    def _fit(self, pool: Pool) -> None:
        self.uncertainty_ = self._newest = np.full(len(self._table), np.nan)
        self.n_scored_ = 0
        self._n_learners = 0
        self._learner: Any = None

    def _learn(self, pool: Pool, *, learner: Any) -> None:
        self.uncertainty_ = self._newest
        eligible = self._different_at_fit()
        if learner is None or not len(eligible):
            return
        full = self._n_learners == 0 or self._n_learners in self.refresh_rounds
        rows = eligible if full else eligible[self._select(self.pool_, eligible, 0).order]
        located, first = np.unique(self._locate(self.pool_, rows), return_index=True)
        scores = self._measure(learner, self.pool_, rows[first])
        if scores is None:  # the learner was never fitted
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
        if self._learner is None:
            order = self._random_rows(pool, eligible, n_kept)
            unknown = np.full(n_rows, np.nan)
            return Selection(order, lambda: _columns(order, unknown, unknown))
        uncertainty = self._uncertainties(pool, eligible)
        draws = self._uniforms(pool, eligible)
        ranked = np.lexsort((draws, -uncertainty))
        by_rank = keep_probabilities(n_rows, n_kept, self.gamma)
        probability = np.empty(n_rows)
        probability[ranked] = by_rank
        # A systematic sample of the rows in random order.
        shuffled = np.argsort(draws, kind="stable")
        start = generator(self.seed_, self.round_, _OFFSET).random()
        kept = mask_of(shuffled[systematic_sample(probability[shuffled], n_kept, start)], n_rows)
        order = ranked[kept[ranked]]
        return Selection(order, lambda: _columns(order, uncertainty, probability))

    # ------------------------------------------------------------------ uncertainty

    def _uncertainties(self, pool: Pool, rows: np.ndarray) -> np.ndarray:
        uncertainty = self._values_at(pool, rows, self.uncertainty_, lambda unseen: np.nan)
        unknown = np.flatnonzero(np.isnan(uncertainty))
        if len(unknown):
            uncertainty[unknown] = self._measure(self._learner, pool, rows[unknown])
        return uncertainty

    def _measure(self, learner: Any, pool: Pool, rows: np.ndarray) -> np.ndarray | None:
        proba = predict_proba(learner, pool.take(rows), needed_by=type(self).__name__)
        return None if proba is None else _MEASURES[self.uncertainty](proba)


def keep_probabilities(n_rows: int, n_kept: int, gamma: float) -> np.ndarray:
    """Return the probabilities exp(−max(0, r − γ)/T) that sum to ``n_kept``, for r = 0, 1/n, 2/n, ...

    Returns
    -------
    ndarray of float64, shape (n_rows,)
        Descending. If γ alone asks for at least ``n_kept`` rows: 1 for ``n_kept`` of them, 0 for the rest (T
        → 0).

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

    # At the lower end all rows but the certain ones underflow to 0; at the upper end hardly any row is
    # dropped.
    low, high = np.log(excess[n_certain] / 800), np.log(n_rows * n_rows)
    probability = np.exp(-excess / np.exp(brentq(surplus, low, high, xtol=1e-14)))
    return np.asarray(probability)


def systematic_sample(probability: np.ndarray, n_kept: int, start: float) -> np.ndarray:
    """Return ``n_kept`` unique positions, each drawn with its probability; these sum to ``n_kept``.

    Parameters
    ----------
    probability : ndarray of shape (n,)
    n_kept : int
    start : float
        Uniform in [0, 1).

    Notes
    -----
    Madow's method lays the probabilities end to end and picks the position at every unit of length.

    Examples
    --------
    >>> systematic_sample(np.array([0.5, 0.5, 1.0, 0.25, 0.75]), 3, start=0.4)
    array([0, 2, 4])
    """
    ends = np.cumsum(probability)
    steps = np.arange(n_kept)
    picked = np.searchsorted(ends * (n_kept / ends[-1]), steps + start, side="right")
    # Rounding may put two steps on one row, or the last step behind the end.
    spread = np.minimum(np.maximum.accumulate(picked - steps), len(probability) - n_kept)
    return spread + steps


def _columns(order: np.ndarray, uncertainty: np.ndarray, probability: np.ndarray) -> dict[str, Any]:
    kept = mask_of(order, len(uncertainty))
    certain = probability == 1
    if np.isnan(probability).all():
        stage, why, why_not = "random", "kept: drawn at random, there is no learner yet", "not drawn"
    else:
        stage, why, why_not = "uncertainty", "kept: drawn by its uncertainty", "not drawn by its uncertainty"
    reason = either(kept, why, why_not)
    reason[kept & certain] = "kept: among the most uncertain rows"
    return {
        "stage": either(kept, stage, ""),
        "uncertainty": uncertainty,
        "keep_probability": probability,
        "threshold": np.full(len(kept), uncertainty[certain].min() if certain.any() else np.nan),
        "reason": reason,
    }
