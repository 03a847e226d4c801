"""Kneser-Ney estimation: against the real lmplz, and against what makes a probability model."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skprune.language_models.ngram.kenlm_binary import murmur_hashes, write_binary
from skprune.language_models.ngram.kneser_ney import FALLBACK_DISCOUNTS, KneserNeyModel, estimate, write_arpa

DATA = Path(__file__).parents[1] / "data"
CORPUS = [line.split() for line in (DATA / "toy_corpus.txt").read_text().splitlines()]
CORPORA = st.lists(st.lists(st.sampled_from("abcde"), max_size=6), min_size=1, max_size=12)

Arpa = dict[tuple[str, ...], tuple[float, float]]


def read_arpa(path: Path) -> Arpa:
    """Return (log10 probability, log10 back-off) of each n-gram."""
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    rows = [line.split("\t") for line in content.decode().split("\n") if "\t" in line]
    return {
        tuple(words.split(" ")): (float(prob), float(backoff[0]) if backoff else 0.0)
        for prob, words, *backoff in rows
    }


def as_dict(model: KneserNeyModel) -> Arpa:
    ngrams: Arpa = {}
    for order, table in enumerate(model.orders, start=1):
        words = zip(*[[model.vocabulary[i] for i in ids] for ids in model.words(order)], strict=True)
        values = zip(table.log_prob.tolist(), table.log_backoff.tolist(), strict=True)
        ngrams |= dict(zip(words, values, strict=True))
    return ngrams


def log_prob(ngrams: Arpa, context: tuple[str, ...], word: str) -> float:
    """Back off by the ARPA rule."""
    if (*context, word) in ngrams:
        return ngrams[*context, word][0]
    if not context:
        return ngrams["<unk>",][0]
    return ngrams.get(context, (0.0, 0.0))[1] + log_prob(ngrams, context[1:], word)


@pytest.mark.parametrize(
    "golden", ["toy_order1.arpa", "toy_order2.arpa", "toy_order3.arpa", "toy_order5.arpa.gz"]
)
def test_agrees_with_lmplz_on_every_ngram(golden: str) -> None:
    theirs = read_arpa(DATA / golden)
    ours = as_dict(estimate(CORPUS, order=max(map(len, theirs))))
    assert ours.keys() == theirs.keys()
    for ngram, expected in theirs.items():
        assert ours[ngram] == pytest.approx(expected, abs=1e-4), ngram


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
@given(corpus=CORPORA)
def test_probabilities_sum_to_one_after_every_context(order: int, corpus: list[list[str]]) -> None:
    model = estimate(corpus, order)
    ngrams = as_dict(model)
    predicted = [word for word in model.vocabulary if word != "<s>"]
    seen = [ngram for ngram in ngrams if ngram[-1] != "</s>" and len(ngram) < order]
    unseen = [("a", "zz"), ("zz",), ("<s>", "e", "e")]
    for context in [(), *seen, *unseen]:
        total = sum(10 ** log_prob(ngrams, context, word) for word in predicted)
        assert total == pytest.approx(1), context


@given(corpus=CORPORA, order=st.integers(1, 5))
def test_no_probability_above_one_and_specials_as_lmplz_writes_them(
    corpus: list[list[str]], order: int
) -> None:
    model = estimate(corpus, order)
    for table in model.orders:
        assert (table.log_prob <= 0).all()
        assert np.isfinite(table.log_backoff).all()
    ngrams = as_dict(model)
    assert ngrams["<s>",][0] == 0.0
    assert ngrams["<unk>",][1] == 0.0
    assert ngrams["</s>",][1] == 0.0


def test_bigram_by_hand() -> None:
    # Two bigrams "<s> a" (count 2) and "a </s>" (count 2): all discounts fall back.
    model = estimate([["a"], ["a"]], order=2)
    ngrams = as_dict(model)
    d1, d2, _ = FALLBACK_DISCOUNTS
    # Unigrams: "a" and "</s>" each follow one word; 3 words share the mass that was taken.
    unigram = (1 - d1) / 2 + 2 * d1 / 2 / 3
    assert 10 ** ngrams["a",][0] == pytest.approx(unigram)
    assert 10 ** ngrams["<unk>",][0] == pytest.approx(2 * d1 / 2 / 3)
    assert 10 ** ngrams["<s>",][1] == pytest.approx(d2 / 2)
    assert 10 ** ngrams["<s>", "a"][0] == pytest.approx((2 - d2) / 2 + d2 / 2 * unigram)


def test_discounts_fall_back_only_where_they_cannot_be_estimated() -> None:
    model = estimate(CORPUS, order=3)
    assert estimate(CORPUS, order=5).orders[4].discounts.tolist() == [0, *FALLBACK_DISCOUNTS]
    t = np.bincount([len(list(g)) for _, g in itertools.groupby(sorted(trigrams(CORPUS)))], minlength=5)
    y = t[1] / (t[1] + 2 * t[2])
    expected = [0, *(j - (j + 1) * y * t[j + 1] / t[j] for j in (1, 2, 3))]
    np.testing.assert_allclose(model.orders[2].discounts, expected)


def trigrams(corpus: list[list[str]]) -> list[tuple[str, ...]]:
    padded = [["<s>", *sentence, "</s>"] for sentence in corpus]
    return [tuple(s[i : i + 3]) for s in padded for i in range(len(s) - 2)]


def test_order_of_sentences_does_not_matter() -> None:
    forward, backward = as_dict(estimate(CORPUS)), as_dict(estimate(CORPUS[::-1]))
    assert forward.keys() == backward.keys()
    for ngram, values in forward.items():
        assert backward[ngram] == pytest.approx(values, abs=1e-12)


def test_discounts_that_leave_a_context_nothing_fall_back() -> None:
    # Bigrams with t = 4, 1, 1: Y = 2/3 and D2 = 2 - 3 Y = 0, and "<s> a" is all that follows <s>.
    model = estimate([["a"], ["a", "a", "a", "a", "b", "b"]], order=2)
    assert model.orders[1].discounts.tolist() == [0, *FALLBACK_DISCOUNTS]
    assert all(np.isfinite(table.log_backoff).all() for table in model.orders)


def test_a_discount_of_zero_is_taken_where_it_does_no_harm() -> None:
    # Unigrams with t = 4, 1, 1, counting </s>.
    model = estimate([list("abceefff")], order=1)
    assert model.orders[0].discounts == pytest.approx([0, 2 / 3, 0, 3])


def test_short_sentences_end_the_model_early() -> None:
    assert len(estimate([["a"], []], order=5).orders) == 3
    assert len(estimate([[]], order=5).orders) == 2


@pytest.mark.parametrize("token", ["<s>", "</s>", "<unk>"])
def test_control_tokens_are_refused(token: str) -> None:
    with pytest.raises(ValueError, match="No token may be one of"):
        estimate([["a", token]])


def test_nothing_to_train_on() -> None:
    with pytest.raises(ValueError, match="at least one sentence"):
        estimate([])
    with pytest.raises(ValueError, match="order must be at least 1"):
        estimate([["a"]], order=0)


@pytest.mark.parametrize("word", ["", "a b", "a\n", "\0"])
@pytest.mark.parametrize("write", [write_arpa, write_binary])
def test_words_that_no_file_can_hold(word: str, write, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot hold the word"):
        write(estimate([[word]], order=2), tmp_path / "model")


def test_arpa_holds_the_model(tmp_path: Path) -> None:
    model = estimate([*CORPUS, ["naïve", "日本"]], order=4)
    write_arpa(model, tmp_path / "model.arpa")
    written, expected = read_arpa(tmp_path / "model.arpa"), as_dict(model)
    assert written.keys() == expected.keys()
    for ngram, values in expected.items():
        assert written[ngram] == pytest.approx(values, abs=1e-6)
    assert (tmp_path / "model.arpa").read_text().startswith("\\data\\\nngram 1=")
    assert (tmp_path / "model.arpa").read_text().endswith("\n\n\\end\\\n")


@pytest.mark.parametrize("order", [2, 3, 5, 6])
def test_kenlm_scores_the_binary_as_the_arpa(order: int, tmp_path: Path) -> None:
    import kenlm

    model = estimate([*CORPUS, ["naïve", "日本", "extraordinarily"]], order)
    write_arpa(model, tmp_path / "model.arpa")
    write_binary(model, tmp_path / "model.binary")
    arpa, binary = (kenlm.Model(str(tmp_path / name)) for name in ("model.arpa", "model.binary"))
    assert binary.order == order
    rng = np.random.default_rng(0)
    words = [*model.vocabulary[3:], "unseen"]
    sentences = [*map(" ".join, CORPUS), *(" ".join(rng.choice(words, 8)) for _ in range(200)), ""]
    for sentence in sentences:
        ours, theirs = list(binary.full_scores(sentence)), list(arpa.full_scores(sentence))
        assert [score[1:] for score in ours] == [score[1:] for score in theirs]
        np.testing.assert_allclose([s[0] for s in ours], [s[0] for s in theirs], atol=1e-5)


def test_the_binary_is_what_build_binary_writes(tmp_path: Path) -> None:
    write_binary(estimate(CORPUS, order=3), tmp_path / "ours")
    ours, theirs = (tmp_path / "ours").read_bytes(), (DATA / "toy_order3.probing.binary").read_bytes()
    assert len(ours) == len(theirs)
    assert ours[:136] == theirs[:136]  # the whole header
    assert ours[ours.index(b"<unk>\0") :].split(b"\0") == theirs[theirs.index(b"<unk>\0") :].split(b"\0")


def test_colliding_entries_run_over_the_end_of_a_table(tmp_path: Path) -> None:
    import kenlm

    # Tables of a handful of buckets: some of these fill their last bucket and wrap around.
    for n_words in range(1, 40):
        words = [f"w{i}" for i in range(n_words)]
        write_binary(estimate([words], order=2), tmp_path / "model")
        model = kenlm.Model(str(tmp_path / "model"))
        assert all(word in model for word in words)
        assert [length for _, length, _ in model.full_scores(" ".join(words))] == [2] * (n_words + 1)


def test_murmur_hash_of_every_tail_length() -> None:
    # MurmurHash64A with seed 0, as KenLM's vocabulary hashes; lengths 0 to 17 hash differently.
    words = [b"abcdefghijklmnopq"[:length] for length in range(18)]
    assert len(set(murmur_hashes(words).tolist())) == 18
    assert murmur_hashes([b"<unk>", b""])[1] == 0
    assert murmur_hashes(words)[3] == murmur_hashes([b"abc"])[0]
