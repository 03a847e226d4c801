"""ASK-LLM: an LLM judges every row of the pool."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sklearn.utils._param_validation import HasMethods

from skprune.base import KEEP_CONSTRAINT
from skprune.filters.score_filter import ScoreFilter
from skprune.scorers.parameters import DEFAULT_LLM, QUALITY_CONSTRAINT, make_quality


class AskLLMFilter(ScoreFilter):
    """Keep the texts that an LLM finds best, asking it about every one.

    Parameters
    ----------
    keep : float or int, default=0.25
        Share or count of the eligible rows that survive.
    quality : str, path, scorer or callable, default="Qwen/Qwen2.5-1.5B-Instruct"
        Quality in any unit, more is better, ``texts -> (n,)``. A string or path names the LLM of a
        :class:`~skprune.QualityScorer`.
    task : str, default="text classification"
        What the texts are labeled for, as the LLM is told.
    memory : None or path, default=None
        Where scores are kept: in this process, or in a folder.
    random_state : int, RandomState or None, default=None
        Decides between equal qualities.
    verbose : int, default=0

    Attributes
    ----------
    quality_ : ndarray of float64, shape (n_distinct,)
        Quality of the pool's distinct texts; −inf for a blank text, which no LLM is asked about and which is
        kept only where nothing else is left.
    n_llm_calls_ : int
        Texts that the LLM was run on since :meth:`fit`.

    See Also
    --------
    ActivePruneFilter : Asks about a tenth of the pool.

    Notes
    -----
    The quality score of [1]_: P("yes") to the question whether the text belongs in the training set. One
    forward pass a text of the pool: with ``memory`` in a folder an interrupted :meth:`fit` goes on where it
    stopped.

    References
    ----------
    .. [1] Sachdeva et al., "How to train data-efficient LLMs", 2024, arXiv:2402.09668.

    Examples
    --------
    >>> from skprune import AskLLMFilter
    >>> vowels = lambda texts: [sum(c in "aeiou" for c in t) / len(t) for t in texts]
    >>> AskLLMFilter(keep=2, quality=vowels).fit_transform(["sea", "", "xyz", "tree"])
    ['sea', 'tree']
    """

    _parameter = "quality"
    _column = "quality"
    _lowest_first = False
    _reasons = ("the LLM found it among the best", "the LLM found others better")

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "keep": KEEP_CONSTRAINT,
        "quality": QUALITY_CONSTRAINT,
        "task": [str],
        "memory": [None, str, HasMethods(["__fspath__"])],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        keep: float | int = 0.25,
        *,
        quality: Any = DEFAULT_LLM,
        task: str = "text classification",
        memory: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.keep = keep
        self.quality = quality
        self.task = task
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    @property
    def quality_(self) -> np.ndarray:
        """Quality of the pool's distinct texts."""
        return self._scores

    @property
    def n_llm_calls_(self) -> int:
        """Texts that the LLM was run on since :meth:`fit`."""
        return self._scorer.n_computed

    def _make_scorer(self, texts: np.ndarray) -> Any:
        return make_quality(self.quality, task=self.task, verbose=self.verbose)
