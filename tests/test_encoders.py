"""Encoders turn texts into vectors; fingerprints tell apart what gives different vectors."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file, save_file
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.random_projection import GaussianRandomProjection

from skprune import AnchorFilter, KMeansFilter, SentenceEncoder, TfidfEncoder
from skprune.encoders import TransformerEncoder, make_encoder
from skprune.exceptions import ModelLoadError

TEXTS = ["a red fox runs", "a red dog runs", "the blue sea", "the blue sky", "the gray sky"]


def test_tfidf_vectors_have_unit_length_and_similar_texts_similar_vectors():
    encoder = TfidfEncoder(n_components=3).fit(TEXTS)
    vectors = encoder(TEXTS)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    similarity = vectors @ vectors.T
    assert similarity[0, 1] > 0.9 > similarity[0, 2]
    assert (encoder(["nothing known"]) == 0).all()


@pytest.mark.parametrize("texts", [["one"], ["same", "same"], ["x y"], ["a", "b", "c"]])
def test_tfidf_on_tiny_pools(texts):
    assert TfidfEncoder().fit(texts)(texts).shape[0] == len(texts)


def test_tfidf_without_a_word_is_refused():
    with pytest.raises(ValueError, match="no text of the pool contains a word"):
        TfidfEncoder().fit(["!!", "??"])


def test_tfidf_does_not_depend_on_the_number_of_threads(tmp_path):
    # A template gives many directions that explain equally much. Rounding decides their order.
    script = (
        "import sys, numpy as np; from skprune import TfidfEncoder\n"
        "texts = [f'customer {i} bought product {i % 50} in shop {i % 20}' for i in range(5000)]\n"
        "np.save(sys.argv[1], TfidfEncoder().fit(texts)(texts[:300]))\n"
    )
    for threads in ("1", "2"):
        limits = {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
        command = [sys.executable, "-c", script, str(tmp_path / f"{threads}.npy")]
        subprocess.run(command, env=os.environ | limits, check=True)
    assert np.array_equal(np.load(tmp_path / "1.npy"), np.load(tmp_path / "2.npy"))


def test_fingerprints_differ_by_corpus_and_parameters():
    prints = {
        TfidfEncoder().fit(TEXTS).fingerprint,
        TfidfEncoder().fit(TEXTS[:4]).fingerprint,
        TfidfEncoder(3).fit(TEXTS).fingerprint,
        TransformerEncoder(CountVectorizer()).fit(TEXTS).fingerprint,
        TransformerEncoder(CountVectorizer(binary=True)).fit(TEXTS).fingerprint,
    }
    assert len(prints) == 5
    assert TfidfEncoder().fit(TEXTS).fingerprint in prints


def test_make_encoder():
    assert isinstance(make_encoder(None), TfidfEncoder)
    assert isinstance(make_encoder("some/name"), SentenceEncoder)
    assert isinstance(make_encoder(Path("folder")), SentenceEncoder)
    pipeline = make_pipeline(CountVectorizer(), TruncatedSVD(2, random_state=0))
    encoder = make_encoder(pipeline).fit(TEXTS)
    assert np.allclose(encoder(TEXTS), pipeline.fit_transform(TEXTS), atol=1e-6)
    assert make_encoder(len) is len
    fitted = TfidfEncoder(2).fit(TEXTS)
    assert make_encoder(fitted) is fitted
    with pytest.raises(TypeError, match="encoder must be None, the name or path"):
        make_encoder(3)
    with pytest.raises(TypeError, match="encoder must be an instance, got the class TfidfEncoder"):
        make_encoder(TfidfEncoder)


def test_sentence_encoder_agrees_with_the_library(minilm):
    from sentence_transformers import SentenceTransformer

    loaded = SentenceTransformer(str(minilm), device="cpu")
    expected = loaded.encode(TEXTS)
    assert np.allclose(make_encoder(loaded)(TEXTS), expected, atol=1e-5)
    pruner = KMeansFilter(keep=2, encoder=loaded, random_state=0).fit(TEXTS)
    assert len(pruner.select([*TEXTS, "a new one"])) == 2
    assert np.allclose(SentenceEncoder(minilm, precision="float32")(TEXTS), expected, atol=1e-5)
    fast = SentenceEncoder(str(minilm))(TEXTS)
    cosine = (fast * expected).sum(axis=1) / np.linalg.norm(fast, axis=1) / np.linalg.norm(expected, axis=1)
    assert (cosine > 0.999).all()


def test_the_fingerprint_of_a_sentence_encoder_depends_on_content_only(minilm, tmp_path):
    copy = tmp_path / "copy"
    copy.symlink_to(minilm, target_is_directory=True)
    encoder = SentenceEncoder(str(minilm), precision="float32")
    assert SentenceEncoder(copy, precision="float32", batch_size=3).fingerprint == encoder.fingerprint
    assert SentenceEncoder(str(minilm), precision="bfloat16").fingerprint != encoder.fingerprint


def test_errors_name_the_parameter_and_the_model(tmp_path):
    with pytest.raises(
        ModelLoadError, match=r"^model='.*' must be a folder with a modules.json or a config.json"
    ):
        SentenceEncoder(str(tmp_path))(TEXTS)
    with pytest.raises(
        ModelLoadError, match=r"^encoder='.*missing' does not exist: pass the path of a folder"
    ):
        AnchorFilter(encoder=str(tmp_path / "missing")).fit(TEXTS)
    with pytest.raises(
        ModelLoadError, match=r"^encoder='sentence-transformers/no-such-model' is not a local path"
    ):
        AnchorFilter(encoder="no-such-model").fit(TEXTS)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(
        ModelLoadError, match=r"^model='.*' does not load as a SentenceTransformer: it is damaged"
    ):
        SentenceEncoder(tmp_path)(TEXTS)


@pytest.mark.parametrize("word", ["tfidf", "TF-IDF", "TfidfVectorizer", "none"])
def test_a_word_for_tfidf_is_not_looked_up_on_the_hub(word, tmp_path, monkeypatch):
    with pytest.raises(
        ValueError, match=rf"encoder='{word}' is not the name of a model: encoder=None is TF-IDF"
    ):
        AnchorFilter(encoder=word).fit(TEXTS)
    monkeypatch.chdir(tmp_path)
    (tmp_path / word).mkdir()
    assert isinstance(make_encoder(word), SentenceEncoder)


def test_batches_in_a_store_and_a_call_give_the_same_vectors(minilm, monkeypatch):
    monkeypatch.setattr("skprune.encoders._CHUNK", 2)
    encoder = SentenceEncoder(minilm, precision="float32")
    batches = list(encoder.iter_scores(np.array(TEXTS, dtype=object)))
    assert [rows.tolist() for rows, _ in batches] == [[0, 1], [2, 3], [4]]
    assert np.allclose(np.vstack([vectors for _, vectors in batches]), encoder(TEXTS), atol=1e-5)
    assert list(encoder.iter_scores(np.array([], dtype=object))) == []


def test_random_fits_have_different_fingerprints():
    encoder = make_pipeline(TfidfVectorizer(), GaussianRandomProjection(5))
    first, second = (TransformerEncoder(encoder).fit(TEXTS) for _ in range(2))
    assert first.fingerprint != second.fingerprint
    encoder.set_params(gaussianrandomprojection__random_state=0)
    first, second = (TransformerEncoder(encoder).fit(TEXTS) for _ in range(2))
    assert first.fingerprint == second.fingerprint


def test_a_model_that_was_overwritten_is_loaded_again(minilm, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(minilm, folder)
    before = SentenceEncoder(str(folder), precision="float32")
    vectors, fingerprint = before(TEXTS), before.fingerprint
    weights = load_file(folder / "model.safetensors")
    weights["embeddings.word_embeddings.weight"] *= 1.5
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    after = SentenceEncoder(str(folder), precision="float32")
    assert after.fingerprint != fingerprint
    assert np.abs(after(TEXTS) - vectors).max() > 0.01
