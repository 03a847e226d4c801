"""Optional dependencies, imported where they are used."""

from __future__ import annotations

import importlib
from types import ModuleType

_MODAL_COMMAND = "pip install --no-deps modAL-python"


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import ``module`` or say which extra of skprune brings it.

    Parameters
    ----------
    module : str
        Dotted name to import.
    extra : str
        The extra in ``pyproject.toml`` that installs it.
    purpose : str
        What needs it, as the beginning of the error message.

    Raises
    ------
    ImportError
        If the module cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        # modAL pins a skorch that no longer imports, so no extra of ours can name it.
        command = _MODAL_COMMAND if extra == "modal" else f"pip install 'skprune[{extra}]'"
        raise ImportError(f"{purpose} needs {module.partition('.')[0]}: {command}") from error
