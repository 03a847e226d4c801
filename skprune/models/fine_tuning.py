"""The base of the fine-tuned transformers: training parameters, the training itself, batches of texts."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions
from skorch.callbacks import GradientNormClipping, LRScheduler
from skorch.helper import predefined_split
from torch.optim.lr_scheduler import LambdaLR

from skprune._progress import Progress
from skprune.models.nets import BucketedBatches, CountSteps, StopEarly, TrainableNet, split_by_length

_CHUNK = 16_384  # texts tokenized at a time when predicting
_TOKENS_PER_BATCH = {"cpu": 4_096, "other": 65_536}  # padded tokens when predicting


class FineTuned(BaseEstimator, ABC):
    """Base of the estimators that fine-tune a transformer on texts with skorch.

    A subclass documents the parameters below, adds its own, and supplies the module and the loss.
    """

    #: Constraints of the parameters that all subclasses share.
    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "model": [str, os.PathLike],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "min_steps": [Interval(Integral, 1, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "min_delta": [Interval(Real, 0, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "dropout": [Interval(Real, 0, 1, closed="left"), None],
        "schedule": [StrOptions({"constant", "linear"})],
        "warmup": [Interval(Real, 0, 1, closed="left")],
        "max_grad_norm": [Interval(Real, 0, None, closed="neither"), None],
        "precision": [StrOptions({"auto", "float32", "bfloat16"})],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    lr: float
    batch_size: int
    max_epochs: int
    min_steps: int
    patience: int | None
    min_delta: float
    validation_fraction: float | None
    weight_decay: float
    schedule: str
    warmup: float
    max_grad_norm: float | None
    verbose: int

    net_: TrainableNet
    tokenizer_: Any
    history_: list[dict[str, float]]
    n_steps_: int

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    @abstractmethod
    def _tokenize(self, tokenizer: Any, texts: np.ndarray) -> list[list[int]]:
        """Return the token ids of each input text, cut at the maximum length."""

    def _train_net(
        self,
        module: torch.nn.Module,
        train: torch.utils.data.Dataset,
        held_out: torch.utils.data.Dataset | None,
        *,
        device: torch.device,
        seed: int,
        **net_params: Any,
    ) -> TrainableNet:
        """Train the module in place; set ``history_`` and ``n_steps_``.

        Parameters
        ----------
        module : nn.Module
        train, held_out : dataset
            Rows in the form that :class:`~skprune.models.nets.BucketedBatches` reads.
        device : torch.device
        seed : int
            Seed of the order of batches.
        **net_params
            The criterion and other parameters of the skorch net.

        Returns
        -------
        TrainableNet
            The net, trimmed for prediction.
        """
        batches_per_epoch = -(-len(train) // self.batch_size)
        n_epochs = max(self.max_epochs, -(-self.min_steps // batches_per_epoch))
        n_steps = n_epochs * batches_per_epoch
        callbacks = self._callbacks(n_steps)
        progress: Any = nullcontext()  # with verbose, skorch's table of epochs shows the progress
        if not self.verbose:
            progress = Progress("training", n_steps, unit="step")
            callbacks.append(("progress", CountSteps(progress)))
        net = TrainableNet(
            module,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=self.weight_decay,
            optimizer__fused=device.type in ("cpu", "cuda"),
            lr=self.lr,
            max_epochs=n_epochs,
            batch_size=self.batch_size,
            iterator_train=BucketedBatches,
            iterator_train__seed=seed,
            iterator_valid=BucketedBatches,
            train_split=predefined_split(held_out) if held_out else None,
            callbacks=callbacks,
            device=device,
            verbose=self.verbose,
            **net_params,
        )
        with progress:
            net.fit(train, None)
        if net.interrupted:
            raise KeyboardInterrupt
        self.history_ = [_summary(epoch) for epoch in net.history]
        self.n_steps_ = sum(epoch["train_batch_count"] for epoch in net.history)
        net.trim_for_prediction()
        net.module = type(module)  # otherwise a pickle holds the weights twice, here and in net.module_
        return net

    def _callbacks(self, n_steps: int) -> list[tuple[str, Any]]:
        callbacks: list[tuple[str, Any]] = []
        if self.max_grad_norm is not None:
            callbacks.append(("clip", GradientNormClipping(self.max_grad_norm)))
        if self.schedule != "constant" or self.warmup:
            factor = learning_rate_factor(self.schedule, self.warmup * n_steps, n_steps)
            callbacks.append(("schedule", LRScheduler(LambdaLR, step_every="batch", lr_lambda=factor)))
        if self.patience is not None:
            monitor = "train_loss" if self.validation_fraction is None else "valid_loss"
            callbacks.append(("stop", StopEarly(monitor, self.patience, self.min_delta, self.min_steps)))
        return callbacks

    def _token_batches(
        self, texts: np.ndarray, *, n_beams: int = 1
    ) -> Iterator[tuple[np.ndarray, list[list[int]]]]:
        """Yield batches of texts of similar length: their rows and their token ids."""
        tokens_per_batch = self._batch_limit(_TOKENS_PER_BATCH) // n_beams
        with Progress("predicting", len(texts), verbose=self.verbose) as progress:
            for start in range(0, len(texts), _CHUNK):
                token_ids = self._tokenize(self.tokenizer_, texts[start : start + _CHUNK])
                for rows in split_by_length(token_ids, tokens_per_batch):
                    yield start + rows, [token_ids[row] for row in rows]
                    progress.update(len(rows))

    def _batch_limit(self, limits: dict[str, int]) -> int:
        """Return the limit for the device of the trained net: that of "cpu" or of "other"."""
        return limits["cpu" if torch.device(self.net_.device).type == "cpu" else "other"]


def learning_rate_factor(schedule: str, n_warmup: float, n_steps: int) -> Callable[[int], float]:
    """Return the function from an optimizer step to the factor of its learning rate."""

    def factor(step: int) -> float:
        if step < n_warmup:
            return (step + 1) / (n_warmup + 1)
        return 1.0 if schedule == "constant" else (n_steps - step) / (n_steps - n_warmup)

    return factor


def _summary(epoch: dict[str, Any]) -> dict[str, float]:
    return {key: epoch[key] for key in ("epoch", "train_loss", "valid_loss", "dur") if key in epoch}
