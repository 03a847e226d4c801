"""Files with columns: Parquet, Arrow and CSV."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet as pq

from skprune.containers import named_column, take_rows
from skprune.files.base import MAX_BYTES, MAX_ROWS, DataFile, Writer, codec_of, format_suffix

# Most bytes of a row group that is written.
_GROUP_BYTES = 2**26


class _TableFile(DataFile):
    """A file of record batches."""

    _is_empty = False  # a file of no bytes, which has no columns

    def __init__(self, path: Path, name: str, text: str | None) -> None:
        super().__init__(path, name, text)
        with self.naming_file():
            self.schema = self._read_schema()
        self.columns = self.schema.names
        if self._is_empty:
            return
        texts = [field.name for field in self.schema if _is_text(field.type)]
        self.text = named_column(text, self.columns, texts, name)
        if self.text not in texts:
            kind = self.schema.field(self.text).type
            raise TypeError(
                f"{name}: column {text!r} holds {kind}, not text; text= must name a column of texts"
            )

    @abstractmethod
    def _read_schema(self) -> pa.Schema:
        """Return the columns and their types."""

    @abstractmethod
    def _record_batches(self, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        """Yield the rows with some of the columns."""

    @abstractmethod
    def _open_writer(self, file: Any, schema: pa.Schema) -> Any:
        """Return an object with ``write_table`` and ``close``."""

    def texts(self) -> Iterator[np.ndarray]:
        """Yield the texts in batches."""
        start = 0
        with self.naming_file():
            for batch in self._record_batches([str(self.text)]):
                column = batch.column(0)
                try:
                    yield column.cast(pa.large_string()).to_numpy(zero_copy_only=False)
                except (pa.ArrowInvalid, UnicodeDecodeError) as error:
                    raise ValueError(
                        f"{self.name}: a text in rows {start} to {start + len(batch) - 1} is not valid UTF-8"
                    ) from error
                start += len(batch)

    def values(self, column: str) -> Iterator[list[Any]]:
        """Yield the values of a column in batches."""
        with self.naming_file():
            for batch in self._record_batches([column]):
                yield batch.column(0).to_pylist()

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield whole rows in batches."""
        with self.naming_file():
            yield from self._record_batches(None)

    def check_rest(self) -> None:
        """Read all columns but the texts."""
        rest: list[str] | None = [name for name in self.columns if name != self.text]
        if len(set(self.columns)) < len(self.columns):
            rest = None  # columns of one name can only be read with all others
        if rest != []:
            with self.naming_file():
                for _ in self._record_batches(rest):
                    pass

    def frame(self, columns: list[str] | None) -> Any:
        """Return some columns of all rows as a DataFrame."""
        names = self.columns if columns is None else columns
        schema = pa.schema([self.schema.field(name) for name in names])
        with self.naming_file():
            return pa.Table.from_batches(list(self._record_batches(names)), schema=schema).to_pandas()

    def cell(self, batch: pa.RecordBatch, row: int, column: str) -> Any:
        """Return one value of a batch."""
        return batch.column(column)[row].as_py()

    @contextmanager
    def writer(self, path: Path, added: pa.Schema | None) -> Iterator[Writer]:
        """Open a file of the same kind."""
        schema = self.schema
        for field in added or ():
            schema = schema.append(field)
        with open(path, "wb") as file:
            out = self._open_writer(file, schema)
            try:
                writer = _TableWriter(out.write_table, schema)
                yield writer
                writer.flush()
            finally:
                out.close()


class ParquetFile(_TableFile):
    """A Parquet file, read a few row groups' pages at a time."""

    def _read_schema(self) -> pa.Schema:
        with pq.ParquetFile(self.path) as file:
            self._codecs: dict[str, str] = {}
            self._batch_rows = MAX_ROWS
            if file.metadata.num_row_groups and file.metadata.num_columns:
                groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
                columns = [groups[0].column(i) for i in range(file.metadata.num_columns)]
                # The reader's name of no compression is not the writer's.
                self._codecs = {
                    column.path_in_schema: column.compression.replace("UNCOMPRESSED", "NONE")
                    for column in columns
                }
                widest = max(group.total_byte_size / max(group.num_rows, 1) for group in groups)
                self._batch_rows = int(np.clip(MAX_BYTES / max(widest, 1), 1, MAX_ROWS))
            return file.schema_arrow

    def _record_batches(self, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(self.path, buffer_size=2**20) as file:
            groups: Any = [None]
            if any(map(_holds_dictionaries, file.schema_arrow.types)):
                # pyarrow cannot read these across row groups.
                groups = [[number] for number in range(file.metadata.num_row_groups)]
            for group in groups:
                for batch in file.iter_batches(
                    self._batch_rows, row_groups=group, columns=columns, use_threads=False
                ):
                    # Columns "a" and "a.b" come together if either is asked for.
                    yield batch if columns is None else batch.select(columns)

    def _open_writer(self, file: Any, schema: pa.Schema) -> Any:
        codecs: Any = self._codecs
        if len(set(codecs.values())) > 1:
            codecs = dict.fromkeys(schema.names, codecs.get(self.text, "NONE")) | codecs
        else:  # also for columns within others, whose paths a writer may spell differently
            codecs = next(iter(codecs.values()), "NONE")
        return pq.ParquetWriter(file, schema, compression=codecs)


class ArrowFile(_TableFile):
    """An Arrow stream or file, such as those of Hugging Face Datasets."""

    def _read_schema(self) -> pa.Schema:
        with self._reader() as reader:
            return reader.schema

    def _record_batches(self, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        with self._reader() as reader:
            if self._is_stream:
                batches = iter(reader)
            else:
                batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
            for batch in batches:
                for start in range(0, batch.num_rows, MAX_ROWS):
                    part = batch.slice(start, MAX_ROWS)
                    yield part if columns is None else part.select(columns)

    def check_rest(self) -> None:
        """Do nothing: batches are read as a whole."""

    @contextmanager
    def _reader(self) -> Iterator[Any]:
        with pa.OSFile(str(self.path)) as source:
            self._is_stream = source.read(6) != b"ARROW1"
            source.seek(0)
            with (pa.ipc.open_stream if self._is_stream else pa.ipc.open_file)(source) as reader:
                yield reader

    def _open_writer(self, file: Any, schema: pa.Schema) -> Any:
        return (pa.ipc.new_stream if self._is_stream else pa.ipc.new_file)(file, schema)


class CsvFile(_TableFile):
    """CSV, or TSV by its name. All cells are read as texts, so that they come out as they came in."""

    def _read_schema(self) -> pa.Schema:
        with self._stream() as stream:
            self._is_empty = not stream.read(1)
        if self._is_empty:
            return pa.schema([])
        with self._reader({}) as reader:
            names = reader.schema.names
        return pa.schema([(name, pa.string()) for name in names])

    def _record_batches(self, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
        if self._is_empty:
            return
        types = dict.fromkeys(self.columns, pa.string())
        with self._reader(types, columns) as reader:
            for batch in reader:
                for start in range(0, batch.num_rows, MAX_ROWS):
                    yield batch.slice(start, MAX_ROWS)

    @contextmanager
    def _reader(self, types: dict[str, pa.DataType], columns: list[str] | None = None) -> Iterator[Any]:
        # Only an empty cell without quotes is missing, and it is written the same way.
        convert = pa.csv.ConvertOptions(
            column_types=types,
            include_columns=columns,
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        )
        parse = pa.csv.ParseOptions(delimiter=self._delimiter, newlines_in_values=True)
        read = pa.csv.ReadOptions(block_size=2**24, use_threads=False)
        with (
            self._stream() as stream,
            pa.csv.open_csv(stream, read, parse, convert) as reader,
        ):
            yield reader

    def _stream(self) -> Any:
        return pa.input_stream(str(self.path), compression=codec_of(self.path))

    @property
    def _delimiter(self) -> str:
        return "\t" if format_suffix(self.path) == ".tsv" else ","

    def _open_writer(self, file: Any, schema: pa.Schema) -> Any:
        compression = codec_of(self.path)
        sink = file if compression is None else pa.CompressedOutputStream(file, compression)
        options = pa.csv.WriteOptions(delimiter=self._delimiter, include_header=not self._is_empty)
        return _Csv(sink, pa.csv.CSVWriter(sink, schema, write_options=options))


class _Csv:
    """A CSV writer that leaves cells empty, and also closes the compressed stream below it."""

    def __init__(self, sink: Any, writer: Any) -> None:
        self._streams = (writer, sink)

    def write_table(self, table: pa.Table) -> None:
        """Write rows; a number that is NaN has no digits."""
        for place, field in enumerate(table.schema):
            if pa.types.is_floating(field.type):  # an added column: those of the file are text
                column = table.column(place)
                without = pa.compute.if_else(pa.compute.is_nan(column), None, column)
                table = table.set_column(place, field, without)
        self._streams[0].write_table(table)

    def close(self) -> None:
        for stream in self._streams:
            stream.close()


class _TableWriter(Writer):
    """Collects rows, so that row groups are neither tiny nor large."""

    def __init__(self, write: Callable[[pa.Table], None], schema: pa.Schema) -> None:
        self._write = write
        self._schema = schema
        self._parts: list[pa.Table] = []
        self._n_rows = self._n_bytes = 0

    def write(self, batch: pa.RecordBatch, rows: np.ndarray, added: pa.Table | None) -> None:
        part = take_rows(pa.Table.from_batches([batch]), rows)
        if added is not None:
            for name in added.column_names:
                part = part.append_column(name, added.column(name))
        self._parts.append(part.cast(self._schema))
        self._n_rows += len(rows)
        self._n_bytes += part.nbytes
        if self._n_rows >= MAX_ROWS or self._n_bytes >= _GROUP_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what is left."""
        if self._n_rows:
            self._write(pa.concat_tables(self._parts).combine_chunks())
        self._parts, self._n_rows, self._n_bytes = [], 0, 0


def _holds_dictionaries(kind: pa.DataType) -> bool:
    """Return whether the values within lists and structs are dictionaries."""
    fields = [kind.field(number) for number in range(kind.num_fields)]
    return any(pa.types.is_dictionary(field.type) or _holds_dictionaries(field.type) for field in fields)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
