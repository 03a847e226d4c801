"""Load causal language models from the hub, a folder or a GGUF file, once per process."""

from __future__ import annotations

import copy
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skprune._optional import require
from skprune.hub.devices import choose_device, has_native_bfloat16
from skprune.hub.fingerprints import content_of
from skprune.hub.loaded import Loaded
from skprune.hub.names import HubModel
from skprune.hub.sources import load_error, loader_arguments, quiet_transformers, resolve, safe_config
from skprune.language_models.causal.model import CausalLM

if TYPE_CHECKING:
    import torch

_NEEDED_BY = {"extra": "llm", "purpose": "A causal language model"}


def load_causal_lm(
    model: str | os.PathLike[str],
    *,
    revision: str | None = None,
    precision: str = "auto",
    device: str = "auto",
    parameter: str = "model",
    verbose: int = 0,
) -> CausalLM:
    """Load a causal language model; the two used last stay loaded in the process.

    :func:`skprune.hub.clear_models` frees them.

    Parameters
    ----------
    model : str or path
        A hub name such as ``"google/gemma-2b-it"``; a folder with ``config.json``, a tokenizer and
        safetensors weights; a GGUF file; or a folder with exactly one GGUF file. Code that comes with the
        model is never run. If the hub does not answer, only its local cache is used, as with
        ``HF_HUB_OFFLINE=1``.
    revision : str, default=None
        Branch, tag or commit on the hub.
    precision : {"auto", "nf4", "int8", "bfloat16", "float32"}, default="auto"
        What the weights are kept in. bitsandbytes quantizes to "nf4" (4 bits) and "int8", and multiplies in
        bfloat16 or float32, whichever suits the device. "auto" is "nf4" on CUDA; elsewhere it is "bfloat16"
        if the processor multiplies bfloat16 natively, else "float32". A GGUF file is unpacked first.
    device : str, default="auto"
        A torch device. "auto" takes a GPU (MPS or CUDA) if one is available, else the CPU.
    parameter : str, default="model"
        The parameter in which the user named the model; errors name it.
    verbose : int, default=0
        Verbosity of the progress bar.

    Returns
    -------
    CausalLM

    Raises
    ------
    ModelLoadError
        If the model is missing, damaged or not a causal language model, or if the hub cannot be reached and
        the local cache does not hold the model.
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
    require("transformers", **_NEEDED_BY)  # before the hub is asked
    source = resolve(model, revision, parameter=parameter, gguf=True)
    torch_device = choose_device(device, **_NEEDED_BY)
    chosen = choose_precision(precision, torch_device)
    _require_packages(source, chosen)
    try:
        return _load(source, chosen, str(torch_device), verbose=verbose)
    except (ImportError, MemoryError):
        raise
    except Exception as error:  # transformers, safetensors, gguf and json raise errors of many types
        if type(error).__name__ == "OutOfMemoryError":  # torch's, which is a RuntimeError
            raise
        raise load_error(source, "a causal language model", error, parameter=parameter, gguf=True) from error


def causal_lm_fingerprint(
    model: str | os.PathLike[str],
    *,
    revision: str | None = None,
    precision: str = "auto",
    device: str = "auto",
    parameter: str = "model",
) -> str:
    """Return what identifies the model that :func:`load_causal_lm` would load, without loading it.

    Parameters
    ----------
    model, revision, precision, device, parameter
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
    source = resolve(model, revision, parameter=parameter, gguf=True)
    chosen = choose_precision(precision, choose_device(device, **_NEEDED_BY))
    return f"{content_of(source)} {chosen}"


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


def _require_packages(source: Path | HubModel, precision: str) -> None:
    if "/" in precision:
        require("accelerate", extra="llm", purpose="Quantization")
        require("bitsandbytes", extra="llm", purpose="Quantization")
    if isinstance(source, Path) and source.is_file():
        require("accelerate", extra="llm", purpose="A GGUF model")
        require("gguf", extra="llm", purpose="A GGUF model")


@Loaded
def _load(source: Path | HubModel, precision: str, device: str) -> CausalLM:
    import torch

    # transformers initializes weights at random before it reads them; this spares the caller's generator.
    with torch.random.fork_rng(devices=[]), quiet_transformers():
        tokenizer = _load_tokenizer(source)
        model = _load_weights(source, precision, torch.device(device))
    return CausalLM(model.eval(), tokenizer, torch.device(device), precision)


def _load_tokenizer(source: Path | HubModel) -> Any:
    from transformers import AutoTokenizer

    name, options = loader_arguments(source)
    tokenizer = AutoTokenizer.from_pretrained(
        name, padding_side="left", truncation_side="right", trust_remote_code=False, **options
    )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token or tokenizer.unk_token
    return tokenizer


def _load_weights(source: Path | HubModel, precision: str, device: torch.device) -> Any:
    quantization, _, dtype = precision.rpartition("/")
    if not quantization:
        return _from_pretrained(source, dtype).to(device)
    if isinstance(source, HubModel) or source.is_dir():
        return _from_pretrained(source, dtype, quantization, device)
    with tempfile.TemporaryDirectory(prefix="skprune-") as folder:
        _unpack_gguf(source, dtype, folder)
        return _from_pretrained(Path(folder), dtype, quantization, device)


def _from_pretrained(
    source: Path | HubModel,
    dtype: str,
    quantization: str = "",
    device: torch.device | None = None,
) -> Any:
    import torch
    import transformers

    name, options = loader_arguments(source)
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
        config=safe_config(source),
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


def _unpack_gguf(source: Path, dtype: str, folder: str) -> None:
    """Write a GGUF model as safetensors, because transformers can neither save nor quantize it as loaded."""
    import torch
    from transformers import AutoModelForCausalLM

    packed = _from_pretrained(source, dtype)
    config = copy.deepcopy(packed.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    plain.load_state_dict(packed.state_dict())
    plain.save_pretrained(folder)
