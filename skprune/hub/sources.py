"""Where a model is: a file, a folder, or a name on the hub; and how transformers loads it from there."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

from skprune.exceptions import ModelLoadError
from skprune.hub.names import HubModel, find_on_hub, not_available, reason_of

_GGUF_MAGIC = b"GGUF"


def resolve(
    model: str | os.PathLike[str],
    revision: str | None = None,
    *,
    parameter: str = "model",
    gguf: bool = False,
    needs: tuple[str, ...] = ("config.json",),
) -> Path | HubModel:
    """Return the folder, the GGUF file or the model on the hub that a parameter means.

    Everything that loads a model comes through here, so that a name or path means the same everywhere, and
    an error reads the same.

    Parameters
    ----------
    model : str or path-like
        A path or a name on the hub. What exists as a path is a path.
    revision : str, default=None
        Branch, tag or commit of a hub name.
    parameter : str, default="model"
        The parameter that the user set; errors name it.
    gguf : bool, default=False
        Whether a GGUF file, or a folder with exactly one of them, will do.
    needs : tuple of str
        The files one of which makes a folder that of a model.

    Returns
    -------
    Path or HubModel
        An absolute path, or a name on the hub with its commit.

    Raises
    ------
    ModelLoadError
        If ``model`` is a path that leads to no model, or a name that neither the hub nor the local cache
        provides.
    """
    name = os.fspath(model)
    path = local_path(name)
    if path is None:
        return find_on_hub(name, revision, parameter=parameter, gguf=gguf)
    if not path.exists():
        kinds = "folder, a GGUF file" if gguf else "folder"
        raise ModelLoadError(
            f"{parameter}={name!r} does not exist: pass the path of a {kinds} or the name of a model on "
            "the hub"
        )
    is_model = any((path / file).is_file() for file in needs)
    if not gguf:
        if not is_model:
            raise ModelLoadError(
                f"{parameter}={name!r} must be a folder with a {' or a '.join(needs)}, and weights"
            )
        return path.absolute()
    if path.is_dir():
        ggufs = sorted(path.glob("*.gguf"))
        if is_model and (len(ggufs) != 1 or any(path.glob("*.safetensors"))):
            return path.absolute()
        if len(ggufs) != 1:
            raise ModelLoadError(
                f"{parameter}={name!r} holds neither a config.json nor exactly one GGUF file "
                f"({len(ggufs)} found)"
            )
        path = ggufs[0]
    with open(path, "rb") as file:
        if file.read(len(_GGUF_MAGIC)) != _GGUF_MAGIC:
            raise ModelLoadError(f"{parameter}={name!r} is not a GGUF file")
    return path.absolute()


def local_path(model: str | os.PathLike[str]) -> Path | None:
    """Return the local path that ``model`` means, or None if it is a name on the hub."""
    path = Path(model).expanduser()
    return path if path.exists() or _looks_local(os.fspath(model)) else None


def loader_arguments(source: Path | HubModel) -> tuple[str, dict[str, Any]]:
    """Return the name and the options that locate a source for any ``from_pretrained``.

    A local model never asks the hub, and neither does one that is taken from the local cache.
    """
    if isinstance(source, HubModel):
        return source.name, {"revision": source.commit, "local_files_only": bool(source.cached_only)}
    if source.is_dir():
        return str(source), {"local_files_only": True}
    return str(source.parent), {"gguf_file": source.name, "local_files_only": True}


def safe_config(source: Path | HubModel) -> Any:
    """Return the configuration of a model, without what would make transformers run code from elsewhere.

    A ``config.json`` may name a kernel on the hub as its attention, and transformers would fetch and run that
    kernel if the package ``kernels`` is installed. An argument of ``from_pretrained`` does not prevent this.
    Without the entry transformers chooses its own attention: "sdpa" if the model supports it, else "eager".
    """
    import transformers

    name, options = loader_arguments(source)
    config = transformers.AutoConfig.from_pretrained(name, trust_remote_code=False, **options)
    config._attn_implementation = None  # transformers passes it on to the parts of a composite configuration
    if hasattr(config, "_experts_implementation"):
        config._experts_implementation = None
    return config


def load_error(
    source: Path | HubModel, kind: str, error: BaseException, *, parameter: str = "model", gguf: bool = False
) -> ModelLoadError:
    """Return the error for a model that was found and does not load as ``kind``, such as "a text encoder"."""
    if isinstance(source, HubModel) and source.cached_only:
        reason = (
            f"does not load as {kind} from the local cache, which lacks a file or holds a damaged one "
            f"({reason_of(error)}), and {source.cached_only}"
        )
        return not_available(source.name, reason, parameter, gguf)
    name = source.name if isinstance(source, HubModel) else str(source)
    return ModelLoadError(
        f"{parameter}={name!r} does not load as {kind}: it is damaged or of another kind ({reason_of(error)})"
    )


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


def _looks_local(name: str) -> bool:
    """Return whether a name can only be a path, and not a name on the hub."""
    path = Path(name).expanduser()
    return path.is_absolute() or name.startswith(".") or name.count("/") > 1 or path.suffix == ".gguf"
