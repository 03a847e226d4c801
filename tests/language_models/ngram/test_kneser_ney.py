"""Kneser-Ney estimation, compared with files from lmplz and with the definition of a probability model."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skprune.language_models.ngram.kneser_ney import FALLBACK_DISCOUNTS, KneserNeyModel, estimate

DATA = Path(__file__).parents[2] / "data"
CORPUS = [line.split() for line in (DATA / "toy_corpus.txt").read_text().splitlines()]
CORPORA = st.lists(st.lists(st.sampled_from("abcde"), max_size=6), min_size=1, max_size=12)

Arpa = dict[tuple[str, ...], tuple[float, float]]


def read_arpa(path: Path) -> Arpa:
    """Return (log10 probability, log10 back-off) of each n-gram in the file."""
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
    """Return the log10 probability of a word, backing off as the ARPA format prescribes."""
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
def test_probabilities_are_at_most_one_and_control_tokens_are_as_in_lmplz(
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


def test_bigram_model_computed_by_hand() -> None:
    # The bigrams "<s> a" and "a </s>" occur twice each, so t_1 = 0 and the discounts cannot be estimated.
    model = estimate([["a"], ["a"]], order=2)
    ngrams = as_dict(model)
    d1, d2, _ = FALLBACK_DISCOUNTS
    # Unigrams: "a" and "</s>" each follow one word; "a", "</s>" and "<unk>" share the discounted mass.
    unigram = (1 - d1) / 2 + 2 * d1 / 2 / 3
    assert 10 ** ngrams["a",][0] == pytest.approx(unigram)
    assert 10 ** ngrams["<unk>",][0] == pytest.approx(2 * d1 / 2 / 3)
    assert 10 ** ngrams["<s>",][1] == pytest.approx(d2 / 2)
    assert 10 ** ngrams["<s>", "a"][0] == pytest.approx((2 - d2) / 2 + d2 / 2 * unigram)


def test_discounts_fall_back_only_if_they_cannot_be_estimated() -> None:
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


def test_discounts_fall_back_if_they_leave_a_context_no_mass() -> None:
    # Bigrams with t = 4, 1, 1: Y = 2/3 and D2 = 2 - 3 Y = 0, and only "<s> a" (count 2) begins with <s>.
    model = estimate([["a"], ["a", "a", "a", "a", "b", "b"]], order=2)
    assert model.orders[1].discounts.tolist() == [0, *FALLBACK_DISCOUNTS]
    assert all(np.isfinite(table.log_backoff).all() for table in model.orders)


def test_a_discount_of_zero_is_used_if_no_context_loses_its_mass() -> None:
    # Unigrams with t = 4, 1, 1, including </s>.
    model = estimate([list("abceefff")], order=1)
    assert model.orders[0].discounts == pytest.approx([0, 2 / 3, 0, 3])


def test_short_sentences_limit_the_order() -> None:
    assert len(estimate([["a"], []], order=5).orders) == 3
    assert len(estimate([[]], order=5).orders) == 2


@pytest.mark.parametrize("token", ["<s>", "</s>", "<unk>"])
def test_control_tokens_are_rejected(token: str) -> None:
    with pytest.raises(ValueError, match="No token may be one of"):
        estimate([["a", token]])


def test_no_sentences_and_a_bad_order_are_rejected() -> None:
    with pytest.raises(ValueError, match="at least one sentence"):
        estimate([])
    with pytest.raises(ValueError, match="order must be at least 1"):
        estimate([["a"]], order=0)
