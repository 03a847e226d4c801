"""Files that are written whole or not at all: aside, then renamed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from skprune.hub.fingerprints import content_digest


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file beside ``path``; when all is written, bring it to the disk and let it replace ``path``."""
    aside = path.with_name(f".{path.name}-{uuid4().hex}")
    try:
        with open(aside, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    with suppress(OSError):  # not every file system can
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the new name, too
        finally:
            os.close(folder)


def store_file(source: Path, folder: Path, stem: str) -> tuple[str, str]:
    """Copy a file into a folder, under a name that begins with ``stem`` and holds its digest.

    Returns
    -------
    name, digest : str
    """
    digest = content_digest(source, "file")
    target = folder / f"{stem}-{digest}{source.suffix}"
    if not (target.exists() and target.samefile(source)):
        with open(source, "rb") as content, replacing(target) as file:
            shutil.copyfileobj(content, file)
    return target.name, digest
