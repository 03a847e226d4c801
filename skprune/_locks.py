"""Locks that a forked child can use, whatever the threads of its parent were doing.

A child inherits the locks of its parent, but not the threads that hold them: a lock that another thread held
at the fork would stay locked forever. Every lock of this package is therefore a :class:`Lock`, and a child
gets a new one in place of each that another thread held.

``functools.lru_cache`` needs none of this: CPython implements it without a lock that a fork could inherit.
"""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from typing import Any

_locks: weakref.WeakSet[Lock] = weakref.WeakSet()
_numbers = itertools.count()
_taken = threading.local()  # the locks that a forking thread holds until it has forked


class Lock:
    """A re-entrant lock for threads that does not stay locked in a forked child.

    Parameters
    ----------
    guards_state : bool, default=False
        Whether what the lock guards must be consistent in a forked child too, such as an LMDB transaction or
        an index. A fork waits until such a lock is free, so never hold one while a model is loaded or a
        scorer runs.

    Attributes
    ----------
    rlock : threading.RLock
        The lock itself: ``with lock.rlock:``. It has no methods of its own here because Ctrl-C could
        interrupt a method in Python between taking the lock and entering the block.
    """

    def __init__(self, *, guards_state: bool = False) -> None:
        self.guards_state = guards_state
        self.number = next(_numbers)
        self.rlock: Any = threading.RLock()
        _locks.add(self)


def _before_fork() -> None:
    _taken.rlocks = []
    # Always in the same order, so that two threads that fork do not wait for each other.
    for lock in sorted((lock for lock in list(_locks) if lock.guards_state), key=lambda lock: lock.number):
        lock.rlock.acquire()
        _taken.rlocks.append(lock.rlock)


def _after_fork() -> None:
    for rlock in _taken.__dict__.pop("rlocks", []):
        rlock.release()


def _after_fork_in_child() -> None:
    _after_fork()
    for lock in list(_locks):
        if lock.rlock.acquire(blocking=False):  # it was free, or the thread that forked holds it
            lock.rlock.release()
        else:
            lock.rlock = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork_in_child)
