"""Import of optional dependencies at the place that needs them."""

from __future__ import annotations

import importlib
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
        # modAL pins an old skorch that no longer imports, so no extra of skprune can depend on modAL.
        command = _MODAL_COMMAND if extra == "modal" else f"pip install 'skprune[{extra}]'"
        raise ImportError(f"{purpose} needs {module.partition('.')[0]}: {command}") from error
