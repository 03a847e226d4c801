"""A causal language model for scoring: next-token logits, token probabilities, entropies, continuations."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from skprune._locks import Lock
from skprune.hub.padding import pad_right

if TYPE_CHECKING:
    import torch

_LOGITS_AT_ONCE = 2**24  # 64 MiB in float32: about 300 positions of a vocabulary of 50,000


@dataclass(frozen=True, eq=False)
class CausalLM:
    """A causal language model and its tokenizer, shared by every scorer that names it and never changed.

    :func:`~skprune.language_models.causal.loader.load_causal_lm` returns one.

    Attributes
    ----------
    model : transformers.PreTrainedModel
        The model, in evaluation mode.
    tokenizer : transformers tokenizer
        The tokenizer. It has a padding token, and pads on the left as generation requires.
    device : torch.device
        The device that holds the weights.
    precision : str
        The precision of the weights: "bfloat16" or "float32"; for quantized weights, "nf4" or "int8" and the
        type of the products, as in "nf4/bfloat16".
    """

    model: Any
    tokenizer: Any
    device: torch.device
    precision: str
    _lock: Any = field(default_factory=Lock, repr=False)

    @property
    def max_positions(self) -> int | None:
        """Maximum number of tokens in a sequence; None if the model's configuration does not state it."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    def encode(self, texts: list[str], max_length: int) -> list[list[int]]:
        """Return the token ids of each text, behind the token for the beginning of a text.

        Parameters
        ----------
        texts : list of str
            Texts. The name of a special token in them is encoded as ordinary characters.
        max_length : int
            Maximum number of tokens of a text, without the first; the rest is cut off.

        Returns
        -------
        list of lists of int
        """
        first = self.tokenizer.bos_token_id
        if first is None:
            first = self.tokenizer.eos_token_id
        encoded = self.tokenizer(
            texts,
            add_special_tokens=False,
            split_special_tokens=True,
            truncation=True,
            max_length=max_length,
            return_attention_mask=False,
        )
        return [[first, *ids] for ids in encoded["input_ids"]]

    def encode_prefix(self, token_ids: Sequence[int]) -> Prefix | None:
        """Run the tokens that all prompts begin with, once.

        Parameters
        ----------
        token_ids : sequence of int
            The shared tokens.

        Returns
        -------
        Prefix or None
            None if the state of this architecture holds more than keys and values.
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
        """Return the logits of the token that follows each prompt, from one forward pass.

        Rows are padded on the right, which a causal model never attends to. Rows are therefore independent of
        their batch, the pass needs no mask, and padding does not use up a sliding window. The LM head
        computes one position per row.

        Parameters
        ----------
        prompts : sequence of sequences of int
            Token ids, without those of ``prefix``.
        prefix : Prefix, default=None
            The tokens before every prompt.
        exact : sequence of int, default=()
            Tokens whose logits are computed in float32. In bfloat16 a logit of 20 is a multiple of 1/8: many
            rows would tie, and this rounding alone would change a probability by up to 6 %.

        Returns
        -------
        torch.Tensor, float32 of shape (n, vocabulary)
        """
        import torch

        ids, mask = pad_right(prompts)
        state = {} if prefix is None else {"past_key_values": prefix.repeated(len(prompts))}
        with torch.inference_mode(), self._one_position(mask.sum(axis=1) - 1, list(exact)):
            output = self.model(
                input_ids=torch.from_numpy(ids).to(self.device),
                use_cache=prefix is not None,
                **state,
            )
            return output.logits[:, 0].float()

    def token_surprise(
        self, sequences: Sequence[Sequence[int]], *, entropy: bool = True
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the surprise (negative log-likelihood) of each token, from one forward pass.

        Rows are padded on the right, as in :meth:`next_token_logits`. Logits are computed for a few hundred
        positions at a time and never held for the whole batch.

        Parameters
        ----------
        sequences : sequence of sequences of int
            Token ids, at least two per sequence. The first token serves as context only.
        entropy : bool, default=True
            Whether to compute the second array.

        Returns
        -------
        nll : ndarray of float64, shape (n_tokens,)
            −ln p(token | preceding tokens) in nats, for all tokens but the first of each sequence; the
            sequences follow one another.
        entropies : ndarray of float64, shape (n_tokens,), or None
            Entropy in nats of the distribution that predicts each of these tokens.
        """
        import torch

        padded, mask = pad_right(sequences)
        is_target = torch.from_numpy(mask[:, 1:]).to(self.device)
        ids = torch.from_numpy(padded).to(self.device)
        nll, entropies = [], []
        with torch.inference_mode(), self._lock.rlock:
            states = self._hidden_states(ids)[:, :-1][is_target]
            targets = ids[:, 1:][is_target]
            step = max(1, _LOGITS_AT_ONCE // self.model.config.get_text_config().vocab_size)
            for some_states, some_targets in zip(states.split(step), targets.split(step), strict=True):
                log_p = self._logits_of(some_states).float().log_softmax(dim=1)
                nll.append(-log_p.gather(1, some_targets[:, None])[:, 0].double().cpu().numpy())
                if entropy:
                    entropies.append(torch.special.entr(log_p.exp_()).sum(dim=1).double().cpu().numpy())
        return np.concatenate(nll), np.concatenate(entropies) if entropy else None

    def sample(
        self, prompt: Sequence[int], n: int, *, max_new_tokens: int, temperature: float, seed: int
    ) -> list[str]:
        """Return several random continuations of a prompt.

        Parameters
        ----------
        prompt : sequence of int
            Token ids, at least one.
        n : int
            Number of continuations.
        max_new_tokens : int
            Maximum length. A continuation is shorter if the model ends it.
        temperature : float
            Divides the logits; nothing else narrows the distribution.
        seed : int
            The same seed gives the same continuations on the same device.

        Returns
        -------
        list of str
        """
        import torch

        cuda = [self.device] if self.device.type == "cuda" else []
        ids = torch.tensor([list(prompt)], device=self.device)
        with torch.inference_mode(), self._lock.rlock, torch.random.fork_rng(devices=cuda):
            torch.manual_seed(seed)
            output = self.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                num_return_sequences=n,
                max_new_tokens=max_new_tokens,
                temperature=temperature,
                # Disable whatever else the model's generation configuration may ask for.
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
        """Return the inputs of the LM head at all positions; the head itself computes only the first."""
        captured = []

        def capture(head: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            captured.append(inputs[0])
            return (inputs[0][:, :1],)

        handle = self.model.get_output_embeddings().register_forward_pre_hook(capture)
        try:
            self.model(input_ids=ids, use_cache=False)
        finally:
            handle.remove()
        return captured[0]

    def _logits_of(self, states: torch.Tensor) -> torch.Tensor:
        """Return the model's logits at the positions whose hidden states are given."""
        head = self.model.get_output_embeddings()
        if self._leaves_logits:
            return head(states)
        # Some models cap or scale the output of the head, and only their own forward pass does so. It runs on
        # one token, while a hook replaces the head's input by the given states.
        handle = head.register_forward_pre_hook(lambda head, inputs: (states[None],))
        try:
            return self.model(input_ids=self._one_token, use_cache=False).logits[0]
        finally:
            handle.remove()

    @cached_property
    def _leaves_logits(self) -> bool:
        """Whether the model returns the output of its LM head unchanged."""
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
        """Make the LM head compute one position per row; the model still caps or scales its output.

        The argument ``logits_to_keep`` would not do: it selects the same positions for all rows, and not
        every model has it.
        """
        import torch

        def select_position(head: Any, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            hidden = inputs[0]
            columns = torch.from_numpy(positions).to(hidden.device)
            rows = torch.arange(len(columns), device=hidden.device)
            return (hidden[rows, columns].unsqueeze(1),)

        def exact_logits(head: Any, inputs: tuple[torch.Tensor, ...], logits: torch.Tensor) -> torch.Tensor:
            logits = logits.float()
            if exact and head.weight.is_floating_point():
                bias = None if head.bias is None else head.bias[exact].float()
                weight = head.weight[exact].float()
                logits[..., exact] = torch.nn.functional.linear(inputs[0].float(), weight, bias)
            return logits

        head = self.model.get_output_embeddings()
        # The hooks change the shared model, so only one batch runs at a time.
        with self._lock.rlock, _quiet_int8():
            handles = [
                head.register_forward_pre_hook(select_position),
                head.register_forward_hook(exact_logits),
            ]
            try:
                yield
            finally:
                for handle in handles:
                    handle.remove()


class Prefix:
    """Keys and values of the tokens that all prompts begin with, as a cache of one row."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def repeated(self, n: int) -> Any:
        """Return a cache of ``n`` rows. It is a view: attention copies the rows when it appends to them."""
        cache = copy.copy(self._cache)
        cache.layers = [copy.copy(layer) for layer in cache.layers]
        for layer in cache.layers:
            layer.keys = layer.keys.expand(n, -1, -1, -1)
            layer.values = layer.values.expand(n, -1, -1, -1)
        return cache


@contextmanager
def _quiet_int8() -> Iterator[None]:
    """Silence the warning of bitsandbytes, at every int8 product, that it rounds to float16."""
    logger = logging.getLogger("bitsandbytes.autograd._functions")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
