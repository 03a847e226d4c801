"""ActivePrune: n-gram perplexity of the whole pool, LLM scores of a few rows, reweighting every round.

The file is long because the class documents its parameters and the theorem about β.
"""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, ClassVar, NamedTuple

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from skprune._locks import Lock
from skprune.base import KEEP_CONSTRAINT, BaseFilter
from skprune.cost import ModelUse
from skprune.fitting import learns_from_pool
from skprune.pools import Pool
from skprune.scorers.parameters import (
    DEFAULT_LLM,
    PERPLEXITY_CONSTRAINT,
    QUALITY_CONSTRAINT,
    distilled_uses,
    llm_calls,
    make_perplexity,
    make_quality,
)
from skprune.selections import Selection, lowest, size_of
from skprune.store import Remembered

_STAGES = np.array(["", "perplexity", "novelty", "llm", "fill"], dtype=object)
_DROPPED, _PERPLEXITY, _NOVELTY, _LLM, _FILL = range(5)
_CANDIDATES = 1  # the random stream of a round that orders random candidates


class _Plan(NamedTuple):
    """Stage one, and what stage two will do; arrays over the eligible rows, positions among them."""

    raw: np.ndarray
    reweighted: np.ndarray
    draws: np.ndarray
    stage: np.ndarray
    first: np.ndarray
    novel: np.ndarray
    candidates: np.ndarray
    n_kept: int
    n_llm: int


class ActivePruneFilter(BaseFilter):
    """Keep rows of low n-gram perplexity, and rows that an LLM scores high.

    Stage one picks a share 1 − ``llm_share`` of the rows to keep by low perplexity. In stage two an LLM
    scores some candidates among the remaining rows, and the highest scores make up the other share. After
    each round, perplexities are reweighted by their distance to the perplexities of the newly labeled rows.

    Parameters
    ----------
    keep : float or int, default=0.25
        Share or count of the eligible rows that survive.
    beta : float, default=0.1
        Strength of the reweighting (β), per log10 perplexity. It has no effect before the first round, and so
        none in a :class:`PrunedClassifier`: a search over β needs an :class:`ActiveLearningSimulator`.
    llm_share : float, default=0.2
        Share of the kept rows that stage two picks, limited by the number of candidates. Perplexity has no
        influence with ``llm_share=1``, ``candidates="random"`` and ``n_candidates`` of at least ``keep``.
    n_candidates : float or int, default=0.1
        Share or count of the eligible rows that stage two scores per round. Stage two can pick no more than
        these; stage one picks the rest.
    candidates : {"highest", "lowest", "random"}, default="highest"
        Which of the remaining rows are candidates: those of highest perplexity (the paper), those of lowest
        perplexity, or random ones.
    perplexity : None, path, scorer or callable, default=None
        log10 perplexity per token, ``texts -> (n,)``. None trains an :class:`~skprune.NGramScorer` on the
        pool; a path names a KenLM model.
    quality : None, str, path, scorer or callable, default="Qwen/Qwen2.5-1.5B-Instruct"
        Quality in any unit, higher is better, ``texts -> (n,)``. A string or path names the LLM of a
        :class:`~skprune.QualityScorer`; None skips stage two. The default is fetched from the hub, 3.1 GB,
        unless it is in the hub's local cache. Offline, pass a folder or a GGUF file.
    task : str, default="text classification"
        The labeling task, as the prompt names it.
    reweighting : {"sample", "paper", "novelty"} or None, default="sample"
        ``"sample"``: stage one draws without replacement with weights exp(−P/T) (appendix B of the paper).
        ``"paper"``: equation 2 taken literally, lowest P first; for ``beta`` < 1 it selects exactly what None
        selects, see Notes. ``"novelty"``: ``novelty_share`` of stage one goes to the rows farthest from the
        newly labeled ones. None: no reweighting.
    temperature : float, default=0.1
        T of ``"sample"``, as a share of the interquartile range of the pool's log10 perplexity at
        :meth:`fit`. As it approaches 0, stage one takes the lowest perplexities first.
    novelty_share : float, default=0.2
        Share of stage one that ``"novelty"`` reserves for the farthest rows.
    llm_budget : int or None, default=None
        Maximum number of texts that the LLM may score between two calls of :meth:`fit`. Scores found in
        ``memory`` do not count. For a :class:`~skprune.DistilledScorer` it counts predictions;
        ``quality__n_calls`` bounds its teacher. When the budget runs out, stage one fills the places of stage
        two.
    text : column name, default=None
        The column of texts, if the pool is a frame with several. The other columns travel along.
    memory : None or path, default=None
        Where scores are kept: in this process, or in a folder.
    n_jobs : int or None, default=None
        Number of processes of the n-gram scorer that the filter makes.
    random_state : int, RandomState or None, default=None
        Seed of the weighted draw, of random candidates, and of the order of equal scores.
    verbose : int, default=0
        1 reports the training of the n-gram model and shows a progress bar for the LLM.

    Attributes
    ----------
    log_perplexity_ : ndarray of float64, shape (n_distinct,)
        log10 perplexity per token of each distinct text of the pool.
    reweighted_ : ndarray of float64, shape (n_distinct,)
        The same after the reweighting of all rounds so far.
    temperature_ : float
        T in log10 perplexity.
    n_llm_calls_ : int
        Number of texts that the LLM has scored since :meth:`fit`; for a :class:`~skprune.DistilledScorer`,
        those that its teacher scored when it was fitted.

    See Also
    --------
    AnchorFilter : For rare classes.

    Notes
    -----
    Algorithm 1 of [1]_. P is log10 perplexity per token, so that β has a scale; the paper does not define
    one. ``n_candidates`` is ours: the paper does not state m, and its timings bound it at 2.3 to 11.7 % of
    the pool.

    *Theorem.* For β < 1, p ↦ p − β·mean\\ :sub:`l`\\ \\|p − p\\ :sub:`l`\\ \\| has slope of at least 1 − β >
    0. Reweighting therefore never changes the order of two rows, and lowest-first selects the same rows as
    without it. Proposition 1 of the paper treats the adjustment factor as a constant, which it is not; its
    proof is about *sampling* with a weight that decreases in P, which is the default here.

    *No drift.* Applied to its own result in every round, equation 2 moves all rows above the labeled ones
    towards each other by a factor of 1 − β per round. With a fixed T the draw would tend to a uniform one: in
    a loop with β = 0.1, a third of the kept rows had a perplexity above the median after 60 rounds, against
    0.2 % in the first. ``"sample"`` therefore applies equation 2 once, to the perplexities as scored, with
    all rows labeled since :meth:`fit` (ours). The first round is that of the paper. Later rounds depend on
    which rows were labeled, and not on how many rounds that took.

    The LLM scores candidates during :meth:`fit` and :meth:`partial_fit`, so that a query does not wait. A
    first query through :class:`~skprune.PrunedQuery` calls both, and scores candidates twice: before and
    after the learner's own labels are known. With ``"highest"`` these are nearly the same rows; with
    ``"random"`` they differ, and they count against ``llm_budget``.

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
    _needs_memory = ""
    #: Parameters without effect before the first round, of which the wrappers for training sets warn.
    _round_parameters: ClassVar[frozenset[str]] = frozenset({"beta", "novelty_share"})

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **BaseFilter._parameter_constraints,
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
        text: Any = None,
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
        self.text = text
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @property
    def n_llm_calls_(self) -> int:
        """Number of texts that the LLM has scored since :meth:`fit`."""
        return 0 if self._ask is None else llm_calls(self._ask, self.quality)

    # ------------------------------------------------------------------ hooks

    def _fit(self, pool: Pool) -> None:
        if self.reweighting == "paper" and self.beta < 1:
            warnings.warn(
                f"reweighting='paper' with beta={self.beta} < 1 selects what reweighting=None selects: "
                "the reweighted perplexity never changes the order of two rows",
                stacklevel=3,
            )
        self._score = self._remembered_perplexity(pool)
        self._ask: Any = None if self.quality is None else self._remembered_quality(pool)
        self._asking = Lock()
        table = self._table
        self.log_perplexity_ = np.where(table.written, self._score(table.keys, table.digests), np.inf)
        self.reweighted_ = self.log_perplexity_
        self._quality = np.full(len(table), np.nan)
        # log10 perplexity of the rows labeled in each round: as scored; for "paper" as reweighted by then.
        self._rounds: list[np.ndarray] = []
        # If most of the pool is alike, T must still be large enough to distinguish P/T from (P + ε)/T.
        finite = self.log_perplexity_[np.isfinite(self.log_perplexity_)]
        spread = float(np.subtract(*np.percentile(finite, [75, 25]))) if len(finite) else 0.0
        self.temperature_ = max(self.temperature * spread, 1e-9 * np.abs(finite).max(initial=1.0))
        self._ask_about_candidates()

    def _learn(self, pool: Pool, *, learner: Any) -> None:
        if self.round_ == 0:  # labels known before the first round are not newly labeled
            return
        raw, reweighted = self._log_perplexities(pool, np.arange(len(pool)))
        newest = reweighted if self.reweighting == "paper" else raw
        self._rounds = [*self._rounds, newest[np.isfinite(newest)]]
        self.reweighted_ = self._reweighted(self.log_perplexity_)
        self._ask_about_candidates()

    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        plan = self._plan(pool, eligible, min_rows)
        quality = np.full(len(eligible), np.nan)
        quality[plan.candidates] = self._ask_about(pool.texts[eligible[plan.candidates]])
        answered = plan.candidates[~np.isnan(quality[plan.candidates])]
        second = answered[lowest(-quality[answered], plan.n_llm, plan.draws[answered])]
        plan.stage[second] = _LLM
        left = np.flatnonzero(plan.stage == _DROPPED)
        n_missing = plan.n_kept - len(plan.first) - len(plan.novel) - len(second)
        fill = left[lowest(self._rank(plan.raw, plan.reweighted)[left], n_missing, plan.draws[left])]
        plan.stage[fill] = _FILL
        order = np.concatenate([plan.first, plan.novel, second, fill])
        return Selection(order, lambda: self._columns(plan.raw, plan.reweighted, quality, plan.stage))

    def _model_uses(self, pool: Pool, n_eligible: int) -> list[ModelUse]:
        uses, written = [], np.flatnonzero(pool.table.written)
        if learns_from_pool(self.perplexity):
            uses += distilled_uses(self.perplexity, written, memory=self.memory, name="perplexity")
        else:
            uses.append(ModelUse(self._remembered_perplexity(pool), written, len(written)))
        n_candidates = size_of(self.n_candidates, n_eligible)
        if self.llm_budget is not None:
            n_candidates = min(n_candidates, self.llm_budget)
        n_kept = self._kept_size(n_eligible, 0)
        asks = self.quality is not None and min(int(self.llm_share * n_kept + 0.5), n_candidates) > 0
        if asks and learns_from_pool(self.quality):
            uses += distilled_uses(self.quality, written, memory=self.memory, name="quality")
        elif asks:
            uses.append(ModelUse(self._remembered_quality(pool), written, n_candidates))
        return uses

    def _remembered_perplexity(self, pool: Pool) -> Remembered:
        scorer = make_perplexity(
            self.perplexity, pool.training_texts, memory=self.memory, n_jobs=self.n_jobs, verbose=self.verbose
        )
        return Remembered(scorer, self.memory, name="perplexity", batch_size=32_768)

    def _remembered_quality(self, pool: Pool) -> Remembered:
        quality = make_quality(
            self.quality, pool.training_texts, task=self.task, memory=self.memory, verbose=self.verbose
        )
        return Remembered(quality, self.memory, name="quality")

    # ------------------------------------------------------------------ stages

    def _plan(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> _Plan:
        """Run stage one, and choose the candidates of stage two without asking the LLM."""
        n_rows = len(eligible)
        n_kept = self._kept_size(n_rows, min_rows)
        raw, reweighted = self._log_perplexities(pool, eligible)
        draws = self._uniforms(pool, eligible)
        n_candidates = 0
        if self._ask is not None and self.llm_share > 0:
            n_candidates = size_of(self.n_candidates, n_rows)
        n_llm = min(int(self.llm_share * n_kept + 0.5), n_candidates)
        first, novel = self._stage_one(raw, reweighted, draws, n_kept - n_llm)
        stage = np.zeros(n_rows, dtype=np.int8)
        stage[first], stage[novel] = _PERPLEXITY, _NOVELTY
        candidates = np.empty(0, dtype=np.intp)
        if n_llm:
            order = draws
            if self.candidates == "random":  # stage one has used up the low draws
                order = self._uniforms(pool, eligible, _CANDIDATES)
            candidates = self._candidates(self._rank(raw, reweighted), stage, order, n_candidates)
        return _Plan(raw, reweighted, draws, stage, first, novel, candidates, n_kept, n_llm)

    def _stage_one(
        self, raw: np.ndarray, reweighted: np.ndarray, draws: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the rows that perplexity picks, and those that novelty picks, best first."""
        written = np.flatnonzero(np.isfinite(raw))
        k = min(k, len(written))
        novel = np.empty(0, dtype=np.intp)
        if self.reweighting == "sample":
            # Gumbel-top-k: the k largest of −P/T + Gumbel noise are draws without replacement.
            rank = reweighted[written] / self.temperature_ + np.log(-np.log(draws[written]))
        elif self.reweighting == "novelty" and self._rounds and len(self._rounds[-1]):
            distance = mean_distance(raw, self._rounds[-1])
            n_novel = int(self.novelty_share * k + 0.5)
            novel = written[lowest(-distance[written], n_novel, draws[written])]
            written = np.setdiff1d(written, novel)
            rank, k = raw[written], k - n_novel
        else:
            rank = self._rank(raw, reweighted)[written]
        return written[lowest(rank, k, draws[written])], novel

    def _candidates(
        self, perplexity: np.ndarray, stage: np.ndarray, draws: np.ndarray, n_candidates: int
    ) -> np.ndarray:
        """Return the rows that the LLM scores, in the order in which a budget is spent."""
        rest = np.flatnonzero((stage == _DROPPED) & np.isfinite(perplexity))
        rank = {"highest": -perplexity[rest], "lowest": perplexity[rest], "random": draws[rest]}
        return rest[lowest(rank[self.candidates], n_candidates, draws[rest])]

    def _ask_about_candidates(self) -> None:
        """Score the candidates of the coming round now, so that the annotator need not wait."""
        eligible = self._different_at_fit()
        if self._ask is not None and len(eligible):
            self._ask_about(self.pool_.texts[eligible[self._plan(self.pool_, eligible, 0).candidates]])

    def _ask_about(self, texts: np.ndarray) -> np.ndarray:
        """Return the quality of each text; NaN if the budget does not allow scoring it."""
        if not len(texts):
            return np.empty(0)
        with self._asking.rlock:
            rows = self._table.locate(texts)
            answers = np.where(rows >= 0, self._quality[rows], np.nan)
            unknown = np.flatnonzero(np.isnan(answers))
            if len(unknown):
                limit = 0 if self._stored_only else None
                if limit is None and self.llm_budget is not None:
                    limit = max(0, self.llm_budget - self._ask.n_computed)
                known = rows >= 0
                keys = self._table.digests[rows[unknown]] if known.all() else None
                answers[unknown] = self._ask(texts[unknown], keys, limit)
                self._quality[rows[known]] = answers[known]
            return answers

    # ------------------------------------------------------------------ perplexity

    def _log_perplexities(self, pool: Pool, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log10 perplexity of rows of any pool, as scored and as reweighted."""

        def score(unseen: np.ndarray) -> np.ndarray:
            # The second time from the store; infinity for a blank text, whatever the scorer says.
            return np.where(pool.written_at(unseen), self._score(pool.texts[unseen]), np.inf)

        raw = self._values_at(pool, rows, self.log_perplexity_, score)
        return raw, self._values_at(pool, rows, self.reweighted_, lambda r: self._reweighted(score(r)))

    def _reweighted(self, log_perplexity: np.ndarray) -> np.ndarray:
        """Return perplexities after the reweighting of all rounds."""
        if self.reweighting == "sample":
            labeled = np.concatenate([*self._rounds, np.empty(0)])
            return reweight(log_perplexity, labeled, self.beta) if len(labeled) else log_perplexity
        if self.reweighting == "paper":
            for newest in self._rounds:
                if len(newest):
                    log_perplexity = reweight(log_perplexity, newest, self.beta)
        return log_perplexity

    def _rank(self, raw: np.ndarray, reweighted: np.ndarray) -> np.ndarray:
        """Return what orders the rows: for β < 1 perplexity as scored, free of rounding errors."""
        return raw if self.beta < 1 else reweighted

    def _columns(
        self, raw: np.ndarray, reweighted: np.ndarray, quality: np.ndarray, stage: np.ndarray
    ) -> dict[str, Any]:
        picked = stage == _PERPLEXITY
        threshold = reweighted[picked].max() if picked.any() else np.nan
        dropped = "perplexity too high" + (
            "" if self.quality is None else ", and not a candidate for the LLM"
        )
        reason = np.full(len(raw), dropped, dtype=object)
        reason[~np.isnan(quality)] = "other candidates have higher LLM scores"
        reason[np.isposinf(raw)] = "empty"
        reason[picked] = "kept: low perplexity"
        reason[stage == _NOVELTY] = "kept: far from the rows labeled last"
        reason[stage == _LLM] = "kept: among the highest LLM scores of the candidates"
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
        self._asking = Lock()


def mean_distance(values: np.ndarray, newest: np.ndarray) -> np.ndarray:
    """Return the mean absolute distance of each value to those of the newly labeled rows (equation 1).

    Parameters
    ----------
    values : ndarray of float64, shape (n,)
    newest : ndarray of float64, shape (n_labeled,)

    Returns
    -------
    ndarray of float64, shape (n,)
        Infinite if the value is.

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
    """Return the perplexity after one round (equation 2): rows far from the newly labeled ones get lower.

    Parameters
    ----------
    log_perplexity : ndarray of float64, shape (n,)
        log10 perplexity per token.
    newest : ndarray of float64, shape (n_labeled,)
        log10 perplexity of the rows labeled in this round.
    beta : float
        Strength of the reweighting (β).

    Examples
    --------
    >>> reweight(np.array([0.0, 2.0]), np.array([1.0, 3.0]), beta=0.1)
    array([-0.2,  1.9])
    """
    finite = np.isfinite(log_perplexity)  # inf − β·inf is NaN; an empty text must stay last
    adjusted = np.full(len(log_perplexity), np.inf)
    adjusted[finite] = log_perplexity[finite] - beta * mean_distance(log_perplexity[finite], newest)
    return adjusted
