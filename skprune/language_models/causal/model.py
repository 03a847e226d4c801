"""A causal language model for scoring: next-token logits, surprise, entropies and samples."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import torch

_LOGITS_AT_ONCE = 2**24  # 64 MiB in float32: about 300 positions of a vocabulary of 50,000


@dataclass(frozen=True, eq=False)
class CausalLM:
    """A causal language model with its tokenizer; shared by all who name it, so never changed.

    :func:`~skprune.language_models.causal.loader.load_causal_lm` makes one.

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
        neighbors, no mask is needed, a sliding window is not shortened. The LM head sees one position a
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
                # What the model's own configuration might ask for beside.
                top_k=0,
                top_p=1.0,
                min_p=0.0,
                typical_p=1.0,
                repetition_penalty=1.0,
                no_repeat_ngram_size=0,
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
