"""Perplexity and entropy under a real causal language model."""

import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skprune import ActivePruneFilter, CausalLMScorer, GenerativeEntropy
from skprune.language_models.causal import model as causal_lm
from skprune.language_models.causal.loader import load_causal_lm
from skprune.language_models.causal.model import CausalLM

TEXTS = [
    "The train to the coast leaves every morning at seven.",
    "seven coast every The leaves at train the to morning.",
    "A dull film.",
    "Two thirds of the members voted against the proposal after a debate that lasted until midnight.",
    "x",
]
# The rounding error of bfloat16 after thirty layers.
CLOSE = {"rtol": 0.02, "atol": 0.02}


@pytest.fixture(scope="module")
def lm(smollm2):
    return load_causal_lm(smollm2)


@pytest.fixture(scope="module")
def scorer(smollm2):
    return CausalLMScorer(smollm2)


def by_hand(lm, text):
    """Mean −ln p of the tokens and mean entropy of one text, from all logits at once."""
    ids = [lm.tokenizer.bos_token_id, *lm.tokenizer.encode(text, add_special_tokens=False)]
    with torch.inference_mode():
        log_p = lm.model(torch.tensor([ids])).logits[0, :-1].double().log_softmax(1)
    nll = -log_p[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].mean()
    return nll.item(), -(log_p.exp() * log_p).sum(1).mean().item()


def test_score_is_the_mean_surprise_in_log10(lm, scorer):
    expected = np.array([by_hand(lm, text)[0] for text in TEXTS]) / np.log(10)
    scores = scorer(TEXTS)
    np.testing.assert_allclose(scores, expected, **CLOSE)
    assert scores.dtype == np.float64
    np.testing.assert_allclose(scorer.perplexity(TEXTS), 10**scores)
    assert scores[0] < scores[1]  # the same words in another order


def test_generative_entropy_of_a_causal_model(lm, smollm2, scorer):
    nll, entropy = np.array([by_hand(lm, text) for text in TEXTS]).T
    np.testing.assert_allclose(GenerativeEntropy(smollm2)(TEXTS), entropy, **CLOSE)
    np.testing.assert_allclose(GenerativeEntropy(smollm2, measure="nll")(TEXTS), nll, **CLOSE)
    ready = GenerativeEntropy(scorer)
    assert ready.fingerprint == GenerativeEntropy(smollm2).fingerprint
    assert ready.fingerprint != GenerativeEntropy(smollm2, measure="nll").fingerprint
    assert ready.fit(["not used"]).scorer_ is scorer


def test_scores_do_not_depend_on_order_or_batch(scorer, monkeypatch):
    scores = scorer(TEXTS)
    np.testing.assert_allclose(scorer(TEXTS[::-1])[::-1], scores, **CLOSE)
    for batch_size in (1, 2, 100):
        np.testing.assert_allclose(clone(scorer).set_params(batch_size=batch_size)(TEXTS), scores, **CLOSE)
    monkeypatch.setattr(causal_lm, "_LOGITS_AT_ONCE", 3 * 49_152)  # three positions at a time
    np.testing.assert_allclose(scorer(TEXTS), scores, **CLOSE)


def test_a_model_may_cap_the_output_of_its_head(lm, monkeypatch):
    ids = [lm.tokenizer.encode(text) for text in TEXTS[:3]]
    plain = lm.token_surprise(ids)
    assert lm._leaves_logits
    forward = lm.model.forward

    def capped(*args, **options):
        output = forward(*args, **options)
        return SimpleNamespace(logits=3 * torch.tanh(output.logits / 3))

    monkeypatch.setattr(lm.model, "forward", capped)
    fresh = CausalLM(lm.model, lm.tokenizer, lm.device, lm.precision)
    assert not fresh._leaves_logits
    nll, entropy = fresh.token_surprise(ids)
    expected = []
    for row in ids:
        with torch.inference_mode():
            log_p = lm.model(torch.tensor([row])).logits[0, :-1].double().log_softmax(1)
        expected.append(-log_p[torch.arange(len(row) - 1), torch.tensor(row[1:])].numpy())
    np.testing.assert_allclose(nll, np.concatenate(expected), rtol=0.05, atol=0.1)
    assert (entropy > plain[1]).all()  # capped logits are flatter


def test_copies_empty_texts_and_long_texts(scorer):
    fresh = clone(scorer).set_params(max_length=8)
    scores = fresh([TEXTS[3], "", TEXTS[3], TEXTS[3] + " And then some.", TEXTS[2]])
    assert np.isposinf(scores[1])
    assert scores[0] == scores[2]
    np.testing.assert_allclose(scores[3], scores[0], **CLOSE)  # cut after the same eight tokens
    assert fresh.n_calls_ == 3
    assert fresh([]).shape == (0,)
    with pytest.raises(ValueError, match="max_length=8192 must be below the model's 8192 positions"):
        clone(scorer).set_params(max_length=8192)(["a"])


def test_the_name_of_a_special_token_is_ordinary_text(lm, scorer):
    (ids,) = lm.encode(["<|im_end|>"], 512)
    assert lm.tokenizer.eos_token_id not in ids
    assert np.isfinite(scorer(["<|im_end|>"])).all()


def test_out_of_memory_halves_the_batch_and_nan_raises_an_error(scorer, monkeypatch):
    expected = scorer(TEXTS)
    run = CausalLM.token_surprise

    def cramped(lm, sequences, **options):
        if len(sequences) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return run(lm, sequences, **options)

    monkeypatch.setattr(CausalLM, "token_surprise", cramped)
    np.testing.assert_allclose(scorer(TEXTS), expected, **CLOSE)
    monkeypatch.setattr(
        CausalLM,
        "token_surprise",
        lambda lm, rows, **options: (np.full(sum(map(len, rows)) - len(rows), np.nan), None),
    )
    with pytest.raises(FloatingPointError, match="returned NaN"):
        scorer(TEXTS)


def test_fingerprint_and_pickle(scorer, smollm2):
    assert scorer.fingerprint == CausalLMScorer(smollm2, batch_size=7, verbose=1).fingerprint
    assert scorer.fingerprint != CausalLMScorer(smollm2, max_length=7).fingerprint
    again = pickle.loads(pickle.dumps(scorer))
    assert again.fingerprint == scorer.fingerprint
    np.testing.assert_allclose(again(TEXTS[:1]), scorer(TEXTS[:1]), **CLOSE)


def test_active_prune_accepts_it_as_perplexity(scorer):
    pruner = ActivePruneFilter(keep=2, perplexity=scorer, quality=None, reweighting=None).fit(TEXTS)
    assert set(pruner.select(TEXTS)) == set(np.argsort(scorer(TEXTS))[:2])
