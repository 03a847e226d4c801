"""Small pools that filters are checked on, and what the checks say of them."""

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
    """A pool of 140 rows, the last 20 copies of the first, some of them labeled.

    Attributes
    ----------
    X : list of str or ndarray
    y : ndarray of int
        0, 1, or −1 where there is no label.
    strangers : list of str or ndarray
        Ten rows that are not in it.
    """

    X: Any
    y: np.ndarray
    strangers: Any

    def rows(self, indices: Any) -> Any:
        return take_rows(self.X, np.asarray(indices))

    def joined(self, *parts: Any) -> Any:
        if isinstance(self.X, list):
            return [row for part in parts for row in part]
        return np.concatenate(parts)

    @property
    def n_free(self) -> int:
        """Rows that neither have a label nor are copies of one that has."""
        labeled = set(Pool(self.rows(np.flatnonzero(self.y != -1))).keys)
        return sum(key not in labeled for key in Pool(self.X).keys)


def _labels() -> np.ndarray:
    rows = np.arange(140)
    return np.where(rows % 9 == 0, rows % 2, -1)


def text_sample() -> Sample:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(_WORDS, rng.integers(3, 9))) + f" n{i}" for i in range(130)]
    return Sample([*texts[:120], *texts[:20]], _labels(), texts[120:])


def vector_sample() -> Sample:
    X = np.random.default_rng(0).normal(size=(130, 5)).round(3)
    return Sample(np.vstack([X[:120], X[:20]]), _labels(), X[120:])


@contextmanager
def refused(error: type[Exception], *words: str) -> Iterator[None]:
    """Assert that the block raises ``error`` with these words in its message."""
    message = None
    try:
        yield
    except error as raised:
        message = str(raised)
    assert message is not None, f"{error.__name__} should be raised" + "".join(f" with {w!r}" for w in words)
    missing = [word for word in words if word not in message]
    assert not missing, f"the message should say {missing[0]!r}: {message}"


def content_of(rows: Any) -> list[Any]:
    """What rows hold, in no order."""
    return sorted(Pool(rows).keys.tolist()) if len(rows) else []
