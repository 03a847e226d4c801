"""Digests identify the content of files and folders, wherever they are; stamps identify their state."""

import gzip
import hashlib
import shutil

import pytest

from skprune.exceptions import ModelLoadError
from skprune.hub.fingerprints import content_digest, content_of, digest_of, stamp, state_of
from skprune.hub.sources import local_path


def blake2b(content):
    return hashlib.blake2b(content, digest_size=16).hexdigest()


@pytest.fixture
def folder(tmp_path):
    """A folder with two model files, another file, and a model file in a subfolder."""
    folder = tmp_path / "model"
    (folder / "1_Pooling").mkdir(parents=True)
    (folder / "config.json").write_bytes(b"{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "README.md").write_bytes(b"a card")
    (folder / "1_Pooling" / "config.json").write_bytes(b"{}")
    return folder


def test_the_digest_of_a_file_ignores_gzip(tmp_path):
    (tmp_path / "plain").write_bytes(b"text")
    (tmp_path / "packed").write_bytes(gzip.compress(b"text"))
    assert content_digest(tmp_path / "plain", "file") == blake2b(b"text")
    assert content_digest(str(tmp_path / "packed"), "file") == blake2b(b"text")


def test_the_digest_of_a_folder_covers_names_and_contents_of_its_model_files(folder):
    listed = f"config.json {blake2b(b'{}')}\nmodel.safetensors {blake2b(b'weights')}\n"
    assert content_of(folder) == blake2b(listed.encode())
    listed = f"1_Pooling/config.json {blake2b(b'{}')}\n" + listed
    assert content_of(folder, subfolders=True) == blake2b(listed.encode())


def test_the_digest_of_a_model_file_is_that_of_its_content(tmp_path):
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    assert content_of(tmp_path / "model.gguf") == blake2b(blake2b(b"GGUF").encode())


@pytest.mark.parametrize("subfolders", [False, True])
def test_a_digest_depends_on_content_and_not_on_location(folder, tmp_path, subfolders):
    copy = shutil.copytree(folder, tmp_path / "copy")
    assert content_of(copy, subfolders=subfolders) == content_of(folder, subfolders=subfolders)
    (copy / "README.md").write_bytes(b"another card")
    assert content_of(copy, subfolders=subfolders) == content_of(folder, subfolders=subfolders)
    (copy / "model.safetensors").write_bytes(b"other weights")
    assert content_of(copy, subfolders=subfolders) != content_of(folder, subfolders=subfolders)


def test_the_digest_of_settings_depends_on_order_and_boundaries():
    assert len({digest_of("ab", "c"), digest_of("a", "bc"), digest_of("c", "ab"), digest_of("abc")}) == 4
    assert digest_of("a", b"b") == digest_of(b"a", "b")


def test_the_state_of_a_folder_changes_with_its_files(folder):
    before = state_of(folder)
    assert len(before) == 4
    assert state_of(folder) == before
    (folder / "model.safetensors").write_bytes(b"longer weights")
    assert state_of(folder) != before
    assert state_of(folder / "missing") == ()


def test_a_stamp_needs_a_file(folder):
    assert stamp(folder / "config.json", "file")[:2] == (str(folder / "config.json"), 2)
    with pytest.raises(ModelLoadError, match="is not a KenLM model: found a folder"):
        stamp(folder, "KenLM model")
    with pytest.raises(ModelLoadError, match="is not a KenLM model: No such file"):
        stamp(folder / "missing", "KenLM model")


def test_a_name_on_the_hub_is_not_a_local_path(folder, monkeypatch):
    assert local_path("owner/name") is None
    for name in ("/missing", "./missing", "a/b/c", "missing.gguf"):
        assert local_path(name) is not None
    monkeypatch.chdir(folder.parent)
    assert str(local_path("model")) == "model"
