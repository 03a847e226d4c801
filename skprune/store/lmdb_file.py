"""Checks of an LMDB file before LMDB reads it.

LMDB trusts its file. A damaged page can end the process, and so does a page beyond the end of the file, which
the memory map reaches but the disk does not. So the whole structure is checked once when a store is opened
(20 ms for 300 MB), and the size of the file before every transaction.
"""

from __future__ import annotations

import os
import struct
import time
from pathlib import Path
from typing import Any

from lmdb.verify import VerifyError, verify

from skprune.store.checksums import DamagedError

_META_PAGES = 2
_MAGIC = 0xBEEFC0DE
# Positions in a meta page of LMDB 0.9.
_MAGIC_AT = 16
_PAGE_SIZE_AT = 40
_FREE_FLAGS_AT = 44
_MAIN_FLAGS_AT = 92
_INTEGER_KEYS = 8
_RETRIES = 3


class FileState:
    """The file of a store that is open: is it still there, still the same one, and complete?

    Parameters
    ----------
    path : Path
        The file ``data.mdb``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity = _identity(os.stat(path))

    def is_same(self) -> bool:
        """Return whether the path still leads to the file that was opened."""
        try:
            return _identity(os.stat(self.path)) == self._identity
        except FileNotFoundError:
            return False

    def check_size(self, env: Any, page_size: int) -> None:
        """Check that the file holds all pages of an open environment.

        Raises
        ------
        DamagedError
            If the file ends before its last page.
        """
        n_pages = _META_PAGES  # the environment reads these two to say which page is the last
        if os.stat(self.path).st_size >= n_pages * page_size:
            n_pages = env.info()["last_pgno"] + 1
        size = os.stat(self.path).st_size  # only now: another process may have added pages meanwhile
        if size < n_pages * page_size:
            raise DamagedError(f"the file was cut off: it has {size} bytes instead of {n_pages * page_size}")


def is_lmdb_file(path: Path) -> bool:
    """Return whether the first page, which LMDB reads to open a file, is that of an LMDB file."""
    with open(path, "rb") as file:
        head = file.read(_MAGIC_AT + 4)
    return len(head) == _MAGIC_AT + 4 and struct.unpack_from("I", head, _MAGIC_AT)[0] == _MAGIC


def check_structure(path: Path, *, locked: bool) -> None:
    """Check every page of the tree and of the list of free pages.

    Parameters
    ----------
    path : Path
        The file.
    locked : bool
        Whether the caller excludes writers. If not, a failed check is repeated, because a writer may have
        changed the file meanwhile.

    Raises
    ------
    DamagedError
        If a page is damaged or beyond the end of the file.
    """
    for attempt in range(1 if locked else _RETRIES):
        if attempt:
            time.sleep(0.05)
        problem = _problem(path)
        if problem is None:
            return
    raise DamagedError(problem)


def _problem(path: Path) -> str | None:
    try:
        return _strange_flags(path) or next(iter(verify(str(path.parent))), None)
    except (VerifyError, struct.error, LookupError, ValueError, OverflowError, MemoryError) as error:
        return str(error)


def _strange_flags(path: Path) -> str | None:
    """Return what is wrong with the flags of the two trees: LMDB may rely on valid ones that are not ours."""
    with open(path, "rb") as file:
        page = file.read(_MAIN_FLAGS_AT + 2)
        (page_size,) = struct.unpack_from("I", page, _PAGE_SIZE_AT)
        file.seek(page_size)
        pages = page, file.read(_MAIN_FLAGS_AT + 2)
    for number, page in enumerate(pages):
        flags = [struct.unpack_from("H", page, at)[0] for at in (_FREE_FLAGS_AT, _MAIN_FLAGS_AT)]
        if flags != [_INTEGER_KEYS, 0]:
            return f"page {number} has unexpected flags {flags}"
    return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
