"""Fashion-MNIST from its Debian package, downloaded through apt."""

from __future__ import annotations

import gzip
import hashlib
import logging
import re
import shutil
from pathlib import Path

import numpy as np

from skprune.datasets import _apt
from skprune.datasets._assets import AssetError, build_folder, cache_home

_PACKAGE = "dataset-fashion-mnist"
_INSTALLED = Path("/usr/share/datasets/fashion-mnist")
# A line printed by apt-get --print-uris: address, file name, size, hash.
_LOCATION = re.compile(r"'(\S+)' \S+ \d+ (SHA256:\w+)")
# Hashes of the files, not of the package, which a distribution may rebuild.
_SHA256 = {
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
    "train-images-idx3-ubyte.gz": "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7",
    "train-labels-idx1-ubyte.gz": "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056",
}
_logger = logging.getLogger("skprune")


def read(subset: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the images and labels of ``"train"`` or ``"t10k"``: uint8 of shapes (n, 28, 28) and (n,).

    Raises
    ------
    AssetError
        If apt is missing or cannot download the package, or if its content is not the pinned one.
    """
    folder = _folder()
    images = _idx(folder / f"{subset}-images-idx3-ubyte.gz", n_dimensions=3)
    return images, _idx(folder / f"{subset}-labels-idx1-ubyte.gz", n_dimensions=1)


def _folder() -> Path:
    """Return the folder of the four files, downloaded on the first call unless the package is installed."""
    if _INSTALLED.is_dir():
        _check(_INSTALLED)
        return _INSTALLED
    return build_folder(cache_home() / "fashion-mnist", _download)


def _download(partial: Path) -> Path:
    """Download the package with apt, unpack it and return the folder of its checked files."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise AssetError(
            f"load_fashion_mnist downloads the Debian package {_PACKAGE}, which needs a Debian-family system "
            "with apt-get and dpkg-deb"
        )
    _logger.info("downloading %s with apt", _PACKAGE)
    where = _LOCATION.search(_apt.run("apt-get", "--print-uris", "download", _PACKAGE, check=False))
    if where is None:  # the system's lists do not have it; fetch them into another folder
        apt_get = _apt.apt_get(partial, "none")
        failure = _apt.run(*apt_get, "update", check=False)
        found = _apt.run(*apt_get, "--print-uris", "download", _PACKAGE, check=False)
        where = _LOCATION.search(found)
        if where is None:
            raise AssetError(
                f"apt does not find the package {_PACKAGE}; check the system's apt sources. "
                f"apt: {failure.strip()[-300:]} {found.strip()[-300:]}"
            )
    archive = partial / "package.deb"
    _apt.run(_apt.HELPER, "download-file", where[1], str(archive), where[2])
    _apt.run("dpkg-deb", "-x", str(archive), str(partial / "unpacked"))
    folder = partial / "unpacked" / _INSTALLED.relative_to("/")
    _check(folder)
    return folder


def _check(folder: Path) -> None:
    for name, expected in _SHA256.items():
        path = folder / name
        if not path.is_file():
            raise AssetError(f"the package {_PACKAGE} has no file {name}")
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != expected:
            raise AssetError(f"{path} is not the pinned file: its SHA-256 is {found}, expected {expected}")


def _idx(path: Path, *, n_dimensions: int) -> np.ndarray:
    """Read an IDX file of bytes: two zeros, the type (8), the dimensions, their sizes, the values."""
    content = gzip.decompress(path.read_bytes())
    if content[:4] != bytes([0, 0, 8, n_dimensions]):
        raise AssetError(f"{path} is not an IDX file of bytes in {n_dimensions} dimensions")
    header = 4 + 4 * n_dimensions
    shape = np.frombuffer(content[4:header], dtype=">u4")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)
