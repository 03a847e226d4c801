"""The scores of rows in files, and the decision about each, without pruning anything."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from skprune.base import BaseFilter
from skprune.decisions import check_filter, check_options
from skprune.files.base import DataFile
from skprune.files.cells import cells_of
from skprune.files.checks import open_inputs
from skprune.files.job import Job
from skprune.files.paths import find_files
from skprune.files.plan import Plan


def score(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    filter: BaseFilter,
    *,
    text: str | None = None,
    id: str | None = None,
    label: str | None = None,
    labeled: Any = None,
    on_missing: str = "error",
    n_train: int = 100_000,
    verbose: int = 0,
) -> Any:
    """Return what a filter thinks of each row of some files, which need not fit into memory.

    Parameters
    ----------
    paths, filter, text, id, label, labeled, on_missing, n_train, verbose
        As for :func:`prune`.

    Returns
    -------
    DataFrame of n_rows rows
        In the order of the files: the column that ``id`` names, or ``file`` and ``row``; and what
        :meth:`skprune.BaseFilter.explain` returns, without ``stage``.

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        As in :func:`prune`.

    Notes
    -----
    Nothing is written. Set ``memory`` of the filter to continue after an interruption.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skprune import PerplexityFilter
    >>> from skprune.files import score
    >>> length = lambda texts: [len(text) for text in texts]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "pool.txt").write_text("ccc\\na\\nbb\\n")
    ...     score(folder, PerplexityFilter(keep=2, perplexity=length))[["row", "kept", "log10_perplexity"]]
       row   kept  log10_perplexity
    0    0  False               3.0
    1    1   True               1.0
    2    2   True               2.0
    """
    import pandas as pd

    check_options(on_missing, n_train)
    check_filter(filter, "the files")
    files, _, known, seed = open_inputs(
        find_files(paths), filter, text=text, id=id, label=label, labeled=labeled
    )
    parts = []
    with tempfile.TemporaryDirectory() as folder, Job(Path(folder, "job"), None, {}, seed) as job:
        plan = Plan(files, filter, job, on_missing, id, n_train, verbose, known)
        for file, decided in zip(files, plan.decisions(), strict=True):
            kept, table = decided.of(0, decided.n_rows)
            table.insert(0, "kept", kept)
            for name, values in reversed(_names_of_rows(file, len(table), id).items()):
                table.insert(0, name, values)
            parts.append(table)
    return pd.concat(parts, ignore_index=True)


def _names_of_rows(file: DataFile, n_rows: int, id: str | None) -> dict[str, Any]:
    if id is None:
        return {"file": [file.name] * n_rows, "row": np.arange(n_rows)}
    return {id: cells_of([file], id)}
