"""The torch side of fine-tuning: the classifier's module, batches, the skorch net, loading of models."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping
from torch import nn

from skprune._progress import Progress
from skprune.exceptions import ModelLoadError
from skprune.hub.devices import has_native_bfloat16
from skprune.hub.loaded import Loaded
from skprune.hub.names import HubModel
from skprune.hub.padding import pad_right
from skprune.hub.sources import load_error, loader_arguments, quiet_transformers, resolve, safe_config


class TextClassifierModule(nn.Module):
    """A pretrained encoder that makes one feature vector per text, and a linear head.

    Parameters
    ----------
    encoder : nn.Module
        Its output has ``last_hidden_state``, which is averaged over the tokens, or ``logits``, which are the
        features: a sequence classifier whose last layer was removed.
    head : nn.Linear
    compute_dtype : torch.dtype or None
        The dtype of autocast in the encoder; None for no autocast. The head always computes in float32,
        since bfloat16 logits would tie many rows.
    """

    def __init__(self, encoder: nn.Module, head: nn.Linear, compute_dtype: torch.dtype | None) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.compute_dtype = compute_dtype

    def features(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the input of the head, float32 of shape (n, n_features)."""
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
    """Token ids and class numbers of texts.

    Parameters
    ----------
    token_ids : list of list of int
    codes : ndarray of int, shape (n,)
        The class number of each text.
    pad_id : int
        The token that fills a batch.
    """

    def __init__(self, token_ids: list[list[int]], codes: np.ndarray, pad_id: int) -> None:
        self.token_ids = token_ids
        self.codes = codes
        self.pad_id = pad_id

    def __len__(self) -> int:
        return len(self.token_ids)

    def __getitem__(self, row: int) -> tuple[list[int], int]:
        return self.token_ids[row], int(self.codes[row])

    def take(self, rows: np.ndarray) -> EncodedTexts:
        """Return the given rows."""
        return EncodedTexts([self.token_ids[row] for row in rows], self.codes[rows], self.pad_id)

    @property
    def lengths(self) -> np.ndarray:
        """Number of tokens of each row."""
        return np.array([len(ids) for ids in self.token_ids])

    def batch(self, rows: np.ndarray) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Return the module's inputs for these rows, and their class numbers."""
        return pad([self.token_ids[row] for row in rows], self.pad_id), torch.from_numpy(self.codes[rows])


class BucketedBatches:
    """Batches of rows of similar length; skorch iterates over it like a ``DataLoader``.

    With short texts a CPU spends most of its time on padding, so rows are sorted by length: all rows for
    prediction; for training the rows of each random group of eight batches, and then the order of the
    batches is shuffled.

    Parameters
    ----------
    dataset : object with ``lengths`` and ``batch(rows)``
        For instance :class:`EncodedTexts`.
    batch_size : int
    seed : int or None, default=None
        Seed of the order for training; None for prediction.
    """

    _GROUP = 8

    def __init__(self, dataset: Any, *, batch_size: int, seed: int | None = None) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.rng = None if seed is None else np.random.default_rng(seed)

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor]]:
        return map(self.dataset.batch, self._rows())

    def _rows(self) -> list[np.ndarray]:
        lengths = self.dataset.lengths
        if self.rng is None:
            return _split(np.argsort(lengths, kind="stable"), self.batch_size)
        batches = []
        for group in _split(self.rng.permutation(len(lengths)), self._GROUP * self.batch_size):
            batches += _split(group[np.argsort(lengths[group], kind="stable")], self.batch_size)
        return [batches[i] for i in self.rng.permutation(len(batches))]


class StopEarly(EarlyStopping):
    """skorch's early stopping with an absolute threshold and a minimum number of optimizer steps."""

    def __init__(self, monitor: str, patience: int, threshold: float, min_steps: int) -> None:
        super().__init__(monitor, patience, threshold, threshold_mode="abs", load_best=True)
        self.min_steps = min_steps

    def on_epoch_end(self, net: TrainableNet, **kwargs: Any) -> None:
        """Count the epochs without improvement; stop at ``patience`` if ``min_steps`` were made."""
        try:
            super().on_epoch_end(net, **kwargs)
        except KeyboardInterrupt:
            if sum(net.history[:, "train_batch_count"]) >= self.min_steps:
                net.stopped_early = True
                raise
            self.misses_ -= 1


class CountSteps(Callback):
    """Advance a progress bar by one at every optimizer step."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress

    def on_batch_end(self, net: NeuralNet, training: bool = False, **kwargs: Any) -> None:
        """Count the step, unless the batch is held out."""
        if training:
            self.progress.update()


class TrainableNet(NeuralNet):
    """skorch's net, which distinguishes an early stop from an interrupt by the user.

    skorch itself ends the training silently in both cases, and a half-trained model would pass for a trained
    one.
    """

    stopped_early = False
    interrupted = False

    def fit_loop(self, *args: Any, **kwargs: Any) -> TrainableNet:
        """Train; set ``interrupted`` if the user ended the training."""
        try:
            return super().fit_loop(*args, **kwargs)
        except KeyboardInterrupt:
            self.interrupted = not self.stopped_early
            raise


@dataclass(frozen=True)
class PretrainedEncoder:
    """The content of a model folder. All fits of a process share it, so it is never changed.

    Attributes
    ----------
    model : PreTrainedModel
        A sequence classifier whose last linear layer is an identity.
    tokenizer : transformers tokenizer
    n_features : int
        Input size of the layer that was removed.
    untrained : tuple of str
        Names of the other modules that have no weights in the folder.
    """

    model: Any
    tokenizer: Any
    n_features: int
    untrained: tuple[str, ...]

    def build(self, n_classes: int, pooling: str, compute_dtype: torch.dtype | None) -> TextClassifierModule:
        """Return a trainable copy with a new head, drawn from torch's current generator."""
        std = getattr(self.model.config, "initializer_range", 0.02)
        model = copy.deepcopy(self.model)
        for name in self.untrained:
            _initialize(model.get_submodule(name), std)
        if pooling == "mean":
            # The decoder of an encoder–decoder would need a target text.
            is_pair = self.model.config.is_encoder_decoder
            encoder = model.base_model.get_encoder() if is_pair else model.base_model
            n_features = self.model.config.get_text_config().hidden_size
        else:
            encoder, n_features = model, self.n_features
        head = nn.Linear(n_features, n_classes)
        _initialize(head, std)
        return TextClassifierModule(encoder, head, compute_dtype)


def load_encoder(model: str | os.PathLike[str], *, verbose: int = 0) -> PretrainedEncoder:
    """Load an encoder from the hub or a folder, once per process.

    Parameters
    ----------
    model : str or path-like
        A name on the hub or a folder.
    verbose : int, default=0
        Verbosity of the progress bar.

    Raises
    ------
    ModelLoadError
        If the model is missing or damaged, or transformers knows no such encoder.
    """
    return _load_encoder(resolve(model), verbose=verbose)


@Loaded
def _load_encoder(source: Path | HubModel) -> PretrainedEncoder:
    tokenizer, model, missing = load_with_tokenizer(
        transformers.AutoModelForSequenceClassification, source, kind="a text encoder"
    )
    if getattr(model.config, "use_cache", False):
        model.config.use_cache = False  # a decoder would keep keys and values that nobody reads
    head = [key for key, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
    n_features = model.get_submodule(head).in_features
    model.set_submodule(head, nn.Identity())
    untrained = {key.rpartition(".")[0] for key in missing} - {head}
    return PretrainedEncoder(model.eval(), tokenizer, n_features, tuple(sorted(untrained)))


def load_with_tokenizer(loader: Any, source: Path | HubModel, *, kind: str) -> tuple[Any, Any, list[str]]:
    """Load a tokenizer and a float32 model.

    A tokenizer without a padding token, such as GPT-2's, pads with its token for the end of a text, and the
    model is told so.

    Parameters
    ----------
    loader : type
        An auto class of transformers.
    source : Path or HubModel
        A folder or a name on the hub.
    kind : str
        The expected kind of model, for the error message.

    Returns
    -------
    tokenizer, model
    missing : list of str
        Names of the weights that were not found.

    Raises
    ------
    ModelLoadError
        If the model does not load, or its tokenizer has neither a padding token nor an end token.
    """
    name, options = loader_arguments(source)
    try:
        # Missing weights are drawn at random: not from the caller's generator.
        with torch.random.fork_rng(devices=[]), quiet_transformers():
            tokenizer = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False, **options)
            model, info = loader.from_pretrained(
                name,
                config=safe_config(source),
                dtype=torch.float32,
                output_loading_info=True,
                trust_remote_code=False,
                use_safetensors=True,
                **options,
            )
    except Exception as error:  # transformers, safetensors, tokenizers and json raise many types
        raise load_error(source, kind, error) from error
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    if tokenizer.pad_token_id is None:
        raise ModelLoadError(
            f"model={name!r}: its tokenizer has neither a padding token nor an end-of-text token. Set "
            "pad_token in its tokenizer_config.json"
        )
    text_config = model.config.get_text_config()
    if getattr(text_config, "pad_token_id", None) is None:
        text_config.pad_token_id = tokenizer.pad_token_id
    return tokenizer, model, sorted(info["missing_keys"])


def freeze(encoder: nn.Module, n_layers: int) -> None:
    """Exclude the embeddings and the lowest ``n_layers`` of the encoder from training."""
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
    """Set every dropout probability, including that of fused attention."""
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = p
        for name, value in vars(part).items():
            if "dropout" in name and isinstance(value, float):
                setattr(part, name, p)


@contextmanager
def attention_for_training(encoder: Any, device: torch.device) -> Iterator[None]:
    """Use plain attention inside the context if ``device`` is a CPU, and restore the model's own afterwards.

    The backward pass of the fused kernel is slow on a CPU: MiniLM with short texts, bfloat16 and no dropout
    takes 943 ms per step, with plain attention 596 ms. Its forward pass is the faster one, 35 texts of 128
    tokens per second against 21.
    """
    own = encoder.config._attn_implementation
    if device.type == "cpu":
        encoder.set_attn_implementation("eager")
    yield
    encoder.set_attn_implementation(own)


def pad(
    token_ids: list[list[int]], pad_id: int, device: torch.device | str = "cpu"
) -> dict[str, torch.Tensor]:
    """Return the rows as one tensor, padded on the right, and its attention mask."""
    ids, mask = pad_right(token_ids, pad_id)
    arrays = {"input_ids": ids, "attention_mask": mask.astype(np.int64)}
    return {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}


def split_by_length(token_ids: list[list[int]], tokens_per_batch: int) -> Iterator[np.ndarray]:
    """Yield batches of rows of similar length, longest first; ``tokens_per_batch`` counts padding."""
    lengths = np.array([len(ids) for ids in token_ids])
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        size = max(1, tokens_per_batch // lengths[order[start]])
        yield order[start : start + size]
        start += size


def choose_dtype(precision: str, device: torch.device) -> torch.dtype | None:
    """Return the dtype of autocast, None for float32.

    "auto" is bfloat16 on a device that multiplies it natively.
    """
    wanted = has_native_bfloat16(device) if precision == "auto" else precision == "bfloat16"
    return torch.bfloat16 if wanted else None


def _split(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _initialize(module: nn.Module, std: float) -> None:
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=std)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    else:
        module.reset_parameters()
