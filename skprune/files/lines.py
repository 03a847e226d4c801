"""Files with one row per line: JSON and plain text. Lines that survive are copied byte for byte."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from skprune.containers import named_column
from skprune.files.base import MAX_BYTES, MAX_ROWS, DataFile, Writer, codec_of

Lines = list[bytes]


class TextLines(DataFile):
    """Plain text in UTF-8, one text per line. Removed lines go to a file of JSON lines."""

    columns = ["text"]  # noqa: RUF012 (of every file of this kind)

    def __init__(self, path: Path, name: str, text: str | None) -> None:
        super().__init__(path, name, None)

    @property
    def explained_name(self) -> str:
        """The path in the output of rows with added columns."""
        compression = Path(self.name).suffix if codec_of(self.path) else ""
        return f"{self.name.removesuffix(compression)}.jsonl{compression}"

    def texts(self) -> Iterator[np.ndarray]:
        """Yield the texts in batches."""
        start = 0
        for lines in self.batches():
            texts = np.empty(len(lines), dtype=object)
            for row, line in enumerate(lines):
                try:
                    texts[row] = self.text_of(line)
                except ValueError as error:
                    raise ValueError(f"{self.place(start + row)}: {error}") from error
                except TypeError as error:
                    raise TypeError(f"{self.place(start + row)}: {error}") from error
            start += len(lines)
            yield texts

    def values(self, column: str) -> Iterator[list[Any]]:
        """Yield the values of a column in batches."""
        for lines in self.batches():
            yield [self.row_of(line).get(column) for line in lines]

    def batches(self) -> Iterator[Lines]:
        """Yield lines in batches, with their ends."""
        with (
            self.naming_file(),
            pa.input_stream(str(self.path), compression=codec_of(self.path)) as stream,
            io.BufferedReader(stream, 2**20) as file,
        ):
            batch, size = [], 0
            for line in file:
                batch.append(line)
                size += len(line)
                if len(batch) == MAX_ROWS or size >= MAX_BYTES:
                    yield batch
                    batch, size = [], 0
            if batch:
                yield batch

    def text_of(self, line: bytes) -> str | None:
        """Return the text of a line; None if it is missing."""
        return _without_end(line).decode()

    def row_of(self, line: bytes) -> dict[str, Any]:
        """Return a line as an object of named values."""
        return {"text": self.text_of(line)}

    def object_of(self, line: bytes) -> bytes:
        """Return a line as one object of JSON."""
        return json.dumps(self.row_of(line), ensure_ascii=False).encode()

    def place(self, row: int, note: str = "") -> str:
        """Return where a row is, in words."""
        notes = ", ".join(filter(None, (f"row {row}", note)))
        return f"{self.name}, line {row + 1} ({notes})"

    def frame(self, columns: list[str] | None) -> Any:
        """Return some columns of all rows as a DataFrame."""
        import pandas as pd

        rows = [self.row_of(line) for lines in self.batches() for line in lines]
        return pd.DataFrame.from_records(rows, columns=None if rows else self.columns)[columns or slice(None)]

    def cell(self, batch: Lines, row: int, column: str) -> Any:
        """Return one value of a batch."""
        return self.row_of(batch[row]).get(column)

    @contextmanager
    def writer(self, path: Path, added: pa.Schema | None) -> Iterator[Writer]:
        """Open a file of lines, compressed like this one."""
        with open(path, "wb") as file:
            compression = codec_of(self.path)
            sink = file if compression is None else pa.CompressedOutputStream(file, compression)
            try:
                yield _LineWriter(self, sink)
            finally:
                if compression is not None:
                    sink.close()


class JsonLines(TextLines):
    """One JSON object per line.

    Attributes
    ----------
    columns : list of str
        The keys of all lines read so far: at first those of the first line.
    """

    def __init__(self, path: Path, name: str, text: str | None) -> None:
        DataFile.__init__(self, path, name, text)
        self.columns, self._known, self._texts = [], set[str](), set[str]()
        if text is None:
            self._look_at(next(self.batches(), []), 0)
            if self.columns:
                texts = [column for column in self.columns if column in self._texts]
                self.text = named_column(None, self.columns, texts, name)
        elif not self.has(text) and self.columns:
            named_column(text, self.columns, (), name)  # says what is wrong

    def has(self, column: str) -> bool:
        """Return whether a line has a key; the lines are read until one has it."""
        start = 0
        for lines in () if column in self._known else self.batches():
            # Most files have it in their first line.
            self._look_at(lines[:1], start)
            if column not in self._known:
                self._look_at(lines[1:], start + 1)
            if column in self._known:
                break
            start += len(lines)
        return column in self._known

    def _look_at(self, lines: Lines, start: int) -> None:
        for number, line in enumerate(lines, start):
            try:
                row = self.row_of(line)
            except (ValueError, TypeError) as error:
                raise type(error)(f"{self.place(number)}: {error}") from error
            self._texts.update(key for key, value in row.items() if isinstance(value, str))

    @property
    def explained_name(self) -> str:
        """The path in the output of rows with added columns."""
        return self.name

    def batches(self) -> Iterator[Lines]:
        """Yield lines in batches, without blank ones at the end of the file."""
        blank: Lines = []
        for lines in super().batches():
            n_lines = next((n for n in range(len(lines), 0, -1) if lines[n - 1].strip()), 0)
            if n_lines:
                yield blank + lines[:n_lines]
                blank = []
            blank += lines[n_lines:]

    def object_of(self, line: bytes) -> bytes:
        """Return a line as one object of JSON, as it is: numbers too large for Python stay what they are."""
        return line.strip()

    def text_of(self, line: bytes) -> str | None:
        """Return the text of a line; None if it is missing."""
        text = self.row_of(line).get(str(self.text))
        if text is not None and not isinstance(text, str):
            raise TypeError(f"{self.text!r} is {type(text).__name__}, not text")
        return text

    def row_of(self, line: bytes) -> dict[str, Any]:
        """Return the object of a line."""
        try:
            row = json.loads(_without_end(line))
        except ValueError as error:
            raise ValueError(f"not JSON ({error}); every line must be one object") from error
        if not isinstance(row, dict):
            raise TypeError(f"{type(row).__name__}, not a JSON object; every line must be one object")
        if not self._known.issuperset(row):
            self.columns += [key for key in row if key not in self._known]
            self._known.update(row)
        return row


class _LineWriter(Writer):
    def __init__(self, file: TextLines, sink: Any) -> None:
        self._file = file
        self._sink = sink

    def write(self, batch: Lines, rows: np.ndarray, added: pa.Table | None) -> None:
        lines = [batch[row] for row in rows.tolist()]
        if added is not None:
            lines = [
                _with_more(self._file.object_of(line), _as_json(more))
                for line, more in zip(lines, added.to_pylist(), strict=True)
            ]
        self._sink.write(b"".join(line if line.endswith(b"\n") else line + b"\n" for line in lines))


def _without_end(line: bytes) -> bytes:
    return line.rstrip(b"\r\n")


def _with_more(line: bytes, values: dict[str, Any]) -> bytes:
    """Add values to an object of JSON.

    Examples
    --------
    >>> _with_more(b'{"n": 1e400}', {"rank": 0}), _with_more(b"{ }", {"rank": 0})
    (b'{"n": 1e400, "rank": 0}', b'{"rank": 0}')
    """
    before = line[:-1].rstrip()
    # A lone surrogate, which only an escape of JSON can hold, stays that escape.
    more = json.dumps(values, ensure_ascii=False).encode(errors="backslashreplace")
    return before + (b"" if before.endswith(b"{") else b", ") + more[1:]


def _as_json(values: dict[str, Any]) -> dict[str, Any]:
    """Replace numbers that JSON does not have."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}
