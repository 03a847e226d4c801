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


# ---------------------------------------------------------------------- semantic


CIRCLE = {f"point {i}": np.array([np.cos(a), np.sin(a)]) for i, a in enumerate(np.linspace(0, 3, 40))}


class OnACircle:
    fingerprint = "circle"

    def __call__(self, texts):
        return np.array(
            [3.0 * CIRCLE[text] for text in texts]
        )  # not of unit length: the scorer normalizes them


def test_semantic_is_the_entropy_of_the_softmax_over_topics():
    scorer = SemanticEntropy(OnACircle(), n_clusters=4, temperature=0.3).fit(list(CIRCLE))
    assert scorer.centroids_.shape == (4, 2)
    np.testing.assert_allclose(np.linalg.norm(scorer.centroids_, axis=1), 1, rtol=1e-6)
    expected = []
    for point in CIRCLE.values():
        q = np.exp(scorer.centroids_.astype(float) @ point / 0.3)
        q /= q.sum()
        expected.append(-(q * np.log(q)).sum())
    np.testing.assert_allclose(scorer(list(CIRCLE)), expected, atol=1e-5)


def test_topics_do_not_depend_on_the_order_of_the_pool():
    names = list(CIRCLE)
    forward = SemanticEntropy(OnACircle(), n_clusters=4).fit(names)
    backward = SemanticEntropy(OnACircle(), n_clusters=4).fit(names[::-1] + names)
    assert forward.fingerprint == backward.fingerprint
    few = SemanticEntropy(OnACircle(), n_clusters=4, max_train_texts=10).fit(names)
    assert few.fingerprint != forward.fingerprint


def test_extremes_of_the_temperature_and_too_few_texts():
    names = list(CIRCLE)
    cold = SemanticEntropy(OnACircle(), n_clusters=4, temperature=1e-4).fit(names)
    hot = SemanticEntropy(OnACircle(), n_clusters=4, temperature=1e4).fit(names)
    assert np.median(cold(names)) < 1e-6
    np.testing.assert_allclose(hot(names), np.log(4), atol=1e-6)
    one = SemanticEntropy(lambda texts: np.ones((len(texts), 2)), n_clusters=4).fit(names)
    assert len(one.centroids_) == 1
    assert one(names).tolist() == [0.0] * 40
    with pytest.raises(ValueError, match="X has no texts"):
        SemanticEntropy().fit([])
    with pytest.raises(NotFittedError):
        SemanticEntropy()(["a"])


def test_vectors_are_computed_once(tmp_path):
    calls = []

    class Counting(OnACircle):
        fingerprint = f"counting {id(calls)}"

        def __call__(self, texts):
            calls.extend(texts)
            return super().__call__(texts)

    for k in (3, 5):
        SemanticEntropy(Counting(), n_clusters=k, memory=tmp_path).fit(list(CIRCLE))(list(CIRCLE))
    assert sorted(calls) == sorted(CIRCLE)


# ---------------------------------------------------------------------- all entropies


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
