"""What a job on files needs before any work: a filter that decides by row, and columns that exist."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from skprune.base import BaseFilter
from skprune.files.base import DataFile
from skprune.files.paths import FORMATS, kind_of


def check_filter(filter: Any) -> None:
    """Refuse what cannot prune a pool on disk, before any work."""
    if not isinstance(filter, BaseFilter):
        raise TypeError(f"filter must be a filter of skprune, got {type(filter).__name__}")
    if filter._needs_memory:
        name = type(filter).__name__
        raise TypeError(
            f"{name} needs the pool in memory: {filter._needs_memory}. Prune a part that fits with "
            f"{name}.transform, or prune the files with PerplexityFilter, AskLLMFilter, ActivePruneFilter, "
            "EntropyIntervalFilter or RandomFilter first"
        )
    filter._validate_params()


def check_options(on_missing: str, n_train: int) -> None:
    """Refuse invalid options of a job."""
    if on_missing not in ("error", "drop", "keep"):
        raise ValueError(f"on_missing must be 'error', 'drop' or 'keep', got {on_missing!r}")
    if n_train < 1:
        raise ValueError(f"n_train must be at least 1, got {n_train}")


def open_files(found: dict[str, Path], text: str | None, *, id: str | None = None) -> list[DataFile]:
    """Open files by their names in the output; a column that one of them lacks is an error."""
    files = [FORMATS[kind_of(path)](path, name, text) for name, path in found.items()]
    named = {file.text: file.name for file in files if file.text is not None}
    if len(named) > 1:
        where = ", ".join(f"{text!r} in {name}" for text, name in named.items())
        raise ValueError(f"the files have their texts in different columns ({where}); rename them")
    for file in files:
        if id is not None and id not in file.columns and file.columns:
            names = ", ".join(map(repr, file.columns))
            raise ValueError(f"{file.name} has no column {id!r}, which id= names; its columns are {names}")
    return files
