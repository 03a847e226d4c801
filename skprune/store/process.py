"""The stores that a process has open. Each is opened once."""

from __future__ import annotations

import os
from typing import Any

from skprune.store.base import Store
from skprune.store.disk import disk_store
from skprune.store.memory import MemoryStore

_process_store = MemoryStore(max_bytes=2**30)


def open_store(memory: Any) -> Store:
    """Return the store that a ``memory`` parameter means.

    Parameters
    ----------
    memory : None or path-like
        None means the process store, which lasts as long as the process and keeps at most 1 GiB (see
        :func:`set_process_limit`). A path means the store in that folder, which stays on disk and which
        several processes may use at once. The folder is made when the first value is kept.

    Returns
    -------
    Store
        ``info()`` describes its contents, ``clear()`` deletes them, ``close()`` closes its files. The store
        is also a context manager.

    Raises
    ------
    TypeError
        If ``memory`` is neither None nor a path.
    OSError
        If the folder cannot be used as a store, or the store in it is damaged or of an older layout.

    Examples
    --------
    >>> import numpy as np
    >>> from skprune.row_table import digests
    >>> store = open_store(None)
    >>> store.put("length-1", digests(["a", "bb"]), np.array([1.0, 2.0]), "quality=len")
    >>> store.get("length-1", digests(["bb", "ccc"]))
    (array([2.]), array([ True, False]))
    >>> store.clear("length-1")
    """
    if memory is None:
        return _process_store
    if not isinstance(memory, (str, os.PathLike)):
        raise TypeError(f"memory must be None or the path of a folder, got {memory!r}")
    return disk_store(memory)


def set_process_limit(n_bytes: int | None) -> None:
    """Set how much filters with ``memory=None`` may keep in this process; 1 GiB if never called.

    Parameters
    ----------
    n_bytes : int or None
        Limit in bytes; None means no limit. A value takes 24 bytes, and a vector 4 more per number: the
        default holds 44 million scores, or 690,000 vectors of length 384. Beyond the limit, the values of
        the fingerprint (the scorer or encoder) that was used least recently are dropped, and computed again
        when they are next needed. The fingerprint that is being written is never dropped: it may exceed the
        limit, until another one is written.

    Raises
    ------
    ValueError
        If ``n_bytes`` is neither None nor an int of at least 0.

    Examples
    --------
    >>> set_process_limit(4 * 2**30)
    >>> set_process_limit(2**30)
    """
    _process_store.max_bytes = n_bytes


def clear_process_store() -> None:
    """Delete what filters with ``memory=None`` keep in this process.

    Examples
    --------
    >>> clear_process_store()
    """
    _process_store.clear()
