"""Claims of processes on texts, so that no two processes compute the same text.

A claim is a file in a folder that the processes share. It lists the keys, and its owner holds a lock on it
while working on them. The operating system releases the lock when the owner dies, so a dead process blocks
nobody. A process that needs claimed keys waits for the lock while it holds no claim itself, so processes
cannot wait for each other in a circle.

Written for POSIX. On Windows the module can be imported, but claims are untested there: Windows does not let
others read or delete a locked file.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path
from typing import IO
from uuid import uuid4

import numpy as np
import portalocker
from portalocker import LockFlags

from skprune._locks import Lock

# Descriptors of the claims that this process holds. A forked child inherits them, and with them the locks,
# which would outlive the parent.
_held: set[int] = set()
_opening = Lock(guards_state=True)  # no fork between opening a descriptor and writing it down


class FileClaim:
    """The right to compute some keys of one fingerprint, among processes and threads.

    Parameters
    ----------
    folder : Path
        Folder of the claims, made if it does not exist.
    fingerprint : str
        Identifies what computes the values.
    keys : ndarray of uint64, shape (n, 2)
        The keys that the owner wants to compute.

    Attributes
    ----------
    mine : ndarray of bool, shape (n,)
        The keys that nobody else is computing. This claim holds them until :meth:`release`.

    Raises
    ------
    OSError
        If the folder cannot be written, or its file system has no locks.
    """

    def __init__(self, folder: Path, fingerprint: str, keys: np.ndarray) -> None:
        self._wanted = np.ascontiguousarray(keys[:, 0])  # half a key: a collision only causes a needless wait
        self._others: list[Path] = []
        folder.mkdir(exist_ok=True)
        prefix = fingerprint_digest(fingerprint).hex()
        with open(folder / "register", "ab") as register:
            _lock(register, LockFlags.EXCLUSIVE)
            try:
                claimed = [self._claimed_by(path) for path in folder.glob(f"{prefix}-*")]
                self.mine = ~np.isin(self._wanted, np.concatenate([self._wanted[:0], *claimed]))
                self._path = folder / f"{prefix}-{uuid4().hex}"
                self._write()
            finally:
                portalocker.unlock(register)  # also in a child that was forked meanwhile

    def _claimed_by(self, path: Path) -> np.ndarray:
        """Return the wanted keys that another claim holds; remove that claim if its owner is dead."""
        claimed = self._wanted[:0]
        with suppress(FileNotFoundError), open(path, "rb") as file:  # released meanwhile
            if _lock(file, LockFlags.SHARED | LockFlags.NON_BLOCKING):
                path.unlink()
            else:
                claimed = np.intersect1d(self._wanted, np.frombuffer(file.read(), dtype=np.uint64))
                if len(claimed):
                    self._others.append(path)
        return claimed

    def _write(self) -> None:
        """Create and lock the file of this claim."""
        with _opening.rlock:
            self._file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            _held.add(self._file)
        try:
            _lock(self._file, LockFlags.EXCLUSIVE)
            with open(self._file, "wb", closefd=False) as file:
                file.write(self._wanted[self.mine].tobytes())
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Give the keys back, computed or not."""
        if self._file in _held:  # in a forked child it is not: the claim belongs to the parent
            self._path.unlink(missing_ok=True)
            _held.discard(self._file)
            os.close(self._file)

    def wait(self) -> None:
        """Wait until those who hold the other keys have computed them or died. Release the claim first."""
        for path in self._others:
            with suppress(FileNotFoundError), open(path, "rb") as file:
                _lock(file, LockFlags.SHARED)


def fingerprint_digest(fingerprint: str) -> bytes:
    """Return the 128-bit digest that stands for a fingerprint in the files of a store."""
    return hashlib.blake2b(fingerprint.encode(), digest_size=16).digest()


def _lock(file: IO[bytes] | int, flags: LockFlags) -> bool:
    """Lock a file; return False if the lock is held elsewhere and ``flags`` forbid waiting."""
    try:
        portalocker.lock(file, flags)
    except portalocker.LockException as error:
        if flags & LockFlags.NON_BLOCKING and isinstance(error, portalocker.AlreadyLocked):
            return False
        raise OSError(f"the folder cannot be locked: {error.__cause__ or error}") from error
    return True


def _forget_claims() -> None:
    """Close the descriptors that a forked child has inherited."""
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_forget_claims)
