"""Small pools that the checks run on, and assertions that the checks share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from skprune.containers import take_rows
from skprune.pools import Pool

_WORDS = ["red", "green", "blue", "fox", "dog", "sea", "sky", "runs", "sees", "the", "a", "old"]


@dataclass(frozen=True)
class Sample:
    """A pool of 140 rows, some of them labeled. The last 20 rows are copies of the first 20.

    Attributes
    ----------
    X : list of str or ndarray
        The pool.
    y : ndarray of int
        The labels 0 and 1, or −1 for rows without a label.
    unseen : list of str or ndarray
        Ten rows that are not in the pool.
    """

    X: Any
    y: np.ndarray
    unseen: Any

    def rows(self, indices: Any) -> Any:
        """Return the given rows of the pool."""
        return take_rows(self.X, np.asarray(indices))

    def joined(self, *parts: Any) -> Any:
        """Return all rows of several containers in one."""
        if isinstance(self.X, list):
            return [row for part in parts for row in part]
        return np.concatenate(parts)

    @property
    def labeled_keys(self) -> set[Any]:
        """Content keys of the labeled rows."""
        return set(Pool(self.rows(np.flatnonzero(self.y != -1))).keys)

    @property
    def n_eligible(self) -> int:
        """Number of different rows that have no label."""
        return len(set(Pool(self.X).keys) - self.labeled_keys)

    def n_different(self, indices: Any) -> int:
        """Number of different rows among the given ones."""
        return len(set(Pool(self.rows(indices)).keys))


def _labels() -> np.ndarray:
    rows = np.arange(140)
    return np.where(rows % 9 == 0, rows % 2, -1)


def text_sample() -> Sample:
    """Return a sample of texts."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(_WORDS, rng.integers(3, 9))) + f" n{i}" for i in range(130)]
    return Sample([*texts[:120], *texts[:20]], _labels(), texts[120:])


def vector_sample() -> Sample:
    """Return a sample of numeric rows with five features."""
    X = np.random.default_rng(0).normal(size=(130, 5)).round(3)
    return Sample(np.vstack([X[:120], X[:20]]), _labels(), X[120:])


@contextmanager
def raises(error: type[Exception], *words: str) -> Iterator[None]:
    """Assert that the block raises ``error`` and that its message contains all ``words``."""
    message = None
    try:
        yield
    except error as raised:
        message = str(raised)
    expected = f"{error.__name__}" + "".join(f" with {word!r} in its message" for word in words)
    assert message is not None, f"expected {expected}, but nothing was raised"
    missing = [word for word in words if word not in message]
    assert not missing, f"expected {missing[0]!r} in the message of {error.__name__}, got {message!r}"


def sorted_keys(rows: Any) -> list[Any]:
    """Return the content keys of the rows, sorted, to compare two selections regardless of order."""
    return sorted(Pool(rows).keys.tolist()) if len(rows) else []
