"""The torch side of fine-tuning: the classifier's module, batches, skorch nets, loading."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import transformers
from skorch import NeuralNet, NeuralNetClassifier
from skorch.callbacks import EarlyStopping
from torch import nn

from skprune.exceptions import ModelLoadError
from skprune.hub.devices import has_native_bfloat16
from skprune.hub.fingerprints import state_of
from skprune.hub.sources import local_path, quiet_transformers


class TextClassifierModule(nn.Module):
    """A pretrained encoder, one feature vector a text, and a linear layer on it.

    Parameters
    ----------
    encoder : nn.Module
        Its output has ``last_hidden_state`` (mean pooling), or ``logits`` that are the features: a
        sequence classifier whose last layer was taken off.
    head : nn.Linear
    compute_dtype : torch.dtype or None
        What the encoder multiplies in; None for its own. The head always works in float32: bfloat16 logits
        would tie many rows.
    """

    def __init__(self, encoder: nn.Module, head: nn.Linear, compute_dtype: torch.dtype | None) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.compute_dtype = compute_dtype

    def features(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return what the head sees, float32 of shape (n, n_features)."""
        dtype = self.compute_dtype
        with torch.autocast(input_ids.device.type, dtype=dtype, enabled=dtype is not None):
            output = self.encoder(input_ids=input_ids, attention_mask=attention_mask)
        if "logits" in output:
            return output.logits.float()
        mask = attention_mask.unsqueeze(-1).float()
        return (output.last_hidden_state.float() * mask).sum(1) / mask.sum(1)

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the logits, float32 of shape (n, n_classes)."""
        return self.head(self.features(input_ids, attention_mask))


class EncodedTexts(torch.utils.data.Dataset):
    """Token ids and class numbers, row by row."""

    def __init__(self, token_ids: list[list[int]], codes: np.ndarray) -> None:
        self.token_ids = token_ids
        self.codes = codes

    def __len__(self) -> int:
        return len(self.token_ids)

    def __getitem__(self, row: int) -> tuple[list[int], int]:
        return self.token_ids[row], int(self.codes[row])

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row."""
        return np.array([len(ids) for ids in self.token_ids])

    def batch(self, rows: np.ndarray, pad_id: int) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Return what the module and the loss take of these rows."""
        return pad([self.token_ids[row] for row in rows], pad_id), torch.from_numpy(self.codes[rows])


class BucketedBatches:
    """Batches of rows of similar length; skorch iterates over it as over a ``DataLoader``.

    Padding is what a CPU spends most time on with short texts, so rows are sorted by length: all of them
    for prediction; for training within random groups of eight batches, and the batches shuffled again.

    Parameters
    ----------
    dataset : object with ``lengths`` and ``batch(rows, pad_id)``
        See :class:`EncodedTexts`.
    """

    _GROUP = 8

    def __init__(self, dataset: Any, *, batch_size: int, pad_id: int, seed: int | None = None) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.pad_id = pad_id
        self.rng = None if seed is None else np.random.default_rng(seed)

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor]]:
        for rows in self._rows():
            yield self.dataset.batch(rows, self.pad_id)

    def _rows(self) -> list[np.ndarray]:
        lengths = self.dataset.lengths
        if self.rng is None:
            return _split(np.argsort(lengths, kind="stable"), self.batch_size)
        batches = []
        for group in _split(self.rng.permutation(len(lengths)), self._GROUP * self.batch_size):
            batches += _split(group[np.argsort(lengths[group], kind="stable")], self.batch_size)
        return [batches[i] for i in self.rng.permutation(len(batches))]


class StopEarly(EarlyStopping):
    """skorch's early stopping on an absolute ``threshold``, never before ``min_steps`` optimizer steps."""

    def __init__(self, monitor: str, patience: int, threshold: float, min_steps: int) -> None:
        super().__init__(monitor, patience, threshold, threshold_mode="abs", load_best=True)
        self.min_steps = min_steps

    def on_epoch_end(self, net: Trainable, **kwargs: Any) -> None:
        """Count an epoch without improvement; stop after too many, if the steps are done."""
        try:
            super().on_epoch_end(net, **kwargs)
        except KeyboardInterrupt:
            if sum(net.history[:, "train_batch_count"]) >= self.min_steps:
                net.stopped_early = True
                raise
            self.misses_ -= 1


class Trainable(NeuralNet):
    """skorch's net, which tells its own early stop from a user's interrupt.

    skorch ends the training quietly on either; a half-trained model must not pass for a trained one.
    """

    stopped_early = False
    interrupted = False

    def fit_loop(self, *args: Any, **kwargs: Any) -> Trainable:
        """Train; note who ended it."""
        try:
            return super().fit_loop(*args, **kwargs)
        except KeyboardInterrupt:
            self.interrupted = not self.stopped_early
            raise


class Net(Trainable, NeuralNetClassifier):
    """The classifier's net."""


@dataclass(frozen=True)
class Pretrained:
    """What a model folder holds; shared by all fits of a process, so never changed.

    Attributes
    ----------
    model : PreTrainedModel
        A sequence classifier whose last linear layer is an identity.
    n_features : int
        What that layer took.
    untrained : tuple of str
        Names of the other modules that the folder has no weights for.
    """

    model: Any
    tokenizer: Any
    n_features: int
    untrained: tuple[str, ...]

    def build(self, n_classes: int, pooling: str, compute_dtype: torch.dtype | None) -> TextClassifierModule:
        """Return a trainable copy with a fresh head, drawn from torch's current generator."""
        std = getattr(self.model.config, "initializer_range", 0.02)
        model = copy.deepcopy(self.model)
        for name in self.untrained:
            _initialize(model.get_submodule(name), std)
        if pooling == "mean":
            encoder, n_features = model.base_model, self.model.config.hidden_size
        else:
            encoder, n_features = model, self.n_features
        head = nn.Linear(n_features, n_classes)
        _initialize(head, std)
        return TextClassifierModule(encoder, head, compute_dtype)


def load_pretrained(model: str | os.PathLike[str]) -> Pretrained:
    """Load a hub name or a folder, once per process.

    Raises
    ------
    ModelLoadError
        If it is missing, damaged or no encoder that transformers knows.
    """
    return _load(*located(model))


def located(model: str | os.PathLike[str]) -> tuple[str, tuple[Any, ...]]:
    """Return the folder or hub name that is meant, and a stamp that another state of the folder changes."""
    folder = local_path(model)
    if folder is None:
        return os.fspath(model), ()
    if not (folder / "config.json").is_file():
        raise ModelLoadError(f"model={os.fspath(model)!r} is no folder with a config.json and weights")
    return str(folder), state_of(folder)


def load_pair(loader: Any, name: str, *, kind: str) -> tuple[Any, Any, list[str]]:
    """Return the tokenizer, the float32 model that an auto class loads, and the names of weights not found.

    Raises
    ------
    ModelLoadError
        If it does not load as ``kind``, in words, or its tokenizer does not pad.
    """
    try:
        # Missing weights are drawn at random: not from the caller's generator.
        with torch.random.fork_rng(devices=[]), quiet_transformers():
            tokenizer = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
            model, info = loader.from_pretrained(
                name,
                dtype=torch.float32,
                output_loading_info=True,
                trust_remote_code=False,
                use_safetensors=True,
            )
    except Exception as error:  # transformers, safetensors, tokenizers and json raise what they like
        raise ModelLoadError(f"model={name!r} does not load as {kind}: {error}") from error
    if tokenizer.pad_token_id is None:
        raise ModelLoadError(f"model={name!r}: its tokenizer has no padding token")
    return tokenizer, model, sorted(info["missing_keys"])


@lru_cache(maxsize=2)
def _load(name: str, stamp: tuple[Any, ...]) -> Pretrained:
    tokenizer, model, missing = load_pair(
        transformers.AutoModelForSequenceClassification, name, kind="a text encoder"
    )
    head = [key for key, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
    n_features = model.get_submodule(head).in_features
    model.set_submodule(head, nn.Identity())
    untrained = {key.rpartition(".")[0] for key in missing} - {head}
    return Pretrained(model.eval(), tokenizer, n_features, tuple(sorted(untrained)))


def freeze(encoder: nn.Module, n_layers: int) -> None:
    """Keep the embeddings and the lowest ``n_layers`` of the encoder as they were pretrained."""
    if n_layers == 0:
        return
    layers = max((m for m in encoder.modules() if isinstance(m, nn.ModuleList)), key=len)
    if n_layers > len(layers):
        raise ValueError(f"frozen_layers={n_layers} exceeds the {len(layers)} layers of the model")
    last = list(layers[n_layers - 1].parameters())[-1]
    for parameter in encoder.parameters():  # in the order of the layers, embeddings first
        parameter.requires_grad_(False)
        if parameter is last:
            break


def set_dropout(module: nn.Module, p: float) -> None:
    """Set every dropout probability, that of the fused attention too."""
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = p
        for name, value in vars(part).items():
            if "dropout" in name and isinstance(value, float):
                setattr(part, name, p)


@contextmanager
def attention_to_train(encoder: Any, device: torch.device) -> Iterator[None]:
    """On a CPU, train with plain attention and go back to the model's own for prediction.

    The fused kernel's backward pass is slow there: MiniLM, short texts, bfloat16, no dropout: 943 ms a step
    against 596. Its forward pass is the faster one, 35 texts of 128 tokens a second against 21.
    """
    own = encoder.config._attn_implementation
    if device.type == "cpu":
        encoder.set_attn_implementation("eager")
    yield
    encoder.set_attn_implementation(own)


def pad(token_ids: list[list[int]], pad_id: int) -> dict[str, torch.Tensor]:
    """Return the rows as one tensor, padded on the right, and its mask."""
    lengths = np.array([len(ids) for ids in token_ids])
    mask = np.arange(lengths.max()) < lengths[:, None]
    ids = np.full(mask.shape, pad_id, dtype=np.int64)
    ids[mask] = np.concatenate(token_ids)
    return {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask.astype(np.int64))}


def bucket(token_ids: list[list[int]], tokens_per_batch: int) -> Iterator[np.ndarray]:
    """Yield rows of similar length, the longest first, padded at most ``tokens_per_batch`` together."""
    lengths = np.array([len(ids) for ids in token_ids])
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, tokens_per_batch // lengths[order[start]])
        yield order[start : start + size]
        start += size


def choose_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """Return bfloat16 where it is asked for, or "auto" and the device multiplies it natively."""
    wanted = has_native_bfloat16(device) if precision == "auto" else precision == "bfloat16"
    return torch.bfloat16 if wanted else None


def _split(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _initialize(module: nn.Module, std: float) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=std)
        nn.init.zeros_(module.bias)
    else:
        module.reset_parameters()
