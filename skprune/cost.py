"""What the models of a filter will cost, measured on a few rows."""

from __future__ import annotations

import resource
import sys
import time
from typing import Any, NamedTuple

import numpy as np

from skprune.row_table import RowTable
from skprune.store import Remembered


class ModelUse(NamedTuple):
    """A model that a filter asks during ``fit``.

    Attributes
    ----------
    model : Remembered
    rows : ndarray of int
        The distinct rows of the pool among which the filter chooses.
    n_texts : int
        How many of them it asks about, at most.
    name : str or None
        The parameter that holds the model, if it is nested; by default the name of ``model``.
    """

    model: Remembered
    rows: np.ndarray
    n_texts: int
    name: str | None = None


def estimate(uses: list[ModelUse], table: RowTable, n_probe: int) -> Any:
    """Return one row per model; see :meth:`BaseFilter.estimate_cost`."""
    import pandas as pd

    columns: dict[str, type] = {"texts": int, "stored": int, "calls": int, "probed": int}
    columns |= {"tokens": float, "seconds": float, "memory": float}
    rows = {use.name or use.model.name: _probed(use, table, n_probe) for use in uses}
    return pd.DataFrame.from_dict(rows, orient="index", columns=list(columns)).astype(columns)


def _probed(use: ModelUse, table: RowTable, n_probe: int) -> list[float]:
    found = use.model.store.get(use.model.fingerprint, table.digests[use.rows])[1]
    unknown = use.rows[~found]
    # Exact if the model is asked about all rows; else stored rows are taken to be as frequent among its own.
    n_stored = round(use.n_texts * float(found.mean())) if len(found) else 0
    n_calls = min(use.n_texts - n_stored, len(unknown))
    # A sample that does not depend on the order of the pool.
    sample = unknown[np.argsort(table.digests[unknown, 0], kind="stable")[: min(n_probe, n_calls)]]
    characters = np.array([len(text) for text in table.keys[unknown]], dtype=np.float64)
    # The first text also loads the model. The others cost in proportion to their characters.
    first = _cost_of(use.model, table, sample[:1])
    others = _cost_of(use.model, table, sample[1:])
    n_read = characters[np.isin(unknown, sample[1:])].sum()
    if n_calls == 0:
        cost = np.zeros(2)
    elif n_calls == 1 and len(sample):
        cost = first
    else:
        scale = characters.mean() * (n_calls - 1) / n_read if n_read else np.nan
        cost = first + others * scale
    memory = float(_peak_memory()) if len(sample) else np.nan
    return [use.n_texts, n_stored, n_calls, len(sample), *cost, memory]


def _cost_of(model: Remembered, table: RowTable, rows: np.ndarray) -> np.ndarray:
    """Score some distinct rows, and return the tokens and the seconds that this took."""
    n_before = getattr(model.compute, "n_tokens_", np.nan)
    start = time.perf_counter()
    if len(rows):
        rows = np.sort(rows)
        model(table.keys[rows], table.digests[rows])
    seconds = time.perf_counter() - start
    return np.array([getattr(model.compute, "n_tokens_", np.nan) - n_before, seconds])


def _peak_memory() -> int:
    """Return the peak memory of this process so far, in bytes, that on GPUs included."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        peak += sum(torch.cuda.max_memory_allocated(i) for i in range(torch.cuda.device_count()))
    return int(peak)
