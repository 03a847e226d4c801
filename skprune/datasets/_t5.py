"""A trainable T5, converted from the int8 ONNX graphs that are on the package index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from skprune._optional import require
from skprune.datasets._assets import build_folder, cache_home

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORMAT = 1  # version of the converted files; part of the folder's name
# The configuration of FLAN-T5-small, as published by its authors; the package does not include it.
_CONFIG = {
    "architectures": ["T5ForConditionalGeneration"],
    "model_type": "t5",
    "vocab_size": 32128,
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 1024,
    "num_layers": 8,
    "num_decoder_layers": 8,
    "num_heads": 6,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "dropout_rate": 0.1,
    "layer_norm_epsilon": 1e-6,
    "feed_forward_proj": "gated-gelu",
    "is_encoder_decoder": True,
    "tie_word_embeddings": False,
    "decoder_start_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 0,
}
_TOKENIZER_CONFIG = {
    "tokenizer_class": "PreTrainedTokenizerFast",
    "eos_token": "</s>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
}


def trainable_t5(source: Path) -> Path:
    """Return a folder with the T5 of ``source`` in float32, which the first call writes.

    Parameters
    ----------
    source : pathlib.Path
        Folder of the unpacked asset: ``encoder.onnx`` and ``decoder.onnx`` (int8, one scale per matrix) and
        ``tokenizer.json``.

    Returns
    -------
    pathlib.Path
        A folder that ``AutoModelForSeq2SeqLM`` and ``AutoTokenizer`` load. It appears complete or not at all.

    Raises
    ------
    ImportError
        If onnx or safetensors is missing.
    """

    def convert(partial: Path) -> Path:
        safetensors = require("safetensors.numpy", extra="onnx", purpose="The packaged T5")
        weights = dict(_weights(source / "encoder.onnx", {"enc": "encoder"}))
        weights |= dict(_weights(source / "decoder.onnx", {"m": ""}))
        del weights["encoder.embed_tokens.weight"]  # the same as shared.weight
        folder = partial / "model"
        folder.mkdir()
        safetensors.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
        tokenizer = json.loads((source / "tokenizer.json").read_text(encoding="utf-8"))
        tokenizer |= {"truncation": None, "padding": None}  # the package sets both, to 48 tokens
        for name, content in (
            ("config.json", _CONFIG),
            ("tokenizer_config.json", _TOKENIZER_CONFIG),
            ("tokenizer.json", tokenizer),
        ):
            (folder / name).write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        return folder

    return build_folder(cache_home() / "models" / f"{source.name}-float32-{_FORMAT}", convert)


def _weights(path: Path, roots: dict[str, str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and float32 value of each weight of the graph, in the naming and shapes of torch's T5.

    The graph does not name the matrices of linear layers, but the nodes that multiply by them are named after
    the layer's path. ``roots`` renames the first part of a path.
    """
    onnx = require("onnx", extra="onnx", purpose="The packaged T5")
    graph = onnx.load(path).graph
    tensors = {tensor.name: tensor for tensor in graph.initializer}

    def read(name: str) -> np.ndarray:
        return onnx.numpy_helper.to_array(tensors[name])

    def dequantized(name: str) -> np.ndarray:
        stem = name.removesuffix("_quantized")
        steps = read(name).astype(np.float32) - read(f"{stem}_zero_point").astype(np.float32)
        return steps * read(f"{stem}_scale")

    def renamed(path: str) -> str:
        root, _, rest = path.partition(".")
        return f"{roots[root]}.{rest}".lstrip(".")

    for node in graph.node:
        if node.op_type == "MatMulInteger":
            layer = ".".join(node.name.split("/")[1:-1])
            yield renamed(f"{layer}.weight"), np.ascontiguousarray(dequantized(node.input[1]).T)
    for name in tensors:
        if name.endswith(".weight"):
            yield renamed(name), read(name)
        elif name.endswith(".weight_quantized"):
            yield renamed(name.removesuffix("_quantized")), dequantized(name)
