"""This system's apt, asked for data: nothing is installed, and its own state stays as it is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from skprune.datasets._assets import AssetError

HELPER = "/usr/lib/apt/apt-helper"
_TIMEOUT = 900.0  # seconds

# `-c` is read after the system's own files, so the sources and the proxy settings stay as they are,
# while nothing of the system's state is touched: neither its lists nor what its hooks would do.
_CONFIGURATION = """\
#clear Acquire::Languages;
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
Acquire::Languages {{ {languages} }};
APT::Sandbox::User "root";
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}/cache";
"""


def run(*command: str, check: bool = True) -> str:
    """Output of a command of apt's (both streams where it may fail).

    Parameters
    ----------
    *command : str
        The program and its arguments; no shell reads them.
    check : bool, default=True
        Whether a failure is an error.

    Raises
    ------
    AssetError
        If the command fails, with the end of what it said.
    """
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE if check else subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        timeout=_TIMEOUT,
        check=False,
    )
    if check and done.returncode:
        raise AssetError(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")
    return done.stdout


def apt_get(folder: Path, *languages: str) -> tuple[str, ...]:
    """The command apt-get with lists and cache of its own, empty until it is told to update.

    Parameters
    ----------
    folder : Path
        Where they are made.
    *languages : str
        Of the descriptions that an update brings, as in ``"de"``, or ``"none"``.
    """
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True)
    configuration = folder / "apt.conf"
    quoted = " ".join(f'"{language}";' for language in languages)
    configuration.write_text(_CONFIGURATION.format(folder=folder, languages=quoted), encoding="utf-8")
    return "apt-get", "-c", str(configuration)
