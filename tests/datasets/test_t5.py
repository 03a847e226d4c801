"""The packaged T5: its float32 weights against the original int8 graphs, and fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from skprune import TransformerSeq2Seq
from skprune.datasets import fetch_model
from skprune.datasets._assets import fetch
from skprune.models.seq2seq_nets import load_seq2seq

TEXT = "summarize: A small library reads and writes images in the PNG format."


@pytest.fixture(scope="module")
def t5() -> Path:
    """Return the folder of the trainable model."""
    return fetch_model("t5-small-title")


@pytest.fixture(scope="module")
def source() -> Path:
    """Return the folder of the int8 graphs."""
    return fetch("t5-small-title")


def test_all_weights_exist_and_the_head_is_not_tied(t5: Path) -> None:
    model = load_seq2seq(t5).model  # raises if a weight is missing
    assert sum(p.numel() for p in model.parameters()) == 76_961_152
    assert not torch.equal(model.lm_head.weight, model.shared.weight)
    assert not model.config.scale_decoder_outputs
    assert {file.name for file in t5.iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }


def test_the_tokenizer_does_not_pad_or_truncate_by_default(t5: Path) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(t5)
    short, long = tokenizer(["ja", "größer " * 100])["input_ids"]
    assert short[-1] == long[-1] == tokenizer.eos_token_id == 1
    assert len(short) < 4
    assert len(long) > 100
    assert tokenizer.decode(long, skip_special_tokens=True).split() == ["größer"] * 100


def rounded_as_in_the_graph(layer: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    """Imitate ONNX's DynamicQuantizeLinear: 256 steps from the lowest to the highest value, including 0."""
    (x,) = inputs
    low, high = min(x.min().item(), 0.0), max(x.max().item(), 0.0)
    step = (high - low) / 255
    zero = round(-low / step)
    return ((torch.round(x / step) + zero).clamp(0, 255).sub(zero) * step,)


def test_the_encoder_equals_the_graph_except_for_rounded_activations(t5: Path, source: Path) -> None:
    """With the rounding imitated, the first two blocks agree; later ones may differ by one step."""
    model, tokenizer = load_seq2seq(t5).build(None).model, load_seq2seq(t5).tokenizer
    inputs = tokenizer(TEXT, return_tensors="pt")
    onnx, runtime = (pytest.importorskip(name) for name in ("onnx", "onnxruntime"))
    graph = onnx.load(source / "encoder.onnx")
    sums = [f"/enc/block.{block}/layer.1/Add_output_0" for block in range(2)]
    graph.graph.output.extend(onnx.helper.make_empty_tensor_value_info(name) for name in sums)
    session = runtime.InferenceSession(graph.SerializeToString())
    expected = session.run(sums, {name: ids.numpy() for name, ids in inputs.items()})
    found: list[Any] = []
    for module in model.encoder.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_pre_hook(rounded_as_in_the_graph)
    for block in model.encoder.block:
        block.register_forward_hook(lambda *call: found.append(call[2]))
    with torch.inference_mode():
        model.encoder(**inputs)
    for output, reference in zip(found, expected, strict=False):
        hidden = (output[0] if isinstance(output, tuple) else output).numpy()
        assert np.abs(hidden - reference).max() < 1e-5 * np.abs(reference).max()


def test_the_decoder_agrees_with_the_graph(t5: Path, source: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    model, tokenizer = load_seq2seq(t5).model, load_seq2seq(t5).tokenizer
    inputs = tokenizer(TEXT, return_tensors="pt")
    with torch.inference_mode():
        sequence = model.generate(**inputs, max_new_tokens=6, do_sample=False)[:, :-1]
        output = model(**inputs, decoder_input_ids=sequence)
    (expected,) = runtime.InferenceSession(source / "decoder.onnx").run(
        None,
        {
            "input_ids": sequence.numpy(),
            "encoder_hidden_states": output.encoder_last_hidden_state.numpy(),
            "encoder_attention_mask": inputs["attention_mask"].numpy(),
        },
    )
    assert np.corrcoef(output.logits.numpy().ravel(), expected.ravel())[0, 1] > 0.97


def test_it_writes_titles(t5: Path) -> None:
    model, tokenizer = load_seq2seq(t5).model, load_seq2seq(t5).tokenizer
    text = "User: fix the bug in the parser where quotes are dropped. Assistant: edited parser.py, ran tests"
    with torch.inference_mode():
        sequence = model.generate(**tokenizer(text, return_tensors="pt"), max_new_tokens=20)[0]
    title = tokenizer.decode(sequence, skip_special_tokens=True)
    assert title.startswith("Fix")
    assert "parser" in title


@pytest.mark.slow
def test_fine_tuning_learns_a_few_pairs(t5: Path) -> None:
    english = ["documentation files", "this package contains the client", "command line tool", "test suite"]
    german = [
        "Dokumentation",
        "Dieses Paket enthält den Client",
        "Werkzeug für die Befehlszeile",
        "Testsuite",
    ]
    model = TransformerSeq2Seq(
        t5, prefix="translate English to German: ", lr=1e-3, min_steps=40, batch_size=4, random_state=0
    )
    model.fit(english, german)
    assert model.predict(english).tolist() == german
    assert (model.sequence_scores(english) > model.sequence_scores(["a wholly different text"])).all()
