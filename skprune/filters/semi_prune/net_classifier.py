"""The base of the classifiers that train a small net: parameters, building, prediction."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from skprune._optional import optional_imports
from skprune.filters.semi_prune.nets import build_module, predict_logits
from skprune.filters.semi_prune.views import views_for
from skprune.hub.devices import choose_device, seeded_torch
from skprune.pools import check_texts
from skprune.streams import draw_seed, generator

with optional_imports(extra="models", purpose="Training a neural net"):
    import torch
    from skorch import NeuralNet


class NetClassifier(ClassifierMixin, BaseEstimator):
    """A net trained from scratch with skorch: the base of the proxy and of FixMatch.

    Subclasses add ``fit``, and the parameter ``views`` if they have it.
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
        X = self._read(X, reset=False)
        n_rows = int(X.shape[0])
        logits = predict_logits(self.module_, self.views_, self.views_.load(X), n_rows, self.device_)
        return softmax(logits.astype(np.float64), axis=1)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most likely label of each row."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def _build_module(self, X: Any, classes: np.ndarray) -> None:
        """Discard any earlier training, and build the module for the rows of ``X`` on its device."""
        self.classes_ = classes
        self.seed_ = draw_seed(self.random_state)
        self.views_ = views_for(X, self.views).fit(X)
        device = choose_device(self.device, extra="models", purpose=type(self).__name__)
        first = self.views_.plain(self.views_.load(X[:1]), np.array([0]))[0]
        shape = tuple(first.shape)
        # The weights come from torch's global generator, which is restored afterwards.
        with seeded_torch(self.seed_ % 2**63):
            if callable(self.module):
                module = self.module(shape, len(classes))
            else:
                kind = self.module if self.module != "auto" else "conv" if len(shape) == 3 else "mlp"
                if kind == "conv" and len(shape) != 3:
                    raise ValueError(f"module='conv' needs images, got rows of shape {shape}")
                module = build_module(kind, shape, self.n_hidden, len(classes))
        self.module_ = module.to(device)
        self.device_ = device

    def _build_net(self, net_class: type[NeuralNet], module: torch.nn.Module, **params: Any) -> NeuralNet:
        """Return an initialized skorch net."""
        net = net_class(
            module,
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=torch.optim.AdamW,
            optimizer__weight_decay=self.weight_decay,
            optimizer__fused=self.device_.type in ("cpu", "cuda"),
            lr=self.lr,
            batch_size=self.batch_size,
            train_split=None,
            device=self.device_,
            verbose=self.verbose,
            **params,
        )
        return net.initialize()

    def _stream(self, number: int) -> np.random.Generator:
        return generator(self.seed_, number)

    def _read(self, X: Any, *, reset: bool) -> Any:
        """Return ``X`` as a checked array: texts if the views read texts, else rows of numbers or images."""
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


def run_epochs(net: NeuralNet, dataset: Any, n_epochs: int) -> None:
    """Train an initialized skorch net for ``n_epochs`` more epochs.

    ``net.partial_fit`` is not used, because it silently takes an interrupt for the end of the training.
    """
    net.notify("on_train_begin", X=dataset, y=None)
    net.fit_loop(dataset, epochs=n_epochs)
    net.notify("on_train_end", X=dataset, y=None)
