"""What a filter's ``perplexity`` and ``quality`` parameters mean: the scorer behind a name, path or None."""

from __future__ import annotations

from typing import Any

from sklearn.frozen import FrozenEstimator
from sklearn.utils._param_validation import HasMethods

from skprune.fitting import check_clones_keep_fit, fitted_on, unwrapped
from skprune.scorers.ngram import NGramScorer
from skprune.scorers.quality import QualityScorer

#: The LLM that filters ask unless told otherwise.
DEFAULT_LLM = "Qwen/Qwen2.5-1.5B-Instruct"

PERPLEXITY_CONSTRAINT = [None, str, HasMethods(["__fspath__"]), callable, FrozenEstimator]
QUALITY_CONSTRAINT = [str, HasMethods(["__fspath__"]), callable, FrozenEstimator]


def make_perplexity(perplexity: Any, texts: Any, *, n_jobs: int | None = None, verbose: int = 0) -> Any:
    """Return the callable ``texts -> log10 perplexity a token`` that a ``perplexity`` parameter means.

    Parameters
    ----------
    perplexity : None, path, scorer or callable
        None is an :class:`~skprune.NGramScorer` trained on ``texts``, as is an unfitted one (a clone of
        it); a path names a KenLM model.
    texts : ndarray of object, shape (n,)
        The pool.
    n_jobs, verbose : int
        Of the scorer made here.

    Examples
    --------
    >>> make_perplexity(len, ["a", "b"]) is len
    True
    """
    if perplexity is None or _is_name(perplexity):
        perplexity = NGramScorer(model=perplexity, n_jobs=n_jobs, verbose=verbose)
    return fitted_on(perplexity, texts, name="perplexity")


def make_quality(quality: Any, *, task: str, verbose: int = 0) -> Any:
    """Return the callable ``texts -> quality`` that a ``quality`` parameter means.

    Parameters
    ----------
    quality : str, path, scorer or callable
        A string or path names the LLM of a :class:`~skprune.QualityScorer`.
    task : str
        What the LLM is told that the texts are for.
    verbose : int

    Examples
    --------
    >>> make_quality("some/model", task="topic classification").task
    'topic classification'
    """
    if _is_name(quality):
        return QualityScorer(quality, task=task, verbose=verbose)
    check_clones_keep_fit(quality, "quality")
    return unwrapped(quality)


def _is_name(parameter: Any) -> bool:
    return isinstance(parameter, str) or hasattr(parameter, "__fspath__")
