"""Progress bars: by default only for long work, and only where somebody watches."""

from __future__ import annotations

import os
import threading
from typing import Any

from tqdm.auto import tqdm

DELAY = 2.0  # seconds before a bar appears unless ``verbose`` asks for it
_TICK = 1.0  # seconds between two updates of the elapsed time


class Progress:
    """A progress bar on stderr, as a context.

    With ``verbose=0`` the bar appears after two seconds, on a terminal or in a notebook only, and disappears
    at the end. So pipes, log files and tests stay empty. From ``verbose=1`` it appears at once, everywhere,
    and stays. The environment variable ``TQDM_DISABLE=1`` turns off the bars of ``verbose=0``.

    The elapsed time advances between two calls of :meth:`update`, so that a single long step, such as the
    loading of a model, shows a sign of life as well.

    Parameters
    ----------
    description : str
        What is being done, for instance "scoring".
    total : int or None, default=None
        Number of items; None shows the elapsed time only.
    unit : str, default="text"
        What is counted.
    verbose : int, default=0
        The parameter of that name of every estimator.

    Examples
    --------
    >>> with Progress("scoring", total=3) as progress:
    ...     for _ in range(3):
    ...         progress.update()
    """

    def __init__(
        self, description: str, total: int | None = None, *, unit: str = "text", verbose: int = 0
    ) -> None:
        self._description = description
        self._verbose = verbose
        self._options: dict[str, Any] = {"total": total, "unit": unit}
        if total is None:
            self._options["bar_format"] = "{desc} [{elapsed}]"

    def __enter__(self) -> Progress:
        # tqdm reads None as: only on a terminal. In a notebook it shows the bar.
        disable = None if os.environ.get("TQDM_DISABLE", "0") in ("", "0") else True
        self._bar = tqdm(
            desc=self._description,
            disable=False if self._verbose else disable,
            delay=0 if self._verbose else DELAY,
            leave=bool(self._verbose),
            **self._options,
        )
        self._done = threading.Event()
        self._ticker = None
        if not self._bar.disable:
            self._ticker = threading.Thread(target=self._tick, daemon=True)
            self._ticker.start()
        return self

    def update(self, n: int = 1) -> None:
        """Count ``n`` more items as done."""
        self._bar.update(n)

    def __exit__(self, *exception: object) -> None:
        self._done.set()
        if self._ticker is not None:
            self._ticker.join()
        self._bar.close()

    def _tick(self) -> None:
        if self._done.wait(self._bar.delay):
            return
        self._bar.delay = 0  # otherwise tqdm would neither finish nor erase a bar without an update
        self._bar.refresh()
        while not self._done.wait(_TICK):
            self._bar.refresh()
