"""The torch side of :class:`skprune.TransformerSeq2Seq`: the module, its loss, its data, loading."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn

from skprune.exceptions import ModelLoadError
from skprune.models.nets import load_pair, located, pad

IGNORED = -100  # the label of padding, by convention of transformers and of torch's loss


class Seq2SeqModule(nn.Module):
    """A pretrained encoder–decoder.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    compute_dtype : torch.dtype or None
        What it multiplies in when it trains and generates; None for its own.
    """

    def __init__(self, model: Any, compute_dtype: torch.dtype | None) -> None:
        super().__init__()
        self.model = model
        self.compute_dtype = compute_dtype

    def autocast(self) -> torch.autocast:
        """Return the context in which it multiplies in ``compute_dtype``."""
        dtype = self.compute_dtype
        return torch.autocast(self.model.device.type, dtype=dtype, enabled=dtype is not None)

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits of the tokens of ``labels``, float32 of shape (n, n_tokens, n_vocabulary)."""
        with self.autocast():
            return self.model(
                input_ids=input_ids,
                attention_mask=attention_mask,
                decoder_input_ids=self.model.prepare_decoder_input_ids_from_labels(labels),
                use_cache=False,
            ).logits.float()

    @torch.inference_mode()
    def generate(
        self, sources: list[list[int]], pad_id: int, num_beams: int, max_length: int
    ) -> list[list[int]]:
        """Return the best sequence of each row: the start token, tokens, and the end token where it came."""
        with self.autocast():
            sequences = self.model.generate(
                **self._padded(sources, pad_id),
                num_beams=num_beams,
                max_new_tokens=max_length,
                do_sample=False,
            ).cpu()
        ended = np.isin(sequences[:, 1:], self.model.generation_config.eos_token_id)
        sizes = np.where(ended.any(axis=1), ended.argmax(axis=1) + 2, sequences.shape[1])
        return [row[:size] for row, size in zip(sequences.tolist(), sizes, strict=True)]

    @torch.inference_mode()
    def log_likelihood(self, sources: list[list[int]], sequences: list[list[int]], pad_id: int) -> np.ndarray:
        """Return the mean natural log probability of each sequence's tokens but the first, float64.

        In float32 whatever the compute dtype: the resolution of bfloat16 logits would tie many rows.
        """
        decoded = self._padded(sequences, pad_id)
        ids, weights = decoded["input_ids"], decoded["attention_mask"][:, 1:]
        logits = self.model(
            **self._padded(sources, pad_id), decoder_input_ids=ids[:, :-1], use_cache=False
        ).logits
        losses = nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none").double()
        return -((losses * weights).sum(1) / weights.sum(1)).cpu().numpy()

    def _padded(self, token_ids: list[list[int]], pad_id: int) -> dict[str, torch.Tensor]:
        return {name: tensor.to(self.model.device) for name, tensor in pad(token_ids, pad_id).items()}


class TokenCrossEntropy(nn.CrossEntropyLoss):
    """Cross entropy in nats a target token, padding left out."""

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean over all tokens of the batch."""
        return super().forward(logits.flatten(0, 1), labels.flatten())


class EncodedPairs(torch.utils.data.Dataset):
    """Token ids of source and target, row by row."""

    def __init__(self, sources: list[list[int]], targets: list[list[int]]) -> None:
        self.sources = sources
        self.targets = targets

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, row: int) -> tuple[list[int], list[int]]:
        return self.sources[row], self.targets[row]

    def take(self, rows: np.ndarray) -> EncodedPairs:
        """Return the given rows."""
        return EncodedPairs([self.sources[row] for row in rows], [self.targets[row] for row in rows])

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row, of both sides."""
        pairs = zip(self.sources, self.targets, strict=True)
        return np.array([len(source) + len(target) for source, target in pairs])

    def batch(self, rows: np.ndarray, pad_id: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Return what the module and the loss take of these rows."""
        targets = pad([self.targets[row] for row in rows], pad_id)
        labels = targets["input_ids"].masked_fill(targets["attention_mask"] == 0, IGNORED)
        return pad([self.sources[row] for row in rows], pad_id) | {"labels": labels}, labels


@dataclass(frozen=True)
class Pretrained:
    """What a model folder holds; shared by all fits of a process, so never changed."""

    model: Any
    tokenizer: Any

    def build(self, compute_dtype: torch.dtype | None) -> Seq2SeqModule:
        """Return a trainable copy."""
        return Seq2SeqModule(copy.deepcopy(self.model), compute_dtype)


def load_pretrained(model: str | os.PathLike[str]) -> Pretrained:
    """Load a hub name or a folder, once per process.

    Raises
    ------
    ModelLoadError
        If it is missing, damaged or no encoder–decoder that transformers knows.
    """
    return _load(*located(model))


@lru_cache(maxsize=2)
def _load(name: str, stamp: tuple[Any, ...]) -> Pretrained:
    tokenizer, model, missing = load_pair(transformers.AutoModelForSeq2SeqLM, name, kind="an encoder–decoder")
    if missing:
        raise ModelLoadError(f"model={name!r} lacks weights: {', '.join(missing)}")
    model.generation_config.max_length = None  # one limit is enough: the estimator's
    return Pretrained(model.eval(), tokenizer)
