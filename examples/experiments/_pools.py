"""Text sets as vectors, from which each seed draws a pool and a test set of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from _pages import COLLECTIONS
from _runs import cut, encode, random_part
from sklearn.decomposition import PCA
from sklearn.utils import Bunch

from skprune import TfidfEncoder
from skprune.datasets import (
    fetch_model,
    load_debian,
    load_fashion_mnist,
    load_movie_snippets,
    load_newsgroups,
    load_reuters52,
    split_by_group,
)

TFIDF = ("debian",)  # sets with the vectors of TF-IDF and SVD; the others have those of MiniLM
MAX_WORDS = 64  # words after which texts are cut
N_FASHION = 20_000  # images, a fixed random part
PIXELS, N_PIXELS_TEST = ("images", "images-60k"), 10_000  # sets of images as pixels: see semiprune.py
N_DEBIAN = 20_000  # package descriptions that are read, a fixed random part


@dataclass(frozen=True)
class Split:
    """The pool and the test set of a seed: vectors and class numbers."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def both(load: Callable[[str], Bunch]) -> Bunch:
    """Return the published training and test set as one."""
    parts = load("train"), load("test")
    return Bunch(
        data=[text for part in parts for text in part.data],
        target=np.concatenate([part.target for part in parts]),
    )


def debian() -> Bunch:
    """Return a random part of the package descriptions; each section is a class."""
    bunch = load_debian(None)
    rows = random_part(len(bunch.data), N_DEBIAN)
    return Bunch(data=[bunch.data[i] for i in rows], target=bunch.target[rows], groups=bunch.groups[rows])


def fashion(n_rows: int = N_FASHION) -> Bunch:
    """Return images as their principal components: a fixed random part of the two published sets."""
    parts = [load_fashion_mnist(subset) for subset in ("train", "test")]
    rows = random_part(70_000, n_rows)
    pixels = np.concatenate([part.data.reshape(len(part.data), -1) for part in parts])[rows]
    vectors = PCA(64, random_state=0).fit_transform(np.float32(pixels) / 255)
    return Bunch(vectors=vectors, target=np.concatenate([part.target for part in parts])[rows])


#: The sets, with the rows of each pool and of each test set.
SETS: dict[str, tuple[Callable[[], Bunch], int, int]] = {
    "movies": (load_movie_snippets, 7_000, 3_000),
    "reuters": (lambda: both(load_reuters52), 4_000, 3_000),
    "news": (lambda: both(load_newsgroups), 11_000, 5_000),
    "debian": (debian, 8_000, 5_000),
    "fashion": (fashion, 8_000, 5_000),
    "fashion-60k": (partial(fashion, 70_000), 60_000, 10_000),
}


@lru_cache(maxsize=1)
def _encoded(name: str, memory: Path) -> Bunch:
    bunch = SETS[name][0]()
    if "vectors" in bunch:
        return bunch
    texts = cut(bunch.data, MAX_WORDS)
    if name in TFIDF:
        bunch.vectors = TfidfEncoder(random_state=0).fit(texts)(texts)
    else:
        bunch.vectors = encode(texts, fetch_model("minilm"), memory)
    return bunch


@lru_cache(maxsize=1)
def split_of(name: str, seed: int, memory: Path, pool_size: int | None = None) -> Split:
    """Draw the pool and the test set of a seed.

    Parameters
    ----------
    name : str
        A key of ``SETS``.
    seed : int
    memory : Path
        The folder that keeps the vectors.
    pool_size : int, default=None
        Rows of the pool. None is the size in ``SETS``, which is also the largest possible one.
    """
    bunch = _encoded(name, memory)
    _, largest, n_test = SETS[name]
    rng = np.random.default_rng(seed)
    if "groups" in bunch:  # siblings, packages built from one source, stay on one side
        fields = Bunch(data=np.arange(len(bunch.target)), target=bunch.target, groups=bunch.groups)
        parts: list[Any] = [part.data for part in split_by_group(fields, 0.3, random_state=seed)]
    else:
        order = rng.permutation(len(bunch.target))
        parts = [order[n_test:], order[:n_test]]
    pool = rng.permutation(parts[0])[: pool_size or largest]
    test = rng.permutation(parts[1])[:n_test]
    return Split(bunch.vectors[pool], bunch.target[pool], bunch.vectors[test], bunch.target[test])


def set_shares(names: Iterable[str]) -> dict[str, float]:
    """Return the share of each collection that a test set takes."""
    sizes = {name: n_test for name, (_, _, n_test) in SETS.items()} | dict.fromkeys(PIXELS, N_PIXELS_TEST)
    return {name: sizes[name] / COLLECTIONS[name] for name in names}


def describe_sets(names: list[str], pool_size: int | None = None) -> str:
    """Return the sizes and the vectors of the sets in words."""
    sizes = (f"*{name}*: {pool_size or SETS[name][1]:,} and {SETS[name][2]:,} rows" for name in names)
    encoders = {name: "TF-IDF with SVD" if name in TFIDF else "MiniLM" for name in names}
    encoders |= {name: "PCA" for name in names if name.startswith("fashion")}
    vectors = " and ".join(
        f"those of {encoder} ({', '.join(name for name in names if encoders[name] == encoder)})"
        for encoder in dict.fromkeys(encoders.values())
    )
    return f"{'; '.join(sizes)}. Vectors are {vectors}; texts are cut after {MAX_WORDS} words"
