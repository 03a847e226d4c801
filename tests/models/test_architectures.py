"""Decoders and encoder–decoders as classifiers, on tiny random models."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from skprune import ModelLoadError, TransformerClassifier
from skprune.models.nets import load_encoder
from tests.tiny_models import save_tiny_gpt2, save_tiny_t5

TEXTS = ["aaaa aaa", "zzz zzzz z", "aa aaaaa aaaa aa a", "zz", "a aa", "z zzz zzz"] * 3
LABELS = ["a", "z", "a", "z", "a", "z"] * 3


@pytest.fixture(scope="module")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_gpt2(tmp_path_factory.mktemp("gpt2"))


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_t5(tmp_path_factory.mktemp("t5"))


def learned(model: Path, pooling: str) -> TransformerClassifier:
    recipe = {"lr": 3e-3, "batch_size": 6, "max_epochs": 15, "min_steps": 1, "precision": "float32"}
    return TransformerClassifier(model, pooling=pooling, random_state=0, **recipe).fit(TEXTS, LABELS)


@pytest.mark.parametrize("architecture", ["gpt2", "t5"])
@pytest.mark.parametrize("pooling", ["mean", "model"])
def test_decoders_and_encoder_decoders_learn(
    architecture: str, pooling: str, request: pytest.FixtureRequest
) -> None:
    model = learned(request.getfixturevalue(architecture), pooling)
    assert model.score(TEXTS, LABELS) == 1
    assert model.penultimate(TEXTS).shape == (18, 32)
    again = pickle.loads(pickle.dumps(model))
    assert np.array_equal(again.predict_proba(TEXTS), model.predict_proba(TEXTS))


@pytest.mark.parametrize("architecture", ["gpt2", "t5"])
@pytest.mark.parametrize("pooling", ["mean", "model"])
def test_probabilities_do_not_depend_on_the_padding(
    architecture: str, pooling: str, request: pytest.FixtureRequest
) -> None:
    model = learned(request.getfixturevalue(architecture), pooling)
    company = ["a", "zz z " * 15, "", "az"]
    alone = np.vstack([model.predict_proba([text]) for text in company])
    assert np.isfinite(alone).all()
    assert model.predict_proba(company) == pytest.approx(alone, abs=1e-5)


def test_features_of_a_decoder_are_the_mean_or_the_last_token(gpt2: Path) -> None:
    """Compare with transformers itself, without padding and without training."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(gpt2)
    plain = transformers.AutoModel.from_pretrained(gpt2).eval()
    ids = [tokenizer.encode(text) for text in TEXTS[:4]]
    with torch.inference_mode():
        states = [plain(torch.tensor([row])).last_hidden_state[0] for row in ids]
    expected = {"mean": [s.mean(0) for s in states], "model": [s[-1] for s in states]}
    for pooling, rows in expected.items():
        module = load_encoder(gpt2).build(2, pooling, None).eval()
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones(len(row), dtype=torch.long) for row in ids], True)
        padded = torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in ids], True)
        with torch.inference_mode():
            features = module.features(padded, mask)
        torch.testing.assert_close(features, torch.stack(rows), rtol=1e-4, atol=1e-5)


def test_the_mean_of_an_encoder_decoder_is_that_of_its_encoder(t5: Path) -> None:
    module = load_encoder(t5).build(2, "mean", None).eval()
    encoder = transformers.T5EncoderModel.from_pretrained(t5).eval()
    ids = torch.tensor([[5, 6, 7, 1]])
    with torch.inference_mode():
        expected = encoder(ids).last_hidden_state.mean(1)
        torch.testing.assert_close(module.features(ids, torch.ones_like(ids)), expected)
    assert not any("decoder" in name for name, _ in module.named_parameters())


def test_the_lower_layers_of_a_decoder_can_be_frozen(gpt2: Path) -> None:
    model = TransformerClassifier(gpt2, frozen_layers=1, max_epochs=1, min_steps=1, random_state=0)
    tuned = model.fit(TEXTS, LABELS).net_.module_.encoder.state_dict()
    pretrained = load_encoder(gpt2).model.base_model.state_dict()
    changed = {name for name in tuned if not torch.equal(tuned[name], pretrained[name])}
    assert {name.split(".")[1] for name in changed if name.startswith("h.")} == {"1"}
    assert "wte.weight" not in changed


def test_a_tokenizer_that_cannot_pad_is_refused(gpt2: Path, tmp_path: Path) -> None:
    folder = save_tiny_gpt2(tmp_path / "model")
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).exists():
            settings = json.loads((folder / name).read_text())
            settings = {key: value for key, value in settings.items() if not key.endswith("_token")}
            (folder / name).write_text(json.dumps(settings))
    with pytest.raises(
        ModelLoadError, match=r"neither a padding token nor an end-of-text token. Set pad_token"
    ):
        TransformerClassifier(folder).fit(TEXTS, LABELS)
