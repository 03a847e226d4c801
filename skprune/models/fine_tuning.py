"""What every fine-tuned transformer here shares: the parameters of its training, and the training."""

from __future__ import annotations

import os
from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from skprune._optional import require

if TYPE_CHECKING:
    from types import ModuleType

    import torch


class FineTuned(BaseEstimator):
    """An estimator of texts that trains a transformer with skorch; a subclass is its module and its loss."""

    #: Of the parameters that every subclass has, and documents.
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

    history_: list[dict[str, float]]
    n_steps_: int

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags

    def _train_net(
        self,
        net_class: Any,
        module: Any,
        train: Any,
        held_out: Any,
        y: Any,
        *,
        device: torch.device,
        pad_id: int,
        seed: int,
        **params: Any,
    ) -> Any:
        """Train the module; set ``history_`` and ``n_steps_``.

        Parameters
        ----------
        net_class : type
            A :class:`skprune.models.nets.Trainable` of skorch.
        module : nn.Module
            Trained in place.
        train, held_out : dataset
            As :class:`skprune.models.nets.BucketedBatches` takes it; ``held_out`` may be None.
        y : ndarray or None
            What the net's ``fit`` wants beside ``train``.
        **params
            Further parameters of the net.

        Returns
        -------
        net_class
            The net, trimmed for prediction.
        """
        import torch
        from skorch.helper import predefined_split

        engine = import_engine(type(self).__name__)
        recipe: Any = self  # its parameters are the subclass's
        batches_per_epoch = -(-len(train) // recipe.batch_size)
        n_epochs = max(recipe.max_epochs, -(-recipe.min_steps // batches_per_epoch))
        net = net_class(
            module,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=recipe.weight_decay,
            optimizer__fused=device.type in ("cpu", "cuda"),
            lr=recipe.lr,
            max_epochs=n_epochs,
            batch_size=recipe.batch_size,
            iterator_train=engine.BucketedBatches,
            iterator_train__pad_id=pad_id,
            iterator_train__seed=seed,
            iterator_valid=engine.BucketedBatches,
            iterator_valid__pad_id=pad_id,
            train_split=predefined_split(held_out) if held_out else None,
            callbacks=self._callbacks(engine, n_epochs * batches_per_epoch),
            device=device,
            verbose=recipe.verbose,
            **params,
        )
        net.fit(train, y)
        if net.interrupted:
            raise KeyboardInterrupt
        self.history_ = [_summary(epoch) for epoch in net.history]
        self.n_steps_ = sum(epoch["train_batch_count"] for epoch in net.history)
        net.trim_for_prediction()
        net.module = type(module)  # the instance would be pickled beside net.module_
        return net

    def _callbacks(self, engine: ModuleType, n_steps: int) -> list[tuple[str, Any]]:
        from skorch.callbacks import GradientNormClipping, LRScheduler
        from torch.optim.lr_scheduler import LambdaLR

        recipe: Any = self
        callbacks: list[tuple[str, Any]] = []
        if recipe.max_grad_norm is not None:
            callbacks.append(("clip", GradientNormClipping(recipe.max_grad_norm)))
        if recipe.schedule != "constant" or recipe.warmup:
            factor = learning_rate_factor(recipe.schedule, recipe.warmup * n_steps, n_steps)
            callbacks.append(("schedule", LRScheduler(LambdaLR, step_every="batch", lr_lambda=factor)))
        if recipe.patience is not None:
            monitor = "train_loss" if recipe.validation_fraction is None else "valid_loss"
            stop = engine.StopEarly(monitor, recipe.patience, recipe.min_delta, recipe.min_steps)
            callbacks.append(("stop", stop))
        return callbacks


def import_engine(purpose: str) -> ModuleType:
    """Return the module with the torch side, or say what is not installed."""
    for module in ("torch", "transformers", "skorch"):
        require(module, extra="models", purpose=purpose)
    from skprune.models import nets as _net

    return _net


def learning_rate_factor(schedule: str, n_warmup: float, n_steps: int) -> Callable[[int], float]:
    """Return what the learning rate is multiplied by at each step."""

    def factor(step: int) -> float:
        if step < n_warmup:
            return (step + 1) / (n_warmup + 1)
        return 1.0 if schedule == "constant" else (n_steps - step) / (n_steps - n_warmup)

    return factor


def _summary(epoch: dict[str, Any]) -> dict[str, float]:
    return {key: epoch[key] for key in ("epoch", "train_loss", "valid_loss", "dur") if key in epoch}
