"""Claims on texts that a process is computing, so that no other one computes them too.

A claim is a file in a folder that processes share: it lists the keys, and is locked for as long as its owner
works on them. The lock goes with the process, so a dead one holds up nobody. Who needs a claimed key waits
for the lock, holding no claim of its own: so there is no circle to wait in.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import numpy as np

# Descriptors whose lock a forked child would share, and keep after its parent has died.
_held: set[int] = set()


class Claim:
    """The right to compute some keys of one fingerprint.

    Parameters
    ----------
    folder : Path
        Where the processes that share a store keep their claims; made if it does not exist.
    fingerprint : str
    keys : ndarray of uint64, shape (n, 2)
        What its owner would compute.

    Attributes
    ----------
    mine : ndarray of bool, shape (n,)
        The keys that nobody else is computing: claimed by this one until :meth:`release`.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """

    def __init__(self, folder: Path, fingerprint: str, keys: np.ndarray) -> None:
        self._wanted = np.ascontiguousarray(keys[:, 0])  # half a hash will do: who shares it waits in vain
        self._others: list[Path] = []
        folder.mkdir(exist_ok=True)
        shelf = hashlib.blake2b(fingerprint.encode(), digest_size=16).hexdigest()
        with _locked(folder / "register"):
            taken = [self._taken_by(path) for path in folder.glob(f"{shelf}-*")]
            self.mine = ~np.isin(self._wanted, np.concatenate([self._wanted[:0], *taken]))
            self._path = folder / f"{shelf}-{uuid4().hex}"
            self._file = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
            _held.add(self._file)
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX)
                with open(self._file, "wb", closefd=False) as file:
                    file.write(self._wanted[self.mine].tobytes())
            except BaseException:
                self.release()
                raise

    def _taken_by(self, path: Path) -> np.ndarray:
        """Return what another claim holds of the wanted keys; a dead owner's claim is removed."""
        taken = self._wanted[:0]
        with suppress(FileNotFoundError), open(path, "rb") as file:  # it may be released meanwhile
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                path.unlink()
            except BlockingIOError:
                taken = np.intersect1d(self._wanted, np.frombuffer(file.read(), dtype=np.uint64))
                if len(taken):
                    self._others.append(path)
        return taken

    def release(self) -> None:
        """Give the keys back, computed or not."""
        if self._file in _held:  # not so in a forked child: the claim is its parent's
            self._path.unlink(missing_ok=True)
            _held.discard(self._file)
            os.close(self._file)

    def wait(self) -> None:
        """Wait until those who hold the other keys have computed them, or died. Release first."""
        for path in self._others:
            with suppress(FileNotFoundError), open(path, "rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with open(path, "ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _forget_claims() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_forget_claims)
