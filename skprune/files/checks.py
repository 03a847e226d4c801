"""What a job on files needs before any work: columns that exist, labels and a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from skprune.base import BaseFilter
from skprune.decisions import KnownLabels, scoring_filter
from skprune.files.base import DataFile
from skprune.files.lines import JsonLines
from skprune.files.paths import FORMATS, kind_of
from skprune.streams import draw_seed


class JobInputs(NamedTuple):
    """What a filter reads in a job.

    Attributes
    ----------
    files : list of DataFile
    text : str or None
        The column of texts that the caller or the filter names.
    known : KnownLabels
    seed : int or None
        None if the filter leaves it open.
    """

    files: list[DataFile]
    text: str | None
    known: KnownLabels
    seed: int | None


def open_inputs(
    found: dict[str, Path],
    filter: BaseFilter,
    *,
    text: str | None,
    id: str | None,
    label: str | None,
    labeled: Any,
) -> JobInputs:
    """Open the files of a job, check its labels, and draw its seed. See :func:`skprune.files.prune`."""
    text = filter.text if text is None else text
    known = KnownLabels(label, labeled, text)
    files = open_files(found, text, id=id, groups=getattr(filter, "groups", None), label=known.column)
    random_state = getattr(scoring_filter(filter), "random_state", None)
    return JobInputs(files, text, known, None if random_state is None else draw_seed(random_state))


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
            may_lack = not file.columns or (option == "label" and isinstance(file, JsonLines))
            if column is not None and not may_lack and not file.has(column):
                names = ", ".join(map(repr, file.columns))
                raise ValueError(
                    f"{file.name} has no column {column!r}, which {option}= names; its columns are {names}"
                )
            if file.columns.count(str(column)) > 1:
                raise ValueError(
                    f"{file.name} has several columns {column!r}, which {option}= names; rename them"
                )
    return files
