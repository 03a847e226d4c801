"""ActivePrune: n-gram perplexity over the whole pool, an LLM's opinion of a few, reweighting each round."""

from __future__ import annotations

import threading
import warnings
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from skprune.base import KEEP_CONSTRAINT, BaseFilter, Selection, lowest, size_of
from skprune.pools import Pool, is_written
from skprune.scorers.parameters import (
    DEFAULT_LLM,
    PERPLEXITY_CONSTRAINT,
    QUALITY_CONSTRAINT,
    make_perplexity,
    make_quality,
)
from skprune.store import Remembered

_STAGES = np.array(["", "perplexity", "novelty", "llm", "fill"], dtype=object)
_DROPPED, _PERPLEXITY, _NOVELTY, _LLM, _FILL = range(5)
_CANDIDATES = 1  # a stream of random numbers


class ActivePruneFilter(BaseFilter):
    """Keep fluent rows by n-gram perplexity and good ones by an LLM's judgment.

    Of the rows to keep, a share 1 − ``llm_share`` has the lowest perplexity (stage one). Some candidates of
    the rest are shown to an LLM, and those it finds best make up the other share (stage two). After each
    round, perplexities are reweighted by their distance to those of the newly labeled rows.

    Parameters
    ----------
    keep : float or int, default=0.25
        Share or count of the eligible rows that survive.
    beta : float, default=0.1
        Strength of the reweighting (β), per log10 perplexity.
    llm_share : float, default=0.2
        Share of the kept rows that stage two picks, as far as it has candidates. With 1,
        ``candidates="random"`` and ``n_candidates`` of at least ``keep``, perplexity has no say.
    n_candidates : float or int, default=0.1
        Rows that stage two scores a round: share or count of the eligible rows. It bounds what stage two can
        pick; stage one picks the rest.
    candidates : {"highest", "lowest", "random"}, default="highest"
        Which rows of the rest are candidates: those of highest perplexity (the paper), the next in line
        after stage one, or random ones.
    perplexity : None, path, scorer or callable, default=None
        log10 perplexity a token, ``texts -> (n,)``. None trains an :class:`~skprune.NGramScorer` on the
        pool; a path names a KenLM model.
    quality : None, str, path, scorer or callable, default="Qwen/Qwen2.5-1.5B-Instruct"
        Quality in any unit, more is better, ``texts -> (n,)``. A string or path names the LLM of a
        :class:`~skprune.QualityScorer`; None leaves stage two out.
    task : str, default="text classification"
        What the texts are labeled for, as the LLM is told.
    reweighting : {"sample", "paper", "novelty"} or None, default="sample"
        ``"sample"``: stage one draws without replacement with weights exp(−P/T) (appendix B of the paper).
        ``"paper"``: equation 2 to the letter, lowest P first; for ``beta`` < 1 this selects exactly what
        None selects, see Notes. ``"novelty"``: ``novelty_share`` of stage one goes to the rows farthest from
        the newly labeled ones. None: no reweighting.
    temperature : float, default=0.1
        T of ``"sample"``, as a share of the interquartile range of the pool's log10 perplexity at
        :meth:`fit`. Towards 0 it becomes lowest first.
    novelty_share : float, default=0.2
        Share of stage one that ``"novelty"`` reserves.
    llm_budget : int or None, default=None
        Most texts that the LLM may be run on between two calls of :meth:`fit`. Scores found in ``memory``
        are free. Where it runs out, stage one takes the places that stage two cannot fill.
    memory : None or path, default=None
        Where scores are kept: in this process, or in a folder.
    n_jobs : int or None, default=None
        Workers of the n-gram scorer that the filter makes.
    random_state : int, RandomState or None, default=None
    verbose : int, default=0

    Attributes
    ----------
    log_perplexity_ : ndarray of float64, shape (n_distinct,)
        log10 perplexity a token of the pool's distinct texts.
    reweighted_ : ndarray of float64, shape (n_distinct,)
        The same after the reweighting of all rounds so far.
    temperature_ : float
        T in log10 perplexity.
    n_llm_calls_ : int
        Texts that the LLM was run on since :meth:`fit`.

    See Also
    --------
    AnchorFilter : For rare classes.

    Notes
    -----
    Algorithm 1 of [1]_. P is log10 perplexity a token, so that β has a scale; the paper does not say.
    ``n_candidates`` is ours: the paper gives no m, and its timings bound it at 2.3 to 11.7 % of the pool.

    *Theorem.* For β < 1, p ↦ p − β·mean\\ :sub:`l`\\ \\|p − p\\ :sub:`l`\\ \\| has slope of at least
    1 − β > 0, so that reweighting never changes the order of two rows, and lowest-first selects what it
    would have selected without. Proposition 1 of the paper holds the adjustment factor constant, which it is
    not; its proof speaks of *sampling* by a decreasing weight of P, which is the default here.

    An empty text has infinite perplexity and is kept only where nothing else is left.

    The LLM is asked at :meth:`fit` and :meth:`partial_fit`, so that nobody waits in a query. A first query
    through :class:`~skprune.PrunedQuery` does both, and asks about the candidates twice, before and after
    the learner's own labels are known: with ``"highest"`` these are nearly the same rows, with ``"random"``
    others, and they count against ``llm_budget``.

    References
    ----------
    .. [1] Azeemi, Qazi and Raza, "Language Model-Driven Data Pruning Enables Efficient Active Learning",
       Findings of EACL 2026.

    Examples
    --------
    >>> from skprune import ActivePruneFilter
    >>> pool = [f"the {c} cat sat on the mat" for c in "abcdefgh"] + ["zq xv", "!!", "kk jj", "w w w w"]
    >>> by_length = lambda texts: [len(t) / 10 for t in texts]
    >>> pruner = ActivePruneFilter(keep=4, quality=by_length, random_state=0)
    >>> len(pruner.fit_transform(pool))
    4
    """

    _takes_vectors = False

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "keep": KEEP_CONSTRAINT,
        "beta": [Interval(Real, 0, None, closed="left")],
        "llm_share": [Interval(Real, 0, 1, closed="both")],
        "n_candidates": KEEP_CONSTRAINT,
        "candidates": [StrOptions({"highest", "lowest", "random"})],
        "perplexity": PERPLEXITY_CONSTRAINT,
        "quality": [None, *QUALITY_CONSTRAINT],
        "task": [str],
        "reweighting": [None, StrOptions({"sample", "paper", "novelty"})],
        "temperature": [Interval(Real, 0, None, closed="neither")],
        "novelty_share": [Interval(Real, 0, 1, closed="both")],
        "llm_budget": [None, Interval(Integral, 0, None, closed="left")],
        "memory": [None, str, HasMethods(["__fspath__"])],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        keep: float | int = 0.25,
        *,
        beta: float = 0.1,
        llm_share: float = 0.2,
        n_candidates: float | int = 0.1,
        candidates: str = "highest",
        perplexity: Any = None,
        quality: Any = DEFAULT_LLM,
        task: str = "text classification",
        reweighting: str | None = "sample",
        temperature: float = 0.1,
        novelty_share: float = 0.2,
        llm_budget: int | None = None,
        memory: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.keep = keep
        self.beta = beta
        self.llm_share = llm_share
        self.n_candidates = n_candidates
        self.candidates = candidates
        self.perplexity = perplexity
        self.quality = quality
        self.task = task
        self.reweighting = reweighting
        self.temperature = temperature
        self.novelty_share = novelty_share
        self.llm_budget = llm_budget
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @property
    def n_llm_calls_(self) -> int:
        """Texts that the LLM was run on since :meth:`fit`."""
        return 0 if self._ask is None else self._ask.n_computed

    # ------------------------------------------------------------------ hooks

    def _fit(self, pool: Pool) -> None:
        if self.reweighting == "paper" and self.beta < 1:
            warnings.warn(
                f"reweighting='paper' with beta={self.beta} < 1 selects what reweighting=None selects: "
                "the reweighted perplexity never changes the order of two rows",
                stacklevel=3,
            )
        scorer = make_perplexity(self.perplexity, pool.texts, n_jobs=self.n_jobs, verbose=self.verbose)
        self._score = Remembered(scorer, self.memory, name="perplexity", batch_size=32_768)
        self._ask: Any = None
        if self.quality is not None:
            quality = make_quality(self.quality, task=self.task, verbose=self.verbose)
            self._ask = Remembered(quality, self.memory, name="quality")
        self._asking = threading.Lock()
        table = self._table
        self.log_perplexity_ = self._scored(table.keys, table.digests)
        self.reweighted_ = self.log_perplexity_
        self._quality = np.full(len(table), np.nan)
        # log10 perplexities of the rows labeled in each round, reweighted up to that round
        self._rounds: list[np.ndarray] = []
        finite = self.log_perplexity_[table.row_of]
        finite = finite[np.isfinite(finite)]
        spread = float(np.subtract(*np.percentile(finite, [75, 25]))) if len(finite) else 0.0
        # Where most of the pool is alike, T still is so large that P/T can be told from (P + ε)/T.
        self.temperature_ = max(self.temperature * spread, 1e-9 * np.abs(finite).max(initial=1.0))
        self._score_candidates()

    def _learn(self, pool: Pool, *, learner: Any) -> None:
        if self.round_ == 0:  # labels known before the first round are not "newly labeled"
            return
        newest = self._log_perplexities(pool.texts)[1]
        newest = newest[np.isfinite(newest)]
        if len(newest):
            self.reweighted_ = self._reweighted_once(self.reweighted_, newest)
            self._rounds.append(newest)
        self._score_candidates()

    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        n_rows = len(eligible)
        n_kept = self._kept_size(n_rows, min_rows)
        texts = pool.texts[eligible]
        raw, reweighted = self._log_perplexities(texts)
        luck = self._uniforms(pool, eligible)
        n_asked = 0 if self._ask is None or self.llm_share == 0 else size_of(self.n_candidates, n_rows)
        n_llm = min(int(self.llm_share * n_kept + 0.5), n_asked)

        stage = np.zeros(n_rows, dtype=np.int8)
        first, novel = self._stage_one(raw, reweighted, luck, n_kept - n_llm)
        stage[first], stage[novel] = _PERPLEXITY, _NOVELTY
        quality = np.full(n_rows, np.nan)
        second = np.empty(0, dtype=np.intp)
        if n_llm:
            draw = luck
            if self.candidates == "random":  # by other numbers than stage one, which left the unlucky
                draw = self._uniforms(pool, eligible, _CANDIDATES)
            asked = self._candidates(reweighted, stage, draw, n_asked)
            quality[asked] = self._ask_about(texts[asked])
            answered = asked[~np.isnan(quality[asked])]
            second = answered[lowest(-quality[answered], n_llm, luck[answered])]
            stage[second] = _LLM
        left = np.flatnonzero(stage == _DROPPED)
        taken = len(first) + len(novel) + len(second)
        fill = left[lowest(reweighted[left], n_kept - taken, luck[left])]
        stage[fill] = _FILL
        order = np.concatenate([first, novel, second, fill])
        return Selection(order, lambda: self._columns(raw, reweighted, quality, stage))

    # ------------------------------------------------------------------ stages

    def _stage_one(
        self, raw: np.ndarray, reweighted: np.ndarray, luck: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that perplexity picks, and those that novelty picks, best first."""
        worthy = np.flatnonzero(np.isfinite(raw))
        k = min(k, len(worthy))
        novel = np.empty(0, dtype=np.intp)
        if self.reweighting == "sample":
            # Gumbel-top-k: the k largest of −P/T + Gumbel noise are draws without replacement.
            rank = reweighted[worthy] / self.temperature_ + np.log(-np.log(luck[worthy]))
        elif self.reweighting == "novelty" and self._rounds:
            distance = mean_distance(raw, self._rounds[-1])
            n_novel = int(self.novelty_share * k + 0.5)
            novel = worthy[lowest(-distance[worthy], n_novel, luck[worthy])]
            worthy = np.setdiff1d(worthy, novel)
            rank, k = raw[worthy], k - n_novel
        else:
            rank = reweighted[worthy]
        return worthy[lowest(rank, k, luck[worthy])], novel

    def _candidates(
        self, reweighted: np.ndarray, stage: np.ndarray, luck: np.ndarray, n_asked: int
    ) -> np.ndarray:
        """Return the rows whose quality is asked for, most wanted first."""
        rest = np.flatnonzero((stage == _DROPPED) & np.isfinite(reweighted))
        rank = {"highest": -reweighted[rest], "lowest": reweighted[rest], "random": luck[rest]}
        return rest[lowest(rank[self.candidates], n_asked, luck[rest])]

    def _score_candidates(self) -> None:
        """Ask about the coming round's candidates now, so that the annotator need not wait for it."""
        if self._ask is None:
            return
        eligible = np.flatnonzero(~self.pool_.isin(self._excluded))
        if len(eligible):
            self._select(self.pool_, eligible, 0)

    def _ask_about(self, texts: np.ndarray) -> np.ndarray:
        """Return the quality of each text; NaN where the budget does not allow the question."""
        with self._asking:
            rows = self._table.locate(texts)
            answers = np.where(rows >= 0, self._quality[rows], np.nan)
            unknown = np.flatnonzero(np.isnan(answers))
            if len(unknown):
                limit = None
                if self.llm_budget is not None:
                    limit = max(0, self.llm_budget - self._ask.n_computed)
                answers[unknown] = self._ask(texts[unknown], limit=limit)
                known = rows >= 0
                self._quality[rows[known]] = answers[known]
            return answers

    # ------------------------------------------------------------------ perplexity

    def _scored(self, texts: np.ndarray, digests: np.ndarray | None = None) -> np.ndarray:
        """Return log10 perplexity of each text: infinite for a blank one, whatever the scorer says."""
        return np.where(is_written(texts), self._score(texts, digests), np.inf)

    def _log_perplexities(self, texts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return log10 perplexity as scored and as reweighted; rows never seen are scored on the spot."""
        rows = self._table.locate(texts)
        raw, reweighted = self.log_perplexity_[rows], self.reweighted_[rows]
        unseen = np.flatnonzero(rows < 0)
        if len(unseen):
            values = self._scored(texts[unseen])
            raw[unseen] = values
            for newest in self._rounds:
                values = self._reweighted_once(values, newest)
            reweighted[unseen] = values
        return raw, reweighted

    def _reweighted_once(self, log_perplexity: np.ndarray, newest: np.ndarray) -> np.ndarray:
        if self.reweighting not in {"sample", "paper"}:
            return log_perplexity
        return reweight(log_perplexity, newest, self.beta)

    def _columns(
        self, raw: np.ndarray, reweighted: np.ndarray, quality: np.ndarray, stage: np.ndarray
    ) -> dict[str, Any]:
        picked = stage == _PERPLEXITY
        threshold = reweighted[picked].max() if picked.any() else np.nan
        dropped = "perplexity too high" + ("" if self.quality is None else ", and no candidate for the LLM")
        reason = np.full(len(raw), dropped, dtype=object)
        reason[~np.isnan(quality)] = "the LLM found other candidates better"
        reason[np.isposinf(raw)] = "empty"
        reason[picked] = "kept: low perplexity"
        reason[stage == _NOVELTY] = "kept: far from what was labeled last"
        reason[stage == _LLM] = "kept: the LLM found it among the best candidates"
        reason[stage == _FILL] = "kept: fills the size, next in line by perplexity"
        return {
            "stage": _STAGES[stage],
            "log10_perplexity": raw,
            "reweighted": reweighted,
            "quality": quality,
            "threshold": np.full(len(raw), threshold),
            "reason": reason,
        }

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in super().__getstate__().items() if k != "_asking"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._asking = threading.Lock()


def mean_distance(values: np.ndarray, newest: np.ndarray) -> np.ndarray:
    """Mean absolute distance of each value to the values of the newly labeled rows (equation 1).

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
    newest : ndarray of float64, shape (n_labeled,)

    Returns
    -------
    ndarray of float64, shape (n,)
        Infinite where the value is.

    Notes
    -----
    One sort of ``newest`` and its prefix sums: O((n + n_labeled) log n_labeled) time, O(n) memory.

    Examples
    --------
    >>> mean_distance(np.array([0.0, 2.0]), np.array([1.0, 3.0]))
    array([2., 1.])
    """
    landmarks = np.sort(newest)
    n = len(landmarks)
    prefix = np.concatenate([[0.0], np.cumsum(landmarks)])
    below = np.searchsorted(landmarks, values)
    return (values * (2 * below - n) + (prefix[-1] - 2 * prefix[below])) / n


def reweight(log_perplexity: np.ndarray, newest: np.ndarray, beta: float) -> np.ndarray:
    """Perplexity after one round (equation 2): what is far from the newly labeled rows becomes lower.

    Parameters
    ----------
    log_perplexity : ndarray of float64, shape (n,)
        log10 perplexity a token.
    newest : ndarray of float64, shape (n_labeled,)
        That of the rows labeled in the round.
    beta : float

    Examples
    --------
    >>> reweight(np.array([0.0, 2.0]), np.array([1.0, 3.0]), beta=0.1)
    array([-0.2,  1.9])
    """
    finite = np.isfinite(log_perplexity)  # inf − β·inf is no number: an empty text stays last
    adjusted = np.full(len(log_perplexity), np.inf)
    adjusted[finite] = log_perplexity[finite] - beta * mean_distance(log_perplexity[finite], newest)
    return adjusted
