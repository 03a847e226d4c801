"""Lowest perplexity: ActivePrune's first stage alone, and its baseline."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import HasMethods

from skprune.base import KEEP_CONSTRAINT
from skprune.filters.score_filter import ScoreFilter
from skprune.scorers.parameters import PERPLEXITY_CONSTRAINT, make_perplexity


class PerplexityFilter(ScoreFilter):
    """Keep the texts of lowest perplexity under a language model.

    Parameters
    ----------
    keep : float or int, default=0.25
        Share or count of the eligible rows that survive.
    perplexity : None, path, scorer or callable, default=None
        log10 perplexity a token, ``texts -> (n,)``, or anything that is lower for the better texts. None
        trains an :class:`~skprune.NGramScorer` on the pool; a path names a KenLM model. A scorer of a
        causal language model makes this the "LLM perplexity" baseline.
    memory : None or path, default=None
        Where scores are kept: in this process, or in a folder.
    n_jobs : int or None, default=None
        Workers of the n-gram scorer that the filter makes.
    random_state : int, RandomState or None, default=None
        Decides between equal perplexities.
    verbose : int, default=0

    Attributes
    ----------
    log_perplexity_ : ndarray of float64, shape (n_distinct,)
        Perplexity of the pool's distinct texts, in the scorer's unit. Infinite for a blank text, which is
        kept only where nothing else is left.

    See Also
    --------
    ActivePruneFilter : Adds an LLM's judgment and reweighting.

    Notes
    -----
    "Perplexity" pruning of [1]_ with an LLM, the first stage of [2]_ with an n-gram model. Labels do not
    matter to it: what survives changes only as labeled rows leave.

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
    _batch_size = 32_768  # n-gram scorers are fast, and share a batch among their workers
    _reasons = ("low perplexity", "perplexity too high")

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "keep": KEEP_CONSTRAINT,
        "perplexity": PERPLEXITY_CONSTRAINT,
        "memory": [None, str, HasMethods(["__fspath__"])],
        "n_jobs": [None, Integral],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        keep: float | int = 0.25,
        *,
        perplexity: Any = None,
        memory: Any = None,
        n_jobs: int | None = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.keep = keep
        self.perplexity = perplexity
        self.memory = memory
        self.n_jobs = n_jobs
        self.random_state = random_state
        self.verbose = verbose

    @property
    def log_perplexity_(self) -> np.ndarray:
        """Perplexity of the pool's distinct texts."""
        return self._scores

    def _make_scorer(self, texts: np.ndarray) -> Any:
        return make_perplexity(self.perplexity, texts, n_jobs=self.n_jobs, verbose=self.verbose)
