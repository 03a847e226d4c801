"""Values of options: literals of TOML and JSON, and their way back."""

from __future__ import annotations

import json
import math
import tomllib
from typing import Any

import typer

_NOTHING = ("null", "None")


def value_of(text: str) -> Any:
    """Return the value that a text writes as a literal of TOML or JSON; any other text is itself.

    Examples
    --------
    >>> [value_of(text) for text in ("0.5", "10", "true", "null", "[1, 2]", '{"a": 1}', "some/model", '"10"')]
    [0.5, 10, True, None, [1, 2], {'a': 1}, 'some/model', '10']
    """
    if text in _NOTHING:
        return None
    try:
        found = tomllib.loads(f"value = {text}")
        if set(found) == {"value"} and isinstance(found["value"], (bool, int, float, str, list, dict)):
            return found["value"]
    except tomllib.TOMLDecodeError:
        pass
    try:
        return json.loads(text)
    except ValueError:
        return text


def assignments(given: list[str]) -> dict[str, Any]:
    """Return the values of ``name=value`` by name.

    Examples
    --------
    >>> assignments(["beta=0.2", "task=film reviews"])
    {'beta': 0.2, 'task': 'film reviews'}
    """
    values = {}
    for assignment in given:
        name, equals, text = assignment.partition("=")
        if not equals or not name.strip():
            raise typer.BadParameter(f"{assignment!r} is not name=value", param_hint="--set")
        values[name.strip()] = value_of(text.strip())
    return values


def as_toml(values: dict[str, Any]) -> str:
    """Return the text of a TOML file. None, which TOML does not have, becomes the string "null".

    Examples
    --------
    >>> print(as_toml({"keep": 0.25, "inputs": ["a", "b"], "set": {"quality": None}}))
    keep = 0.25
    inputs = ["a", "b"]
    <BLANKLINE>
    [set]
    quality = "null"
    """
    plain = {name: value for name, value in values.items() if not isinstance(value, dict)}
    tables = {name: value for name, value in values.items() if isinstance(value, dict)}
    lines = [f"{_key(name)} = {_literal(value)}" for name, value in plain.items()]
    for table, content in tables.items():
        lines += ["", f"[{_key(table)}]", *(f"{_key(name)} = {_literal(v)}" for name, v in content.items())]
    return "\n".join(lines)


def from_toml(value: Any) -> Any:
    """Return a value of a TOML file, with None for the string "null"."""
    return None if isinstance(value, str) and value in _NOTHING else value


def _key(name: str) -> str:
    bare = name.replace("_", "").replace("-", "")
    return name if bare.isalnum() and bare.isascii() else _literal(name)


def _literal(value: Any) -> str:
    if value is None:
        return '"null"'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(name)} = {_literal(part)}" for name, part in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_literal, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
