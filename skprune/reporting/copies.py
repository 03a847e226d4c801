"""Copies and near-copies in a pool."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfVectorizer

from skprune.pools import Pool
from skprune.row_table import is_written

SIMILAR = 0.9
_SAMPLE = 2_000
_MAX_CHARACTERS = 2_000


def exact_copies(pool: Pool, max_groups: int) -> dict[str, Any]:
    """Return how many rows are copies of others, and the most frequent rows.

    Returns
    -------
    dict
        ``n_distinct``; ``n_copies``: rows that repeat an earlier one; ``largest``: pairs of the first row of
        a group and the size of the group, largest first, at most ``max_groups``.
    """
    table = pool.table
    sizes = np.bincount(table.row_of, minlength=len(table))
    order = np.argsort(-sizes, kind="stable")[:max_groups]
    largest = [(int(table.first[i]), int(sizes[i])) for i in order if sizes[i] > 1]
    return {"n_distinct": len(table), "n_copies": len(pool) - len(table), "largest": largest}


def near_copies(pool: Pool, kept: np.ndarray, max_pairs: int, rng: np.random.Generator) -> dict[str, Any]:
    """Return pairs of different texts that are nearly the same, in a sample.

    Parameters
    ----------
    pool : Pool of texts
    kept : ndarray of bool, shape (n_rows,)
    max_pairs : int
        Number of pairs to return.
    rng : Generator
        Draws the sample.

    Returns
    -------
    dict
        ``n_sampled``: different texts compared; ``n_near``: how many of them have a near-copy in the sample;
        ``n_pairs``: the number of pairs, ``n_both_kept``: those of which both are kept; ``pairs``: the most
        similar ones as (row, row, similarity), best first.

    Notes
    -----
    Two texts are near-copies if the cosine of their TF-IDF vectors of 5-grams of characters is at least 0.9.
    At most 2,000 different texts are compared, up to their first 2,000 characters. In a sample of s of n
    texts, a pair is found with a probability of about (s/n)², so that the count says little about a large
    pool.
    """
    rows = pool.table.first[is_written(pool.texts[pool.table.first])]
    if len(rows) > _SAMPLE:
        rows = np.sort(rng.choice(rows, _SAMPLE, replace=False))
    found: dict[str, Any] = {"n_sampled": len(rows), "n_near": 0, "n_pairs": 0, "n_both_kept": 0, "pairs": []}
    if len(rows) < 2:
        return found
    # A text of fewer than five characters has a single gram; dtype float32 would blur the border.
    vectors = TfidfVectorizer(analyzer=_grams, norm="l2").fit_transform(pool.texts[rows])
    similar = sp.triu(vectors @ vectors.T, k=1).tocoo()
    near = similar.data >= SIMILAR - 1e-12
    first, second, cosine = rows[similar.row[near]], rows[similar.col[near]], similar.data[near]
    order = np.lexsort((second, first, -cosine.round(9)))[:max_pairs]
    return found | {
        "n_near": len(np.union1d(first, second)),
        "n_pairs": len(first),
        "n_both_kept": int((kept[first] & kept[second]).sum()),
        "pairs": [(int(first[i]), int(second[i]), float(cosine[i])) for i in order],
    }


def _grams(text: str) -> list[str]:
    text = " ".join(text[:_MAX_CHARACTERS].lower().split())
    return [text[i : i + 5] for i in range(max(1, len(text) - 4))]
