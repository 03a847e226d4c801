"""Causal language models for scoring: loaded once a process, from the hub, a folder or a GGUF file."""

from __future__ import annotations

import copy
import hashlib
import os
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skprune._optional import require
from skprune.exceptions import ModelLoadError

if TYPE_CHECKING:
    import torch

QUANTIZATIONS = ("auto", "nf4", "int8")
_GGUF_MAGIC = b"GGUF"
_MODEL_FILES = {".gguf", ".jinja", ".json", ".model", ".safetensors", ".txt"}
_N_KEPT = 2  # models that stay loaded in a process


@dataclass(frozen=True, eq=False)
class CausalLM:
    """A causal language model, its tokenizer and where it computes; shared, so never changed.

    Attributes
    ----------
    model : transformers.PreTrainedModel
        In evaluation mode.
    tokenizer : transformers tokenizer
        Pads on the left, as generation needs it, with some token.
    device : torch.device
    precision : str
        What the weights are kept in: "bfloat16", "float32", or "nf4" or "int8" with what they are
        multiplied in, as "nf4/bfloat16".
    """

    model: Any
    tokenizer: Any
    device: torch.device
    precision: str
    _lock: Any = field(default_factory=threading.RLock, repr=False)

    @property
    def max_positions(self) -> int | None:
        """Tokens the model can see at once; None where its configuration does not say."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    def encode_prefix(self, token_ids: Sequence[int]) -> Prefix | None:
        """Run the tokens that many prompts begin with, once.

        Parameters
        ----------
        token_ids : sequence of int

        Returns
        -------
        Prefix or None
            None if the state of this architecture is more than keys and values.
        """
        import torch
        from transformers import DynamicCache
        from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

        ids = torch.tensor([list(token_ids)], device=self.device)
        with self._lock, torch.inference_mode(), self._last_positions([len(token_ids)], None):
            cache = self.model(input_ids=ids, use_cache=True).get("past_key_values")
        plain = isinstance(cache, DynamicCache) and all(
            type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) and layer.is_initialized
            for layer in cache.layers
        )
        return Prefix(cache) if plain else None

    def next_token_logits(
        self,
        prompts: Sequence[Sequence[int]],
        *,
        prefix: Prefix | None = None,
        exact: Sequence[int] | None = None,
    ) -> torch.Tensor:
        """Return the logits of what follows each prompt, in one forward pass.

        Rows are padded on the right, where a causal model never looks: what a row gets does not hang on
        its neighbours, no mask is needed and a sliding window is not shortened. The LM head sees one
        position a row.

        Parameters
        ----------
        prompts : sequence of sequences of int
            Token ids, without those of ``prefix``.
        prefix : Prefix, default=None
            What stands before every prompt.
        exact : sequence of int, default=None
            Tokens whose logits are multiplied out in float32: bfloat16 keeps three digits, which ties
            rows and moves a probability by several per cent.

        Returns
        -------
        torch.Tensor, float32 of shape (n, vocabulary)
        """
        import torch

        lengths = np.array([len(ids) for ids in prompts])
        inside = np.arange(lengths.max()) < lengths[:, None]
        padded = np.zeros(inside.shape, dtype=np.int64)
        padded[inside] = np.concatenate([np.asarray(ids) for ids in prompts])
        past = None if prefix is None else prefix.repeated(len(prompts))
        with self._lock, torch.inference_mode(), self._last_positions(lengths - 1, exact):
            output = self.model(
                input_ids=torch.from_numpy(padded).to(self.device),
                past_key_values=past,
                use_cache=past is not None,
            )
        return output.logits[:, 0].float()

    @contextmanager
    def _last_positions(self, last: Any, exact: Sequence[int] | None) -> Iterator[None]:
        """Show the LM head one position a row; what the model does to its logits afterwards stays.

        ``logits_to_keep`` can only name positions for all rows together, and not every model has it.
        """
        import torch

        positions = torch.as_tensor(np.asarray(last), device=self.device).clamp(max=_LAST)
        rows = torch.arange(len(positions), device=self.device)

        def pick(head: Any, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
            hidden = inputs[0]
            where = positions.to(hidden.device).clamp(max=hidden.shape[1] - 1)
            return (hidden[rows.to(hidden.device), where].unsqueeze(1), *inputs[1:])

        def sharpen(head: Any, inputs: tuple[Any, ...], logits: torch.Tensor) -> torch.Tensor:
            logits = logits.float()
            if exact is not None:
                bias = None if head.bias is None else head.bias[exact].float()
                weight = head.weight[exact].float()
                logits[..., exact] = torch.nn.functional.linear(inputs[0].float(), weight, bias)
            return logits

        head = self.model.get_output_embeddings()
        handles = [head.register_forward_pre_hook(pick), head.register_forward_hook(sharpen)]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
