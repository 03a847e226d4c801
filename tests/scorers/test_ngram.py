"""NGramScorer: scores computed by hand, tokenizers, the scikit-learn API, pickles and saved folders.

The file is long because tests mirror the source: it covers all of skprune/scorers/ngram.py.
"""

from __future__ import annotations

import errno
import gc
import json
import os
import pickle
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import joblib
import numpy as np
import pytest
import sentencepiece
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from skprune.exceptions import ModelLoadError
from skprune.language_models.ngram import model as ngram_model
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
    """Return the log10 perplexity of tokens, computed from the ARPA file."""
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
def test_scores_computed_by_hand(kind: str) -> None:
    scores = NGramScorer(FILES[kind])(OTHER)
    tokens = [["the", "dog", "sees", "the", "cat", "."], ["the", "lantern", "sleeps"], ["a", "zebra", "!"]]
    expected = [*map(log_perplexity, tokens), np.inf, log_perplexity(["dog"])]
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_perplexity_is_ten_to_the_score() -> None:
    scorer = toy()
    np.testing.assert_allclose(scorer.perplexity(OTHER), 10 ** scorer(OTHER))
    assert scorer.perplexity([""])[0] == np.inf


def test_a_trained_model_scores_like_the_model_of_lmplz() -> None:
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


def test_word_tokens_are_runs_of_letters_digits_marks_and_underscores() -> None:
    split_at_spaces = toy(normalizer=None, tokenizer="whitespace")
    split_into_words = toy(normalizer=None)
    np.testing.assert_array_equal(
        split_into_words(["a_b's (x)—y", "हिन्दी भाषा!", "\x01a\x00b"]),
        split_at_spaces(["a_b ' s ( x ) — y", "हिन्दी भाषा !", "\x01 ab"]),
    )


@pytest.mark.parametrize("tokenizer", ["words", "whitespace", [].__class__])
@pytest.mark.parametrize("token", ["<s>", "</s>", "<unk>", "<UNK>"])
def test_control_tokens_in_a_text_are_ordinary_tokens(tokenizer: object, token: str) -> None:
    if callable(tokenizer):
        tokenizer = split_each
    texts = [*TEXTS, f"the {token} dog", f"{token}", f"{token} {token}"]
    scorer = NGramScorer(order=3, normalizer=None, tokenizer=tokenizer).fit(texts)
    assert np.isfinite(scorer(texts)).all()
    unknown = "<" if tokenizer == "words" else f"[{token[1:-1]}]"
    assert unknown in scorer.model_.kenlm
    # A control token would end or begin the sentence in the middle, or be unknown.
    with_token, without = scorer([f"the {token} dog", "the dog"])
    assert with_token != without


def split_each(texts: list[str]) -> list[list[str]]:
    return [text.split() for text in texts]


def split_oddly(texts: list[str]) -> list[list[str]]:
    return [["new york", "", " ", *text.split("|"), "a\0b\n"] for text in texts]


def test_callable_tokenizer() -> None:
    np.testing.assert_array_equal(toy(tokenizer=split_each)(OTHER), toy(tokenizer="whitespace")(OTHER))
    odd = NGramScorer(order=2, tokenizer=split_oddly).fit(["x|y"])
    assert all(word in odd.model_.kenlm for word in ("new▁york", "x", "y", "ab"))
    # The sum is over four tokens and </s>.
    total = sum(score for score, *_ in odd.model_.kenlm.full_scores("new▁york x y ab"))
    assert odd(["x|y"])[0] == pytest.approx(-total / 5)


def test_callable_tokenizer_that_drops_a_text() -> None:
    with pytest.raises(ValueError, match="returned 1 lists for 2 texts"):
        NGramScorer(tokenizer=drop_texts).fit(["a", "b"])


def drop_texts(texts: list[str]) -> list[list[str]]:
    return [text.split() for text in texts[:1]]


def test_callable_tokenizer_without_a_fingerprint() -> None:
    with pytest.raises(ValueError, match="give it an attribute `fingerprint`"):
        NGramScorer(tokenizer=lambda texts: [t.split() for t in texts]).fit(["a"])


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train a small SentencePiece model and return its file."""
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


def test_invalid_sentencepiece_files(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"toy_order3\.arpa is not a SentencePiece model"):
        toy(tokenizer=FILES["arpa"])
    with pytest.raises(ModelLoadError, match="not a SentencePiece model: No such file"):
        toy(tokenizer=tmp_path / "absent")
    # A misspelled tokenizer name is read as a path.
    with pytest.raises(ModelLoadError, match="wrods is not a SentencePiece model"):
        toy(tokenizer="wrods")


def test_a_warning_if_most_tokens_are_unknown() -> None:
    scorer = NGramScorer(FILES["arpa"])
    with pytest.warns(UserWarning, match=r"does not know 4 of the first 6 tokens.*SentencePiece"):
        scorer(["the entirely unseen", "words", "here dog"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scorer(["the entirely unseen", "dog cat"])
        scorer([""])
        toy()(["entirely unseen words"])


def test_only_the_first_thousand_tokens_are_checked() -> None:
    known, unseen = "the dog " * 50, "entirely unseen " * 5000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        NGramScorer(FILES["arpa"])([known] * 10 + [unseen])
    with pytest.warns(UserWarning, match="of the first 1000 tokens"):
        NGramScorer(FILES["arpa"])([unseen] + [known] * 100)


# ------------------------------------------------------------------ scikit-learn's API


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


def test_copies_count_once_in_training() -> None:
    once = toy()
    copied = NGramScorer(order=3).fit(TEXTS * 3 + TEXTS[:7])
    assert copied.training_digest_ == once.training_digest_
    assert copied.n_train_texts_ == 60
    ngram_model._MODELS._models.clear()
    # Copies that differ before normalization only.
    shouted = NGramScorer(order=3).fit([*TEXTS, *map(str.upper, TEXTS), *(f"{text}  " for text in TEXTS)])
    np.testing.assert_allclose(shouted(TEXTS + OTHER), once(TEXTS + OTHER), atol=1e-6)


@pytest.mark.parametrize("junk", ["....", "asdf asdf asdf", "a " * 50_000])
def test_junk_does_not_become_fluent_by_being_repeated(junk: str) -> None:
    once, often = (NGramScorer().fit([*TEXTS, *[junk] * n]) for n in (1, 10))
    np.testing.assert_array_equal(often([junk, *TEXTS]), once([junk, *TEXTS]))


def test_a_template_with_other_numbers_counts_once_in_training() -> None:
    template = [f"order {n} was shipped" for n in range(10, 60)]
    once, often = NGramScorer().fit([*TEXTS, template[0]]), NGramScorer().fit([*TEXTS, *template])
    np.testing.assert_array_equal(often(template), once(template))


def test_a_clone_is_untrained_unless_the_scorer_is_frozen() -> None:
    scorer = toy(tokenizer="whitespace")
    copy = clone(scorer)
    assert not hasattr(copy, "model_")
    with pytest.raises(NotFittedError):
        copy(TEXTS)
    assert copy.fit(OTHER).fingerprint != scorer.fingerprint
    assert copy.set_params(n_jobs=2).fit(TEXTS).fingerprint == scorer.fingerprint
    assert copy.model_ is scorer.model_  # one training is shared
    assert clone(FrozenEstimator(scorer)).estimator.model_ is scorer.model_


def test_the_order_of_the_training_texts_does_not_matter() -> None:
    forward, backward = toy(), NGramScorer(order=3).fit(TEXTS[::-1])
    assert forward.fingerprint == backward.fingerprint
    ngram_model._MODELS._models.clear()
    again = NGramScorer(order=3).fit(TEXTS[::-1])
    assert again.model_ is not forward.model_
    assert again.model_.path.read_bytes() == forward.model_.path.read_bytes()


def test_max_train_texts_takes_the_same_sample_in_any_order() -> None:
    few = toy(max_train_texts=20)
    assert few.n_train_texts_ == 20
    assert few.fingerprint == NGramScorer(order=3, max_train_texts=20).fit(TEXTS[::-1]).fingerprint
    assert not np.array_equal(few(TEXTS), toy()(TEXTS))


def test_the_fingerprint_changes_if_the_scores_change(pieces: Path) -> None:
    scorers = [
        toy(),
        toy(order=4),
        toy(normalizer=None),
        toy(tokenizer="whitespace"),
        toy(tokenizer=pieces),
        toy(tokenizer=split_each),
        toy(max_train_texts=20),
        NGramScorer(order=3).fit(TEXTS[1:]),
        NGramScorer(FILES["arpa"]),
        NGramScorer(FILES["arpa"], normalizer=None),
        NGramScorer(FILES["arpa"], tokenizer=pieces),
        NGramScorer(DATA / "toy_order5.arpa.gz"),
    ]
    assert len({scorer.fingerprint for scorer in scorers}) == len(scorers)


def test_the_fingerprint_does_not_change_if_the_scores_do_not(tmp_path: Path, pieces: Path) -> None:
    assert toy().fingerprint == toy(n_jobs=2, max_train_texts=None).fingerprint
    moved = tmp_path / "moved.arpa"
    moved.write_bytes(FILES["arpa"].read_bytes())
    given = NGramScorer(FILES["arpa"])
    assert given.fingerprint == NGramScorer(moved, order=2, n_jobs=2, max_train_texts=1).fingerprint
    assert given.fingerprint == given.fit(TEXTS).fingerprint


def test_verbose_reports_the_training(capsys: pytest.CaptureFixture[str]) -> None:
    toy(verbose=1)
    assert "order 3, 60 texts" in capsys.readouterr().out


# ------------------------------------------------------------------ other processes and folders


def test_scores_do_not_depend_on_n_jobs(pieces: Path) -> None:
    texts = [f"{text} {i}" for i in range(60) for text in TEXTS] + ["", "zebra"]
    split = partial(map, str.split)  # workers cannot import functions of a test file
    for parameters in ({}, {"tokenizer": pieces}, {"tokenizer": split}):
        alone = toy(**parameters)
        expected = alone(texts)
        np.testing.assert_array_equal(toy(n_jobs=2, **parameters)(texts), expected)
    with joblib.parallel_config("threading", n_jobs=2):
        np.testing.assert_array_equal(alone(texts), expected)
    given = NGramScorer(FILES["trie"])
    np.testing.assert_array_equal(given.set_params(n_jobs=2)(texts), given.set_params(n_jobs=1)(texts))


def test_another_process_can_unpickle_a_trained_model(tmp_path: Path) -> None:
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


def test_the_pickle_of_a_given_model_holds_only_its_path() -> None:
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
    assert any(name.startswith("tokenizer-") for name in names) == (kind == "pieces")
    assert len(names) == 3 if kind == "pieces" else 2
    # Saving into the folder that the scorer was loaded from keeps the files intact.
    loaded.save(folder)
    np.testing.assert_array_equal(NGramScorer.load(folder)(OTHER), scorer(OTHER))


def test_errors_when_saving_and_loading(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="callable cannot be saved"):
        toy(tokenizer=split_each).save(tmp_path)
    with pytest.raises(ModelLoadError, match="does not contain a saved NGramScorer"):
        NGramScorer.load(tmp_path)
    toy().save(tmp_path)
    settings = json.loads((tmp_path / "ngram.json").read_text())
    for broken in ("{", "[]", json.dumps(settings | {"format": 99}), json.dumps({"format": 1})):
        (tmp_path / "ngram.json").write_text(broken)
        with pytest.raises(ModelLoadError, match="does not contain a saved NGramScorer"):
            NGramScorer.load(tmp_path)
    # Settings may only name files in their own folder.
    (tmp_path / "ngram.json").write_text(json.dumps(settings | {"tokenizer": str(FILES["arpa"])}))
    with pytest.raises(ModelLoadError, match="does not contain a saved NGramScorer"):
        NGramScorer.load(tmp_path)


def test_a_folder_whose_files_do_not_belong_together_is_refused(tmp_path: Path) -> None:
    for scorer, name in ((toy(), "old"), (toy(order=4), "new")):
        scorer.save(tmp_path / name)
    (old,), (new,) = (list((tmp_path / name).glob("model-*")) for name in ("old", "new"))
    old.write_bytes(new.read_bytes())
    with pytest.raises(
        ModelLoadError, match=r"does not contain a saved NGramScorer: model-.* is not the model"
    ):
        NGramScorer.load(tmp_path / "old")


def test_saving_replaces_an_older_scorer(tmp_path: Path) -> None:
    toy().save(tmp_path)
    newer = toy(order=4)
    newer.save(tmp_path)
    assert len(list(tmp_path.iterdir())) == 2
    assert NGramScorer.load(tmp_path).fingerprint == newer.fingerprint


class FullDisk:
    """Makes the n-th call among several functions of ``os`` and ``shutil`` fail as on a full disk."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fails_at: int):
        self.n_calls = 0
        for module, name in ((shutil, "copyfileobj"), (os, "fsync"), (os, "replace"), (json, "dumps")):
            monkeypatch.setattr(module, name, partial(self.call, getattr(module, name), fails_at))

    def call(
        self, function: Callable[..., object], fails_at: int, *arguments: object, **keywords: object
    ) -> object:
        self.n_calls += 1
        if self.n_calls == fails_at:
            if function is shutil_copyfileobj:
                arguments[1].write(b"some bytes")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return function(*arguments, **keywords)


shutil_copyfileobj = shutil.copyfileobj


def test_a_full_disk_leaves_the_older_scorer_whole(
    tmp_path: Path, pieces: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = toy(), toy(order=4, tokenizer=pieces)
    errors = []
    for fails_at in range(1, 14):
        old.save(tmp_path)
        files = sorted(file.name for file in tmp_path.iterdir())
        with monkeypatch.context() as patch:
            FullDisk(patch, fails_at)
            try:
                new.save(tmp_path)
                expected = new
            except OSError as error:
                errors.append(error.errno)
                expected = old
        assert NGramScorer.load(tmp_path).fingerprint == expected.fingerprint
        if expected is old:
            assert sorted(file.name for file in tmp_path.iterdir()) == files
    # Three steps each for the model, the tokenizer and the settings can fail. That the new names in the
    # folder reach the disk at once is not required.
    assert errors == [errno.ENOSPC] * 9


def test_a_redefined_tokenizer_function_gets_another_fingerprint() -> None:
    models = []
    for split in ("t.split()", "list(t)"):
        exec(f"def redefined(texts): return [{split} for t in texts]", globals())  # like a notebook cell
        models.append(NGramScorer(order=2, tokenizer=globals()["redefined"]).fit(["ab cd ab", "cd ab"]))
    assert models[0].fingerprint != models[1].fingerprint
    assert models[0](["ab"]) != models[1](["ab"])
