"""The shell command ``skprune``, thin over the library."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command on the arguments of the process."""
    try:
        from skprune.cli.app import app
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] == "skprune":
            raise
        package = error.name.partition(".")[0]
        sys.exit(f"skprune: the shell command needs {package}: pip install 'skprune[cli]'")
    except KeyboardInterrupt:
        sys.exit(130)
    app(prog_name="skprune")
