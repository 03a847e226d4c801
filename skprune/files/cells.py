"""The values of one column of several files: labels, ids and groups. The cells of CSV have no types."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np

from skprune.files.base import DataFile
from skprune.files.growing import Growing
from skprune.files.tables import CsvFile


def cells_of(files: Sequence[DataFile], column: str) -> np.ndarray:
    """Return one value per row of some files, an object array.

    The cells of CSV become numbers if all of them look like numbers, unless another file holds text.

    Raises
    ------
    ValueError
        If files of other kinds hold numbers, and CSV holds anything else.
    """
    cells = {file: [cell for part in file.values(column) for cell in part] for file in files}
    typed = {file: part for file, part in cells.items() if not isinstance(file, CsvFile)}
    known = [(file.name, cell) for file, part in typed.items() for cell in part if cell is not None]
    if all(isinstance(cell, Real) for _, cell in known):
        numbers = {file: list(map(_number, part)) for file, part in cells.items() if file not in typed}
        words = [(file.name, cells[file][part.index(None)]) for file, part in numbers.items() if None in part]
        if not words:  # as pandas does, for a column of numbers only
            cells |= numbers
        elif known:
            (first, number), (second, word) = known[0], words[0]
            raise ValueError(
                f"the column {column!r} holds {number!r} in {first}, but {word!r} in {second}, where every "
                "cell must be a number then; write the values alike"
            )
    values = np.empty(sum(map(len, cells.values())), dtype=object)
    values[:] = [cell for part in cells.values() for cell in part]
    return values


def groups_of(
    files: Sequence[DataFile], column: str, missing: Sequence[np.ndarray], named: Iterable[Any]
) -> np.ndarray:
    """Return the group of every row that has a text, as objects of which equal ones are the same.

    Parameters
    ----------
    files : sequence of DataFile
    column : str
    missing : sequence of ndarray of int
        The rows of each file that have no text.
    named : iterable
        Groups that the caller names. A cell of CSV that looks like one of them, or like a group in a file of
        another kind, means that group: ``1`` may be a number or text.
    """
    numbers: dict[tuple[bool, Any], int] = {}
    all_codes = []
    for file, without in zip(files, missing, strict=True):
        codes, is_csv = Growing((), np.int32), isinstance(file, CsvFile)
        for values in file.values(column):
            try:
                part = [numbers.setdefault((is_csv, value), len(numbers)) for value in values]
            except TypeError as error:
                raise TypeError(f"{file.name}: the values of {column!r} cannot be groups: {error}") from error
            codes.extend(np.array(part, np.int32))
        all_codes.append(np.delete(codes.taken(), without))
    typed = [value for is_csv, value in numbers if not is_csv and value is not None]
    groups = {value: value for value in (*named, *typed)}
    of_words = {str(value): value for value in groups}
    names = np.empty(len(numbers), dtype=object)
    for (is_csv, value), number in numbers.items():
        if value is not None:
            value = of_words.get(value, groups.get(_number(value), value)) if is_csv else groups[value]
        names[number] = value
    return names[np.concatenate(all_codes)]


def _number(cell: str | None) -> float | int | None:
    """Return the number that a cell of CSV looks like, NaN if it is empty, and None if it is a word."""
    if cell is None:
        return np.nan
    try:
        return int(cell)
    except ValueError:
        try:
            return float(cell)
        except ValueError:
            return None
