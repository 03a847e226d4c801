"""Where a model is: a file, a folder, or a name on the hub."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path

from skprune.exceptions import ModelLoadError

_GGUF_MAGIC = b"GGUF"


def resolve(model: str | os.PathLike[str]) -> Path | str:
    """Return the GGUF file or folder that a language model's name or path means, else the hub name.

    Raises
    ------
    ModelLoadError
        If ``model`` is a path that leads to no model.
    """
    name = os.fspath(model)
    path = local_path(name)
    if path is None:
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


def local_path(model: str | os.PathLike[str]) -> Path | None:
    """Return the local path that ``model`` means, or None if it is a name on the hub."""
    path = Path(model).expanduser()
    return path if path.exists() or _looks_local(os.fspath(model)) else None


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """Silence the progress bars and reports of model loading; restore the settings afterwards."""
    from transformers.utils import logging

    verbosity, progress_bar = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with redirect_stderr(io.StringIO()):  # the progress bar of the GGUF reader ignores both settings
            yield
    finally:
        logging.set_verbosity(verbosity)
        if progress_bar:
            logging.enable_progress_bar()


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the error's type if it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _looks_local(name: str) -> bool:
    """Return whether a name can only be a path, and not a name on the hub."""
    path = Path(name).expanduser()
    return path.is_absolute() or name.startswith(".") or name.count("/") > 1 or path.suffix == ".gguf"
