"""Content under a short name: digests of model files and of settings, and the state of a file."""

from __future__ import annotations

import gzip
import hashlib
import os
from functools import lru_cache
from pathlib import Path

from skprune.exceptions import ModelLoadError

GZIP_MAGIC = b"\x1f\x8b"


def stamp(path: str | os.PathLike[str], kind: str) -> tuple[str, int, int]:
    """Return (absolute path, bytes, time of the last change in ns): what a cache of files keys on.

    Raises
    ------
    ModelLoadError
        If there is no such file; ``kind`` says what was expected.
    """
    path = Path(path)
    if path.is_dir():
        raise ModelLoadError(f"{path} is not a {kind}: found a folder")
    try:
        status = path.stat()
    except OSError as error:
        raise ModelLoadError(f"{path} is not a {kind}: {error.strerror}") from error
    return str(path.absolute()), status.st_size, status.st_mtime_ns


def content_digest(path: str | os.PathLike[str], kind: str) -> str:
    """Return a 128-bit digest of a file's content, unpacked where it is a gzip file.

    Raises
    ------
    ModelLoadError
        If there is no such file; ``kind`` says what was expected.
    """
    return _content_digest(*stamp(path, kind))


@lru_cache(maxsize=64)
def _content_digest(path: str, size: int, modified: int) -> str:
    with open(path, "rb") as file:
        packed = file.read(2) == GZIP_MAGIC
    with gzip.open(path) if packed else open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def digest_of(*parts: str | bytes) -> str:
    """Return a 128-bit digest of the parts in order; where one ends and the next begins counts."""
    whole = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode() if isinstance(part, str) else part
        whole.update(len(encoded).to_bytes(8, "little") + encoded)
    return whole.hexdigest()
