"""Digests of models, files and settings, and the state of files on disk."""

from __future__ import annotations

import gzip
import hashlib
import os
from functools import lru_cache
from pathlib import Path

from skprune.exceptions import ModelLoadError
from skprune.hub.names import HubModel

GZIP_MAGIC = b"\x1f\x8b"
# The files in a model's folder that can change a score or a vector.
_MODEL_FILES = {".gguf", ".jinja", ".json", ".model", ".safetensors", ".txt"}


def digest_of(*parts: str | bytes) -> str:
    """Return a 128-bit digest of the parts, their order and their boundaries.

    Examples
    --------
    >>> digest_of("ab", "c") == digest_of("a", "bc")
    False
    """
    whole = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode() if isinstance(part, str) else part
        whole.update(len(encoded).to_bytes(8, "little") + encoded)
    return whole.hexdigest()


def content_digest(path: str | os.PathLike[str], kind: str) -> str:
    """Return a 128-bit digest of a file's content; a gzip file is unpacked first.

    Parameters
    ----------
    path : path-like
        The file.
    kind : str
        The kind of file that is expected, for the error message.

    Raises
    ------
    ModelLoadError
        If there is no such file.
    """
    return _file_digest(*stamp(path, kind), unpack=True)


def content_of(source: HubModel | Path, *, subfolders: bool = False) -> str:
    """Return what identifies the content of a model.

    Parameters
    ----------
    source : HubModel or Path
        A model on the hub, or a file or folder.
    subfolders : bool, default=False
        Include the model files in subfolders: sentence-transformers keeps modules there.

    Returns
    -------
    str
        ``name@commit`` for a hub name, else a 128-bit digest of the content. The location of a file or
        folder does not change its digest.
    """
    if isinstance(source, HubModel):
        return f"{source.name}@{source.commit}"
    if not source.is_dir():
        return hashlib.blake2b(_file_digest(*_stamp(source)).encode(), digest_size=16).hexdigest()
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(source.rglob("*") if subfolders else source.iterdir()):
        if file.suffix in _MODEL_FILES and file.is_file():
            name = file.relative_to(source).as_posix()
            digest.update(f"{name} {_file_digest(*_stamp(file))}\n".encode())
    return digest.hexdigest()


def stamp(path: str | os.PathLike[str], kind: str) -> tuple[str, int, int]:
    """Return a file's absolute path, size in bytes and time of last change in ns: a key for caches.

    Parameters
    ----------
    path : path-like
        The file.
    kind : str
        The kind of file that is expected, for the error message.

    Raises
    ------
    ModelLoadError
        If there is no such file.
    """
    path = Path(path)
    if path.is_dir():
        raise ModelLoadError(f"{path} is not a {kind}: found a folder")
    try:
        return _stamp(path)
    except OSError as error:
        raise ModelLoadError(f"{path} is not a {kind}: {error.strerror}") from error


def state_of(source: HubModel | Path) -> tuple[tuple[str, int, int], ...]:
    """Return the stamp of a file, or those of all files in a folder: a key for caches.

    There are none if the folder does not exist; a commit on the hub does not change.
    """
    if isinstance(source, HubModel):
        return ()
    files = [source] if source.is_file() else sorted(source.rglob("*"))
    return tuple(_stamp(file) for file in files if file.is_file())


def _stamp(file: Path) -> tuple[str, int, int]:
    status = file.stat()
    return str(file.absolute()), status.st_size, status.st_mtime_ns


@lru_cache(maxsize=256)
def _file_digest(path: str, size: int, modified: int, *, unpack: bool = False) -> str:
    """Return the digest of a file, computed once for each state of the file (about 1 s per gigabyte)."""
    with open(path, "rb") as file:
        packed = unpack and file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    with gzip.open(path) if packed else open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
