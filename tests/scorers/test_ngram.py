"""NGramScorer: its numbers by hand, every kind of file, and what carries a model elsewhere."""

from __future__ import annotations

import gc
import gzip
import json
import pickle
import subprocess
import sys
import threading
import warnings
from pathlib import Path

import joblib
import numpy as np
import pytest
import sentencepiece
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from skprune.exceptions import ModelLoadError
from skprune.language_models.ngram import model as ngram_model
from skprune.language_models.ngram.model import NGramModel, open_model
from skprune.scorers import NGramScorer

DATA = Path(__file__).parents[1] / "data"
TEXTS = (DATA / "toy_corpus.txt").read_text().splitlines()
OTHER = ["the dog sees the cat .", "the lantern sleeps", "a zebra!", "", "dog"]
FILES = {
    "arpa": DATA / "toy_order3.arpa",
    "probing": DATA / "toy_order3.probing.binary",
    "trie": DATA / "toy_order3.trie.binary",
}


def toy(**parameters: object) -> NGramScorer:
    return NGramScorer(**{"order": 3, **parameters}).fit(TEXTS)


def log_perplexity(tokens: list[str]) -> float:
    """Score tokens by the rules of the ARPA format, from the file itself."""
    lines = [line.split("\t") for line in FILES["arpa"].read_text().split("\n") if "\t" in line]
    table = {tuple(row[1].split(" ")): (float(row[0]), float((*row, 0)[2])) for row in lines}

    def log_prob(context: tuple[str, ...], word: str) -> float:
        if (*context, word) in table:
            return table[*context, word][0]
        if not context:
            return table["<unk>",][0]
        return table.get(context, (0.0, 0.0))[1] + log_prob(context[1:], word)

    whole = ("<s>", *tokens, "</s>")
    total = sum(log_prob(whole[max(0, i - 2) : i], whole[i]) for i in range(1, len(whole)))
    return -total / (len(tokens) + 1)


@pytest.mark.parametrize("kind", FILES)
def test_perplexity_by_hand(kind: str) -> None:
    scores = NGramScorer(FILES[kind])(OTHER)
    tokens = [["the", "dog", "sees", "the", "cat", "."], ["the", "lantern", "sleeps"], ["a", "zebra", "!"]]
    expected = [*map(log_perplexity, tokens), np.inf, log_perplexity(["dog"])]
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_perplexity_is_ten_to_the_score() -> None:
    scorer = toy()
    np.testing.assert_allclose(scorer.perplexity(OTHER), 10 ** scorer(OTHER))
    assert scorer.perplexity([""])[0] == np.inf


def test_training_gives_lmplz_scores() -> None:
    np.testing.assert_allclose(toy()(TEXTS + OTHER), NGramScorer(FILES["arpa"])(TEXTS + OTHER), atol=1e-4)
    packed = NGramScorer(DATA / "toy_order5.arpa.gz")
    np.testing.assert_allclose(toy(order=5)(TEXTS), packed(TEXTS), atol=1e-4)


def test_texts_are_normalized_before_they_are_scored() -> None:
    scorer = toy()
    raw = ["  The DOG\nsees\tthe Cát. ", "dog", "", "\x00\n", "…"]
    plain = ["the dog sees the cat .", "dog", "", "", ". . ."]
    np.testing.assert_array_equal(scorer(raw), scorer(plain))


def test_no_texts() -> None:
    assert toy()([]).shape == (0,)


def test_words_are_letters_digits_marks_and_underscores() -> None:
    kept = toy(normalizer=None, tokenizer="whitespace")
    taken_apart = toy(normalizer=None)
    np.testing.assert_array_equal(
        taken_apart(["a_b's (x)—y", "हिन्दी भाषा!", "\x01a\x00b"]),
        kept(["a_b ' s ( x ) — y", "हिन्दी भाषा !", "\x01 ab"]),
    )


@pytest.mark.parametrize("tokenizer", ["words", "whitespace", [].__class__])
@pytest.mark.parametrize("token", ["<s>", "</s>", "<unk>", "<UNK>"])
def test_control_tokens_in_a_text_are_ordinary(tokenizer: object, token: str) -> None:
    if callable(tokenizer):
        tokenizer = split_each
    texts = [*TEXTS, f"the {token} dog", f"{token}", f"{token} {token}"]
    scorer = NGramScorer(order=3, normalizer=None, tokenizer=tokenizer).fit(texts)
    assert np.isfinite(scorer(texts)).all()
    unknown = "<" if tokenizer == "words" else f"[{token[1:-1]}]"
    assert unknown in scorer.model_.kenlm
    # As a control token it would end or begin the sentence in the middle, or be unknown.
    begun = scorer([f"the {token} dog", "the dog"])
    assert begun[0] != begun[1]


def split_each(texts: list[str]) -> list[list[str]]:
    return [text.split() for text in texts]


def split_oddly(texts: list[str]) -> list[list[str]]:
    return [["new york", "", " ", *text.split("|"), "a\0b\n"] for text in texts]


def test_callable_tokenizer() -> None:
    np.testing.assert_array_equal(toy(tokenizer=split_each)(OTHER), toy(tokenizer="whitespace")(OTHER))
    odd = NGramScorer(order=2, tokenizer=split_oddly).fit(["x|y"])
    assert all(word in odd.model_.kenlm for word in ("new▁york", "x", "y", "ab"))
    # Five tokens and </s>.
    total = sum(score for score, *_ in odd.model_.kenlm.full_scores("new▁york x y ab"))
    assert odd(["x|y"])[0] == pytest.approx(-total / 5)


def test_callable_tokenizer_that_loses_a_text() -> None:
    with pytest.raises(ValueError, match="returned 1 lists for 2 texts"):
        NGramScorer(tokenizer=lose_texts).fit(["a", "b"])


def lose_texts(texts: list[str]) -> list[list[str]]:
    return [text.split() for text in texts[:1]]


def test_callable_that_cannot_be_identified() -> None:
    with pytest.raises(ValueError, match="give it an attribute `fingerprint`"):
        NGramScorer(tokenizer=lambda texts: [t.split() for t in texts]).fit(["a"])


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small SentencePiece model."""
    prefix = tmp_path_factory.mktemp("pieces") / "toy"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_prefix=str(prefix), vocab_size=50, minloglevel=2
    )
    return prefix.with_suffix(".model")


def test_sentencepiece_tokenizer(pieces: Path) -> None:
    scorer = toy(tokenizer=pieces)
    processor = sentencepiece.SentencePieceProcessor(model_file=str(pieces))
    tokens = processor.encode("the dog sees the cat .", out_type=str)
    total = sum(score for score, *_ in scorer.model_.kenlm.full_scores(" ".join(tokens)))
    assert scorer(["The dog sees the cat ."])[0] == pytest.approx(-total / (len(tokens) + 1))
    assert scorer([""])[0] == np.inf
    assert np.isfinite(scorer(["<s> </s> <unk>"])).all()


def test_sentencepiece_file_of_another_kind(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"toy_order3\.arpa is not a SentencePiece model"):
        toy(tokenizer=FILES["arpa"])
    with pytest.raises(ModelLoadError, match="not a SentencePiece model: No such file"):
        toy(tokenizer=tmp_path / "absent")
    # A misspelled name is a path to nothing.
    with pytest.raises(ModelLoadError, match="wrods is not a SentencePiece model"):
        toy(tokenizer="wrods")


def test_unknown_tokens_warn_once_most_are_unknown() -> None:
    scorer = NGramScorer(FILES["arpa"])
    with pytest.warns(UserWarning, match=r"does not know 4 of the first 6 tokens.*SentencePiece"):
        scorer(["the wholly foreign", "words", "here dog"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scorer(["the wholly foreign", "dog cat"])
        scorer([""])
        toy()(["wholly foreign words"])


def test_only_the_first_thousand_tokens_are_checked() -> None:
    known, foreign = "the dog " * 50, "wholly foreign " * 5000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NGramScorer(FILES["arpa"])([known] * 10 + [foreign])
    with pytest.warns(UserWarning, match="of the first 1000 tokens"):
        NGramScorer(FILES["arpa"])([foreign] + [known] * 100)


# ------------------------------------------------------------------ files


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
    # What follows the tables of a binary is the list of words, which no score needs.
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
def test_files_of_another_kind(content: bytes, found: str, tmp_path: Path) -> None:
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


def test_a_model_without_unk_is_refused(tmp_path: Path) -> None:
    lines = FILES["arpa"].read_text().splitlines(keepends=True)
    without = [line for line in lines if "<unk>" not in line]
    n_unigrams = int(without[1].partition("=")[2])
    without[1] = f"ngram 1={n_unigrams - 1}\n"
    path = tmp_path / "closed.arpa"
    path.write_text("".join(without))
    with pytest.raises(ModelLoadError, match=r"closed\.arpa has no <unk>"):
        NGramScorer(path).fit([])


def test_damage_inside_an_arpa_file_says_where(tmp_path: Path) -> None:
    path = tmp_path / "model.arpa"
    path.write_text(FILES["arpa"].read_text().replace("\\2-grams:", "\\4-grams:"))
    with pytest.raises(ModelLoadError, match=r"model\.arpa is a truncated or damaged.*2-grams"):
        NGramScorer(path).fit([])


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "model.arpa"
    path.write_bytes(FILES["arpa"].read_bytes())
    scorer = NGramScorer(path)
    before, fingerprint = scorer(TEXTS), scorer.fingerprint
    path.write_bytes(gzip.decompress((DATA / "toy_order5.arpa.gz").read_bytes()))
    assert not np.array_equal(before, scorer(TEXTS))
    assert scorer.fingerprint != fingerprint


# ------------------------------------------------------------------ sklearn's side


def test_not_fitted() -> None:
    for use in (lambda s: s(["a"]), lambda s: s.fingerprint, lambda s: s.save("nowhere")):
        with pytest.raises(NotFittedError, match="call `fit`"):
            use(NGramScorer())


@pytest.mark.parametrize(
    "parameters",
    [{"order": 1}, {"order": 7}, {"normalizer": "nfc"}, {"tokenizer": 3}, {"max_train_texts": 0}],
)
def test_parameters_are_validated(parameters: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(parameters))):
        NGramScorer(**parameters).fit(["a"])


def test_texts_are_validated() -> None:
    with pytest.raises((TypeError, ValueError), match="1"):
        NGramScorer().fit(["a", None])
    with pytest.raises((TypeError, ValueError), match="1"):
        toy()(["a", b"b"])


def test_nothing_to_train_on() -> None:
    for texts in ([], ["", " \n"]):
        with pytest.raises(ValueError, match="nothing to train on"):
            NGramScorer().fit(texts)


def test_empty_texts_are_not_trained_on() -> None:
    np.testing.assert_array_equal(toy()(OTHER), NGramScorer(order=3).fit([*TEXTS, "", "\n"])(OTHER))


def test_a_clone_stays_trained_until_it_is_set_otherwise() -> None:
    scorer = toy(tokenizer="whitespace")
    copy = clone(scorer)
    assert copy.model_ is scorer.model_
    assert copy.set_params(n_jobs=2, order=3).fingerprint == scorer.fingerprint
    assert copy.fit(OTHER).fingerprint != scorer.fingerprint
    with pytest.raises(NotFittedError):
        copy.set_params(order=2)(TEXTS)
    assert not hasattr(clone(NGramScorer()), "model_")
    assert scorer.model_ is copy.set_params(order=3).fit(TEXTS).model_


def test_the_order_of_the_pool_changes_nothing() -> None:
    forward, backward = toy(), NGramScorer(order=3).fit(TEXTS[::-1])
    assert forward.fingerprint == backward.fingerprint
    ngram_model._MODELS._models.clear()
    again = NGramScorer(order=3).fit(TEXTS[::-1])
    assert again.model_ is not forward.model_
    assert again.model_.path.read_bytes() == forward.model_.path.read_bytes()


def test_max_train_texts_takes_the_same_sample_of_any_order() -> None:
    few = toy(max_train_texts=20)
    assert few.n_train_texts_ == 20
    assert few.fingerprint == NGramScorer(order=3, max_train_texts=20).fit(TEXTS[::-1]).fingerprint
    assert not np.array_equal(few(TEXTS), toy()(TEXTS))


def test_fingerprint_changes_with_what_changes_the_scores(pieces: Path) -> None:
    scorers = [
        toy(),
        toy(order=4),
        toy(normalizer=None),
        toy(tokenizer="whitespace"),
        toy(tokenizer=pieces),
        toy(tokenizer=split_each),
        toy(max_train_texts=20),
        NGramScorer(order=3).fit(TEXTS[1:]),
        NGramScorer(order=3).fit([*TEXTS, TEXTS[0]]),
        NGramScorer(FILES["arpa"]),
        NGramScorer(FILES["arpa"], normalizer=None),
        NGramScorer(FILES["arpa"], tokenizer=pieces),
        NGramScorer(DATA / "toy_order5.arpa.gz"),
    ]
    assert len({scorer.fingerprint for scorer in scorers}) == len(scorers)


def test_fingerprint_does_not_change_with_what_does_not(tmp_path: Path, pieces: Path) -> None:
    assert toy().fingerprint == toy(n_jobs=2, max_train_texts=None).fingerprint
    moved = tmp_path / "moved.arpa"
    moved.write_bytes(FILES["arpa"].read_bytes())
    given = NGramScorer(FILES["arpa"])
    assert given.fingerprint == NGramScorer(moved, order=2, n_jobs=2, max_train_texts=1).fingerprint
    assert given.fingerprint == given.fit(TEXTS).fingerprint


def test_verbose_reports_the_training(capsys: pytest.CaptureFixture[str]) -> None:
    toy(verbose=1)
    assert "order 3, 60 texts" in capsys.readouterr().out


# ------------------------------------------------------------------ elsewhere


def test_workers_score_as_one_process_does(pieces: Path) -> None:
    texts = [f"{text} {i}" for i in range(60) for text in TEXTS] + ["", "zebra"]
    for parameters in ({}, {"tokenizer": pieces}, {"tokenizer": split_each}):
        alone = toy(**parameters)
        expected = alone(texts)
        np.testing.assert_array_equal(toy(n_jobs=2, **parameters)(texts), expected)
    with joblib.parallel_config("threading", n_jobs=2):
        np.testing.assert_array_equal(alone(texts), expected)
    given = NGramScorer(FILES["trie"])
    np.testing.assert_array_equal(given.set_params(n_jobs=2)(texts), given.set_params(n_jobs=1)(texts))


def test_pickle_carries_a_trained_model_to_another_process(tmp_path: Path) -> None:
    scorer = toy()
    (tmp_path / "scorer.pkl").write_bytes(pickle.dumps(scorer))
    np.save(tmp_path / "expected.npy", scorer(OTHER))
    script = (
        "import pickle, sys, numpy as np\n"
        "scorer = pickle.load(open(sys.argv[1] + '/scorer.pkl', 'rb'))\n"
        "expected = np.load(sys.argv[1] + '/expected.npy')\n"
        f"np.testing.assert_array_equal(scorer({OTHER!r}), expected)\n"
        "print(scorer.fingerprint)\n"
    )
    path, fingerprint = scorer.model_.path, scorer.fingerprint
    del scorer
    ngram_model._MODELS._models.clear()
    gc.collect()
    assert not path.exists()
    command = [sys.executable, "-W", "error", "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == fingerprint


def test_pickle_of_a_given_model_names_its_file() -> None:
    scorer = NGramScorer(FILES["trie"]).fit([])
    content = pickle.dumps(scorer)
    assert len(content) < 2000
    np.testing.assert_array_equal(pickle.loads(content)(OTHER), scorer(OTHER))


@pytest.mark.parametrize("kind", ["trained", "arpa", "gz", "trie", "pieces"])
def test_save_and_load(kind: str, pieces: Path, tmp_path: Path) -> None:
    if kind == "trained":
        scorer = toy(normalizer=None, tokenizer="whitespace")
    elif kind == "pieces":
        scorer = toy(tokenizer=pieces)
    else:
        scorer = NGramScorer(FILES.get(kind, DATA / "toy_order5.arpa.gz"))
    folder = tmp_path / "deep" / "saved"
    scorer.save(folder)
    loaded = NGramScorer.load(folder)
    np.testing.assert_array_equal(loaded(OTHER), scorer(OTHER))
    assert loaded.fingerprint == scorer.fingerprint
    names = {file.name for file in folder.iterdir()}
    assert "ngram.json" in names
    assert ("tokenizer.model" in names) == (kind == "pieces")
    # Saving over itself keeps the files whole.
    loaded.save(folder)
    np.testing.assert_array_equal(NGramScorer.load(folder)(OTHER), scorer(OTHER))


def test_what_cannot_be_saved_or_loaded(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="callable cannot be saved"):
        toy(tokenizer=split_each).save(tmp_path)
    with pytest.raises(ModelLoadError, match="holds no saved NGramScorer"):
        NGramScorer.load(tmp_path)
    toy().save(tmp_path)
    settings = json.loads((tmp_path / "ngram.json").read_text())
    for broken in ("{", "[]", json.dumps(settings | {"format": 99}), json.dumps({"format": 1})):
        (tmp_path / "ngram.json").write_text(broken)
        with pytest.raises(ModelLoadError, match="holds no saved NGramScorer"):
            NGramScorer.load(tmp_path)
    # Settings name files of their own folder only.
    (tmp_path / "ngram.json").write_text(json.dumps(settings | {"tokenizer": str(FILES["arpa"])}))
    with pytest.raises(ModelLoadError, match="holds no saved NGramScorer"):
        NGramScorer.load(tmp_path)


# ------------------------------------------------------------------ models in a process


def test_temporary_files_go_with_their_model() -> None:
    scorer = NGramScorer(order=2).fit(["some texts", "of their own"])
    path = scorer.model_.path
    assert path.exists()
    ngram_model._MODELS._models.clear()
    gc.collect()
    assert np.isfinite(scorer(["some texts"])).all()
    del scorer
    gc.collect()
    assert not path.parent.exists()


def test_a_process_keeps_the_models_it_used_last() -> None:
    ngram_model._MODELS._models.clear()
    scorers = [NGramScorer(order=2).fit([f"text {'x' * i}"]) for i in range(9)]
    assert len(ngram_model._MODELS._models) == ngram_model._MODELS.size
    # The scorer keeps a model that the process let go.
    assert np.isfinite(scorers[0](["text x"])).all()
    assert scorers[-1].model_ is clone(scorers[-1]).fit([f"text {'x' * 8}"]).model_


def test_threads_that_want_the_same_model_make_it_once(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_a_function_of_the_same_name_that_was_written_anew_is_another():
    models = []
    for split in ("t.split()", "list(t)"):
        exec(f"def written_anew(texts): return [{split} for t in texts]", globals())  # as a notebook does
        models.append(NGramScorer(order=2, tokenizer=globals()["written_anew"]).fit(["ab cd ab", "cd ab"]))
    assert models[0].fingerprint != models[1].fingerprint
    assert models[0](["ab"]) != models[1](["ab"])
