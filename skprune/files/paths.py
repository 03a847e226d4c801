"""The files of a job: found, sorted, and named in the output as in the input."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from skprune.files.base import DataFile, format_suffix
from skprune.files.lines import JsonLines, TextLines
from skprune.files.tables import ArrowFile, CsvFile, ParquetFile

FORMATS: dict[str, Callable[[Path, str, str | None], DataFile]] = {
    ".parquet": ParquetFile,
    ".arrow": ArrowFile,
    ".feather": ArrowFile,
    ".csv": CsvFile,
    ".tsv": CsvFile,
    ".jsonl": JsonLines,
    ".ndjson": JsonLines,
    ".json": JsonLines,
    ".txt": TextLines,
}
#: What a Hugging Face Dataset keeps beside its data.
HUGGING_FACE = ("dataset_info.json", "state.json", "dataset_dict.json")


def find_files(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> dict[str, Path]:
    """Return the data files below some paths under their names in the output, sorted by name.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Files, folders, which are searched for every known kind of file, and patterns such as
        ``"data/*.parquet"``. Hidden files and those whose name begins with an underscore are skipped.

    Returns
    -------
    dict
        The path of each file, by its path relative to the folder that holds all of them.

    Raises
    ------
    FileNotFoundError
        If a path does not exist, or no data file is found.
    ValueError
        If a file that was named is of an unknown kind.
    """
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    # Not resolved: the files of the Hugging Face cache are links to files without a suffix.
    found = sorted({Path(os.path.abspath(path)) for given in paths for path in _files_at(os.fspath(given))})
    if not found:
        kinds = ", ".join(FORMATS)
        raise FileNotFoundError(f"paths hold no data file; known kinds are {kinds}, also compressed")
    root = Path(os.path.commonpath([path.parent for path in found]))
    return {path.relative_to(root).as_posix(): path for path in found}


def would_find(paths: Iterable[str | os.PathLike[str]], path: Path) -> bool:
    """Return whether a data file at an absolute path would be found below some paths, if it existed.

    Examples
    --------
    >>> inside = Path.cwd() / "pool/kept/a.txt"
    >>> would_find(["pool/*.txt"], inside), would_find(["pool/*"], inside)
    (False, True)
    """
    for given in paths:
        pattern = os.path.abspath(Path(given).expanduser())
        if os.path.isdir(pattern):
            pattern = glob.escape(pattern)
        elif not glob.has_magic(pattern):
            continue
        if _matches(path.parts, Path(pattern).parts):
            return True
    return False


def _matches(parts: tuple[str, ...], pattern: tuple[str, ...]) -> bool:
    """Return whether a pattern finds a file, or a folder that holds it."""
    if not pattern:
        return not any(map(_is_hidden, parts))
    if pattern[0] == "**" and _matches(parts, pattern[1:]):
        return True
    if not parts or not fnmatchcase(parts[0], "*" if pattern[0] == "**" else pattern[0]):
        return False
    if parts[0].startswith(".") and glob.has_magic(pattern[0]):
        return False
    return _matches(parts[1:], pattern if pattern[0] == "**" else pattern[1:])


def _is_hidden(part: str) -> bool:
    return part.startswith((".", "_"))


def state_of(path: Path) -> list[int]:
    """Return the size of a file, and its time of modification in nanoseconds: a job tells inputs by them."""
    state = path.stat()
    return [state.st_size, state.st_mtime_ns]


def kind_of(path: Path) -> str:
    """Return the suffix that tells the format, without that of a compression; empty if it is not known.

    Examples
    --------
    >>> kind_of(Path("a.jsonl.gz")), kind_of(Path("notes.md")), kind_of(Path("a.parquet"))
    ('.jsonl', '', '.parquet')
    """
    suffix = format_suffix(path)
    return suffix if suffix in FORMATS else ""


def _files_at(given: str) -> Iterator[Path]:
    path = Path(given).expanduser()
    if path.is_file():
        if not kind_of(path):
            kinds = ", ".join(FORMATS)
            raise ValueError(f"{path} is of an unknown kind; its name must end in one of {kinds}")
        yield path
    elif path.is_dir():
        for file in path.rglob("*"):
            parts = file.relative_to(path).parts
            hidden = any(map(_is_hidden, parts))
            if file.is_file() and kind_of(file) and not hidden and file.name not in HUGGING_FACE:
                yield file
    elif glob.has_magic(given) and (matches := glob.glob(os.fspath(path), recursive=True)):
        for match in matches:
            yield from _files_at(match)
    else:
        raise FileNotFoundError(f"{given!r} does not exist")
