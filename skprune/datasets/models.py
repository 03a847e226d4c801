"""Small real models for tests, examples and measurements."""

from __future__ import annotations

from pathlib import Path

from skprune.datasets._assets import ASSETS, fetch
from skprune.datasets._t5 import trainable_t5


def fetch_model(name: str) -> Path:
    """Return the folder of a small real model, which the first call downloads.

    Parameters
    ----------
    name : {"gemma3-270m", "minilm", "mpnet", "qwen-coder-0.5b", "smollm2-135m", "t5-small-title"}
        - ``minilm`` (84 MB) and ``mpnet`` (404 MB) are sentence encoders for ``SentenceTransformer(path)``.
          They also serve as backbones for
          ``AutoModelForSequenceClassification.from_pretrained(path)``.
        - ``smollm2-135m`` (93 MB), ``gemma3-270m`` (253 MB, a base model) and ``qwen-coder-0.5b`` (491 MB)
          are causal language models. Each folder holds one GGUF file.
        - ``t5-small-title`` (68 MB) is FLAN-T5-small, distilled to write titles, for
          ``AutoModelForSeq2SeqLM.from_pretrained(path)``. The first call converts its 8-bit weights to
          float32 (308 MB), which needs the ``onnx`` extra.

    Returns
    -------
    pathlib.Path
        The folder.

    Raises
    ------
    ValueError
        If the name is unknown.
    skprune.datasets.AssetError
        If the model cannot be downloaded, or its content is not the pinned one.
    ImportError
        If ``t5-small-title`` needs to be converted and the ``onnx`` extra is missing.

    Examples
    --------
    >>> from skprune.datasets import fetch_model
    >>> folder = fetch_model("smollm2-135m")  # doctest: +SKIP
    """
    models = sorted(asset.name for asset in ASSETS.values() if asset.kind == "model")
    if name not in models:
        raise ValueError(f"unknown model {name!r}; choose one of {models}")
    return trainable_t5(fetch(name)) if name == "t5-small-title" else fetch(name)
