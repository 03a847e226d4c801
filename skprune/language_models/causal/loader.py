"""Load causal language models from the hub, a folder or a GGUF file, once per process."""

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
    precision: str = "auto",
    device: str = "auto",
) -> CausalLM:
    """Load a causal language model; the two used last stay loaded in the process.

    Parameters
    ----------
    model : str or path
        A hub name such as ``"google/gemma-2b-it"``; a folder with ``config.json``, a tokenizer and
        safetensors weights; a GGUF file; or a folder with exactly one GGUF file. Code that comes with the
        model is never run.
    revision : str, default=None
        Branch, tag or commit on the hub.
    precision : {"auto", "nf4", "int8", "bfloat16", "float32"}, default="auto"
        What the weights are kept in. bitsandbytes quantizes to "nf4" (4 bits) and "int8", and multiplies in
        bfloat16 or float32, whichever suits the device. "auto" is "nf4" on CUDA; elsewhere it is "bfloat16"
        if the processor multiplies bfloat16 natively, else "float32". A GGUF file is unpacked first.
    device : str, default="auto"
        A torch device. "auto" takes a GPU (MPS or CUDA) if one is available, else the CPU.

    Returns
    -------
    CausalLM

    Raises
    ------
    ModelLoadError
        If the model is missing, damaged or not a causal language model, or if the hub cannot be reached.
    ImportError
        If a package is missing; the message names the extra that installs it.
    ValueError
        If the device is not available or does not support this precision.

    Notes
    -----
    transformers reads the GGUF files, and some versions read some models wrongly without a warning. For
    Gemma 3, transformers 5.17 builds a tokenizer that breaks most words into letters and syllables; 5.23
    builds the right one.

    Examples
    --------
    >>> from skprune.datasets import fetch_model
    >>> lm = load_causal_lm(fetch_model("smollm2-135m"))  # doctest: +SKIP
    >>> logits = lm.next_token_logits([lm.tokenizer.encode("Paris is the capital of")])  # doctest: +SKIP
    >>> lm.tokenizer.decode(logits[0].argmax())  # doctest: +SKIP
    ' France'
    """
    source = resolve(model)
    torch_device = choose_device(device, **_NEEDED_BY)
    chosen = choose_precision(precision, torch_device)
    _require_packages(source, chosen)
    with _load_lock:  # two threads that ask for the same model share it
        return _load(source, content_of(source, revision), revision, chosen, str(torch_device))


def causal_lm_fingerprint(
    model: str | os.PathLike[str],
    *,
    revision: str | None = None,
    precision: str = "auto",
    device: str = "auto",
) -> str:
    """Return what identifies the model that :func:`load_causal_lm` would load, without loading it.

    Parameters
    ----------
    model, revision, precision, device
        The same as those of :func:`load_causal_lm`.

    Returns
    -------
    str
        For a local model, a hash of the content of its files, independent of their location. For a hub
        name, the name and the commit that ``revision`` currently means. Both are followed by the precision.
        The device is left out, because devices agree within rounding.

    Raises
    ------
    ModelLoadError
        If the model is missing, or if the commit of a hub name is not in the local cache and the hub cannot
        be reached.
    """
    source = resolve(model)
    chosen = choose_precision(precision, choose_device(device, **_NEEDED_BY))
    return f"{content_of(source, revision)} {chosen}"


def choose_precision(precision: str, device: torch.device) -> str:
    """Return the precision of the weights on a device, in the form of ``CausalLM.precision``.

    Raises
    ------
    ValueError
        If the device does not support it.
    """
    native = "bfloat16" if has_native_bfloat16(device) else "float32"
    if precision == "auto":
        precision = "nf4" if device.type == "cuda" else native
    if precision in ("bfloat16", "float32"):
        return precision
    if device.type == "mps":
        raise ValueError(
            f"precision={precision!r} needs CUDA or a CPU, but the device is {str(device)!r}: pass "
            'precision="float32" or device="cpu"'
        )
    return f"{precision}/{native}"


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
    """Load a model; ``content`` is only a key for the cache, so that a changed file is loaded again."""
    import torch

    try:
        # transformers initializes weights at random before it reads them; this spares the caller's generator.
        with torch.random.fork_rng(devices=[]), quiet_transformers():
            tokenizer = _load_tokenizer(source, revision)
            model = _load_weights(source, revision, precision, torch.device(device))
    except (ImportError, MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # transformers, safetensors, gguf and json raise errors of many types
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
    quantization, _, dtype = precision.rpartition("/")
    if not quantization:
        return _from_pretrained(source, revision, dtype).to(device)
    if isinstance(source, str) or source.is_dir():
        return _from_pretrained(source, revision, dtype, quantization, device)
    with tempfile.TemporaryDirectory(prefix="skprune-") as folder:
        _unpack_gguf(source, dtype, folder)
        return _from_pretrained(Path(folder), None, dtype, quantization, device)


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
    torch_dtype = getattr(torch, dtype)
    if "gguf_file" in options and hasattr(transformers, "GgufConfig"):
        # Without this, newer versions keep the weights packed; their kernels work in float32 and are slow on
        # most machines.
        options["quantization_config"] = transformers.GgufConfig(dequantize=True)
    if quantization:
        options["device_map"] = {"": device}
        options["quantization_config"] = (
            transformers.BitsAndBytesConfig(load_in_8bit=True)
            if quantization == "int8"
            else transformers.BitsAndBytesConfig(
                load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch_dtype
            )
        )
    loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(
        name,
        dtype=torch_dtype,
        use_safetensors=None if "gguf_file" in options else True,
        trust_remote_code=False,
        output_loading_info=True,
        **options,
    )
    model, info = loaded
    if info["missing_keys"]:  # transformers would leave these weights at random values
        raise ValueError(f"it has no weights for {min(info['missing_keys'])}")
    return model


def _loader_arguments(source: Path | str, revision: str | None) -> tuple[str, dict[str, Any]]:
    """Return the name and the options that locate a source for any ``from_pretrained``."""
    if isinstance(source, str):
        return source, {"revision": commit_of(source, revision)}
    if source.is_dir():
        return str(source), {}
    return str(source.parent), {"gguf_file": source.name}


def _unpack_gguf(source: Path, dtype: str, folder: str) -> None:
    """Write a GGUF model as safetensors, because transformers can neither save nor quantize it as loaded."""
    import torch
    from transformers import AutoModelForCausalLM

    packed = _from_pretrained(source, None, dtype)
    config = copy.deepcopy(packed.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    plain.load_state_dict(packed.state_dict())
    plain.save_pretrained(folder)
