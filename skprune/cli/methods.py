"""Filters and strategies by the names of their methods: ``active-prune`` is ActivePruneFilter."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Sequence
from typing import Any

import typer

FILTERS = "skprune"
STRATEGIES = "skprune.strategies"
#: The scorer that a parameter gets if its own parameters are set; the parameter's value is the ``model``.
_SCORERS = {"perplexity": "NGramScorer", "quality": "QualityScorer"}


def method_names(module: str = FILTERS) -> dict[str, str]:
    """Return the filters or strategies of a module by the names of their methods.

    Examples
    --------
    >>> names = method_names()
    >>> names["active-prune"], names["ask-llm"], names["k-means"], names["drop"]
    ('ActivePruneFilter', 'AskLLMFilter', 'KMeansFilter', 'DRoPFilter')
    >>> method_names("skprune.strategies")["least-confidence"]
    'LeastConfidence'
    """
    classes = importlib.import_module(module).__all__
    if module == FILTERS:
        classes = [name for name in classes if name.endswith("Filter") and name != "BaseFilter"]
    return {_kebab(name.removesuffix("Filter")): name for name in classes}


def class_of(method: str, module: str, option: str, *, besides: Sequence[str] = ()) -> Any:
    """Return the class of a method; hyphens and case of the name do not matter.

    The error about an unknown name lists those of ``besides`` too, which the option takes but have no class.
    """
    names = {_plain(name): name for name in method_names(module)}
    if _plain(method) not in names:
        known = ", ".join([*besides, *names.values()])
        raise typer.BadParameter(f"{method!r} is not one of {known}", param_hint=option)
    return getattr(importlib.import_module(module), method_names(module)[names[_plain(method)]])


def make_filter(
    method: str, parameters: dict[str, Any], option: str = "--method", *, besides: Sequence[str] = ()
) -> Any:
    """Return the filter of a method with some parameters.

    Parameters
    ----------
    method : str
    parameters : dict
        By name. ``quality__normalize`` names a parameter of the scorer in ``quality``.
    option : str, default="--method"
        The option that names the method, for messages.
    besides : sequence of str, default=()
        As for :func:`class_of`.

    Examples
    --------
    >>> make_filter("perplexity", {"keep": 10, "perplexity__order": 3})
    PerplexityFilter(keep=10, perplexity=NGramScorer(order=3))
    """
    import skprune

    class_ = class_of(method, FILTERS, option, besides=besides)
    signature = inspect.signature(class_).parameters.values()
    required = [parameter.name for parameter in signature if parameter.default is parameter.empty]
    if required:
        what = f"needs {', '.join(required)}, which only Python can give: see skprune.{class_.__name__}"
        raise typer.BadParameter(f"{method} {what}", param_hint=option)
    filter = class_()
    _set(filter, method, {key: value for key, value in parameters.items() if "__" not in key})
    nested = {key: value for key, value in parameters.items() if "__" in key}
    own = filter.get_params(deep=False)
    for parameter in {key.partition("__")[0] for key in nested} & own.keys() & _SCORERS.keys():
        if own[parameter] is None or isinstance(own[parameter], str):
            scorer = getattr(skprune, _SCORERS[parameter])(model=own[parameter])
            if "task" in own and "task" in scorer.get_params():
                scorer.set_params(task=own["task"])
            filter.set_params(**{parameter: scorer})
    _set(filter, method, nested)
    return filter


def _set(filter: Any, method: str, parameters: dict[str, Any]) -> None:
    known = filter.get_params()
    for key in parameters:
        if key not in known:
            names = ", ".join(sorted(known))
            raise typer.BadParameter(f"{method} has no parameter {key!r}; it has {names}", param_hint="--set")
    filter.set_params(**parameters)


def _kebab(name: str) -> str:
    if name == "DRoP":
        return "drop"
    return re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


def _plain(name: str) -> str:
    return name.replace("-", "").replace("_", "").lower()
