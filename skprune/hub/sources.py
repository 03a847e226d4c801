"""Where a language model lies, and what tells its content from another's."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from functools import lru_cache
from pathlib import Path

from skprune._optional import require
from skprune.exceptions import ModelLoadError

_GGUF_MAGIC = b"GGUF"
# What in a model's folder can change a score.
_MODEL_FILES = {".gguf", ".jinja", ".json", ".model", ".safetensors", ".txt"}


def resolve(model: str | os.PathLike[str]) -> Path | str:
    """Return the GGUF file or the folder that is meant, or the name on the hub.

    Raises
    ------
    ModelLoadError
        If a path leads to no model.
    """
    name = os.fspath(model)
    path = Path(name).expanduser()
    if not path.exists() and not looks_local(name):
        return name
    if path.is_dir():
        ggufs = sorted(path.glob("*.gguf"))
        if (path / "config.json").is_file() and (len(ggufs) != 1 or any(path.glob("*.safetensors"))):
            return path.absolute()
        if len(ggufs) != 1:
            raise ModelLoadError(
                f"model={name!r} holds neither a config.json nor exactly one GGUF file ({len(ggufs)} found)"
            )
        path = ggufs[0]
    if not path.is_file():
        raise ModelLoadError(f"model={name!r} does not exist")
    with open(path, "rb") as file:
        if file.read(len(_GGUF_MAGIC)) != _GGUF_MAGIC:
            raise ModelLoadError(f"model={name!r} is not a GGUF file")
    return path.absolute()


def looks_local(name: str) -> bool:
    """Return whether a name can be a path only, and none on the hub."""
    path = Path(name).expanduser()
    return path.is_absolute() or name.startswith(".") or name.count("/") > 1 or path.suffix == ".gguf"


def state_of(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return what changes where a model's folder is written anew; nothing where there is no folder."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return tuple((str(file), file.stat().st_size, file.stat().st_mtime_ns) for file in files)


def content_of(source: Path | str, revision: str | None) -> str:
    """Return what tells one model's content from another's."""
    if isinstance(source, str):
        return f"{source}@{commit_of(source, revision)}"
    files = [source]
    if source.is_dir():
        files = sorted(file for file in source.iterdir() if file.suffix in _MODEL_FILES and file.is_file())
    digest = hashlib.blake2b(digest_size=16)
    for file in files:
        status = file.stat()
        content = _file_digest(str(file), status.st_size, status.st_mtime_ns)
        digest.update((content if source.is_file() else f"{file.name} {content}\n").encode())
    return digest.hexdigest()


@lru_cache(maxsize=256)
def _file_digest(path: str, size: int, modified: int) -> str:
    """About a second a gigabyte, so once for each state of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


@lru_cache(maxsize=256)
def commit_of(name: str, revision: str | None) -> str:
    """Return the commit of a hub name: its config is a few hundred bytes, in the cache or on the hub."""
    transformers = require("transformers", extra="llm", purpose="A causal language model")
    try:
        with quiet_transformers():
            config = transformers.AutoConfig.from_pretrained(name, revision=revision, trust_remote_code=False)
    except Exception as error:  # the hub's client, json and transformers raise what they like
        raise ModelLoadError(
            f"model={name!r} is no local path, and the hub gives no such model ({first_line(error)}). "
            "Where the hub cannot be reached, pass the path of a folder or GGUF file"
        ) from error
    return getattr(config, "_commit_hash", None) or revision or "main"


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the progress bars and reports of loading, and leave the settings as they were."""
    from transformers.utils import logging

    verbosity, progress_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with redirect_stderr(io.StringIO()):  # the GGUF reader's bar heeds no setting
            yield
    finally:
        logging.set_verbosity(verbosity)
        if progress_bar:
            logging.enable_progress_bar()


def first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
