"""The torch side of the small nets: modules, batches, and FixMatch's loss in skorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from skprune._optional import optional_imports

with optional_imports(extra="models", purpose="Training a neural net"):
    import torch
    from skorch import NeuralNet
    from torch import nn
    from torch.nn import functional

_PREDICTION_BATCH = 4096


def build_module(kind: str, row_shape: tuple[int, ...], n_hidden: int, n_classes: int) -> nn.Module:
    """Return a new net for rows of this shape: ``"mlp"`` or ``"conv"``."""
    if kind == "mlp":
        n_features = int(np.prod(row_shape))
        return nn.Sequential(
            nn.Flatten(), nn.Linear(n_features, n_hidden), nn.ReLU(), nn.Linear(n_hidden, n_classes)
        )
    return nn.Sequential(
        nn.Conv2d(row_shape[0], 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(7),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, n_hidden),
        nn.ReLU(),
        nn.Linear(n_hidden, n_classes),
    )


class Rows(torch.utils.data.Dataset):
    """Rows and their class numbers.

    Parameters
    ----------
    views : views
        Turn rows into tensors.
    loaded : object
        The rows, as ``views.load`` returned them.
    codes : ndarray of int, shape (n,)
        The class number of each row, −1 for an unlabeled row.
    """

    def __init__(self, views: Any, loaded: Any, codes: np.ndarray) -> None:
        self.views = views
        self.loaded = loaded
        self.codes = torch.from_numpy(codes.astype(np.int64))

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> Any:
        rows = np.array([row])
        return self.views.plain(self.loaded, rows)[0], int(self.codes[row])


class ShuffledBatches:
    """Batches of all rows in random order; skorch iterates over it like a ``DataLoader``."""

    def __init__(self, dataset: Rows, *, batch_size: int, rng: np.random.Generator) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.rng = rng

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for rows in np.array_split(self.rng.permutation(len(self.dataset)), len(self)):
            yield self.dataset.views.plain(self.dataset.loaded, rows), self.dataset.codes[rows]


class FixMatchBatches:
    """Batches of ``batch_size`` labeled rows, and ``mu`` times as many of all rows in two views.

    An epoch shows every row once without its label, and repeats the labeled rows as often as needed.
    """

    def __init__(self, dataset: Rows, *, batch_size: int, mu: int, rng: np.random.Generator) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.mu = mu
        self.rng = rng
        self.labeled = np.flatnonzero(dataset.codes.numpy() >= 0)

    def __len__(self) -> int:
        return -(-len(self.dataset) // (self.mu * self.batch_size))

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        views, loaded = self.dataset.views, self.dataset.loaded
        generator = torch.Generator().manual_seed(int(self.rng.integers(2**63)))
        labeled = _endless(self.labeled, self.rng)
        for rows in np.array_split(self.rng.permutation(len(self.dataset)), len(self)):
            known = np.array([next(labeled) for _ in range(self.batch_size)])
            # One tensor, because skorch expects inputs of one length. FixMatchModule splits it again.
            labeled_views = views.weak(loaded, known, generator)
            weak, strong = views.weak(loaded, rows, generator), views.strong(loaded, rows, generator)
            yield torch.cat([labeled_views, weak, strong]), self.dataset.codes[known]


class FixMatchModule(nn.Module):
    """A net that is trained on the labeled and the strong views; the weak views supply the targets."""

    def __init__(self, net: nn.Module, n_labeled: int) -> None:
        super().__init__()
        self.net = net
        self.n_labeled = n_labeled

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the logits of the labeled, weak and strong views; the weak ones have no gradient."""
        labeled = rows[: self.n_labeled]
        weak, strong = rows[self.n_labeled :].chunk(2)
        with torch.no_grad():
            weak_logits = self.net(weak)
        logits = self.net(torch.cat([labeled, strong]))
        return logits[: self.n_labeled], weak_logits, logits[self.n_labeled :]


class FixMatchNet(NeuralNet):
    """skorch's net with FixMatch's loss.

    Parameters
    ----------
    threshold : float, default=0.95
        Smallest confidence of a weak view that makes its prediction a target (τ).
    lambda_u : float, default=1.0
        Weight of the loss on the strong views (λ_u).
    """

    def __init__(
        self,
        module: nn.Module,
        criterion: Any = nn.CrossEntropyLoss,
        *,
        threshold: float = 0.95,
        lambda_u: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(module, criterion, **kwargs)
        self.threshold = threshold
        self.lambda_u = lambda_u

    def get_loss(self, y_pred: Any, y_true: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return L_sup + λ_u · mean of 1[max p_weak ≥ τ] · CE(argmax p_weak, p_strong)."""
        labeled, weak, strong = y_pred
        supervised = functional.cross_entropy(labeled, y_true.to(labeled.device))
        confidence, pseudo_labels = weak.softmax(dim=1).max(dim=1)
        loss = functional.cross_entropy(strong, pseudo_labels, reduction="none")
        return supervised + self.lambda_u * (loss * (confidence >= self.threshold)).mean()


def predict_logits(
    module: nn.Module, views: Any, loaded: Any, n_rows: int, device: torch.device
) -> np.ndarray:
    """Return the logits of all rows, float32 of shape (n_rows, n_classes), computed in batches."""
    module.eval()
    logits = []
    with torch.inference_mode():
        for start in range(0, n_rows, _PREDICTION_BATCH):
            rows = np.arange(start, min(start + _PREDICTION_BATCH, n_rows))
            logits.append(module(views.plain(loaded, rows).to(device)).cpu().numpy())
    return np.concatenate(logits)


def _endless(rows: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    """Yield the rows in random order, again and again."""
    while True:
        yield from rng.permutation(rows)
