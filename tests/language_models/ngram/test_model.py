"""N-gram model files and the models that a process keeps, mostly through NGramScorer."""

from __future__ import annotations

import gc
import gzip
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import joblib
import numpy as np
import pytest
from joblib.externals.loky.backend import reduction
from sklearn.base import clone

from skprune.exceptions import ModelLoadError
from skprune.language_models.ngram import file_checks
from skprune.language_models.ngram import model as ngram_model
from skprune.language_models.ngram.model import NGramModel, open_model
from skprune.scorers import NGramScorer

DATA = Path(__file__).parents[2] / "data"
TEXTS = (DATA / "toy_corpus.txt").read_text().splitlines()
FILES = {
    "arpa": DATA / "toy_order3.arpa",
    "probing": DATA / "toy_order3.probing.binary",
    "trie": DATA / "toy_order3.trie.binary",
    "arrays": DATA / "toy_order5.quantized_array_trie.binary",
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


@pytest.mark.parametrize("count", ["-4", "4 million", "99999999999", "18446744073709551615", ""])
def test_arpa_files_with_impossible_counts(count: str, tmp_path: Path) -> None:
    path = tmp_path / "model.arpa"
    lines = FILES["arpa"].read_text().splitlines()
    lines[1] = f"ngram 1={count}"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ModelLoadError, match=r"model\.arpa is a truncated or damaged n-gram model: .*count"):
        NGramScorer(path).fit([])


def test_arpa_files_with_too_many_orders(tmp_path: Path) -> None:
    path = tmp_path / "model.arpa"
    path.write_text("\\data\\\n" + "".join(f"ngram {n}=1\n" for n in range(1, 9)) + "\n")
    with pytest.raises(ModelLoadError, match="8 orders; 2 to 6 can be read"):
        NGramScorer(path).fit([])


# Where KenLM takes an address from the file: the order; the size of the vocabulary and a word's id in the
# probing hash table; the size of the vocabulary and the pointers in a trie.
@pytest.mark.parametrize(
    ("kind", "at", "content"),
    [
        ("probing", 88, b"\xff\xff\xff\xff"),
        ("probing", 140, b"\xff\xff\xff\xff"),
        ("probing", 154, b"\x40"),
        ("trie", 138, b"\x04"),
        ("trie", 473, b"\x40"),
        ("trie", 1128, b"\xff\xff\xff\xff"),
        ("arrays", 7282, b"\xff\xff\xff\xff"),
    ],
)
def test_addresses_beyond_the_file_do_not_end_the_process(
    kind: str, at: int, content: bytes, tmp_path: Path
) -> None:
    damaged = bytearray(FILES[kind].read_bytes())
    damaged[at : at + len(content)] = content
    path = tmp_path / "damaged"
    path.write_bytes(damaged)
    with pytest.raises(ModelLoadError, match="damaged"):
        NGramScorer(path).fit([])


def test_every_kind_of_kenlm_binary_can_be_read() -> None:
    arpa = NGramScorer(DATA / "toy_order5.arpa.gz")
    np.testing.assert_allclose(NGramScorer(FILES["arrays"])(TEXTS), arpa(TEXTS), atol=0.005)  # quantized


def test_a_file_that_crashes_kenlm_ends_a_child_process_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    damaged = bytearray(FILES["probing"].read_bytes())
    damaged[140:144] = b"\xff\xff\xff\xff"
    damaged[154] = 0x40
    path = tmp_path / "damaged"
    path.write_bytes(damaged)
    monkeypatch.setattr(file_checks, "_word_ids_are_intact", lambda *arguments: True)
    with pytest.raises(ModelLoadError, match="reading it ended KenLM by SIG"):
        NGramScorer(path).fit([])


def test_a_file_is_tried_once_in_a_child_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    run = subprocess.run

    def counted(*arguments: object, **keywords: object) -> object:
        started.append(arguments)
        return run(*arguments, **keywords)

    monkeypatch.setattr(subprocess, "run", counted)
    path = tmp_path / "model"
    path.write_bytes(FILES["probing"].read_bytes())
    for _ in range(3):
        ngram_model._MODELS._models.clear()
        NGramScorer(path)(TEXTS)
    assert len(started) == 1
    NGramScorer(order=2).fit(TEXTS)(TEXTS)  # our own file
    assert len(started) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", FILES)
def test_no_flipped_byte_ends_the_process(kind: str, tmp_path: Path) -> None:
    whole = FILES[kind].read_bytes()
    rng = np.random.default_rng(0)
    outcomes = Counter()
    for n in range(200):
        damaged = bytearray(whole)
        at = rng.integers(len(whole) if n % 3 else 300)  # a third in the header and the vocabulary
        damaged[at] ^= 1 << rng.integers(8)
        path = tmp_path / f"damaged-{n}"
        path.write_bytes(damaged)
        try:
            NGramScorer(path)(TEXTS)
            outcomes["scored"] += 1
        except ModelLoadError:
            outcomes["refused"] += 1
        path.unlink()
    assert outcomes["scored"] > 20
    assert outcomes["refused"] > 20


# ------------------------------------------------------------------ models of a process


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_the_next_process_removes_what_a_killed_one_left(how: signal.Signals, tmp_path: Path) -> None:
    fit = (
        "from skprune import NGramScorer; s = NGramScorer(order=2).fit(['some text']); "
        "print('ready', flush=True);"
    )
    environment = os.environ | {"TMPDIR": str(tmp_path)}

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", fit + "input(); print(s(['some text']))"]
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "ready\n"
        return process

    killed, alive = start(), start()
    killed.send_signal(how)
    killed.communicate()
    (left,) = tmp_path.glob(f"skprune-ngram-{killed.pid}-*")
    assert list(left.rglob("model.binary"))
    third = start()
    assert not left.exists()
    third.communicate("\n")
    assert [path.name.split("-")[2] for path in tmp_path.iterdir()] == [str(alive.pid)]
    output, _ = alive.communicate("\n")
    assert output.startswith("[")
    assert alive.returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_fork_does_not_wait_for_a_lock_of_its_parent() -> None:
    scorer = NGramScorer(order=2).fit(["some text"])
    with ngram_model._MODELS._lock.rlock:
        child = multiprocessing.get_context("fork").Process(target=score_after_refit, args=(scorer,))
        child.start()
        child.join(60)
    assert child.exitcode == 0


def score_after_refit(scorer: NGramScorer) -> None:
    assert np.isfinite(scorer.fit(["another text"])(["some text"])).all()


def test_joblib_sends_the_path_of_a_model_and_files_hold_its_content() -> None:
    scorer = NGramScorer(order=3).fit(TEXTS)
    assert len(reduction.dumps(scorer)) < 2000
    assert len(pickle.dumps(scorer)) > 5000
    expected = scorer(TEXTS)
    for scores in joblib.Parallel(n_jobs=2)(
        joblib.delayed(NGramScorer.__call__)(scorer, TEXTS) for _ in range(4)
    ):
        np.testing.assert_array_equal(scores, expected)


def test_a_model_trained_by_a_worker_survives_the_worker() -> None:
    workers = joblib.Parallel(n_jobs=2)
    scorers = workers(joblib.delayed(NGramScorer(order=2).fit)([f"some text {'x' * i}"]) for i in range(4))
    joblib.externals.loky.get_reusable_executor().shutdown(wait=True, kill_workers=True)
    for scorer in scorers:
        assert np.isfinite(scorer(TEXTS)).all()
        assert np.isfinite(pickle.loads(pickle.dumps(scorer))(TEXTS)).all()


def test_the_content_of_a_model_outlives_its_file() -> None:
    scorer = NGramScorer(order=2).fit(["some text, deleted later"])
    scorer.model_.path.unlink()
    copies = [pickle.loads(pickle.dumps(scorer)), pickle.loads(reduction.dumps(scorer))]
    for copy in copies:
        np.testing.assert_array_equal(copy(TEXTS), scorer(TEXTS))


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
