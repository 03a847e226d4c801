"""The torch side of :class:`skprune.TransformerSeq2Seq`: the module, its loss, its data, loading."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import nn

from skprune.exceptions import ModelLoadError
from skprune.hub.loaded import Loaded
from skprune.hub.names import HubModel
from skprune.hub.sources import resolve
from skprune.models.nets import load_with_tokenizer, pad

IGNORED = -100  # the label of padding, by convention of transformers and of torch's loss


class Seq2SeqModule(nn.Module):
    """A pretrained encoder–decoder.

    Parameters
    ----------
    model : transformers.PreTrainedModel
    compute_dtype : torch.dtype or None
        The dtype of autocast in training and generation; None for no autocast.
    """

    def __init__(self, model: Any, compute_dtype: torch.dtype | None) -> None:
        super().__init__()
        self.model = model
        self.compute_dtype = compute_dtype

    def autocast(self) -> torch.autocast:
        """Return the context in which the model multiplies in ``compute_dtype``."""
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
        """Return the best sequence per source, with the start token and, if generated, the end token."""
        with self.autocast():
            sequences = self.model.generate(
                **pad(sources, pad_id, self.model.device),
                num_beams=num_beams,
                max_new_tokens=max_length,
                do_sample=False,
            ).cpu()
        ended = np.isin(sequences[:, 1:], self.model.generation_config.eos_token_id)
        sizes = np.where(ended.any(axis=1), ended.argmax(axis=1) + 2, sequences.shape[1])
        return [row[:size] for row, size in zip(sequences.tolist(), sizes, strict=True)]

    @torch.inference_mode()
    def log_likelihood(self, sources: list[list[int]], sequences: list[list[int]], pad_id: int) -> np.ndarray:
        """Return the mean natural log probability of the tokens of each sequence, without the first, float64.

        Computed in float32 whatever the compute dtype: bfloat16 logits would tie many rows.
        """
        decoded = pad(sequences, pad_id, self.model.device)
        ids, weights = decoded["input_ids"], decoded["attention_mask"][:, 1:]
        logits = self.model(
            **pad(sources, pad_id, self.model.device), decoder_input_ids=ids[:, :-1], use_cache=False
        ).logits
        losses = nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none").double()
        return -((losses * weights).sum(1) / weights.sum(1)).cpu().numpy()


class TokenCrossEntropy(nn.CrossEntropyLoss):
    """Cross entropy in nats per target token, without padding."""

    def forward(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean over all tokens of the batch."""
        return super().forward(logits.flatten(0, 1), labels.flatten())


class EncodedPairs(torch.utils.data.Dataset):
    """Token ids of pairs of source and target.

    Parameters
    ----------
    sources, targets : list of list of int
    pad_id : int
        The token that fills a batch.
    """

    def __init__(self, sources: list[list[int]], targets: list[list[int]], pad_id: int) -> None:
        self.sources = sources
        self.targets = targets
        self.pad_id = pad_id

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, row: int) -> tuple[list[int], list[int]]:
        return self.sources[row], self.targets[row]

    def take(self, rows: np.ndarray) -> EncodedPairs:
        """Return the given rows."""
        sources, targets = ([side[row] for row in rows] for side in (self.sources, self.targets))
        return EncodedPairs(sources, targets, self.pad_id)

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of each row, source and target together."""
        pairs = zip(self.sources, self.targets, strict=True)
        return np.array([len(source) + len(target) for source, target in pairs])

    def batch(self, rows: np.ndarray) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Return the module's inputs for these rows, and the labels for the loss."""
        targets = pad([self.targets[row] for row in rows], self.pad_id)
        labels = targets["input_ids"].masked_fill(targets["attention_mask"] == 0, IGNORED)
        return pad([self.sources[row] for row in rows], self.pad_id) | {"labels": labels}, labels


@dataclass(frozen=True)
class PretrainedSeq2Seq:
    """The content of a model folder. All fits of a process share it, so it is never changed."""

    model: Any
    tokenizer: Any

    def build(self, compute_dtype: torch.dtype | None) -> Seq2SeqModule:
        """Return a trainable copy."""
        return Seq2SeqModule(copy.deepcopy(self.model), compute_dtype)


def load_seq2seq(model: str | os.PathLike[str], *, verbose: int = 0) -> PretrainedSeq2Seq:
    """Load an encoder–decoder from the hub or a folder, once per process.

    Parameters
    ----------
    model : str or path-like
        A name on the hub or a folder.
    verbose : int, default=0
        Verbosity of the progress bar.

    Raises
    ------
    ModelLoadError
        If the model is missing or damaged, or transformers knows no such encoder–decoder.
    """
    return _load_seq2seq(resolve(model), verbose=verbose)


@Loaded
def _load_seq2seq(source: Path | HubModel) -> PretrainedSeq2Seq:
    tokenizer, model, missing = load_with_tokenizer(
        transformers.AutoModelForSeq2SeqLM, source, kind="an encoder–decoder"
    )
    if missing:
        name = source.name if isinstance(source, HubModel) else str(source)
        raise ModelLoadError(f"model={name!r} lacks weights: {', '.join(missing)}")
    model.generation_config.max_length = None  # the estimator sets the only limit
    return PretrainedSeq2Seq(model.eval(), tokenizer)
