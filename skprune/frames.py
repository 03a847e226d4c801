"""DataFrames that filters return: the explanation of a selection, and kept rows as a frame."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.sparse as sp

from skprune.containers import frame_of, is_dask
from skprune.pools import Pool


def explanation(
    pool: Pool, eligible: np.ndarray, kept: np.ndarray, columns: Iterable[tuple[str, np.ndarray]]
) -> Any:
    """Return the lines of :meth:`skprune.base.BaseFilter.explain`, one per row of ``pool``.

    Parameters
    ----------
    pool : Pool
    eligible : ndarray of int
        The rows that the filter decided about.
    kept : ndarray of int
        Those that survive, best first.
    columns : iterable of (str, ndarray), one value per eligible row
        Names, and numbers or words, which become categories: ten million copies of a sentence would take
        gigabytes. Arrays of float64 become columns without a copy.
    """
    import pandas as pd

    rank = np.full(len(pool), -1)
    rank[kept] = np.arange(len(kept))
    lines: dict[str, Any] = {"kept": rank >= 0, "rank": rank}
    for name, values in columns:
        if values.dtype.kind == "f":
            lines[name] = values.astype(np.float64, copy=False)
            if len(eligible) < len(pool):
                lines[name] = np.full(len(pool), np.nan)
                lines[name][eligible] = values
            continue
        if isinstance(values, pd.Categorical):
            numbers, words = values.codes, values.categories
        else:
            numbers, words = pd.factorize(np.asarray(values, dtype=object))
        column = np.full(len(pool), len(words), dtype=np.int32)
        if name == "reason" and pool.holds_texts:
            column[~pool.written] = len(words) + 1
        column[eligible] = numbers
        rest = ["already labeled", "empty"] if name == "reason" else ["", ""]
        column, categories = _merged(column, [*words, *rest])
        lines[name] = pd.Categorical.from_codes(column, categories)
    return pd.DataFrame(lines, copy=False)


def as_frame(kept: Any, rows: np.ndarray) -> Any:
    """Return the kept rows of any container as a frame; scikit-learn then names its columns."""
    import pandas as pd

    if is_dask(kept):
        kept = kept.compute()
    if (frame := frame_of(kept)) is not None:
        return (frame if hasattr(frame, "columns") else frame.to_frame()).to_pandas()
    pool = Pool(kept)
    values = pool.texts if pool.holds_texts else pool.vectors
    return values if sp.issparse(values) else pd.DataFrame(values, index=rows)


def _merged(numbers: np.ndarray, words: list[str]) -> tuple[np.ndarray, list[str]]:
    """Return numbers of different words, and the words that occur."""
    used = np.unique(numbers)
    different = list(dict.fromkeys(words[i] for i in used))
    place = np.zeros(len(words), dtype=numbers.dtype)
    place[used] = [different.index(words[i]) for i in used]
    return place[numbers], different
