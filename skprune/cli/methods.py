"""Filters by the names of their methods: ``active-prune`` is ActivePruneFilter."""

from __future__ import annotations

import inspect
import re
from typing import Any

import typer

import skprune

_SUFFIX = "Filter"
#: The scorer that is meant by parameters of one that was not given: its class, and what the parameter says.
_SCORERS = {"perplexity": ("NGramScorer", "model"), "quality": ("QualityScorer", "model")}


def method_names() -> dict[str, str]:
    """Return the classes of the filters by the names of their methods.

    Examples
    --------
    >>> names = method_names()
    >>> names["active-prune"], names["ask-llm"], names["k-means"], names["seals"]
    ('ActivePruneFilter', 'AskLLMFilter', 'KMeansFilter', 'SEALSFilter')
    """
    classes = [name for name in skprune.__all__ if name.endswith(_SUFFIX) and name != "BaseFilter"]
    return {_kebab(name.removesuffix(_SUFFIX)): name for name in classes}


def make_filter(method: str, parameters: dict[str, Any]) -> Any:
    """Return the filter of a method with some parameters.

    Parameters
    ----------
    method : str
        Its name; hyphens and case do not matter.
    parameters : dict
        By name. ``quality__n_calls`` names a parameter of the scorer in ``quality``.

    Examples
    --------
    >>> make_filter("perplexity", {"keep": 10, "perplexity__order": 3})
    PerplexityFilter(keep=10, perplexity=NGramScorer(order=3))
    """
    names = {_plain(name): name for name in method_names()}
    if _plain(method) not in names:
        raise typer.BadParameter(
            f"{method!r} is not one of {', '.join(names.values())}", param_hint="--method"
        )
    name = names[_plain(method)]
    class_ = getattr(skprune, method_names()[name])
    signature = inspect.signature(class_.__init__).parameters.values()
    required = [
        p.name for p in signature if p.default is p.empty and p.name != "self" and p.kind is not p.VAR_KEYWORD
    ]
    if required:
        raise typer.BadParameter(
            f"{name} needs {', '.join(required)}, which only Python can give: see skprune.{class_.__name__}",
            param_hint="--method",
        )
    filter = class_()
    own = set(filter.get_params(deep=False))
    _set(filter, name, {key: value for key, value in parameters.items() if "__" not in key})
    nested = {key: value for key, value in parameters.items() if "__" in key}
    for parameter in {key.partition("__")[0] for key in nested} & own & set(_SCORERS):
        scorer, says = _SCORERS[parameter]
        given = getattr(filter, parameter)
        if given is None or isinstance(given, str):
            made = getattr(skprune, scorer)(**{says: given})
            if "task" in own and "task" in made.get_params():
                made.set_params(task=filter.task)
            filter.set_params(**{parameter: made})
    _set(filter, name, nested)
    return filter


def _set(filter: Any, method: str, parameters: dict[str, Any]) -> None:
    known = filter.get_params()
    for key in parameters:
        if key not in known:
            names = ", ".join(sorted(known))
            raise typer.BadParameter(f"{method} has no parameter {key!r}; it has {names}", param_hint="--set")
    filter.set_params(**parameters)


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def _plain(name: str) -> str:
    return name.replace("-", "").replace("_", "").lower()
