"""Scorers and encoders that learn from the pool, and those that come ready."""

from __future__ import annotations

from typing import Any, ClassVar

from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted


class StaysFitted(BaseEstimator):
    """A scorer or encoder whose clones know what it has learned.

    Pipelines, searches and composites clone a filter before they fit it, and its components with it. A
    component that was fitted on a corpus of the user's choice is a model, as one that is loaded from a file:
    fitted on the pool again it would be another one, in each fold of a search another still, whose values no
    two of them share. So its clones keep the fit, as those of scikit-learn's ``FrozenEstimator`` do; unlike
    there, ``fit`` still replaces it, and a parameter that it depends on forgets it when it is set to another
    value: ``{"filter__perplexity__order": [3, 5]}`` searches over models trained on the pool.
    """

    #: The attributes that ``fit`` sets, and the parameters they depend on.
    _learned: ClassVar[tuple[str, ...]]
    _learned_with: ClassVar[tuple[str, ...]]

    @property
    def has_learned(self) -> bool:
        """Whether ``fit`` was called, with the parameters that it has now."""
        return any(name in vars(self) for name in self._learned)

    def __sklearn_clone__(self) -> Any:
        copy = super().__sklearn_clone__()
        vars(copy).update({name: vars(self)[name] for name in self._learned if name in vars(self)})
        return copy

    def set_params(self, **params: Any) -> Any:
        """Set parameters, those of nested objects too; what was learned with other values is forgotten."""
        before = self.get_params()
        super().set_params(**params)
        changed = {name.partition("__")[0] for name in params if before.get(name) != params[name]}
        if changed & set(self._learned_with):
            for name in self._learned:
                self.__dict__.pop(name, None)
        return self


def is_fitted(scorer: Any) -> bool:
    """Say whether a scorer or encoder can be used as it is; a plain callable can.

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
    """Return what can be used: the one given, or if it is not fitted, a clone fitted on ``texts``."""
    return scorer if is_fitted(scorer) else clone(scorer, safe=False).fit(texts)
