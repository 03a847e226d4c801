"""The three entropies, compared with their formulas computed by hand and by brute force."""

import pickle
from collections import Counter

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from skprune import GenerativeEntropy, InformationEntropy, NGramScorer, SemanticEntropy
from skprune.language_models.ngram.token_pipeline import TokenPipeline

RNG = np.random.default_rng(0)
WORDS = np.array(["red", "green", "blue", "fox", "dog", "sea", "Sky", "runs", "sees", "the", "a,", "old"])
TEXTS = [" ".join(RNG.choice(WORDS, RNG.integers(0, 20))) for _ in range(2500)]  # more than one chunk


def by_hand(text, tokenizer="words", normalizer="cc_net"):
    tokens = TokenPipeline(normalizer, tokenizer).lines([text])[0].split()
    shares = np.array(list(Counter(tokens).values())) / max(len(tokens), 1)
    return -(shares * np.log2(shares)).sum(), len(tokens)


# ---------------------------------------------------------------------- information


@pytest.mark.parametrize("settings", [{}, {"tokenizer": "whitespace"}, {"normalizer": None}])
def test_information_is_the_shannon_entropy_of_the_tokens(settings):
    expected, lengths = np.array([by_hand(text, **settings) for text in TEXTS]).T
    np.testing.assert_allclose(InformationEntropy(**settings)(TEXTS), expected, atol=1e-12)
    share = InformationEntropy(normalize_length=True, **settings)(TEXTS)
    np.testing.assert_allclose(share, expected / np.log2(np.maximum(lengths, 2)), atol=1e-12)
    assert share.max() <= 1


def test_texts_with_the_same_token_counts_tie_to_the_last_bit():
    texts = ["a b b c c c", "z y z x z y", "c c c b b a", *TEXTS[:1200], "q r q s q r"]
    values = InformationEntropy()(texts)
    assert values[0] == values[1] == values[2] == values[-1]
    assert InformationEntropy()(["w " * n for n in range(9)]).tolist() == [0.0] * 9


def test_information_depends_neither_on_the_other_texts_nor_on_n_jobs():
    values = InformationEntropy()(TEXTS)
    order = RNG.permutation(len(TEXTS))
    assert InformationEntropy()([TEXTS[i] for i in order]).tolist() == values[order].tolist()
    assert InformationEntropy(n_jobs=2)(TEXTS).tolist() == values.tolist()
    assert InformationEntropy()([]).tolist() == []


def test_callable_tokenizer():
    letters = InformationEntropy(list_of_letters, normalizer=None)
    assert letters(["abab", "abcd", "aaaa"]).tolist() == [1.0, 2.0, 0.0]
    assert letters.fingerprint != InformationEntropy(normalizer=None).fingerprint


def list_of_letters(texts):
    return [list(text) for text in texts]


# ---------------------------------------------------------------------- generative


def test_generative_entropy_of_an_n_gram_model_is_the_log_perplexity_in_nats():
    pool = [t for t in TEXTS if t]
    expected = NGramScorer().fit(pool)(TEXTS) * np.log(10)
    for model in (None, NGramScorer(), FrozenEstimator(NGramScorer().fit(pool))):
        scorer = GenerativeEntropy(model).fit(pool)
        np.testing.assert_array_equal(scorer(TEXTS), expected)
    assert np.isposinf(scorer([""])).all()
    other = GenerativeEntropy(NGramScorer(order=2)).fit(pool)
    assert other.fingerprint != scorer.fingerprint
    assert not np.array_equal(other(TEXTS), expected)


def test_generative_needs_fit_only_if_a_model_has_to_be_trained():
    trained = NGramScorer(order=2).fit(TEXTS)
    assert np.isfinite(GenerativeEntropy(trained)(["red fox"])).all()
    given = NGramScorer(order=2)
    with pytest.raises(NotFittedError):
        GenerativeEntropy(given)(["red fox"])
    GenerativeEntropy(given).fit(TEXTS)
    assert not given.__sklearn_is_fitted__()  # fit does not change the parameter


def test_measure_entropy_is_rejected_for_an_n_gram_model():
    with pytest.raises(ValueError, match="measure='entropy' needs a causal language model"):
        GenerativeEntropy(measure="entropy").fit(TEXTS)


def test_iter_scores_covers_every_row_once():
    scorer = GenerativeEntropy().fit(TEXTS)
    rows = np.concatenate([rows for rows, _ in scorer.iter_scores(TEXTS)])
    assert rows.tolist() == list(range(len(TEXTS)))


# ---------------------------------------------------------------------- all of them


@pytest.mark.parametrize(
    ("scorer", "change"),
    [
        (InformationEntropy(), {"normalize_length": True}),
        (GenerativeEntropy(NGramScorer(order=2)), {"model": NGramScorer(order=3)}),
        (SemanticEntropy(n_clusters=3), {"temperature": 0.2}),
    ],
    ids=["information", "generative", "semantic"],
)
def test_clones_pickles_and_fingerprints(scorer, change):
    def fitted(s):
        return s.fit(TEXTS) if hasattr(s, "fit") else s

    first = fitted(clone(scorer))
    again = pickle.loads(pickle.dumps(first))
    values = first(TEXTS[:50])
    assert values.dtype == np.float64
    assert values.shape == (50,)
    assert again(TEXTS[:50]).tolist() == values.tolist()
    assert again.fingerprint == first.fingerprint == fitted(clone(scorer)).fingerprint
    assert fitted(clone(scorer).set_params(**change)).fingerprint != first.fingerprint
    with pytest.raises(ValueError, match=r"texts\[1\] is None"):
        first(["a", None])
