"""Debian package descriptions with rare sections: a pool, a test set and first labels for every seed."""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from _runs import cut, encode, random_part
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils import Bunch

from skprune.datasets import load_debian, split_by_group
from skprune.strategies import TypiClust
from skprune.streams import generator

TEST_SHARE = 0.3  # of the source packages
N_RARE = 5  # first labels of each rare class, as in AnchorAL's paper
_POOL, _INITIAL, _TYPICAL, QUERY = range(4)  # streams of a seed; the simulator has others


@dataclass(frozen=True)
class Split:
    """The pool and the test set of a seed. Class 0 is everything but the rare classes, 1, 2, ...

    Attributes
    ----------
    texts, test_texts : ndarray of str
    y, y_test : ndarray of int
    initial : ndarray of int
        The rows labeled first: ``N_RARE`` of each rare class, the others of class 0.
    """

    texts: np.ndarray
    y: np.ndarray
    test_texts: np.ndarray
    y_test: np.ndarray
    initial: np.ndarray

    @property
    def rare(self) -> list[int]:
        """The rare classes."""
        return list(range(1, int(self.y.max()) + 1))


class Descriptions:
    """All descriptions, or a random part of them, without copies.

    Parameters
    ----------
    args : Namespace
        With ``texts`` (how many descriptions to read; 0 for all), ``max_words``, ``encoder`` and ``memory``.
    drop : tuple of str
        The sections that are left out.

    Attributes
    ----------
    texts, sections, groups : ndarray
        ``groups`` holds the source package of each text.
    release : str
    """

    def __init__(self, args: argparse.Namespace, drop: tuple[str, ...]) -> None:
        bunch = load_debian(None, drop=drop)
        part = random_part(len(bunch.data), args.texts)
        self.texts, first = np.unique(cut((bunch.data[i] for i in part), args.max_words), return_index=True)
        self.sections, self.groups = bunch.sections[part[first]], bunch.groups[part[first]]
        self.release = bunch.release
        self._args = args
        self._row_of = {text: row for row, text in enumerate(self.texts)}

    @cached_property
    def vectors(self) -> Callable[[Any], np.ndarray]:
        """Look up the sentence vectors of texts."""
        return self._look_up(encode(self.texts, self._args.encoder, self._args.memory))

    @cached_property
    def terms(self) -> Callable[[Any], Any]:
        """Look up the TF-IDF terms of texts, weighted by all descriptions."""
        return self._look_up(TfidfVectorizer(sublinear_tf=True, min_df=2).fit_transform(self.texts))

    def _look_up(self, values: Any) -> Callable[[Any], Any]:
        row_of, recent = self._row_of, deque(maxlen=4)  # a test set is predicted in every round

        def look_up(texts: Any) -> Any:  # not a method, whose object the clones of an estimator would copy
            for known, found in recent:
                if known is texts:
                    return found
            found = values[[row_of[text] for text in texts]]
            if isinstance(found, np.ndarray):
                found.flags.writeable = False
            recent.append((texts, found))
            return found

        return look_up

    @lru_cache(maxsize=4)  # noqa: B019 - there is one object per process
    def draw(self, task: str, seed: int, pool_size: int, n_seeds: int) -> Split:
        """Draw a pool, a test set and first labels.

        Parameters
        ----------
        task : str
            The rare sections, joined by "+". "/3" behind them keeps a third of their rows in the pool.
        seed : int
        pool_size : int
            Rows of the pool; 0 for all that are not on the test side.
        n_seeds : int
            Number of first labels.
        """
        names, _, divisor = task.partition("/")
        y = np.zeros(len(self.texts), dtype=int)
        for number, section in enumerate(names.split("+"), 1):
            y[self.sections == section] = number
        fields = Bunch(data=np.arange(len(y)), target=self.sections, groups=self.groups)
        pool, test = (part.data for part in split_by_group(fields, TEST_SHARE, random_state=seed))
        pool = generator(seed, _POOL).permutation(pool)
        pool = pool[: pool_size or None]
        rare = np.flatnonzero(y[pool])
        pool = np.delete(pool, rare[len(rare) // int(divisor or 1) :])
        rng, drawn = generator(seed, _INITIAL), []
        for label in range(1, y.max() + 1):
            drawn.append(rng.choice(np.flatnonzero(y[pool] == label), N_RARE, replace=False))
        n_others = n_seeds - N_RARE * len(drawn)
        drawn.append(rng.choice(np.flatnonzero(y[pool] == 0), n_others, replace=False))
        return Split(self.texts[pool], y[pool], self.texts[test], y[test], np.concatenate(drawn))

    def typical(self, split: Split, seed: int) -> np.ndarray:
        """Return first labels whose rows of class 0 are replaced by typical rows, of any class."""
        rare = split.initial[split.y[split.initial] > 0]
        others = np.setdiff1d(np.arange(len(split.y)), rare)
        pick = TypiClust(encoder=self.vectors, random_state=int(generator(seed, _TYPICAL).integers(2**31)))
        rows, _ = pick(None, split.texts[others], len(split.initial) - len(rare))
        return np.concatenate([rare, others[rows]])
