"""Import of optional dependencies at the place that needs them."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

_MODAL_COMMAND = "pip install --no-deps modAL-python"


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import a module, or say which extra of skprune installs it.

    Parameters
    ----------
    module : str
        Dotted name to import.
    extra : str
        The extra in ``pyproject.toml`` that installs the module.
    purpose : str
        What needs the module: the beginning of the error message.

    Returns
    -------
    module

    Raises
    ------
    ImportError
        If the module cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise _missing(module, extra, purpose) from error


@contextmanager
def optional_imports(*, extra: str, purpose: str) -> Iterator[None]:
    """Turn a failed import inside the block into the error of :func:`require`.

    For modules that are imported only by those who use them, and so may import an optional package at
    their top.

    Parameters
    ----------
    extra, purpose : str
        As for :func:`require`.
    """
    try:
        yield
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] == "skprune":
            raise
        raise _missing(error.name, extra, purpose) from error


def _missing(module: str, extra: str, purpose: str) -> ImportError:
    # modAL pins an old skorch that no longer imports, so no extra of skprune can depend on modAL.
    command = _MODAL_COMMAND if extra == "modal" else f"pip install 'skprune[{extra}]'"
    return ImportError(f"{purpose} needs {module.partition('.')[0]}: {command}")
