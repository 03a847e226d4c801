"""The texts and vectors that all cases measure on."""

from __future__ import annotations

import re

import numpy as np

N_FEATURES = 384


def texts(n: int) -> list[str]:
    """Return ``n`` pairs of sentences of 20 Newsgroups and film reviews, joined at random."""
    from skprune.datasets import load_movie_snippets, load_newsgroups

    sources = [*load_newsgroups().data, *load_movie_snippets().data]
    pieces = (piece.strip() for text in sources for piece in re.split(r"(?<=[.!?])\s+|\n", text))
    sentences = np.array(sorted({piece for piece in pieces if 20 <= len(piece) <= 120}), dtype=object)
    first, second = np.random.default_rng(0).integers(len(sentences), size=(2, n))
    return (sentences[first] + " " + sentences[second]).tolist()


def snippets(n: int) -> list[str]:
    """Return ``n`` different short film reviews."""
    from skprune.datasets import load_movie_snippets

    return np.random.default_rng(0).choice(np.unique(load_movie_snippets().data), n, replace=False).tolist()


def vectors(n: int, n_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors in loose clusters, like those of sentence encoders, and their clusters."""
    rng = np.random.default_rng(0)
    y = rng.integers(n_classes, size=n)
    X = rng.standard_normal((n, N_FEATURES), dtype=np.float32)
    centers = 1.5 * rng.standard_normal((n_classes, N_FEATURES), dtype=np.float32)
    for start in range(0, n, 16_384):
        block = X[start : start + 16_384]
        block += centers[y[start : start + 16_384]]
        block /= np.linalg.norm(block, axis=1, keepdims=True)
    return X, y
