"""Standard input as a file, and files as standard output."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import typer

PIPE = "-"
_SUFFIXES = {"jsonl": ".jsonl", "text": ".txt", "csv": ".csv", "tsv": ".tsv"}
_LINES = {".jsonl", ".ndjson", ".json", ".txt"}


@contextmanager
def as_files(inputs: list[str], format: str | None) -> Iterator[list[str]]:
    """Give inputs that are files: standard input is copied to a temporary one.

    The same content gets the same time of modification, so that a job that was interrupted knows its input.
    """
    if format is not None and format not in _SUFFIXES:
        raise typer.BadParameter(f"{format!r} is not one of {', '.join(_SUFFIXES)}", param_hint="--format")
    if PIPE not in inputs:
        yield inputs
        return
    if len(inputs) > 1:
        raise typer.BadParameter("- cannot be combined with files", param_hint="INPUTS")
    with tempfile.TemporaryDirectory(prefix="skprune-") as folder:
        yield [str(_spooled(sys.stdin.buffer, Path(folder), format))]


@contextmanager
def output_folder(out: str) -> Iterator[str]:
    """Give the folder to write to: a temporary one whose files go to standard output, if ``out`` is "-"."""
    if out != PIPE:
        yield out
        return
    from skprune.files.job import STATE
    from skprune.files.paths import HUGGING_FACE

    with tempfile.TemporaryDirectory(prefix="skprune-") as folder:
        yield f"{folder}/out"
        for path in sorted(Path(folder, "out").rglob("*")):
            if path.is_file() and STATE not in path.parts and path.name not in HUGGING_FACE:
                with path.open("rb") as file:
                    shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()


def check_one_stream(inputs: list[str]) -> None:
    """Refuse files that cannot follow each other in one stream."""
    from skprune.files.paths import find_files, kind_of

    found = list(find_files(inputs).values())
    if len(found) > 1 and (len({path.suffix for path in found}) > 1 or kind_of(found[0]) not in _LINES):
        raise typer.BadParameter(
            f"- takes one file, or several of text or of JSON lines; the inputs are {len(found)} files",
            param_hint="--out",
        )


def _spooled(stream: BinaryIO, folder: Path, format: str | None) -> Path:
    first = stream.readline()
    path = folder / f"stdin{_SUFFIXES[format or _guess(first)]}"
    digest = hashlib.blake2b(first, digest_size=6)
    with path.open("wb") as file:
        file.write(first)
        while block := stream.read(2**20):
            digest.update(block)
            file.write(block)
    time = int.from_bytes(digest.digest(), "big")
    os.utime(path, ns=(time, time))
    return path


def _guess(line: bytes) -> str:
    try:
        return "jsonl" if isinstance(json.loads(line), dict) else "text"
    except ValueError:
        return "text"
