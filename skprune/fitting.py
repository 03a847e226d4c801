"""Components of a filter that learn from the pool, and those that stay as they are.

The idiom is scikit-learn's. An unfitted scorer or encoder is a recipe: the filter fits a clone of it on the
pool, and each fold of a search fits another clone. To keep a fitted one, in clones too, wrap it in
:class:`sklearn.frozen.FrozenEstimator`. Without the wrapper the first clone would lose the fit silently, so
filters refuse it.
"""

from __future__ import annotations

from typing import Any

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.utils.validation import check_is_fitted


def is_fitted(component: Any) -> bool:
    """Return whether a scorer or encoder can be used as it is; a plain callable can.

    Examples
    --------
    >>> from skprune.scorers import NGramScorer
    >>> is_fitted(len), is_fitted(NGramScorer()), is_fitted(NGramScorer("model.arpa"))
    (True, False, True)
    """
    if not hasattr(component, "fit"):
        return True
    try:
        check_is_fitted(component)
    except NotFittedError:
        return False
    return True


def learns_from_pool(component: Any) -> bool:
    """Return whether a parameter means a scorer or encoder that is fitted on the pool; None does.

    Examples
    --------
    >>> from skprune.scorers import NGramScorer
    >>> learns_from_pool(None), learns_from_pool(NGramScorer()), learns_from_pool(len)
    (True, True, False)
    """
    return component is None or not (isinstance(component, FrozenEstimator) or is_fitted(component))


def unwrapped(component: Any) -> Any:
    """Return the scorer or encoder inside a ``FrozenEstimator``, or the component itself."""
    return component.estimator if isinstance(component, FrozenEstimator) else component


def fitted_on(component: Any, texts: Any, *, name: str) -> Any:
    """Return a callable: a ready component as it is, or a clone of an unfitted one, fitted on ``texts``.

    Parameters
    ----------
    component : callable, scorer or encoder, possibly in a FrozenEstimator
    texts : sequence of str
        The pool.
    name : str
        The parameter that holds the component; errors name it.

    Raises
    ------
    ValueError
        If the component is fitted and not frozen.
    NotFittedError
        If a frozen component is not fitted.
    """
    if isinstance(component, FrozenEstimator):
        check_is_fitted(component.estimator)
        return component.estimator
    check_clones_keep_fit(component, name)
    return component if is_fitted(component) else clone(component, safe=False).fit(texts)


def check_clones_keep_fit(component: Any, name: str) -> None:
    """Refuse a fitted scorer or encoder whose clone would have to be fitted again.

    Raises
    ------
    ValueError
        The message names the parameter and the remedy.

    Examples
    --------
    >>> from skprune.scorers import NGramScorer
    >>> check_clones_keep_fit(NGramScorer().fit(["a text"]), "perplexity")
    Traceback (most recent call last):
        ...
    ValueError: perplexity=NGramScorer() is already fitted. To keep that fit, wrap it in
    sklearn.frozen.FrozenEstimator; to fit it on the pool, pass an unfitted one
    """
    if not callable(component) or not hasattr(component, "fit") or not is_fitted(component):
        return
    if not is_fitted(clone(component, safe=False)):
        raise ValueError(
            f"{name}={component!r} is already fitted. To keep that fit, wrap it in "
            "sklearn.frozen.FrozenEstimator; to fit it on the pool, pass an unfitted one"
        )
