"""What a job on files will cost, measured on a few of their rows."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import clone

from skprune.base import BaseFilter
from skprune.decisions import check_filter, scoring_filter
from skprune.exceptions import EmptyPoolError
from skprune.files.checks import open_files
from skprune.files.paths import find_files
from skprune.files.reading import drawn
from skprune.row_table import is_written
from skprune.store import open_store

# Memory of a row while a job runs: its hash, its scores and the decision about it.
_BYTES_PER_ROW = 150
_PASSES = 3  # the texts are read to be hashed, to be scored, and with all columns to be written
_SIZES = ("keep", "n_candidates")  # parameters that may be counts of the rows of the whole pool


@dataclass(frozen=True)
class PruneEstimate:
    """What :func:`prune` will cost, according to :func:`estimate`.

    Attributes
    ----------
    rows : int
        Rows with a text. Exact.
    missing : int
        Rows without one. Exact.
    llm_calls : int
        Texts that an LLM will score.
    seconds : float
        Wall time on this machine, the loading of models included.
    memory : int
        Peak memory of the process, in bytes, without that on a GPU and without that of training a model on
        the pool.
    probed : int
        Rows that were scored to find out.
    """

    rows: int
    missing: int
    llm_calls: int
    seconds: float
    memory: int
    probed: int


def estimate(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    filter: BaseFilter,
    *,
    text: str | None = None,
    n_probe: int = 256,
) -> PruneEstimate:
    """Estimate what :func:`prune` will cost, without writing anything.

    All texts are read once. Then the filter is fitted on an eighth of a sample, which shows what loading a
    model takes, and on the rest.

    Parameters
    ----------
    paths, filter, text
        As for :func:`prune`.
    n_probe : int, default=256
        Number of rows of the sample.

    Returns
    -------
    PruneEstimate

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        As in :func:`prune`.

    Notes
    -----
    Seconds are assumed to grow with the number of rows. For a model that is trained on no more than a part of
    the pool, and for short jobs, the estimate is therefore several times too high. Values that ``memory``
    holds already count as calls, and it gets none of the values computed here.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skprune import AskLLMFilter
    >>> from skprune.files import estimate
    >>> vowels = lambda texts: [sum(c in "aeiou" for c in t) / len(t) for t in texts]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "pool.txt").write_text("sea\\nxyz\\ntree\\nfir\\n")
    ...     found = estimate(folder, AskLLMFilter(keep=2, quality=vowels))
    >>> found.rows, found.llm_calls
    (4, 4)
    """
    if n_probe < 2:
        raise ValueError(f"n_probe must be at least 2, got {n_probe}")
    check_filter(filter, "the files")
    groups = getattr(filter, "groups", None)
    filter = scoring_filter(filter)  # quotas cost nothing
    start = time.perf_counter()
    files = open_files(find_files(paths), filter.text if text is None else text, groups=groups)
    sample, n_rows, n_missing = drawn(files, n_probe)
    reading = time.perf_counter() - start
    if not n_rows:
        raise EmptyPoolError("paths hold no row with a text")
    # The first rows also load the models; the others show what a row costs.
    few = len(sample) // 8
    with tempfile.TemporaryDirectory() as memory:
        loading = _fit(filter, sample[:few], n_rows, memory)[0] if few else 0.0
        seconds, n_calls = _fit(filter, sample[few:], n_rows, memory)
        open_store(memory).close()
    n_scored = len(sample) - few
    per_row = seconds / n_scored
    budget = getattr(filter, "llm_budget", None)
    scaled = round(n_calls * n_rows / n_scored)
    return PruneEstimate(
        rows=n_rows,
        missing=n_missing,
        llm_calls=scaled if budget is None else min(scaled, budget),
        seconds=_PASSES * reading + max(loading - few * per_row, 0.0) + per_row * n_rows,
        memory=_peak_memory() + _BYTES_PER_ROW * n_rows,
        probed=len(sample),
    )


def _fit(filter: BaseFilter, texts: np.ndarray, n_rows: int, memory: str) -> tuple[float, int]:
    """Fit a clone on a part of the sample, and return the seconds and the texts that its LLM scored."""
    fitted = clone(filter)
    n_worth = max(1, len(np.unique(texts[is_written(texts)])))
    changed: dict[str, Any] = {}
    for name, value in filter.get_params(deep=False).items():
        if name in _SIZES and isinstance(value, Integral) and not isinstance(value, bool):
            changed[name] = min(max(round(int(value) * len(texts) / n_rows), 1), n_worth)
        elif name == "memory":
            changed[name] = memory  # neither the values nor the folder of the job
    fitted.set_params(**changed)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a sample that is small
        fitted.fit(texts.tolist())
        fitted.select(texts.tolist())
    return time.perf_counter() - start, int(getattr(fitted, "n_llm_calls_", 0))


def _peak_memory() -> int:
    """Return the peak memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
