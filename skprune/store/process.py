"""The stores that a process has open, each once."""

from __future__ import annotations

import os
from typing import Any

from skprune.store.base import Store
from skprune.store.disk import disk_store
from skprune.store.memory import MemoryStore

_process_store = MemoryStore()


def open_store(memory: Any) -> Store:
    """Return the store that a ``memory`` parameter means.

    Parameters
    ----------
    memory : None or path
        None is the store of this process, a path a folder's. Each is opened once a process.

    Returns
    -------
    Store
        ``info()`` says what it keeps, ``clear()`` forgets it.

    Raises
    ------
    TypeError
        If ``memory`` is neither.
    OSError
        If the folder cannot be used as a store.

    Examples
    --------
    >>> import numpy as np
    >>> from skprune.pools import digests
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


def clear_process_store() -> None:
    """Free what filters with ``memory=None`` keep in this process.

    Examples
    --------
    >>> clear_process_store()
    """
    _process_store.clear()
