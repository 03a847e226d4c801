"""Sorted runs of 128-bit keys, each with a 64-bit payload: searched by bisection, merged as they accumulate.

This is a log-structured merge tree in a few array operations. Each batch of rows becomes a sorted run, and a
run is merged with the one before it while that one is less than twice as large. There are therefore few
runs, each at least twice as large as the next, and a row is rewritten about log2(rows / batch) times.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np


class Run(NamedTuple):
    """Rows sorted by the first half of their key; three uint64 arrays of shape (n,)."""

    high: np.ndarray
    low: np.ndarray
    payload: np.ndarray


def sorted_run(keys: np.ndarray, payload: np.ndarray) -> Run:
    """Return a run of rows that are in any order; the first row of each key is kept.

    Parameters
    ----------
    keys : ndarray of uint64, shape (n, 2)
        First and second halves of the keys.
    payload : ndarray of uint64, shape (n,)
        What is stored under each key.

    Returns
    -------
    Run
    """
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    ordered = keys[order]
    fresh = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])[: len(keys)]
    return Run(ordered[fresh, 0], ordered[fresh, 1], payload[order[fresh]])


def merge(runs: Sequence[Run]) -> Run:
    """Return one run that holds the rows of several; no two of them may share a key."""
    if len(runs) == 1:
        return runs[0]
    order = np.argsort(np.concatenate([run.high for run in runs]), kind="stable")  # fast on sorted runs
    # One column at a time: the columns of all runs are never held twice.
    return Run(*(np.concatenate(column)[order] for column in zip(*runs, strict=True)))


# Rows of the largest run that merging makes: 48 MB, of which a merge holds several copies in memory.
_MAX_RUN = 2**21


def n_to_merge(sizes: Sequence[int], n_rows: int) -> int:
    """Return how many of the newest runs to merge with a run of ``n_rows`` new rows.

    Parameters
    ----------
    sizes : sequence of int
        Rows of each run, oldest first.
    n_rows : int
        Rows of the new run.

    Returns
    -------
    int

    Examples
    --------
    >>> n_to_merge([100, 8, 3], 1), n_to_merge([100, 8, 3], 4)
    (0, 2)
    """
    count = 0
    while count < len(sizes) and sizes[-1 - count] < 2 * n_rows and n_rows + sizes[-1 - count] <= _MAX_RUN:
        n_rows += sizes[-1 - count]
        count += 1
    return count


def find(runs: Sequence[Run], keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Look up keys in runs.

    Parameters
    ----------
    runs : sequence of Run
        No two may share a key.
    keys : ndarray of uint64, shape (n, 2)
        First and second halves of the keys.

    Returns
    -------
    payload : ndarray of uint64, shape (n,)
        0 for keys that are not found.
    found : ndarray of bool, shape (n,)

    Examples
    --------
    >>> run = sorted_run(np.array([[7, 1], [3, 2]], np.uint64), np.array([70, 30], np.uint64))
    >>> find([run], np.array([[3, 2], [7, 2], [7, 1]], np.uint64))
    (array([30,  0, 70], dtype=uint64), array([ True, False,  True]))
    """
    payload = np.zeros(len(keys), dtype=np.uint64)
    found = np.zeros(len(keys), dtype=bool)
    if not runs:
        return payload, found
    wanted = np.argsort(keys[:, 0])  # sorted lookups share memory pages and cache lines
    high, low = keys[wanted, 0], keys[wanted, 1]
    for run in runs:
        hits, rows = _search(run, high, low)
        payload[wanted[hits]] = run.payload[rows]
        found[wanted[hits]] = True
        if len(hits):
            missing = ~found[wanted]
            wanted, high, low = wanted[missing], high[missing], low[missing]
    return payload, found


def row_addresses(block: int, n_rows: int) -> np.ndarray:
    """Return the payloads of a block's rows: the number of the block and the row in it, 32 bits each.

    Examples
    --------
    >>> row_addresses(1, 2) - 2**32
    array([0, 1], dtype=uint64)
    """
    return np.uint64(block << 32) | np.arange(n_rows, dtype=np.uint64)


def rows_at(addresses: np.ndarray, width: int, block: Callable[[int], np.ndarray]) -> np.ndarray:
    """Return the rows at some addresses. Each block is read once.

    Parameters
    ----------
    addresses : ndarray of uint64, shape (n,)
        See :func:`row_addresses`.
    width : int
        Length of a row.
    block : callable
        Returns the block with a number, of shape (n_rows, width).

    Returns
    -------
    ndarray of float32, shape (n, width)
    """
    rows = np.empty((len(addresses), width), dtype=np.float32)
    order = np.argsort(addresses)
    numbers, within = addresses[order] >> np.uint64(32), addresses[order] & np.uint64(2**32 - 1)
    ends = np.flatnonzero(np.diff(numbers, append=~numbers[-1:])) + 1  # where the next block starts
    for start, end in zip([0, *ends], ends, strict=False):
        rows[order[start:end]] = block(int(numbers[start]))[within[start:end]]
    return rows


def check_width(fingerprint: str, width: int, known: int) -> None:
    """Refuse values whose width differs from that of the values kept under the same fingerprint."""
    if width != known:
        raise ValueError(
            f"values of fingerprint {fingerprint!r} have width {width}, but width {known} was kept before (0 "
            "means scalars): two scorers or encoders share one fingerprint"
        )


def info_table(rows: Sequence[tuple[str, str, int, int, int]]) -> Any:
    """Return the DataFrame of :meth:`Store.info`."""
    import pandas as pd

    return pd.DataFrame(rows, columns=["fingerprint", "what", "values", "width", "bytes"])


def _search(run: Run, high: np.ndarray, low: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the keys that are in the run, and their rows in the run."""
    rows = np.searchsorted(run.high, high)
    pending = np.arange(len(high))
    hits, hit_rows = [pending[:0]], [rows[:0]]
    while len(pending):
        pending = pending[rows[pending] < len(run.high)]
        pending = pending[run.high[rows[pending]] == high[pending]]
        equal = run.low[rows[pending]] == low[pending]
        hits.append(pending[equal])
        hit_rows.append(rows[pending[equal]])
        pending = pending[~equal]
        rows[pending] += 1  # try the next row with the same first half
    return np.concatenate(hits), np.concatenate(hit_rows)
