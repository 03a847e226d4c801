"""What the small nets share: parameters, building, prediction."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from skprune._optional import require
from skprune.filters.semi_prune.views import views_of
from skprune.hub.devices import choose_device, seeded_torch
from skprune.pools import check_texts
from skprune.streams import draw_seed, generator

if TYPE_CHECKING:
    from types import ModuleType


class NetClassifier(ClassifierMixin, BaseEstimator):
    """A net that is trained from scratch, with skorch: the base of the proxy and of FixMatch.

    Subclasses add ``fit``; ``views`` is theirs where they have it.
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "module": [StrOptions({"auto", "mlp", "conv"}), callable],
        "n_hidden": [Interval(Integral, 1, None, closed="left")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "device": [str],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    views: Any = "auto"
    module: Any
    n_hidden: int
    max_epochs: int
    batch_size: int
    lr: float
    weight_decay: float
    device: str
    random_state: Any
    verbose: int

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities, float64 of shape (n, n_classes), columns as in ``classes_``."""
        check_is_fitted(self)
        store = self.views_.load(self._read(X, reset=False))
        logits = self._engine.predict_logits(self.module_, self.views_, store, _length(X), self.device_)
        return softmax(logits.astype(np.float64), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most likely label of each row."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    @property
    def _engine(self) -> ModuleType:
        """The module with the torch side; an error says what is not installed."""
        for module in ("torch", "skorch"):
            require(module, extra="models", purpose=type(self).__name__)
        from skprune.filters.semi_prune import nets as _small_nets

        return _small_nets

    def _begin(self, X: Any, classes: np.ndarray) -> None:
        """Forget any earlier training; build the module for the rows of ``X``, on its device."""
        engine = self._engine
        self.classes_ = classes
        self.seed_ = draw_seed(self.random_state)
        self.views_ = views_of(X, self.views).fit(X)
        device = choose_device(self.device, extra="models", purpose=type(self).__name__)
        first = self.views_.plain(self.views_.load(X[:1]), np.array([0]))[0]
        shape = tuple(first.shape)
        # Weights are drawn from torch's generator: seeded here, and put back.
        with seeded_torch(self.seed_ % 2**63):
            if callable(self.module):
                module = self.module(shape, len(classes))
            else:
                kind = self.module if self.module != "auto" else "conv" if len(shape) == 3 else "mlp"
                if kind == "conv" and len(shape) != 3:
                    raise ValueError(f"module='conv' needs images, got rows of shape {shape}")
                module = engine.build_module(kind, shape, self.n_hidden, len(classes))
        self.module_ = module.to(device)
        self.device_ = device

    def _net(self, kind: Any, module: Any, **settings: Any) -> Any:
        """Return an initialized skorch net."""
        import torch

        net = kind(
            module,
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=self.weight_decay,
            optimizer__fused=self.device_.type in ("cpu", "cuda"),
            lr=self.lr,
            batch_size=self.batch_size,
            train_split=None,
            callbacks__valid_acc=None,
            classes=np.arange(len(self.classes_)),
            device=self.device_,
            verbose=self.verbose,
            **settings,
        )
        return net.initialize()

    def _stream(self, number: int) -> np.random.Generator:
        return generator(self.seed_, number)

    def _read(self, X: Any, *, reset: bool) -> Any:
        """Return ``X`` checked: texts, where the views read them, or rows of numbers or images."""
        if self._reads_texts:
            return check_texts(X, "X")
        return validate_data(self, X, reset=reset, accept_sparse="csr", allow_nd=True)

    @property
    def _reads_texts(self) -> bool:
        return hasattr(self.views, "encoder")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = self._reads_texts
        tags.input_tags.two_d_array = not self._reads_texts
        tags.input_tags.three_d_array = not self._reads_texts
        tags.input_tags.sparse = not self._reads_texts
        return tags


def run_epochs(net: Any, dataset: Any, n_epochs: int) -> None:
    """Train an initialized skorch net for some more epochs.

    Not by ``net.partial_fit``: it would take an interrupt for the end of the training, quietly.
    """
    net.notify("on_train_begin", X=dataset, y=None)
    net.fit_loop(dataset, epochs=n_epochs)
    net.notify("on_train_end", X=dataset, y=None)


def _length(X: Any) -> int:
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)
