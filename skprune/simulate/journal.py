"""The recorded rounds of a run, so that a killed run can resume where it stopped."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import portalocker

from skprune.pools import Pool
from skprune.settings import differences
from skprune.simulate.checks import check_initial_labels
from skprune.streams import draw_seed

_FORMAT = 1
# What every round records, besides the rows picked and its metrics.
_COUNTS = ("round", "labels", "pool", "subpool", "llm_calls")
_MEASURES = ("select_seconds", "train_seconds", "predict_seconds", "minority_found")


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
        If the folder holds another run, and the message names the first setting that differs; or if the file
        is damaged, and the message names the line.
    OSError
        If the folder cannot be written, or another process has the journal open.
    """

    def __init__(self, memory: Any, settings: dict[str, Any], seed: int | None) -> None:
        self.rounds: list[dict[str, Any]] = []
        self._file: Any = None
        self.seed = draw_seed(seed)
        if memory is not None:
            self._path = Path(memory).expanduser() / "journal.jsonl"
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab+")
            try:
                self._load(settings, seed)
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

    def check(
        self,
        pool: Pool,
        rows: np.ndarray,
        y: np.ndarray,
        *,
        n_instances: int,
        are_classes: bool,
        metrics: Collection[str],
    ) -> None:
        """Refuse recorded rounds that a run over this pool could not have played.

        Parameters
        ----------
        pool : Pool of n_pool rows
        rows : ndarray of int, shape (n_pool,), ascending
            The rows of ``X`` that are in the pool: those that a round may name.
        y : ndarray of shape (n_pool,)
        n_instances : int
            Maximum number of labels per round.
        are_classes : bool
            Whether ``y`` holds classes.
        metrics : collection of str
            Further numbers that every round must have.

        Raises
        ------
        ValueError
            The message names the line.
        """
        numbers, labeled = pool.table.row_of, np.empty(0, dtype=np.intp)
        n_classes = len(np.unique(y)) if are_classes else 0
        for number, round_ in enumerate(self.rounds):
            with self._names_line(number + 2):
                if missing := {*_COUNTS, *_MEASURES, *metrics, "picked"} - round_.keys():
                    raise ValueError(f"it has no {', '.join(sorted(missing))}")
                _check_numbers(round_, metrics)
                counts = round_.get("subpool_counts", [0] * n_classes)  # earlier versions did not count
                whole = isinstance(counts, list) and all(type(n) is int and n >= 0 for n in counts)
                if not whole or len(counts) != n_classes:
                    raise ValueError(f"subpool_counts must hold {n_classes} counts, one per class")
                picked = np.searchsorted(rows, _checked_rows(round_["picked"], rows))
                if number == 0:
                    check_initial_labels(y[picked], are_classes=are_classes, label_budget=None)
                elif len(picked) > n_instances or np.isin(picked, labeled).any():
                    raise ValueError(f"picked must name at most {n_instances} rows, none of an earlier line")
                n_unlabeled = int((~np.isin(numbers, numbers[labeled])).sum())
                labeled = np.concatenate([labeled, picked])
                for name, value in (("round", number), ("labels", len(labeled)), ("pool", n_unlabeled)):
                    if round_[name] != value:
                        raise ValueError(f"{name} must be {value}, and is {round_[name]}")

    def _load(self, settings: dict[str, Any], seed: int | None) -> None:
        path, memory = self._path, str(self._path.parent)
        try:
            portalocker.lock(self._file, portalocker.LOCK_EX | portalocker.LOCK_NB)
        except portalocker.AlreadyLocked as error:
            raise OSError(f"memory={memory!r} is in use by another run") from error
        except portalocker.LockException as error:
            raise OSError(f"memory={memory!r} cannot be locked: {error}") from error
        self._file.seek(0)
        *lines, incomplete = self._file.read().split(b"\n")
        start = b'{"format": '
        if not lines and incomplete[: len(start)] != start[: len(incomplete)]:
            raise ValueError(f"{path} is not a journal of a simulator run; choose another folder")
        objects = []
        for number, line in enumerate(lines, start=1):
            with self._names_line(number):
                objects.append(_parsed(line))
        if objects:
            with self._names_line(1):
                self._compare(objects[0], settings, seed)
        if incomplete:
            self._file.truncate(path.stat().st_size - len(incomplete))
        if not lines:
            self._write({"format": _FORMAT, "seed": self.seed, "settings": settings})
        # JSON has no NaN
        self.rounds = [{k: np.nan if v is None else v for k, v in r.items()} for r in objects[1:]]

    def _compare(self, header: dict[str, Any], settings: dict[str, Any], seed: int | None) -> None:
        """Refuse a header of other settings, and take its seed."""
        found, self.seed = header.get("settings"), header.get("seed", -1)
        if not isinstance(found, dict) or type(self.seed) is not int or self.seed < 0:
            raise ValueError("it must hold the settings and the seed of a run")
        if seed is not None:
            found, settings = {"seed": self.seed, **found}, {"seed": seed, **settings}
        if header.get("format") != _FORMAT or found != settings:
            difference = next(differences(found, settings), f"its format is {header.get('format')}")
            raise _OtherRunError(
                f"memory={str(self._path.parent)!r} holds another run: {difference}. "
                "Choose another folder, or remove this one"
            )

    @contextmanager
    def _names_line(self, number: int) -> Iterator[None]:
        """Name the file and the line in errors about its content."""
        try:
            yield
        except _OtherRunError:
            raise
        except (ValueError, RecursionError) as error:
            if number == 1:
                raise ValueError(
                    f"{self._path} is not a journal of a simulator run, see line 1: {error}. Choose another "
                    "folder"
                ) from error
            raise ValueError(
                f"line {number} of {self._path} is not a round of this run: {error}. Remove it and the lines "
                "after it, to resume before that round, or choose another folder"
            ) from error

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


class _OtherRunError(ValueError):
    """The journal is in order, and belongs to another run."""


def _parsed(line: bytes) -> dict[str, Any]:
    """Return the JSON object of a line."""
    parsed = json.loads(line.decode())
    if not isinstance(parsed, dict):
        raise ValueError("it is not a JSON object")
    return parsed


def _checked_rows(picked: Any, rows: np.ndarray) -> np.ndarray:
    """Return the rows that a round names: at least one, all different, each one in the pool."""
    if not isinstance(picked, list) or not picked or not all(type(row) is int for row in picked):
        raise ValueError("picked must be a list of row numbers")
    in_range = all(0 <= row <= rows[-1] for row in picked)
    if not in_range or len(set(picked)) < len(picked) or not np.isin(picked, rows).all():
        raise ValueError("picked must name rows of the pool, each of them once")
    return np.array(picked)


def _check_numbers(round_: dict[str, Any], metrics: Collection[str]) -> None:
    """Refuse counts that are not whole numbers, and measures that are not numbers."""
    for name in (*_COUNTS, *_MEASURES, *metrics):
        value, is_count = round_[name], name in _COUNTS
        if type(value) is not int and (is_count or type(value) is not float):
            raise ValueError(f"{name} must be a number, and is {value!r}")
        if (is_count or name.endswith("_seconds")) and not 0 <= value < np.inf:
            raise ValueError(f"{name} must not be negative or infinite, and is {value!r}")


def data_fingerprint(pool: Pool, y: Any) -> str:
    """Return a 128-bit hash, in hex, of the rows and their labels in order."""
    content = hashlib.blake2b(digest_size=16)
    for key in pool.keys:
        row = key.encode() if isinstance(key, str) else key
        content.update(len(row).to_bytes(8, "little") + row)
    content.update(repr(np.asarray(y).tolist()).encode())
    return content.hexdigest()
