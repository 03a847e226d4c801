"""Temporary files that do not outlive their process, even if it is killed.

Kept by hand because ``tempfile`` deletes a folder only if the process ends normally.
"""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from skprune._locks import Lock

_PREFIX = "skprune-ngram-"
_LOCK_FILE = "in-use"


class _ProcessFolder:
    """The temporary folder of this process, with a locked file inside for as long as the process lives.

    The first use in a process removes the folders of processes that have ended: those whose file nobody
    locks. The system releases a lock however its process ends. Process ids alone would not do: they are
    used again, and containers that share a folder do not share them.
    """

    def __init__(self) -> None:
        self._guard = Lock(guards_state=True)
        self._path: Path | None = None
        self._owner = 0
        self._lock: int | None = None

    def subfolder(self) -> str:
        """Return a new folder inside the folder of this process."""
        with self._guard.rlock:
            if self._path is None or self._owner != os.getpid() or not self._path.is_dir():
                _remove_abandoned()
                self._claim()
            return tempfile.mkdtemp(dir=self._path)

    def _claim(self) -> None:
        # The name without the dot appears only when the file is locked, so that no other process can mistake
        # the folder for an abandoned one.
        name = tempfile.mkdtemp(prefix=f".{_PREFIX}{os.getpid()}-")
        # A descriptor, not a file object: it stays open until the process ends.
        self._lock = os.open(Path(name, _LOCK_FILE), os.O_CREAT | os.O_WRONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        hidden = Path(name)
        self._path = hidden.rename(hidden.with_name(hidden.name[1:]))
        self._owner = os.getpid()
        atexit.register(remove, os.fspath(self._path), self._owner)


_FOLDER = _ProcessFolder()


def make_folder() -> str:
    """Return a new temporary folder, which is removed with this process at the latest."""
    return _FOLDER.subfolder()


def is_temporary(path: Path) -> bool:
    """Return whether a file lies in the temporary folder of this process."""
    return _FOLDER._owner == os.getpid() and _FOLDER._path in path.parents


def remove(folder: str, owner: int) -> None:
    """Remove a folder, unless this process is a fork of its owner."""
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned() -> None:
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            with open(folder / _LOCK_FILE) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # in use, gone already, or of another user
            continue
