"""Rows of files as a frame in memory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from skprune.files.checks import open_files
from skprune.files.paths import find_files


def read_frame(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    text: str | None = None,
    *,
    columns: Iterable[str] | None = None,
) -> Any:
    """Read the rows of files of any kind that :func:`prune` knows into memory.

    Parameters
    ----------
    paths, text
        As for :func:`prune`.
    columns : iterable of str, default=None
        Read these columns only.

    Returns
    -------
    DataFrame
        In the order of the files.

    Raises
    ------
    FileNotFoundError, TypeError
        As in :func:`prune`.
    ValueError
        If a file cannot be read, or lacks a column.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skprune.files import read_frame
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.csv").write_text("body,label\\nfine,1\\n")
    ...     _ = Path(folder, "b.jsonl").write_text('{"label": "0", "body": "poor"}\\n')
    ...     read_frame(folder, "body", columns=["body", "label"])
       body label
    0  fine     1
    1  poor     0
    """
    import pandas as pd

    wanted = None if columns is None else list(columns)
    files = open_files(find_files(paths), text)
    for file in files:
        for name in wanted or ():
            if name not in file.columns:
                names = ", ".join(map(repr, file.columns))
                raise ValueError(f"{file.name} has no column {name!r}; its columns are {names}")
    return pd.concat([file.frame(wanted) for file in files], ignore_index=True)
