"""What one data file must offer: its texts, its rows, and a place for those that survive."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

#: Most rows of a batch, and bytes as far as a file tells them.
MAX_ROWS = 65_536
MAX_BYTES = 2**24
#: pyarrow's name of each compression, by its suffix.
_CODECS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}


class DataFile(ABC):
    """A file of rows, one of which is in memory only as part of a batch.

    Parameters
    ----------
    path : Path
    name : str
        The path in the output, and in messages.
    text : str or None
        The column of texts; None: the only one.

    Attributes
    ----------
    text : str or None
        The column of texts; None in a file without columns.
    columns : list of str
        The names of the columns.
    """

    columns: list[str]

    def __init__(self, path: Path, name: str, text: str | None) -> None:
        self.path = path
        self.name = name
        self.text = text

    @property
    def explained_name(self) -> str:
        """The path in the output of rows with added columns."""
        return self.name

    def has(self, column: str) -> bool:
        """Return whether the file has a column."""
        return column in self.columns

    def place(self, row: int, note: str = "") -> str:
        """Return where a row is, in words, and what else there is to say about it."""
        return f"{self.name}, row {row}" + (f" ({note})" if note else "")

    @abstractmethod
    def texts(self) -> Iterator[np.ndarray]:
        """Yield the texts in batches, objects of shape (n,), None for a missing one."""

    @abstractmethod
    def values(self, column: str) -> Iterator[list[Any]]:
        """Yield the values of a column in the batches of :meth:`texts`, None for a missing one."""

    @abstractmethod
    def batches(self) -> Iterator[Any]:
        """Yield whole rows, in the batches of :meth:`texts`."""

    def check_rest(self) -> None:  # noqa: B027 (lines are read as a whole)
        """Raise now what :meth:`batches` would raise about other columns than the texts."""

    @abstractmethod
    def cell(self, batch: Any, row: int, column: str) -> Any:
        """Return one value of a batch."""

    @abstractmethod
    def frame(self, columns: list[str] | None) -> Any:
        """Return some columns of all rows as a DataFrame; None for all columns."""

    @abstractmethod
    def writer(self, path: Path, added: pa.Schema | None) -> AbstractContextManager[Writer]:
        """Open a file of the same kind, whose rows have the columns ``added`` too."""

    @contextmanager
    def naming_file(self) -> Iterator[None]:
        """Name the file in pyarrow's errors about its content."""
        try:
            yield
        except (pa.ArrowException, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise ValueError(
                f"{self.name} cannot be read; it may be truncated, or of another kind: {error}"
            ) from error


class Writer(ABC):
    """Takes the rows of one file."""

    @abstractmethod
    def write(self, batch: Any, rows: np.ndarray, added: pa.Table | None) -> None:
        """Write the rows of a batch at the positions ``rows``, with their added columns."""


def codec_of(path: Path) -> str | None:
    """Return pyarrow's name of the compression that a suffix tells; None if it tells none.

    Examples
    --------
    >>> codec_of(Path("a.jsonl.GZ")), codec_of(Path("a.jsonl"))
    ('gzip', None)
    """
    return _CODECS.get(path.suffix.lower())


def format_suffix(path: Path) -> str:
    """Return the suffix that tells the format, in lower case, without that of a compression.

    Examples
    --------
    >>> format_suffix(Path("a.jsonl.gz")), format_suffix(Path("b.tsv.CSV"))
    ('.jsonl', '.csv')
    """
    return (path if codec_of(path) is None else path.with_suffix("")).suffix.lower()


def is_missing(texts: np.ndarray) -> np.ndarray:
    """Return the mask of the rows without a text.

    Examples
    --------
    >>> is_missing(np.array(["a", None], dtype=object))
    array([False,  True])
    """
    return np.array([text is None for text in texts], dtype=bool)
