"""KenLM's program `query`, compiled from the source archive of the kenlm package."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from skprune.datasets._assets import build_folder, cache_home

VERSION = "0.3.0"
# As the package's own setup.py compiles its module. These sources need neither cmake nor Boost.
OPTIONS = ["-O3", "-DNDEBUG", "-DKENLM_MAX_ORDER=6", "-std=c++11", "-I.", "-w"]


def program() -> Path:
    """Return the path of `query`, which the first call compiles (half a minute)."""
    return build_folder(cache_home() / f"kenlm-query-{VERSION}", _build) / "query"


def _build(partial: Path) -> Path:
    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "kenlm"]
        subprocess.run([*pip, "--dest", folder, f"kenlm=={VERSION}"], check=True)
        with tarfile.open(next(Path(folder).glob("*.tar.gz"))) as archive:
            archive.extractall(folder, filter="data")
        source = next(Path(folder).glob("kenlm-*/"))
        files = [
            str(path.relative_to(source))
            for part in ("util/double-conversion", "util", "lm")
            for path in sorted((source / part).glob("*.cc"))
            if not path.stem.endswith(("test", "main"))
        ]
        output = partial / "content"
        output.mkdir()
        command = ["c++", *OPTIONS, *files, "lm/query_main.cc", "-o", str(output / "query")]
        subprocess.run([*command, "-lrt", "-pthread"], check=True, cwd=source)
    return output
