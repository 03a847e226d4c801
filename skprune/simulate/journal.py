"""The rounds of one run, kept so that a killed run goes on where it stopped."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.frozen import FrozenEstimator

from skprune.pools import Pool
from skprune.streams import draw_seed

_FORMAT = 1
# Parameters that no pick depends on, wherever they stand.
_IRRELEVANT = {"memory", "n_jobs", "verbose"}


class Journal:
    """One JSON line a round, behind a first line that says what the rounds depend on.

    A line is written to the disk before :meth:`append` returns; half a line of a killed run is dropped. While
    the journal is open, its file is locked against other processes.

    Parameters
    ----------
    folder : path or None
        Made if it does not exist; its file is ``journal.jsonl``. None keeps the rounds in memory only.
    settings : dict
        What the picks depend on, as plain JSON.
    seed : int or None
        The seed of the run; None takes that of the journal found, or draws one.

    Attributes
    ----------
    rounds : list of dict
        The rounds found and those appended since.
    seed : int

    Raises
    ------
    ValueError
        If the folder holds another run; the message names the first setting that differs.
    OSError
        If the folder cannot be written, or another process has it open.
    """

    def __init__(self, folder: Any, settings: dict[str, Any], seed: int | None) -> None:
        self.rounds: list[dict[str, Any]] = []
        self._file: Any = None
        self.seed = draw_seed(seed)
        if folder is not None:
            path = Path(folder).expanduser() / "journal.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+", encoding="utf-8")
            try:
                self._load(path, settings, seed)
            except BaseException:
                self.close()
                raise

    def append(self, round_: dict[str, Any]) -> None:
        """Keep a round: after a crash it is there whole or not at all."""
        if self._file is not None:  # JSON knows no NaN
            self._write({k: None if v != v else v for k, v in round_.items()})
        self.rounds.append(round_)

    def close(self) -> None:
        """Let other processes at it."""
        if self._file is not None:
            self._file.close()

    def _load(self, path: Path, settings: dict[str, Any], seed: int | None) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OSError(f"folder={str(path.parent)!r} is in use by another run") from error
        self._file.seek(0)
        *lines, torn = self._file.read().split("\n")  # splitlines knows other ends too
        if torn:  # the process died while it wrote it
            self._file.truncate(path.stat().st_size - len(torn.encode()))
        if not lines:
            self._write({"format": _FORMAT, "seed": self.seed, "settings": settings})
            return
        try:
            header, *rounds = map(json.loads, lines)
            found, self.seed = header["settings"], header["seed"]
            self.rounds = [{k: np.nan if v is None else v for k, v in r.items()} for r in rounds]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path} is no journal of a run: {error}") from error
        if seed is not None:
            found, settings = {"seed": self.seed, **found}, {"seed": seed, **settings}
        if header.get("format") != _FORMAT or found != settings:
            difference = next(_differences(found, settings), f"format is {header.get('format')}")
            raise ValueError(
                f"folder={str(path.parent)!r} holds another run: {difference}. "
                "Take another folder, or remove this one"
            )

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def describe(value: Any) -> Any:
    """Return what a parameter is as plain JSON, the same in every process.

    Examples
    --------
    >>> from skprune import RandomFilter
    >>> describe(RandomFilter(keep=20))
    {'class': 'skprune.filters.random.RandomFilter', 'keep': 20, 'random_state': None}
    >>> describe(len), describe(np.arange(3))
    ('builtins.len', 'int64[3] 843b4c2e263cffb1e01994db21aa6bf9')
    """
    if isinstance(value, float) and not np.isfinite(value):
        return repr(float(value))  # NaN equals nothing, not even itself
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, partial):
        return [describe(part) for part in (value.func, value.args, value.keywords)]
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "get_params") and not isinstance(value, type):
        params = {k: v for k, v in value.get_params(deep=False).items() if k not in _IRRELEVANT}
        described = {"class": _name_of(type(value)), **{k: describe(v) for k, v in sorted(params.items())}}
        if isinstance(value, FrozenEstimator):
            inner = value.estimator
            described["fitted"] = getattr(inner, "fingerprint", None) or joblib.hash(inner)
        return described
    if isinstance(getattr(value, "fingerprint", None), str):
        return value.fingerprint
    if isinstance(value, (list, tuple)):
        return [describe(v) for v in value]
    if isinstance(value, dict):
        return {str(k): describe(v) for k, v in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.ndarray):
        digest = hashlib.blake2b(repr(value.tolist()).encode(), digest_size=16).hexdigest()
        return f"{value.dtype}{list(value.shape)} {digest}"
    return _name_of(value if hasattr(value, "__qualname__") else type(value))


def data_fingerprint(X: Any, y: Any) -> str:
    """Return a 128-bit hash, in hex, of rows and labels in their order."""
    pool = Pool(X)
    content = hashlib.blake2b(digest_size=16)
    for key in pool.keys:
        row = key.encode() if isinstance(key, str) else key
        content.update(len(row).to_bytes(8, "little") + row)
    content.update(repr(np.asarray(y).tolist()).encode())
    return content.hexdigest()


def _name_of(thing: Any) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


def _differences(found: Any, wanted: Any, where: str = "") -> Iterator[str]:
    """Yield where two descriptions differ, in words."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in [*found, *(k for k in wanted if k not in found)]:
            yield from _differences(found.get(key), wanted.get(key), f"{where}.{key}" if where else key)
    elif found != wanted:
        yield f"{where} was {found!r} there, and is {wanted!r} now"
