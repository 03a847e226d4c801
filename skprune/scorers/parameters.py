"""The scorers that the ``perplexity`` and ``quality`` parameters of filters mean."""

from __future__ import annotations

import os
from typing import Any

from sklearn.frozen import FrozenEstimator

from skprune.fitting import check_clones_keep_fit, fitted_on, unwrapped
from skprune.scorers.ngram import NGramScorer
from skprune.scorers.quality import QualityScorer

#: The LLM that filters ask by default.
DEFAULT_LLM = "Qwen/Qwen2.5-1.5B-Instruct"

PERPLEXITY_CONSTRAINT = [None, str, os.PathLike, callable, FrozenEstimator]
QUALITY_CONSTRAINT = [str, os.PathLike, callable, FrozenEstimator]


def make_perplexity(perplexity: Any, texts: Any, *, n_jobs: int | None = None, verbose: int = 0) -> Any:
    """Return the callable ``texts -> log10 perplexity per token`` that a ``perplexity`` parameter means.

    Parameters
    ----------
    perplexity : None, str, path, scorer or callable
        None means an :class:`~skprune.NGramScorer` trained on ``texts``. A string or path names a KenLM
        model. A clone of an unfitted scorer is trained on ``texts``.
    texts : ndarray of object, shape (n,)
        The pool.
    n_jobs : int or None, default=None
        Number of processes of the scorer, if it is created here.
    verbose : int, default=0
        Verbosity of the scorer, if it is created here.

    Examples
    --------
    >>> make_perplexity(len, ["a", "b"]) is len
    True
    """
    if perplexity is None or isinstance(perplexity, (str, os.PathLike)):
        perplexity = NGramScorer(model=perplexity, n_jobs=n_jobs, verbose=verbose)
    return fitted_on(perplexity, texts, name="perplexity")


def make_quality(quality: Any, *, task: str, verbose: int = 0) -> Any:
    """Return the callable ``texts -> quality`` that a ``quality`` parameter means.

    Parameters
    ----------
    quality : str, path, scorer or callable
        A string or path names the LLM of a :class:`~skprune.QualityScorer`.
    task : str
        What the texts are for; the prompt tells the LLM.
    verbose : int, default=0
        Verbosity of the scorer, if it is created here.

    Examples
    --------
    >>> make_quality("some/model", task="topic classification").task
    'topic classification'
    """
    if isinstance(quality, (str, os.PathLike)):
        return QualityScorer(quality, task=task, verbose=verbose)
    check_clones_keep_fit(quality, "quality")
    return unwrapped(quality)
