"""Model files that are kept under a name that holds their digest."""

from __future__ import annotations

import shutil
from pathlib import Path

from skprune._atomic import replacing
from skprune.hub.fingerprints import content_digest


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
