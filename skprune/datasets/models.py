"""Small real models."""

from __future__ import annotations

from pathlib import Path

from skprune.datasets._assets import ASSETS, fetch
from skprune.datasets._t5 import trainable_t5


def fetch_model(name: str) -> Path:
    """Folder of a small real model, downloaded on the first call.

    Parameters
    ----------
    name : {"gemma3-270m", "minilm", "mpnet", "qwen-coder-0.5b", "smollm2-135m", "t5-small-title"}
        ``minilm`` (84 MB) and ``mpnet`` (404 MB) are sentence encoders that
        ``SentenceTransformer(path)`` loads, and backbones that
        ``AutoModelForSequenceClassification.from_pretrained(path)`` loads; the folders of the
        others hold one GGUF file each, a causal language model: ``smollm2-135m`` (93 MB),
        ``gemma3-270m`` (253 MB, a base model) and ``qwen-coder-0.5b`` (491 MB).
        ``t5-small-title`` (68 MB) is FLAN-T5-small, distilled to write titles, which
        ``AutoModelForSeq2SeqLM.from_pretrained(path)`` loads: its 8-bit weights are written out in
        float32 once (308 MB; needs the ``onnx`` extra).

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    ValueError
        If there is no such model.
    skprune.datasets._assets.AssetError
        If it cannot be downloaded, or its content is not the pinned one.

    Examples
    --------
    >>> from skprune.datasets import fetch_model
    >>> folder = fetch_model("smollm2-135m")  # doctest: +SKIP
    """
    models = sorted(asset.name for asset in ASSETS.values() if asset.kind == "model")
    if name not in models:
        raise ValueError(f"There is no model {name!r}; there are {models}.")
    return trainable_t5(fetch(name)) if name == "t5-small-title" else fetch(name)
