"""The interface of every store."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol

import numpy as np


class Claim(Protocol):
    """The right to compute some keys of one fingerprint, until it is released.

    Attributes
    ----------
    mine : ndarray of bool, shape (n,)
        The requested keys that the owner of this claim may compute. Others are computing the rest.
    """

    mine: np.ndarray

    def release(self) -> None:
        """Give the keys back, computed or not."""

    def wait(self) -> None:
        """Wait until those who compute the other keys are done. Release the claim first."""


class FreeClaim:
    """A claim on every key, which excludes nobody.

    Parameters
    ----------
    n_keys : int
        Number of keys.
    """

    def __init__(self, n_keys: int) -> None:
        self.mine = np.ones(n_keys, dtype=bool)

    def release(self) -> None:
        """Do nothing."""

    def wait(self) -> None:
        """Return at once."""


class Store(Protocol):
    """Values by fingerprint and key: float64 scalars (width 0) or float32 vectors.

    The first value of a key stays; later ones are ignored.
    """

    def get(self, fingerprint: str, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return ``(values, found)``: the values of the keys that were found, in order, and a mask."""

    def put(self, fingerprint: str, keys: np.ndarray, values: np.ndarray, what: str = "") -> None:
        """Keep one value per key. ``what`` describes the fingerprint in words.

        Read-only values may be kept without a copy, so they must not change afterwards.
        """

    def claim(self, fingerprint: str, keys: np.ndarray) -> Claim:
        """Claim keys to compute, so that nobody else computes them. Look them up again before you start."""

    def info(self) -> Any:
        """Return a DataFrame of the contents: ``fingerprint, what, values, width, bytes``."""

    def clear(self, fingerprint: str | None = None) -> None:
        """Delete the values of one fingerprint, or of all if it is None."""

    def close(self) -> None:
        """Close files, if there are any. The store can be used again afterwards."""

    def __enter__(self) -> Store:
        """Return the store."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store."""
