"""Downloads through this system's apt, without installing anything or changing apt's own state."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from skprune.datasets._assets import AssetError

HELPER = "/usr/lib/apt/apt-helper"
_TIMEOUT = 900.0  # seconds

# apt reads the file given by `-c` after the system's own files. So the system's sources and proxy settings
# apply, while the lists and the cache lie elsewhere and the update hooks do not run.
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
    """Run an apt command and return its output.

    Parameters
    ----------
    *command : str
        The program and its arguments; no shell interprets them.
    check : bool, default=True
        Whether to raise if the command fails. If False, the output includes the error stream.

    Raises
    ------
    AssetError
        If the command fails; the message holds the end of its error stream.
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
    """Return an apt-get command with its own lists and cache, which are empty before the first update.

    Parameters
    ----------
    folder : Path
        The folder for the lists and the cache.
    *languages : str
        Languages of the descriptions that an update fetches, such as ``"de"``, or ``"none"``.
    """
    (folder / "lists" / "partial").mkdir(parents=True)
    (folder / "cache" / "archives" / "partial").mkdir(parents=True)
    configuration = folder / "apt.conf"
    quoted = " ".join(f'"{language}";' for language in languages)
    configuration.write_text(_CONFIGURATION.format(folder=folder, languages=quoted), encoding="utf-8")
    return "apt-get", "-c", str(configuration)
