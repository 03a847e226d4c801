"""What every store does."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class Turn(Protocol):
    """What :meth:`Store.claim` gives."""

    mine: np.ndarray

    def release(self) -> None:
        """Let others compute what this one did not."""

    def wait(self) -> None:
        """Wait for those who are computing the rest."""


class Store(Protocol):
    """Where values are kept: float64 scalars (width 0) or float32 vectors, by fingerprint and key.

    What is kept stays as it is: a later value of the same key is not taken.
    """

    def get(self, fingerprint: str, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(values, found)``; values are those of the found keys, in order."""

    def put(self, fingerprint: str, keys: np.ndarray, values: np.ndarray, what: str = "") -> None:
        """Keep one value a key; ``what`` says in words whose they are."""

    def claim(self, fingerprint: str, keys: np.ndarray) -> Turn:
        """Claim keys to compute, so that nobody else does; look for them again before you begin."""

    def info(self) -> Any:
        """Return a DataFrame of what is kept: ``fingerprint, what, values, width, bytes``."""

    def clear(self, fingerprint: str | None = None) -> None:
        """Forget the values of one fingerprint, or of all."""
