"""Entropy over the meanings of a language model's continuations."""

import numpy as np
import torch
from sklearn.base import clone

from skprune import SampledSemanticEntropy
from skprune.language_models.causal.model import CausalLM

TEXTS = [
    "The train to the coast leaves every morning at seven.",
    "seven coast every The leaves at train the to morning.",
    "A dull film.",
]


def test_score_is_the_entropy_of_the_shares_of_meanings(smollm2, monkeypatch):
    continuations = ["yes", "yes indeed", "no", "yes", "never", "no way"]
    monkeypatch.setattr(CausalLM, "sample", lambda lm, prompt, n, **options: continuations[:n])
    same_word = SampledSemanticEntropy(smollm2, n_samples=6, entails=lambda a, b: a.split()[0] in b)
    shares = np.array([3, 2, 1]) / 6
    np.testing.assert_allclose(same_word(["a", "b"]), -(shares * np.log(shares)).sum())
    one_way = SampledSemanticEntropy(smollm2, n_samples=6, entails=lambda a, b: len(a) <= len(b))
    # Longer follows from shorter, not the reverse: only texts of equal length mean the same.
    shares = np.array([2, 1, 1, 1, 1]) / 6
    np.testing.assert_allclose(one_way(["a"]), -(shares * np.log(shares)).sum())


def test_continuations_with_similar_vectors_mean_the_same(smollm2, monkeypatch):
    continuations = ["red fox", "the red fox", "blue sea", "red fox"]
    monkeypatch.setattr(CausalLM, "sample", lambda lm, prompt, n, **options: continuations[:n])
    angles = {"red fox": 0.0, "the red fox": 0.6, "blue sea": 1.5}

    def encode(texts):
        return np.array([[np.cos(angles[t]), np.sin(angles[t])] for t in texts])

    scorer = SampledSemanticEntropy(smollm2, n_samples=4, threshold=0.7, encoder=encode).fit(continuations)
    np.testing.assert_allclose(scorer(["x"]), -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    strict = clone(scorer).set_params(threshold=0.9).fit(continuations)
    np.testing.assert_allclose(strict(["x"]), -(0.5 * np.log(0.5) + 2 * 0.25 * np.log(0.25)))
    assert strict.fingerprint != scorer.fingerprint
    by_words = SampledSemanticEntropy(smollm2, n_samples=4).fit([*continuations, "gray sky"])
    assert 0 < by_words(["x"])[0] < np.log(4)


def test_continuations_depend_only_on_the_text_and_the_seed(smollm2):
    scorer = SampledSemanticEntropy(
        smollm2, n_samples=5, max_new_tokens=1, entails=first_letters, temperature=1.5
    )
    state = torch.random.get_rng_state()
    values = scorer(TEXTS)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert scorer([TEXTS[2], TEXTS[0]]).tolist() == [values[2], values[0]]
    assert ((values >= 0) & (values <= np.log(5) + 1e-12)).all()
    assert scorer.n_calls_ == 5
    assert clone(scorer).set_params(random_state=1).fingerprint != scorer.fingerprint


def first_letters(a, b):
    return a.strip()[:3] == b.strip()[:3]


def test_different_random_states_give_different_seeds(smollm2, monkeypatch):
    seeds = []

    def sample(lm, prompt, n, *, seed, **options):
        seeds.append(seed)
        return ["yes"] * n

    monkeypatch.setattr(CausalLM, "sample", sample)
    for random_state in (0, 1, 2, 2**64 + 5):
        scorer = SampledSemanticEntropy(
            smollm2, n_samples=2, random_state=random_state, entails=lambda a, b: True
        )
        scorer(["a text"])
    assert len(set(seeds)) == 4
    assert max(seeds) < 2**63
