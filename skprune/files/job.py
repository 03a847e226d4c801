"""A job in its output folders: who works on it, what it is, and which of its parts are done."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import portalocker

from skprune.settings import differences
from skprune.store import open_store

#: The folder for the state of a job; readers of data skip hidden names.
STATE = ".skprune"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Job:
    """The output folders of one call, locked against others. Use it as a context.

    Parameters
    ----------
    out : Path
    removed : Path or None
    settings : dict
        What the output depends on, as plain JSON.
    seed : int or None
        None takes the seed of the interrupted call, or draws a new one.

    Attributes
    ----------
    seed : int
    scores : Path
        The folder of a store for scores, which are needed only until the job is done.

    Raises
    ------
    FileExistsError
        If a folder holds anything but parts of this job. The message says what differs.
    BlockingIOError
        If another process writes there.
    """

    def __init__(self, out: Path, removed: Path | None, settings: dict[str, Any], seed: int | None) -> None:
        self._folders = {"out": out} | ({} if removed is None else {"removed": removed})
        self._settings = settings
        self._state = out / STATE
        self._fingerprint = hashlib.blake2b(json.dumps(settings).encode(), digest_size=8).hexdigest()
        self._seed = seed
        self.scores = self._state / "scores"

    def __enter__(self) -> Job:
        self._open = ExitStack()
        try:
            for name, folder in self._folders.items():
                self._take(name, folder)
            self._resume_or_begin()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def marker(self, number: int) -> Path:
        """Return the file whose existence says that a part is done."""
        return self._state / f"{self._fingerprint}-{number:05d}.json"

    def forget_unless_written(self, marker: Path, names: dict[str, str]) -> None:
        """Remove the marker of a part unless all its files, by folder, are still there.

        A name that is too long for a folder is an error.
        """
        for folder, name in names.items():
            try:
                (self._folders[folder] / name).stat()
            except (FileNotFoundError, NotADirectoryError):
                marker.unlink(missing_ok=True)
            except OSError as error:
                if error.errno != errno.ENAMETOOLONG:
                    raise
                raise OSError(
                    error.errno, f"{name} is too long a name for a file in {folder}; rename the input"
                ) from error

    @contextmanager
    def replacing(self, name: str, path: str) -> Iterator[Path]:
        """Give a path for a file that appears in a folder, ``"out"`` or ``"removed"``, when it is whole."""
        folder = self._folders[name]
        aside = folder / STATE / "aside-rows"  # one at a time; a longer name might be too long
        target = folder / path
        yield aside
        with open(aside, "rb+") as file:
            os.fsync(file.fileno())
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(aside, target)

    def write_state(self, path: Path, content: Any) -> None:
        """Write a file of the job's state as a whole."""
        aside = path.with_suffix(".aside")
        with open(aside, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)

    @contextmanager
    def explaining_a_full_disk(self) -> Iterator[None]:
        """Say what a full disk means for the job."""
        try:
            yield
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise OSError(
                error.errno,
                f"out={str(self._folders['out'])!r}: the disk is full, or a quota or a limit on file sizes "
                f"is reached ({error}). Free some space and repeat the call: it resumes after the files that "
                "are done",
            ) from error

    def finish(self, keep_scores: bool) -> None:
        """Remove what is needed only until the job is done."""
        self.close_scores()
        if not keep_scores:
            shutil.rmtree(self.scores, ignore_errors=True)

    def close_scores(self) -> None:
        """Close the store of the scores until it is used again."""
        if self.scores.exists():
            open_store(self.scores).close()

    def _take(self, name: str, folder: Path) -> None:
        """Lock a folder, and refuse one in use, or one that holds anything else."""
        state = folder / STATE
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(f"{name}={str(folder)!r} is not a folder")
        if folder.exists() and any(folder.iterdir()) and not (state / "lock").exists():
            raise FileExistsError(f"{name}={str(folder)!r} is not empty; choose a new folder")
        state.mkdir(parents=True, exist_ok=True)
        lock = self._open.enter_context((state / "lock").open("a"))
        try:
            portalocker.lock(lock, portalocker.LOCK_EX | portalocker.LOCK_NB)
        except portalocker.LockException as error:
            raise BlockingIOError(
                f"{name}={str(folder)!r} is in use by another process; wait for it, or choose another folder"
            ) from error
        for aside in state.glob("aside-*"):
            aside.unlink()

    def _has_written(self) -> bool:
        """Return whether the folders hold more than scores, which another job can use too."""
        files = [path for folder in self._folders.values() for path in folder.iterdir()]
        return any(path.name != STATE for path in files) or any(self._state.glob(f"*-{'[0-9]' * 5}.json"))

    def _resume_or_begin(self) -> None:
        """Compare with the job that the folders hold, and take its seed."""
        wanted: dict[str, Any] = {"settings": self._settings, "seed": self._seed}
        files = {name: folder / STATE / "job.json" for name, folder in self._folders.items()}
        held = {name: _read(file) if file.exists() else None for name, file in files.items()}
        found = held["out"]
        if found is not None and self._seed is None:
            wanted["seed"] = found.get("seed")
        if self._has_written():
            if any(other != found for other in held.values()):
                raise FileExistsError("out and removed hold different jobs; choose new folders")
            if found != wanted:
                difference = next(differences(found, wanted)).removeprefix("settings.")
                raise FileExistsError(
                    f"out={str(self._folders['out'])!r} holds another job: {difference}. Choose a new "
                    "folder, or remove this one"
                )
        if wanted["seed"] is None:
            wanted["seed"] = int.from_bytes(os.urandom(4), "little") >> 1
        self.seed = int(wanted["seed"])
        for folder in self._folders.values():
            self.write_state(folder / STATE / "job.json", wanted)


def read_done(marker: Path) -> dict[str, Any] | None:
    """Return what the marker of a part says, or None if the part is not done."""
    return _read(marker) if marker.exists() else None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        content = None
    return content if isinstance(content, dict) else {}
