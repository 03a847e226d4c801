"""Run a coroutine in a thread of its own, and read what it puts out from this one.

The caller may run an event loop itself, as a notebook does, so the coroutine gets another one. The thread
lives as long as the call: a process that forks later inherits nothing.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

_END = object()
_WIND_UP = 5.0  # seconds that a cancelled coroutine has to close its connections


def outputs(work: Callable[[Callable[[Any], None]], Awaitable[None]], *, seconds: float) -> Iterator[list]:
    """Yield what a coroutine puts out, in lists.

    Parameters
    ----------
    work : callable
        ``async work(put)``. It calls ``put(item)`` for everything that it puts out.
    seconds : float
        How long items are gathered before the next list, counted from the first of them.

    Yields
    ------
    list
        At least one item, in the order in which they were put out.

    Raises
    ------
    BaseException
        What ``work`` raises, after the items before it. An interrupt (Ctrl-C) cancels ``work``, and is raised
        after the items that were put out before it.

    Examples
    --------
    >>> async def count(put):
    ...     put(1)
    ...     put(2)
    >>> list(outputs(count, seconds=1.0))
    [[1, 2]]
    """
    items: queue.SimpleQueue = queue.SimpleQueue()
    background = _Background(work, items)
    background.thread.start()
    try:
        more = True
        while more:
            gathered: list[Any] = []
            try:
                more = _gather(items, gathered, seconds)
            except BaseException:
                background.stop()
                if gathered:
                    yield gathered
                raise
            if gathered:
                yield gathered
    finally:
        background.stop()
    if background.error is not None:
        raise background.error


class _Background:
    """A thread with an event loop that runs one coroutine."""

    def __init__(self, work: Callable[[Callable[[Any], None]], Awaitable[None]], items: Any) -> None:
        self.error: BaseException | None = None
        self._work = work
        self._items = items
        self._started = threading.Event()
        self.thread = threading.Thread(target=self._run, name="skprune-server", daemon=True)

    def stop(self) -> None:
        """Cancel the coroutine if it still runs, and wait until it has closed its connections."""
        self._started.wait(_WIND_UP)
        if self.thread.is_alive() and not self._loop.is_closed():
            with suppress(RuntimeError):  # if the loop was closed in between
                self._loop.call_soon_threadsafe(self._task.cancel)
        self.thread.join(_WIND_UP)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self.error = error
        finally:
            self._started.set()
            self._items.put(_END)

    async def _main(self) -> None:
        self._loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None
        self._task = task
        self._started.set()
        await self._work(self._items.put)


def _gather(items: Any, gathered: list[Any], seconds: float) -> bool:
    """Move items into a list; return whether more may come."""
    until: float | None = None
    while True:
        try:
            item = items.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
        except queue.Empty:
            return True
        if item is _END:
            return False
        gathered.append(item)
        until = until or time.monotonic() + seconds
