"""Fashion-MNIST out of the distribution's package of it, through apt."""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import re
import shutil
from pathlib import Path

import numpy as np

from skprune.datasets import _apt
from skprune.datasets._assets import AssetError, cache_home, partial_folder

_PACKAGE = "dataset-fashion-mnist"
_INSTALLED = Path("/usr/share/datasets/fashion-mnist")
# A line of apt-get --print-uris: address, file name, size, hash.
_LOCATION = re.compile(r"'(\S+)' \S+ \d+ (SHA256:\w+)")
# Of the files, not of the package: a distribution may build it anew.
_SHA256 = {
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
}
_logger = logging.getLogger("skprune")


def read(subset: str) -> tuple[np.ndarray, np.ndarray]:
    """Images and labels of ``"train"`` or ``"t10k"``: uint8 of shape (n, 28, 28), and (n,).

    Raises
    ------
    AssetError
        If there is no apt on this machine, it does not reach the package, or the content is another one.
    """
    folder = _folder()
    images = _idx(folder / f"{subset}-images-idx3-ubyte.gz", n_dimensions=3)
    return images, _idx(folder / f"{subset}-labels-idx1-ubyte.gz", n_dimensions=1)


def _folder() -> Path:
    """The folder with the four files; downloaded on the first call, unless the package is installed."""
    if _INSTALLED.is_dir():
        _check(_INSTALLED)
        return _INSTALLED
    target = cache_home() / "fashion-mnist"
    if not target.is_dir():
        with partial_folder(target.parent) as partial:
            files = _download(partial)
            _check(files)
            try:
                os.replace(files, target)
            except OSError:
                if not target.is_dir():  # another process may have been first
                    raise
    return target


def _download(partial: Path) -> Path:
    """Have apt download the package, and unpack it."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise AssetError(
            f"Fashion-MNIST comes as {_PACKAGE}, which needs a Debian-family system with apt-get"
        )
    _logger.info("downloading %s with apt", _PACKAGE)
    where = _LOCATION.search(_apt.run("apt-get", "--print-uris", "download", _PACKAGE, check=False))
    if where is None:  # this system's lists are empty: ask for them, but elsewhere
        apt_get = _apt.apt_get(partial, "none")
        failure = _apt.run(*apt_get, "update", check=False)
        found = _apt.run(*apt_get, "--print-uris", "download", _PACKAGE, check=False)
        where = _LOCATION.search(found)
        if where is None:
            raise AssetError(f"apt knows no {_PACKAGE}: {failure.strip()[-300:]} {found.strip()[-300:]}")
    archive = partial / "package.deb"
    _apt.run(_apt.HELPER, "download-file", where[1], str(archive), where[2])
    _apt.run("dpkg-deb", "-x", str(archive), str(partial / "unpacked"))
    return partial / "unpacked" / _INSTALLED.relative_to("/")


def _check(folder: Path) -> None:
    for name, expected in _SHA256.items():
        path = folder / name
        if not path.is_file():
            raise AssetError(f"{_PACKAGE} has no {name}")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise AssetError(f"{path} is not the pinned file: SHA-256 {found}, expected {expected}")


def _idx(path: Path, *, n_dimensions: int) -> np.ndarray:
    """Read an IDX file of bytes: two zeros, the type (8), the dimensions, their sizes, the values."""
    content = gzip.decompress(path.read_bytes())
    if content[:4] != bytes([0, 0, 8, n_dimensions]):
        raise AssetError(f"{path} is no IDX file of bytes in {n_dimensions} dimensions")
    header = 4 + 4 * n_dimensions
    shape = np.frombuffer(content[4:header], dtype=">u4")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
