"""SemanticEntropy against its formula, on points of a circle."""

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from skprune import SemanticEntropy
from skprune.scorers import semantic

CIRCLE = {f"point {i}": np.array([np.cos(a), np.sin(a)]) for i, a in enumerate(np.linspace(0, 3, 40))}


class OnACircle:
    fingerprint = "circle"

    def __call__(self, texts):
        return np.array([3.0 * CIRCLE[text] for text in texts])  # the scorer normalizes them


def test_score_is_the_entropy_of_the_softmax_over_topics():
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


def test_extreme_temperatures_and_too_few_texts():
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


def test_verbose_reaches_the_encoder(monkeypatch):
    seen = []

    def make_encoder(encoder, *, verbose):
        seen.append(verbose)
        return encoder

    monkeypatch.setattr(semantic, "make_encoder", make_encoder)
    SemanticEntropy(OnACircle(), n_clusters=4, verbose=2).fit(list(CIRCLE))
    assert seen == [2]
