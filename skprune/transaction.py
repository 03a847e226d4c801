"""Steps that are done whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import numpy as np

from skprune.labels import Labeled


@contextmanager
def unchanged_on_error(*objects: Any) -> Iterator[None]:
    """Restore objects if the block raises or is interrupted, so that a retry starts where the block did.

    Attributes are restored, and the positions of the random generators among the parameters, nested ones
    included. Whatever a step changes in place is copied first: a filter's records of labeled rows, and the
    attributes of estimators with ``warm_start=True`` or a ready torch module, and of estimators without
    ``get_params``, of which nothing is known. All others bind new attributes in ``fit``, as scikit-learn
    requires.

    Parameters
    ----------
    *objects
        Whatever the block may change. The fitted filters inside a filter are restored with it.
    """
    saved = [(thing, _attributes(thing)) for whole in objects for thing in _with_parts(whole)]
    positions = [(generator, _position(generator)) for thing in objects for generator in _generators(thing)]
    try:
        yield
    except BaseException:
        for thing, attributes in saved:
            vars(thing).clear()
            vars(thing).update(attributes)
        for generator, position in positions:
            _move(generator, position)
        raise


def _with_parts(thing: Any) -> Iterator[Any]:
    """Yield an object and the fitted filters that it is made of, nested ones included."""
    yield thing
    for part in getattr(thing, "_fitted_filters", {}).values():
        yield from _with_parts(part)


def _attributes(thing: Any) -> dict[str, Any]:
    """Return the attributes of an object; copies of those that a step changes in place."""
    attributes = vars(thing)
    goes_on = not hasattr(thing, "get_params") or attributes.get("warm_start")
    if goes_on or any(hasattr(value, "load_state_dict") for value in attributes.values()):
        same = {id(thing): thing, **{id(generator): generator for generator in _generators(thing)}}
        try:
            return deepcopy(attributes, same)
        except Exception:  # it holds a lock or a file, say
            return dict(attributes)
    ledgers = {id(value): value.copy() for value in attributes.values() if isinstance(value, Labeled)}
    return {name: ledgers.get(id(value), value) for name, value in attributes.items()}


def _generators(thing: Any) -> list[Any]:
    """Return NumPy's random generators among the attributes and parameters of an object."""
    held = list(vars(thing).values())
    if hasattr(thing, "get_params"):
        held += thing.get_params().values()
    return [value for value in held if isinstance(value, (np.random.RandomState, np.random.Generator))]


def _position(generator: Any) -> Any:
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    return generator.get_state()


def _move(generator: Any, position: Any) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = position
    else:
        generator.set_state(position)
