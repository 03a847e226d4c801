"""A value that must not be shown or written down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class Secret:
    """A secret such as an API key: it is never printed, and a pickle holds None in its place.

    A deep copy is the same object, so that a clone of an estimator keeps the key.

    Parameters
    ----------
    value : object
        The secret; another ``Secret`` stays as it is. None is what skops restores.

    Examples
    --------
    >>> import pickle
    >>> key = Secret("sk-123")
    >>> key, f"{key}", key.reveal(), pickle.loads(pickle.dumps(key))
    (<hidden>, '<hidden>', 'sk-123', None)
    """

    __slots__ = ("_reveal",)

    _reveal: Callable[[], Any]

    def __new__(cls, value: Any = None) -> Secret:
        if isinstance(value, Secret):
            return value
        secret = super().__new__(cls)
        # In a closure, because tools that save or show objects read their attributes.
        secret._reveal = lambda: value
        return secret

    def reveal(self) -> Any:
        """Return the value."""
        return self._reveal()

    def __repr__(self) -> str:
        return "<hidden>"

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _no_secret, ()

    def __getstate__(self) -> None:
        return None


def _no_secret() -> None:
    """Return what a pickle holds in place of a secret."""
