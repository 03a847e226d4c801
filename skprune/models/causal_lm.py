"""Causal language models for scoring: loaded once a process, from the hub, a folder or a GGUF file."""

from __future__ import annotations

import copy
import logging
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skprune._optional import require
from skprune.exceptions import ModelLoadError
from skprune.models.devices import choose_device, has_native_bfloat16
from skprune.models.sources import commit_of, content_of, first_line, quiet_transformers, resolve

if TYPE_CHECKING:
    import torch

_NEEDED_BY = {"extra": "llm", "purpose": "A causal language model"}
_load_lock = threading.Lock()
_LOGITS_AT_ONCE = 2**24  # 64 MiB in float32: about 300 positions of a vocabulary of 50,000


@dataclass(frozen=True, eq=False)
class CausalLM:
    """A causal language model with its tokenizer; shared by all who name it, so never changed.

    Attributes
    ----------
    model : transformers.PreTrainedModel
        In evaluation mode.
    tokenizer : transformers tokenizer
        It has a padding token, and pads on the left as generation needs it.
    device : torch.device
    precision : str
        What the weights are kept in: "bfloat16" or "float32"; or "nf4" or "int8" and what they are
        multiplied in, as "nf4/bfloat16".
    """

    model: Any
    tokenizer: Any
    device: torch.device
    precision: str
    _lock: Any = field(default_factory=threading.RLock, repr=False)

    @property
    def max_positions(self) -> int | None:
        """Tokens the model takes at once; None where its configuration does not say."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    def encode_prefix(self, token_ids: Sequence[int]) -> Prefix | None:
        """Run the tokens that many prompts begin with, once.

        Parameters
        ----------
        token_ids : sequence of int

        Returns
        -------
        Prefix or None
            None if this architecture's state is more than keys and values.
        """
        import torch
        from transformers.cache_utils import DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

        ids = torch.tensor([list(token_ids)], device=self.device)
        with torch.inference_mode(), self._one_position(np.array([len(token_ids) - 1])):
            cache = self.model(input_ids=ids, use_cache=True).get("past_key_values")
        if not isinstance(cache, DynamicCache):
            return None
        layers: Any = cache.layers
        plain = all(
            type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) and layer.is_initialized
            for layer in layers
        )
        return Prefix(cache) if plain else None

    def next_token_logits(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        prefix: Prefix | None = None,
        exact: Sequence[int] = (),
    ) -> torch.Tensor:
        """Return the logits of what follows each prompt, from one forward pass.

        Rows are padded on the right, where a causal model never looks: a row does not hang on its
        neighbours, no mask is needed, a sliding window is not shortened. The LM head sees one position a
        row.

        Parameters
        ----------
        prompts : sequence of sequences of int
            Token ids, without those of ``prefix``.
        prefix : Prefix, default=None
            What stands before every prompt.
        exact : sequence of int, default=()
            Tokens whose logits are multiplied out in float32. In bfloat16 a logit of 20 is a multiple of
            1/8: many rows tie, and probabilities move by several per cent.

        Returns
        -------
        torch.Tensor, float32 of shape (n, vocabulary)
        """
        import torch

        padded, inside = _padded(prompts)
        state = {} if prefix is None else {"past_key_values": prefix.repeated(len(prompts))}
        with torch.inference_mode(), self._one_position(inside.sum(axis=1) - 1, list(exact)):
            output = self.model(
                input_ids=torch.from_numpy(padded).to(self.device),
                use_cache=prefix is not None,
                **state,
            )
            return output.logits[:, 0].float()

    def token_surprise(
        self, sequences: Sequence[Sequence[int]], *, entropy: bool = True
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Say how little each token was expected, from one forward pass.

        Rows are padded on the right, as in :meth:`next_token_logits`. Logits are there for a few hundred
        positions at a time, never for all of the batch.

        Parameters
        ----------
        sequences : sequence of sequences of int
            Token ids, two at least each. Their first is only looked back on.
        entropy : bool, default=True
            Whether the second array is wanted.

        Returns
        -------
        nll : ndarray of float64, shape (n_tokens,)
            −ln p(token | those before it), nats, for all tokens but the first of each sequence; one sequence
            after the other.
        entropies : ndarray of float64, shape (n_tokens,), or None
            Entropy of the distribution that each of them was drawn from, nats.
        """
        import torch

        padded, inside = _padded(sequences)
        known = torch.from_numpy(inside[:, 1:]).to(self.device)
        ids = torch.from_numpy(padded).to(self.device)
        nll, entropies = [], []
        with torch.inference_mode(), self._lock:
            states = self._hidden_states(ids)[:, :-1][known]
            targets = ids[:, 1:][known]
            step = max(1, _LOGITS_AT_ONCE // self.model.config.get_text_config().vocab_size)
            for here, wanted in zip(states.split(step), targets.split(step), strict=True):
                log_p = self._logits_of(here).float().log_softmax(dim=1)
                nll.append(-log_p.gather(1, wanted[:, None])[:, 0].double().cpu().numpy())
                if entropy:
                    entropies.append(torch.special.entr(log_p.exp_()).sum(dim=1).double().cpu().numpy())
        return np.concatenate(nll), np.concatenate(entropies) if entropy else None

    def sample(
        self, prompt: Sequence[int], n: int, *, max_new_tokens: int, temperature: float, seed: int
    ) -> list[str]:
        """Continue a prompt several times.

        Parameters
        ----------
        prompt : sequence of int
            Token ids, one at least.
        n : int
            Continuations.
        max_new_tokens : int
            Length at most; a continuation that ends by itself is shorter.
        temperature : float
            The logits are divided by it; nothing else narrows the distribution.
        seed : int
            Same seed, same continuations on one device.

        Returns
        -------
        list of str
        """
        import torch

        cuda = [self.device] if self.device.type == "cuda" else []
        ids = torch.tensor([list(prompt)], device=self.device)
        with torch.inference_mode(), self._lock, torch.random.fork_rng(devices=cuda):
            torch.manual_seed(seed)
            output = self.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                num_return_sequences=n,
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                top_k=0,
                top_p=1.0,
                pad_token_id=self.tokenizer.pad_token_id,
            )
        return self.tokenizer.batch_decode(output[:, ids.shape[1] :], skip_special_tokens=True)

    def _hidden_states(self, ids: torch.Tensor) -> torch.Tensor:
        """Return what the LM head is given at every position, and have it work on one of them only."""
        seen = []

        def keep(head: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            seen.append(inputs[0])
            return (inputs[0][:, :1],)

        handle = self.model.get_output_embeddings().register_forward_pre_hook(keep)
        try:
            self.model(input_ids=ids, use_cache=False)
        finally:
            handle.remove()
        return seen[0]

    def _logits_of(self, states: torch.Tensor) -> torch.Tensor:
        """Return the model's logits at some positions, whose states the LM head is shown."""
        head = self.model.get_output_embeddings()
        if self._leaves_logits:
            return head(states)
        # Some models cap or scale what the head returns. Only they know how: they run on one token, and the
        # head is shown the states that are asked about.
        handle = head.register_forward_pre_hook(lambda head, inputs: (states[None],))
        try:
            return self.model(input_ids=self._one_token, use_cache=False).logits[0]
        finally:
            handle.remove()

    @cached_property
    def _leaves_logits(self) -> bool:
        """Whether the model's logits are what its head returns."""
        import torch

        raw: list[torch.Tensor] = []
        head = self.model.get_output_embeddings()
        handle = head.register_forward_hook(lambda head, inputs, logits: raw.append(logits))
        try:
            final = self.model(input_ids=self._one_token, use_cache=False).logits
        finally:
            handle.remove()
        return torch.equal(raw[0].float(), final.float())

    @property
    def _one_token(self) -> torch.Tensor:
        import torch

        return torch.zeros((1, 1), dtype=torch.long, device=self.device)

    @contextmanager
    def _one_position(self, positions: np.ndarray, exact: Sequence[int] = ()) -> Iterator[None]:
        """Show the LM head one position a row; what the model does to its logits afterwards stays.

        ``logits_to_keep`` names positions for all rows together, and not every model has it.
        """
        import torch

        def pick(head: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            hidden = inputs[0]
            where = torch.from_numpy(positions).to(hidden.device)
            return (hidden[torch.arange(len(where), device=hidden.device), where].unsqueeze(1),)

        def sharpen(head: Any, inputs: tuple[torch.Tensor, ...], logits: torch.Tensor) -> torch.Tensor:
            logits = logits.float()
            if exact and head.weight.is_floating_point():
                bias = None if head.bias is None else head.bias[exact].float()
                weight = head.weight[exact].float()
                logits[..., exact] = torch.nn.functional.linear(inputs[0].float(), weight, bias)
            return logits

        head = self.model.get_output_embeddings()
        with self._lock, _quiet_int8():  # the hooks are the model's: one batch at a time
            handles = [head.register_forward_pre_hook(pick), head.register_forward_hook(sharpen)]
            try:
                yield
            finally:
                for handle in handles:
                    handle.remove()


class Prefix:
    """Keys and values of the tokens that prompts share, as one row."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def repeated(self, n: int) -> Any:
        """Return a cache for ``n`` rows. It is a view: attention copies the rows as it appends to them."""
        cache = copy.copy(self._cache)
        cache.layers = [copy.copy(layer) for layer in cache.layers]
        for layer in cache.layers:
            layer.keys = layer.keys.expand(n, -1, -1, -1)
            layer.values = layer.values.expand(n, -1, -1, -1)
        return cache


def _padded(sequences: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the token ids with zeros on the right, and the mask of what is no padding."""
    lengths = np.array([len(ids) for ids in sequences])
    inside = np.arange(lengths.max()) < lengths[:, None]
    padded = np.zeros(inside.shape, dtype=np.int64)
    padded[inside] = np.concatenate([np.asarray(ids, dtype=np.int64) for ids in sequences])
    return padded, inside


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


@contextmanager
def _quiet_int8() -> Iterator[None]:
    """Silence what bitsandbytes says at every product in int8: that it rounds to float16 on the way."""
    logger = logging.getLogger("bitsandbytes.autograd._functions")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


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
    tokenizer = AutoTokenizer.from_pretrained(name, padding_side="left", trust_remote_code=False, **options)
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
    """Write a GGUF model as safetensors: as loaded, it can be neither saved nor quantised."""
    import torch
    from transformers import AutoModelForCausalLM

    packed = _from_pretrained(source, None, dtype)
    config = copy.deepcopy(packed.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config, dtype=getattr(torch, dtype))
    plain.load_state_dict(packed.state_dict())
    plain.save_pretrained(folder)
