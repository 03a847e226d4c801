"""Loading causal language models: once a process, from the hub, a folder or a GGUF file."""

from __future__ import annotations

import copy
import os
import tempfile
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skprune._optional import require
from skprune.exceptions import ModelLoadError
from skprune.hub.devices import choose_device, has_native_bfloat16
from skprune.hub.fingerprints import commit_of, content_of
from skprune.hub.sources import first_line, quiet_transformers, resolve
from skprune.language_models.causal.model import CausalLM

if TYPE_CHECKING:
    import torch

_NEEDED_BY = {"extra": "llm", "purpose": "A causal language model"}
_load_lock = threading.Lock()


def load_causal_lm(
    model: str | os.PathLike[str],
    *,
    revision: str | None = None,
    quantization: str | None = "auto",
    device: str = "auto",
) -> CausalLM:
    """Load a causal language model; the two used last stay loaded in the process.

    Parameters
    ----------
    model : str or path
        A hub name such as ``"google/gemma-2b-it"``; a folder with ``config.json``, a tokenizer and
        safetensors weights; a GGUF file, or a folder with exactly one. Code in it is never run.
    revision : str, default=None
        Branch, tag or commit on the hub.
    quantization : {"auto", "nf4", "int8", "float32"} or None, default="auto"
        "nf4" (4 bits) and "int8" go through bitsandbytes. None keeps bfloat16 where the device multiplies
        it natively, else float32. "auto" is "nf4" on CUDA, None elsewhere. A GGUF file is unpacked first.
    device : str, default="auto"
        A torch device; "auto" is CUDA, MPS or the CPU, whichever there is.

    Returns
    -------
    CausalLM

    Raises
    ------
    ModelLoadError
        If the model is missing, damaged, of another kind, or its hub cannot be reached.
    ImportError
        If a package is missing; the message names the extra that brings it.
    ValueError
        If the device is not there, or cannot do this quantization.

    Notes
    -----
    GGUF files are read by transformers, and not by each version of it rightly: of a Gemma 3, transformers
    5.17 makes a tokenizer that breaks most words into single letters and syllables, silently; 5.23 does not.

    Examples
    --------
    >>> from skprune.datasets import fetch_model
    >>> lm = load_causal_lm(fetch_model("smollm2-135m"))  # doctest: +SKIP
    >>> logits = lm.next_token_logits([lm.tokenizer.encode("Paris is the capital of")])  # doctest: +SKIP
    >>> lm.tokenizer.decode(logits[0].argmax())  # doctest: +SKIP
    ' France'
    """
    source = resolve(model)
    place = choose_device(device, **_NEEDED_BY)
    precision = choose_precision(quantization, place)
    _require_packages(source, precision)
    with _load_lock:  # two threads that ask for one model get one model
        return _load(source, content_of(source, revision), revision, precision, str(place))


def causal_lm_fingerprint(
    model: str | os.PathLike[str],
    *,
    revision: str | None = None,
    quantization: str | None = "auto",
    device: str = "auto",
) -> str:
    """Name what :func:`load_causal_lm` would load, without loading it.

    Parameters
    ----------
    model, revision, quantization, device
        As there.

    Returns
    -------
    str
        Of a local model: a hash of its files' content, wherever they lie. Of a hub name: the name and the
        commit that ``revision`` means now. Either with the precision, but not the device: devices agree
        within rounding.

    Raises
    ------
    ModelLoadError
        If the model is missing, or a hub name's commit is in no local cache and the hub cannot be reached.
    """
    source = resolve(model)
    precision = choose_precision(quantization, choose_device(device, **_NEEDED_BY))
    return f"{content_of(source, revision)} {precision}"


def choose_precision(quantization: str | None, device: torch.device) -> str:
    """Return what the weights are kept in, as ``CausalLM.precision`` writes it.

    Raises
    ------
    ValueError
        If the device cannot do it.
    """
    dtype = "bfloat16" if has_native_bfloat16(device) else "float32"
    if quantization == "auto":
        quantization = "nf4" if device.type == "cuda" else None
    if quantization in (None, "float32"):
        return quantization or dtype
    if device.type == "mps":
        raise ValueError(f"quantization={quantization!r} needs CUDA or a CPU, device is {str(device)!r}")
    return f"{quantization}/{dtype}"


def _require_packages(source: Path | str, precision: str) -> None:
    require("transformers", **_NEEDED_BY)
    if "/" in precision:
        require("accelerate", extra="llm", purpose="Quantization")
        require("bitsandbytes", extra="llm", purpose="Quantization")
    if isinstance(source, Path) and source.is_file():
        require("accelerate", extra="llm", purpose="A GGUF model")
        require("gguf", extra="llm", purpose="A GGUF model")


@lru_cache(maxsize=2)
def _load(source: Path | str, content: str, revision: str | None, precision: str, device: str) -> CausalLM:
    """``content`` makes a path that was written anew a different model."""
    import torch

    try:
        # Weights are drawn before they are read: not from the caller's generator.
        with torch.random.fork_rng(devices=[]), quiet_transformers():
            tokenizer = _load_tokenizer(source, revision)
            model = _load_weights(source, revision, precision, torch.device(device))
    except (ImportError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # transformers, safetensors, gguf and json raise what they like
        raise ModelLoadError(
            f"model={str(source)!r} does not load as a causal language model: it is truncated or of another "
            f"kind ({first_line(error)})"
        ) from error
    return CausalLM(model.eval(), tokenizer, torch.device(device), precision)


def _load_tokenizer(source: Path | str, revision: str | None) -> Any:
    from transformers import AutoTokenizer

    name, options = _loader_arguments(source, revision)
    tokenizer = AutoTokenizer.from_pretrained(
        name, padding_side="left", truncation_side="right", trust_remote_code=False, **options
    )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def _load_weights(source: Path | str, revision: str | None, precision: str, device: torch.device) -> Any:
    kind, _, multiplied = precision.rpartition("/")
    if not kind:
        return _from_pretrained(source, revision, multiplied).to(device)
    if isinstance(source, str) or source.is_dir():
        return _from_pretrained(source, revision, multiplied, kind, device)
    with tempfile.TemporaryDirectory(prefix="skprune-") as folder:
        _unpack_gguf(source, multiplied, folder)
        return _from_pretrained(Path(folder), None, multiplied, kind, device)


def _from_pretrained(
    source: Path | str,
    revision: str | None,
    dtype: str,
    quantization: str = "",
    device: torch.device | None = None,
) -> Any:
    import torch
    import transformers

    name, options = _loader_arguments(source, revision)
    if "gguf_file" in options and hasattr(transformers, "GgufConfig"):
        # Packed weights are multiplied by kernels of their own: in float32, and slowly on most machines.
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    if quantization:
        options["device_map"] = {"": device}
        options["quantization_config"] = _bitsandbytes_config(quantization, getattr(torch, dtype))
    loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
        name,
        dtype=getattr(torch, dtype),
        use_safetensors=None if "gguf_file" in options else True,
        trust_remote_code=False,
        output_loading_info=True,
        **options,
    )
    model, info = loaded
    if info["missing_keys"]:  # they would be drawn at random
        raise ValueError(f"it has no weights for {min(info['missing_keys'])}")
    return model


def _loader_arguments(source: Path | str, revision: str | None) -> tuple[str, dict[str, Any]]:
    """Return what every ``from_pretrained`` takes: a name, and the options that go with it."""
    if isinstance(source, str):
        return source, {"revision": commit_of(source, revision)}
    if source.is_dir():
        return str(source), {}
    return str(source.parent), {"gguf_file": source.name}


def _bitsandbytes_config(quantization: str, dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    if quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)


def _unpack_gguf(source: Path, dtype: str, folder: str) -> None:
    """Write a GGUF model as safetensors: as loaded, it can be neither saved nor quantized."""
    import torch
    from transformers import AutoModelForCausalLM

    packed = _from_pretrained(source, None, dtype)
    config = copy.deepcopy(packed.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    plain.load_state_dict(packed.state_dict())
    plain.save_pretrained(folder)
