"""ASK-LLM: an LLM scores every row of the pool."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from skprune.filters.score_filter import ScoreFilter
from skprune.scorers.parameters import DEFAULT_LLM, QUALITY_CONSTRAINT, llm_calls, make_quality


class AskLLMFilter(ScoreFilter):
    """Keep the texts that an LLM scores highest; the LLM scores every text.

    Parameters
    ----------
    keep : float or int, default=0.25
        Share or count of the eligible rows that survive.
    quality : str, path, scorer or callable, default="Qwen/Qwen2.5-1.5B-Instruct"
        Quality in any unit, higher is better, ``texts -> (n,)``. A string or path names the LLM of a
        :class:`~skprune.QualityScorer`. The default is fetched from the hub, 3.1 GB, unless it is in the
        hub's local cache. Offline, pass a folder or a GGUF file.
    task : str, default="text classification"
        The labeling task, as the prompt names it.
    text : column name, default=None
        The column of texts, if the pool is a frame with several. The other columns travel along.
    memory : None or path, default=None
        Where scores are kept: in this process, or in a folder.
    random_state : int, RandomState or None, default=None
        Seed of the order of rows with equal quality.
    verbose : int, default=0
        0 shows a progress bar, of loading and of scoring, after two seconds and on a terminal only. 1 shows
        it at once, everywhere.

    Attributes
    ----------
    quality_ : ndarray of float64, shape (n_distinct,)
        Quality of each distinct text of the pool. A blank text has −inf: the LLM does not see it, and it is
        kept only if nothing else is left.
    n_llm_calls_ : int
        Number of texts that the LLM has scored since :meth:`fit`; for a :class:`~skprune.DistilledScorer`,
        those that its teacher scored when it was fitted.

    See Also
    --------
    ActivePruneFilter : The LLM scores a tenth of the pool.
    DistilledScorer : The LLM scores a sample, and a student predicts the others.

    Notes
    -----
    The quality score of [1]_ is P("yes") after the question whether the text belongs in the training set. It
    takes one forward pass per text. With ``memory`` in a folder, an interrupted :meth:`fit` resumes where it
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
    _reasons = ("among the highest LLM scores", "other rows have higher LLM scores")

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **ScoreFilter._parameter_constraints,
        "quality": QUALITY_CONSTRAINT,
        "task": [str],
    }

    def __init__(
        self,
        keep: float | int = 0.25,
        *,
        quality: Any = DEFAULT_LLM,
        task: str = "text classification",
        text: Any = None,
        memory: Any = None,
        random_state: Any = None,
        verbose: int = 0,
    ) -> None:
        self.keep = keep
        self.quality = quality
        self.task = task
        self.text = text
        self.memory = memory
        self.random_state = random_state
        self.verbose = verbose

    @property
    def quality_(self) -> np.ndarray:
        """Quality of each distinct text of the pool."""
        return self._scores

    @property
    def n_llm_calls_(self) -> int:
        """Number of texts that the LLM has scored since :meth:`fit`."""
        return llm_calls(self._scorer, self.quality)

    def _make_scorer(self, texts: np.ndarray) -> Any:
        return make_quality(self.quality, texts, task=self.task, memory=self.memory, verbose=self.verbose)
