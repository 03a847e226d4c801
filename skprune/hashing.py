"""Content hashes of numeric rows, the same for a dense and a sparse row and for every dtype.

Kept by hand because a call per row is what costs: BLAKE2b takes 1.3 to 30 µs per row of 2 to 384 features,
and any hash that takes bytes sees a sparse row and its dense form as different. Here a row is a sum over its
non-zero features, computed for thousands of rows at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import scipy.sparse as sp

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MULTIPLIER = np.uint64(0xBF58476D1CE4E5B9)
# Features per block of rows: 1 MiB of float64 stays in the cache.
_BLOCK = 2**17


def mix(state: np.ndarray) -> np.ndarray:
    """Apply SplitMix64's output function (Steele, Lea and Flood 2014): every input bit affects every bit."""
    state = state + _GOLDEN
    state = (state ^ (state >> np.uint64(30))) * _MULTIPLIER
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def row_hashes(vectors: Any, rows: np.ndarray | None = None) -> np.ndarray:
    """Return a 128-bit hash of numeric rows.

    Parameters
    ----------
    vectors : ndarray or sparse matrix, shape (n_rows, n_features)
        Read as float64; −0.0 counts as 0.0, and zeros do not count, so that sparse rows agree with dense
        ones.
    rows : ndarray of int, shape (n,), default=None
        The rows to hash; None hashes all.

    Returns
    -------
    ndarray of uint64, shape (n, 2)

    Notes
    -----
    Each half is a multilinear hash modulo 2^64: the scrambled bits of every feature times an odd coefficient
    of its column. Two rows that differ in one feature never share a hash.

    Examples
    --------
    >>> dense = np.array([[0, 2], [1, 0]], dtype=np.float32)
    >>> bool((row_hashes(dense) == row_hashes(sp.csr_array(dense.astype(int)))).all())
    True
    """
    coefficients = _coefficients(int(vectors.shape[1]))
    if sp.issparse(vectors):
        chosen = vectors.tocsr() if rows is None else vectors.tocsr()[rows]
        if not chosen.has_canonical_format:
            chosen = chosen.copy() if rows is None else chosen
            chosen.sum_duplicates()
        hashes = np.empty((chosen.shape[0], 2), dtype=np.uint64)
        for rows_of_block in _row_blocks(chosen.indptr):
            ends = chosen.indptr[rows_of_block.start : rows_of_block.stop + 1]
            entries = slice(ends[0], ends[-1])
            bits = _scrambled(chosen.data[entries].astype(np.float64))
            sums = np.zeros(
                (2, len(bits) + 1), dtype=np.uint64
            )  # they wrap around, and so do their differences
            np.cumsum(coefficients[:, chosen.indices[entries]] * bits, axis=1, out=sums[:, 1:])
            hashes[rows_of_block] = (sums[:, ends[1:] - ends[0]] - sums[:, ends[:-1] - ends[0]]).T
        return hashes
    n_rows = vectors.shape[0] if rows is None else len(rows)
    hashes = np.empty((n_rows, 2), dtype=np.uint64)
    step = max(256, _BLOCK // max(1, vectors.shape[1]))
    for start in range(0, n_rows, step):
        stop = start + step
        block = vectors[start:stop] if rows is None else vectors[rows[start:stop]]
        bits = _scrambled(np.ascontiguousarray(block, dtype=np.float64))
        for half in range(2):
            hashes[start:stop, half] = np.einsum("ij,j->i", bits, coefficients[half])
    return hashes


def hash_keys(hashes: np.ndarray) -> np.ndarray:
    """Return hashes as objects of 16 bytes, which can be keys of a dict."""
    joined = np.ascontiguousarray(hashes, dtype="<u8").tobytes()
    keys = np.empty(len(hashes), dtype=object)
    keys[:] = [joined[start : start + 16] for start in range(0, len(joined), 16)]
    return keys


def _row_blocks(indptr: np.ndarray) -> Iterator[slice]:
    """Yield slices of the rows of a CSR matrix, with some ``_BLOCK`` entries each."""
    start = 0
    while start < len(indptr) - 1:
        stop = int(np.searchsorted(indptr, indptr[start] + _BLOCK))
        stop = min(max(stop, start + 1), len(indptr) - 1)
        yield slice(start, stop)
        start = stop


@lru_cache(maxsize=64)
def _coefficients(n_features: int) -> np.ndarray:
    """Return odd 64-bit numbers, shape (2, n_features); those of a column do not depend on n_features."""
    columns = np.arange(n_features, dtype=np.uint64)
    return np.stack([mix(2 * columns), mix(2 * columns + 1)]) | np.uint64(1)


def _scrambled(values: np.ndarray) -> np.ndarray:
    """Return the bits of float64 values, spread over all 64 positions; 0 for 0.0 and −0.0."""
    bits = (values + 0.0).view(np.uint64)
    bits ^= bits >> np.uint64(32)
    bits *= _MULTIPLIER
    bits ^= bits >> np.uint64(29)
    return bits
