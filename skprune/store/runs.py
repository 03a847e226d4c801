"""Sorted runs: 128-bit keys with 64 bits each, found by binary search, merged as they pile up.

What a log-structured merge tree does, in a few array operations: rows that come together are one sorted
run, and a run is merged with the one before it while that is less than twice as large. So there are few
runs, each at least twice as large as the next, and a row is written again about log2(rows / batch) times.
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
    """Return one run of rows in any order; of rows that share a key, the first stays.

    Parameters
    ----------
    keys : ndarray of uint64, shape (n, 2)
    payload : ndarray of uint64, shape (n,)
    """
    order = np.lexsort((keys[:, 1], keys[:, 0]))
    ordered = keys[order]
    fresh = np.concatenate([[True], (ordered[1:] != ordered[:-1]).any(axis=1)])[: len(keys)]
    return Run(ordered[fresh, 0], ordered[fresh, 1], payload[order[fresh]])


def merge(runs: Sequence[Run]) -> Run:
    """Return one run of several that share no key."""
    high, low, payload = (np.concatenate(column) for column in zip(*runs, strict=True))
    order = np.argsort(high, kind="stable")  # which takes advantage of runs that are sorted already
    return Run(high[order], low[order], payload[order])


def n_to_merge(sizes: Sequence[int], n_rows: int) -> int:
    """Return how many of the youngest runs ``n_rows`` new rows should be merged with.

    Examples
    --------
    >>> n_to_merge([100, 8, 3], 1), n_to_merge([100, 8, 3], 4)
    (0, 2)
    """
    count = 0
    while count < len(sizes) and sizes[-1 - count] < 2 * n_rows:
        n_rows += sizes[-1 - count]
        count += 1
    return count


def find(runs: Sequence[Run], keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Look keys up in runs that share none.

    Parameters
    ----------
    runs : sequence of Run
    keys : ndarray of uint64, shape (n, 2)

    Returns
    -------
    payload : ndarray of uint64, shape (n,)
        Zero where there is none.
    found : ndarray of bool, shape (n,)

    Examples
    --------
    >>> run = sorted_run(np.array([[7, 1], [3, 2]], np.uint64), np.array([70, 30], np.uint64))
    >>> find([run], np.array([[3, 2], [7, 2], [7, 1]], np.uint64))
    (array([30,  0, 70], dtype=uint64), array([ True, False,  True]))
    """
    payload = np.zeros(len(keys), dtype=np.uint64)
    found = np.zeros(len(keys), dtype=bool)
    wanted = np.argsort(keys[:, 0])  # in order, neighbors share the pages and the caches they touch
    high, low = keys[wanted, 0], keys[wanted, 1]
    for run in runs:
        hits, places = _places(run, high, low)
        payload[wanted[hits]] = run.payload[places]
        found[wanted[hits]] = True
        if len(hits):
            missing = ~found[wanted]
            wanted, high, low = wanted[missing], high[missing], low[missing]
    return payload, found


def places_in(block: int, n_rows: int) -> np.ndarray:
    """Return the payload that stands for each row of a block: its number and the row, 32 bits each.

    Examples
    --------
    >>> places_in(1, 2) - 2**32
    array([0, 1], dtype=uint64)
    """
    return np.uint64(block << 32) | np.arange(n_rows, dtype=np.uint64)


def gather(places: np.ndarray, width: int, block: Callable[[int], np.ndarray]) -> np.ndarray:
    """Return the rows at ``places``, float32 of shape (n, width), one block after the other.

    Parameters
    ----------
    places : ndarray of uint64, shape (n,)
        As :func:`places_in` gives them.
    width : int
    block : callable
        Returns the block of that number, of shape (n_rows, width).
    """
    rows = np.empty((len(places), width), dtype=np.float32)
    order = np.argsort(places)
    numbers, within = places[order] >> np.uint64(32), places[order] & np.uint64(2**32 - 1)
    ends = np.flatnonzero(np.diff(numbers, append=~numbers[-1:])) + 1  # where another block begins
    for start, end in zip([0, *ends], ends, strict=False):
        rows[order[start:end]] = block(int(numbers[start]))[within[start:end]]
    return rows


def check_width(fingerprint: str, width: int, known: int) -> None:
    """Refuse values of another width than those that are kept under the same fingerprint."""
    if width != known:
        raise ValueError(
            f"values of fingerprint {fingerprint!r} have width {width}, those kept before have {known} (0: "
            "scalars): two scorers or encoders share one fingerprint"
        )


def info_table(rows: Sequence[tuple[str, str, int, int, int]]) -> Any:
    """Return the DataFrame of what a store keeps."""
    import pandas as pd

    return pd.DataFrame(rows, columns=["fingerprint", "what", "values", "width", "bytes"])


def _places(run: Run, high: np.ndarray, low: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which of the keys are in the run, and where."""
    places = np.searchsorted(run.high, high)
    open_ = np.arange(len(high))
    hits, at = [open_[:0]], [places[:0]]
    while len(open_):
        open_ = open_[places[open_] < len(run.high)]
        open_ = open_[run.high[places[open_]] == high[open_]]
        good = run.low[places[open_]] == low[open_]
        hits.append(open_[good])
        at.append(places[open_[good]])
        open_ = open_[~good]
        places[open_] += 1  # another key with the same first half
    return np.concatenate(hits), np.concatenate(at)
