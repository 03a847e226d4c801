"""Scorers that learn from the pool, and scorers that come ready."""

from __future__ import annotations

from typing import Any

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted


def is_fitted(scorer: Any) -> bool:
    """Say whether a scorer can score as it is; a plain callable can.

    Examples
    --------
    >>> from skprune.scorers import NGramScorer
    >>> is_fitted(len), is_fitted(NGramScorer()), is_fitted(NGramScorer("model.arpa"))
    (True, False, True)
    """
    if not hasattr(scorer, "fit"):
        return True
    try:
        check_is_fitted(scorer)
    except NotFittedError:
        return False
    return True


def fitted_on(scorer: Any, texts: Any) -> Any:
    """Return a scorer that can score: the one given, or if it is not fitted, a clone fitted on ``texts``."""
    return scorer if is_fitted(scorer) else clone(scorer).fit(texts)
