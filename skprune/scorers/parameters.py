"""The scorers that the ``perplexity`` and ``quality`` parameters of filters mean."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from skprune.cost import ModelUse
from skprune.exceptions import ModelLoadError
from skprune.fitting import fitted_on, is_fitted, learns_from_pool
from skprune.scorers.distilled import DistilledScorer
from skprune.scorers.ngram import NGramScorer
from skprune.scorers.quality import QualityScorer

#: The LLM that filters ask by default; a download of 3.1 GB.
DEFAULT_LLM = "Qwen/Qwen2.5-1.5B-Instruct"

PERPLEXITY_CONSTRAINT = [None, str, os.PathLike, callable, FrozenEstimator]
QUALITY_CONSTRAINT = [str, os.PathLike, callable, FrozenEstimator]


def make_perplexity(
    perplexity: Any, texts: Any, *, memory: Any = None, n_jobs: int | None = None, verbose: int = 0
) -> Any:
    """Return the callable ``texts -> log10 perplexity per token`` that a ``perplexity`` parameter means.

    Parameters
    ----------
    perplexity : None, str, path, scorer or callable
        None means an :class:`~skprune.NGramScorer` trained on ``texts``. A string or path names a KenLM
        model. A clone of an unfitted scorer is trained on ``texts``.
    texts : ndarray of object, shape (n,)
        The pool.
    memory : None or path, default=None
        The filter's own, for a :class:`~skprune.DistilledScorer` that has none.
    n_jobs : int or None, default=None
        Number of processes of the scorer, if it is created here.
    verbose : int, default=0
        Verbosity of the scorer, if it is created here.

    Raises
    ------
    ModelLoadError
        If ``perplexity`` is a path where no file is.

    Examples
    --------
    >>> make_perplexity(len, ["a", "b"]) is len
    True
    """
    if isinstance(perplexity, (str, os.PathLike)) and not Path(perplexity).is_file():
        name = os.fspath(perplexity)
        raise ModelLoadError(
            f"perplexity={name!r} is not a file: pass the path of a KenLM model, None for an n-gram model of "
            f"the pool, or CausalLMScorer({name!r}) for a language model in a folder or on the hub"
        )
    if perplexity is None or isinstance(perplexity, (str, os.PathLike)):
        perplexity = NGramScorer(model=perplexity, n_jobs=n_jobs, verbose=verbose)
    distilled = _as_the_filter_needs(perplexity, memory=memory, greater_is_better=False)
    return fitted_on(distilled, texts, name="perplexity")


def make_quality(quality: Any, texts: Any, *, task: str, memory: Any = None, verbose: int = 0) -> Any:
    """Return the callable ``texts -> quality`` that a ``quality`` parameter means.

    Parameters
    ----------
    quality : str, path, scorer or callable
        A string or path names the LLM of a :class:`~skprune.QualityScorer`. A clone of an unfitted scorer is
        fitted on ``texts``.
    texts : ndarray of object, shape (n,)
        The pool.
    task : str
        What the texts are for; the prompt tells the LLM.
    memory : None or path, default=None
        The filter's own, for a :class:`~skprune.DistilledScorer` that has none.
    verbose : int, default=0
        Verbosity of the scorer, if it is created here.

    Examples
    --------
    >>> make_quality("some/model", ["a"], task="topic classification").task
    'topic classification'
    """
    if isinstance(quality, (str, os.PathLike)):
        named = QualityScorer(quality, task=task, verbose=verbose)
        named._parameter = "quality"
        return named
    distilled = _as_the_filter_needs(quality, memory=memory, greater_is_better=True)
    return fitted_on(distilled, texts, name="quality")


def llm_calls(remembered: Any, quality: Any) -> int:
    """Return the number of texts that the LLM behind a ``quality`` parameter has scored for the filter."""
    scorer = remembered.compute
    if isinstance(scorer, DistilledScorer):  # one that came fitted asks nothing
        return int(scorer.n_calls_) if learns_from_pool(quality) else 0
    return int(remembered.n_computed)


def distilled_uses(scorer: Any, rows: np.ndarray, *, memory: Any, name: str) -> list[ModelUse]:
    """Return what a scorer that is fitted on the pool asks another model about distinct rows of it."""
    return scorer._uses_of_teacher(rows, memory, name) if isinstance(scorer, DistilledScorer) else []


def _as_the_filter_needs(scorer: Any, **settings: Any) -> Any:
    """Return a DistilledScorer with ``settings`` in place of parameters that are None; others as they are."""
    if not isinstance(scorer, DistilledScorer) or is_fitted(scorer):
        return scorer
    return clone(scorer).set_params(**{k: v for k, v in settings.items() if getattr(scorer, k) is None})
