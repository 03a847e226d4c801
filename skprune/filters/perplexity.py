"""Lowest perplexity: the first stage of ActivePrune on its own, and a baseline."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from skprune.filters.score_filter import ScoreFilter
from skprune.scorers.parameters import PERPLEXITY_CONSTRAINT, make_perplexity


class PerplexityFilter(ScoreFilter):
    """Keep the texts of lowest perplexity under a language model.

    Parameters
    ----------
    keep : float or int, default=0.25
        Share or count of the eligible rows that survive.
    perplexity : None, path, scorer or callable, default=None
        log10 perplexity per token, ``texts -> (n,)``, or any score that is lower for better texts. None
        trains an :class:`~skprune.NGramScorer` on the pool; a path names a KenLM model. A
        :class:`~skprune.CausalLMScorer` makes this the "LLM perplexity" baseline.
    text : column name, default=None
        The column of texts, if the pool is a frame with several. The other columns travel along.
    memory : None or path, default=None
        Where scores are kept: in this process, or in a folder.
    n_jobs : int or None, default=None
        Number of processes of the n-gram scorer that the filter makes.
    random_state : int, RandomState or None, default=None
        Seed of the order of rows with equal perplexity.
    verbose : int, default=0
        1 reports the training of the n-gram model.

    Attributes
    ----------
    log_perplexity_ : ndarray of float64, shape (n_distinct,)
        Score of each distinct text of the pool, in the unit of the scorer. A blank text has infinite
        perplexity and is kept only if nothing else is left.

    See Also
    --------
    ActivePruneFilter : Adds the quality score of an LLM and reweighting.

    Notes
    -----
    With an LLM this is the perplexity pruning of [1]_; with an n-gram model it is the first stage of [2]_.
    The filter does not use labels: the selection changes only because labeled rows leave the pool.

    References
    ----------
    .. [1] Marion et al., "When Less is More: Investigating Data Pruning for Pretraining LLMs at Scale", 2023,
       arXiv:2309.04564.
    .. [2] Azeemi, Qazi and Raza, "Language Model-Driven Data Pruning Enables Efficient Active Learning",
       Findings of EACL 2026.

    Examples
    --------
    >>> from skprune import PerplexityFilter
    >>> by_length = lambda texts: [len(t) for t in texts]
    >>> PerplexityFilter(keep=2, perplexity=by_length).fit_transform(["ccc", "", "a", "bb"])
    ['a', 'bb']
    """

    _parameter = "perplexity"
    _column = "log10_perplexity"
    _lowest_first = True
    _batch_size = 32_768  # n-gram scorers are fast, and split a batch among their workers
    _reasons = ("low perplexity", "perplexity too high")

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **ScoreFilter._parameter_constraints,
        "perplexity": PERPLEXITY_CONSTRAINT,
    }

    def __init__(
        self,
        keep: float | int = 0.25,
        *,
        perplexity: Any = None,
        text: Any = None,
        memory: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.keep = keep
        self.perplexity = perplexity
        self.text = text
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @property
    def log_perplexity_(self) -> np.ndarray:
        """Score of each distinct text of the pool."""
        return self._scores

    def _make_scorer(self, texts: np.ndarray) -> Any:
        return make_perplexity(
            self.perplexity, texts, memory=self.memory, n_jobs=self.n_jobs, verbose=self.verbose
        )
