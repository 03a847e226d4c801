"""What a job on files needs before any work: columns that exist."""

from __future__ import annotations

from pathlib import Path

from skprune.files.base import DataFile
from skprune.files.lines import JsonLines
from skprune.files.paths import FORMATS, kind_of


def open_files(
    found: dict[str, Path],
    text: str | None,
    *,
    id: str | None = None,
    groups: str | None = None,
    label: str | None = None,
) -> list[DataFile]:
    """Open files by their names in the output; a column that one of them lacks is an error.

    A line of JSON may lack its label.
    """
    files = [FORMATS[kind_of(path)](path, name, text) for name, path in found.items()]
    named = {file.text: file.name for file in files if file.text is not None}
    if len(named) > 1:
        where = ", ".join(f"{text!r} in {name}" for text, name in named.items())
        raise ValueError(f"the files have their texts in different columns ({where}); rename them")
    for option, column in (("id", id), ("groups", groups), ("label", label)):
        for file in files:
            may_lack = isinstance(file, JsonLines) if option == "label" else not file.columns
            if column is not None and not may_lack and not file.has(column):
                names = ", ".join(map(repr, file.columns))
                raise ValueError(
                    f"{file.name} has no column {column!r}, which {option}= names; its columns are {names}"
                )
    return files
