"""N-gram model files and the models that a process keeps, mostly through NGramScorer."""

from __future__ import annotations

import gc
import gzip
import threading
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import clone

from skprune.exceptions import ModelLoadError
from skprune.language_models.ngram import model as ngram_model
from skprune.language_models.ngram.model import NGramModel, open_model
from skprune.scorers import NGramScorer

DATA = Path(__file__).parents[2] / "data"
TEXTS = (DATA / "toy_corpus.txt").read_text().splitlines()
FILES = {
    "arpa": DATA / "toy_order3.arpa",
    "probing": DATA / "toy_order3.probing.binary",
    "trie": DATA / "toy_order3.trie.binary",
}


def test_arpa_in_gzip_is_the_same_model(tmp_path: Path) -> None:
    packed = tmp_path / "model.gz"
    packed.write_bytes(gzip.compress(FILES["arpa"].read_bytes()))
    plain, unpacked = NGramScorer(FILES["arpa"]), NGramScorer(packed)
    np.testing.assert_array_equal(plain(TEXTS), unpacked(TEXTS))
    assert plain.fingerprint == unpacked.fingerprint


@pytest.mark.parametrize("kind", ["arpa", "probing", "trie", "gz"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.03, 0.3, 0.9, 0.99])
def test_truncated_files(kind: str, share: float, tmp_path: Path) -> None:
    whole = (DATA / "toy_order5.arpa.gz" if kind == "gz" else FILES[kind]).read_bytes()
    path = tmp_path / "model"
    path.write_bytes(whole[: int(share * len(whole))])
    # The last part of a binary is the list of words, which scoring does not need.
    if kind in ("probing", "trie") and share == 0.99:
        assert np.isfinite(NGramScorer(path)(TEXTS)).all()
        return
    with pytest.raises(ModelLoadError, match=f"{path.name}"):
        NGramScorer(path).fit([])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"just some words\n", "text"),
        (b"\x80\x04\x95\0\0\0", "binary data"),
        (b"GGUF\x03\0\0\0", "a GGUF model"),
        (b"PK\x03\x04rest", "a zip archive"),
        (b"BZh91AY", "bzip2"),
        (gzip.compress(b"words"), "text"),
        (b"mmap lm http://kheafield.com/code incomplete\n", "not finished"),
        (b"mmap lm http://kheafield.com/code format version 4\n" + bytes(100), "another version"),
    ],
)
def test_files_of_other_formats(content: bytes, found: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.bin"
    path.write_bytes(content)
    with pytest.raises(ModelLoadError, match=rf"wrong\.bin .*{found}"):
        NGramScorer(path).fit([])


def test_missing_files(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"absent\.arpa is not a KenLM .*No such file"):
        NGramScorer(tmp_path / "absent.arpa")(["a"])
    with pytest.raises(ModelLoadError, match="found a folder"):
        NGramScorer(tmp_path).fit([])
    with pytest.raises(OSError, match="No such file"):
        _ = NGramScorer(tmp_path / "absent.arpa").fingerprint


@pytest.mark.parametrize(("at", "value"), [(88, 0), (88, 1), (88, 99), (60, 0x7F), (113, 0xFF)])
def test_damaged_header(at: int, value: int, tmp_path: Path) -> None:
    damaged = bytearray(FILES["probing"].read_bytes())
    damaged[at] = value
    path = tmp_path / "damaged"
    path.write_bytes(damaged)
    with pytest.raises(ModelLoadError, match="damaged"):
        NGramScorer(path).fit([])


def test_a_model_without_unk_is_rejected(tmp_path: Path) -> None:
    lines = FILES["arpa"].read_text().splitlines(keepends=True)
    without = [line for line in lines if "<unk>" not in line]
    n_unigrams = int(without[1].partition("=")[2])
    without[1] = f"ngram 1={n_unigrams - 1}\n"
    path = tmp_path / "closed.arpa"
    path.write_text("".join(without))
    with pytest.raises(ModelLoadError, match=r"closed\.arpa has no <unk>"):
        NGramScorer(path).fit([])


def test_the_error_says_where_an_arpa_file_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "model.arpa"
    path.write_text(FILES["arpa"].read_text().replace("\\2-grams:", "\\4-grams:"))
    with pytest.raises(ModelLoadError, match=r"model\.arpa is a truncated or damaged.*2-grams"):
        NGramScorer(path).fit([])


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "model.arpa"
    path.write_bytes(FILES["arpa"].read_bytes())
    scorer = NGramScorer(path)
    before, fingerprint = scorer(TEXTS), scorer.fingerprint
    path.write_bytes(gzip.decompress((DATA / "toy_order5.arpa.gz").read_bytes()))
    assert not np.array_equal(before, scorer(TEXTS))
    assert scorer.fingerprint != fingerprint


# ------------------------------------------------------------------ models of a process


def test_temporary_files_are_deleted_with_their_model() -> None:
    scorer = NGramScorer(order=2).fit(["some texts", "of their own"])
    path = scorer.model_.path
    assert path.exists()
    ngram_model._MODELS._models.clear()
    gc.collect()
    assert np.isfinite(scorer(["some texts"])).all()
    del scorer
    gc.collect()
    assert not path.parent.exists()


def test_a_process_keeps_the_models_used_last() -> None:
    ngram_model._MODELS._models.clear()
    scorers = [NGramScorer(order=2).fit([f"text {'x' * i}"]) for i in range(9)]
    assert len(ngram_model._MODELS._models) == ngram_model._MODELS.size
    # A scorer keeps its model even if the cache of the process dropped it.
    assert np.isfinite(scorers[0](["text x"])).all()
    assert scorers[-1].model_ is clone(scorers[-1]).fit([f"text {'x' * 8}"]).model_


def test_threads_load_a_shared_model_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    class Counted(NGramModel):
        def __init__(self, *arguments: object, **keywords: object):
            made.append(arguments)
            super().__init__(*arguments, **keywords)

    ngram_model._MODELS._models.clear()
    monkeypatch.setattr(ngram_model, "NGramModel", Counted)
    threads = [threading.Thread(target=open_model, args=(FILES["arpa"],)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
