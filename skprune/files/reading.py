"""Rows of files in memory: all of them, or a sample of their texts."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from skprune.files.base import DataFile, is_missing
from skprune.files.cells import cells_of
from skprune.files.checks import open_files
from skprune.files.paths import find_files
from skprune.labels import check_labels
from skprune.streams import draw_seed


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
            if not file.has(name) and file.columns:  # an empty file has none
                names = ", ".join(map(repr, file.columns))
                raise ValueError(f"{file.name} has no column {name!r}; its columns are {names}")
    frames = [file.frame(wanted) for file in files if file.columns]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=wanted)


def read_labeled(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]], text: str | None, label: str
) -> Any:
    """Read the labeled rows of files into memory, as :func:`prune` takes them under ``labeled``.

    Parameters
    ----------
    paths, text
        As for :func:`prune`.
    label : str
        The column of labels. Rows without a label, in the sense of :func:`prune`, and rows without a text are
        left out.

    Returns
    -------
    DataFrame
        The columns ``text`` and ``label``.

    Raises
    ------
    FileNotFoundError, TypeError
        As in :func:`prune`.
    ValueError
        If no row has a label, and as in :func:`prune`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skprune.files import read_labeled
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "a.csv").write_text("body,stars\\nfine,4\\nso so,\\npoor,1\\n")
    ...     read_labeled(folder, "body", "stars")
       body  stars
    0  fine      4
    1  poor      1
    """
    import pandas as pd

    files = open_files(find_files(paths), text, label=label)
    texts = np.concatenate([np.empty(0, dtype=object), *(part for file in files for part in file.texts())])
    labels, known = check_labels(cells_of(files, label), len(texts))
    rows = known & ~is_missing(texts)
    if not rows.any():
        raise ValueError(f"no row of {', '.join(file.name for file in files)} has a label in {label!r}")
    column = next(file.text for file in files if file.columns)
    return pd.DataFrame({column: texts[rows], label: labels[rows].tolist()})


def sample_texts(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    size: int,
    *,
    text: str | None = None,
    random_state: Any = 0,
) -> list[str]:
    """Return a random sample of the texts in files; the files need not fit into memory.

    Parameters
    ----------
    paths, text
        As for :func:`prune`. Rows without a text are skipped.
    size : int
        Number of texts; all of them if there are fewer.
    random_state : int, RandomState or None, default=0

    Returns
    -------
    list of str

    Raises
    ------
    FileNotFoundError, TypeError, ValueError
        As in :func:`prune`.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from skprune.files import sample_texts
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "pool.txt").write_text("one\\ntwo\\nthree\\n")
    ...     len(sample_texts(folder, 2))
    2
    """
    return drawn(open_files(find_files(paths), text), size, draw_seed(random_state))[0].tolist()


def drawn(files: list[DataFile], size: int, seed: int = 0) -> tuple[np.ndarray, int, int]:
    """Return some rows at random, and the numbers of rows with and without a text."""
    rng = np.random.default_rng(seed)
    chosen, priorities = np.empty(0, dtype=object), np.empty(0)
    n_rows = n_missing = 0
    for file in files:
        for texts in file.texts():
            without = is_missing(texts)
            n_missing += int(without.sum())
            n_rows += len(texts) - int(without.sum())
            drawn = rng.random(len(texts))
            candidates = np.flatnonzero(~without)
            if len(chosen) == size:
                candidates = candidates[drawn[candidates] < priorities.max()]
            chosen = np.concatenate([chosen, texts[candidates]])
            priorities = np.concatenate([priorities, drawn[candidates]])
            best = np.argsort(priorities)[:size]
            chosen, priorities = chosen[best], priorities[best]
    return chosen, n_rows, n_missing
