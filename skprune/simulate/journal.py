"""The recorded rounds of a run, so that a killed run can resume where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import portalocker
from sklearn.frozen import FrozenEstimator

from skprune.pools import Pool
from skprune.streams import draw_seed

_FORMAT = 1
# No pick depends on these parameters, whatever object has them.
_PARAMETERS_WITHOUT_EFFECT = {"memory", "n_jobs", "verbose"}


class Journal:
    """A file with one JSON line per round, after a first line with the settings that the rounds depend on.

    :meth:`append` returns after the line is on the disk. When a journal is opened, an incomplete last line,
    left by a killed run, is removed. While the journal is open, its file is locked against other processes.

    Parameters
    ----------
    memory : path or None
        The folder of the file, ``journal.jsonl``. It is created if it does not exist. None keeps the rounds
        in this process only.
    settings : dict
        What the picks depend on, as plain JSON.
    seed : int or None
        The seed of the run. None takes the seed of the recorded run, or draws a new one.

    Attributes
    ----------
    rounds : list of dict
        The rounds found in the file, and those appended since.
    seed : int
        The seed of the run.

    Raises
    ------
    ValueError
        If the folder holds another run. The message names the first setting that differs.
    OSError
        If the folder cannot be written, or another process has the journal open.
    """

    def __init__(self, memory: Any, settings: dict[str, Any], seed: int | None) -> None:
        self.rounds: list[dict[str, Any]] = []
        self._file: Any = None
        self.seed = draw_seed(seed)
        if memory is not None:
            path = Path(memory).expanduser() / "journal.jsonl"
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+", encoding="utf-8", newline="\n")
            try:
                self._load(path, settings, seed)
            except BaseException:
                self.close()
                raise

    def append(self, round_: dict[str, Any]) -> None:
        """Record a round. A crash leaves either the whole round in the file, or nothing of it."""
        if self._file is not None:  # JSON has no NaN
            self._write({k: None if v != v else v for k, v in round_.items()})
        self.rounds.append(round_)

    def close(self) -> None:
        """Close the file, which releases the lock."""
        if self._file is not None:
            self._file.close()

    def _load(self, path: Path, settings: dict[str, Any], seed: int | None) -> None:
        try:
            portalocker.lock(self._file, portalocker.LOCK_EX | portalocker.LOCK_NB)
        except portalocker.AlreadyLocked as error:
            raise OSError(f"memory={str(path.parent)!r} is in use by another run") from error
        except portalocker.LockException as error:
            raise OSError(f"memory={str(path.parent)!r} cannot be locked: {error}") from error
        self._file.seek(0)
        # str.splitlines would also split at other characters, which JSON strings may contain.
        *lines, incomplete = self._file.read().split("\n")
        if incomplete:
            self._file.truncate(path.stat().st_size - len(incomplete.encode()))
        if not lines:
            self._write({"format": _FORMAT, "seed": self.seed, "settings": settings})
            return
        try:
            header, *rounds = map(json.loads, lines)
            found, self.seed = header["settings"], header["seed"]
            self.rounds = [{k: np.nan if v is None else v for k, v in r.items()} for r in rounds]
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"{path} is not a journal of a simulator run: {error}") from error
        if seed is not None:
            found, settings = {"seed": self.seed, **found}, {"seed": seed, **settings}
        if header.get("format") != _FORMAT or found != settings:
            difference = next(_differences(found, settings), f"its format is {header.get('format')}")
            raise ValueError(
                f"memory={str(path.parent)!r} holds another run: {difference}. "
                "Choose another folder, or remove this one"
            )

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def plain_settings(value: Any) -> Any:
    """Return a parameter's value as plain JSON that is the same in every process.

    Examples
    --------
    >>> from skprune import RandomFilter
    >>> plain_settings(RandomFilter(keep=20))
    {'class': 'skprune.filters.random.RandomFilter', 'keep': 20, 'random_state': None}
    >>> plain_settings(len), plain_settings(np.arange(3))
    ('builtins.len', 'int64[3] 843b4c2e263cffb1e01994db21aa6bf9')
    """
    if isinstance(value, float) and not np.isfinite(value):
        return repr(float(value))  # NaN would differ from itself
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, partial):
        return [plain_settings(part) for part in (value.func, value.args, value.keywords)]
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "get_params") and not isinstance(value, type):
        plain = {"class": _qualified_name(type(value))}
        for name, parameter in sorted(value.get_params(deep=False).items()):
            if name not in _PARAMETERS_WITHOUT_EFFECT:
                plain[name] = plain_settings(parameter)
        if isinstance(value, FrozenEstimator):
            inner = value.estimator
            plain["fitted"] = getattr(inner, "fingerprint", None) or joblib.hash(inner)
        return plain
    if isinstance(getattr(value, "fingerprint", None), str):
        return value.fingerprint
    if isinstance(value, (list, tuple)):
        return [plain_settings(v) for v in value]
    if isinstance(value, dict):
        return {str(k): plain_settings(v) for k, v in value.items()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, np.ndarray):
        digest = hashlib.blake2b(repr(value.tolist()).encode(), digest_size=16).hexdigest()
        return f"{value.dtype}{list(value.shape)} {digest}"
    return _qualified_name(value if hasattr(value, "__qualname__") else type(value))


def data_fingerprint(pool: Pool, y: Any) -> str:
    """Return a 128-bit hash, in hex, of the rows and their labels in order."""
    content = hashlib.blake2b(digest_size=16)
    for key in pool.keys:
        row = key.encode() if isinstance(key, str) else key
        content.update(len(row).to_bytes(8, "little") + row)
    content.update(repr(np.asarray(y).tolist()).encode())
    return content.hexdigest()


def _qualified_name(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _differences(found: Any, wanted: Any, where: str = "") -> Iterator[str]:
    """Yield one sentence for each setting that differs."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in [*found, *(k for k in wanted if k not in found)]:
            yield from _differences(found.get(key), wanted.get(key), f"{where}.{key}" if where else key)
    elif found != wanted:
        yield f"{where} was {found!r} in that run, and is {wanted!r} now"
