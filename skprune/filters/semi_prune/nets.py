"""The torch side of the small nets: modules, batches, and FixMatch's loss under skorch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from skorch import NeuralNetClassifier
from torch import nn
from torch.nn import functional


def build_module(kind: str, row_shape: tuple[int, ...], n_hidden: int, n_classes: int) -> nn.Module:
    """Return a fresh net for rows of this shape: ``"mlp"`` or ``"conv"``."""
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
    """Rows as a module takes them, and the class number of each."""

    def __init__(self, views: Any, store: Any, codes: np.ndarray) -> None:
        self.views = views
        self.store = store
        self.codes = torch.from_numpy(codes.astype(np.int64))

    def __len__(self) -> int:
        return len(self.codes)

    def __getitem__(self, row: int) -> Any:
        rows = np.array([row])
        return self.views.plain(self.store, rows)[0], int(self.codes[row])


class ShuffledBatches:
    """Batches of all rows in random order; skorch iterates over it as over a ``DataLoader``."""

    def __init__(self, dataset: Rows, *, batch_size: int, rng: np.random.Generator) -> None:
        self.dataset = dataset
        self.batch_size = batch_size
        self.rng = rng

    def __len__(self) -> int:
        return -(-len(self.dataset) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for rows in np.array_split(self.rng.permutation(len(self.dataset)), len(self)):
            yield self.dataset.views.plain(self.dataset.store, rows), self.dataset.codes[rows]


class FixMatchBatches:
    """As many labeled rows as ``batch_size``, and ``mu`` times as many of all rows in two views.

    An epoch shows every row once without its label; the labeled ones come round and round.
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
        views, store = self.dataset.views, self.dataset.store
        generator = torch.Generator().manual_seed(int(self.rng.integers(2**63)))
        labeled = endless(self.labeled, self.rng)
        for rows in np.array_split(self.rng.permutation(len(self.dataset)), len(self)):
            known = np.array([next(labeled) for _ in range(self.batch_size)])
            # One tensor, since skorch wants inputs of one length: FixMatchModule takes it apart.
            labeled_views = views.weak(store, known, generator)
            weak, strong = views.weak(store, rows, generator), views.strong(store, rows, generator)
            yield torch.cat([labeled_views, weak, strong]), self.dataset.codes[known]


class FixMatchModule(nn.Module):
    """A net that is trained on the labeled and the strong views; the weak ones only tell what to learn."""

    def __init__(self, net: nn.Module, n_labeled: int) -> None:
        super().__init__()
        self.net = net
        self.n_labeled = n_labeled

    def forward(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return the logits of the labeled, the weak and the strong views, the second without a gradient."""
        labeled = rows[: self.n_labeled]
        weak, strong = rows[self.n_labeled :].chunk(2)
        with torch.no_grad():
            weak_logits = self.net(weak)
        logits = self.net(torch.cat([labeled, strong]))
        return logits[: self.n_labeled], weak_logits, logits[self.n_labeled :]


class FixMatchNet(NeuralNetClassifier):
    """skorch's classifier with FixMatch's loss."""

    def __init__(self, *args: Any, threshold: float = 0.95, lambda_u: float = 1.0, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.threshold = threshold
        self.lambda_u = lambda_u

    def get_loss(self, y_pred: Any, y_true: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Return L_sup + λ · mean of 1[max p_weak ≥ τ] · CE(argmax p_weak, p_strong)."""
        labeled, weak, strong = y_pred
        supervised = functional.cross_entropy(labeled, y_true.to(labeled.device))
        confidence, guess = weak.softmax(dim=1).max(dim=1)
        loss = functional.cross_entropy(strong, guess, reduction="none")
        return supervised + self.lambda_u * (loss * (confidence >= self.threshold)).mean()


def endless(rows: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    """Yield the rows in random order, again and again."""
    while True:
        yield from rng.permutation(rows)


def predict_logits(net: nn.Module, views: Any, store: Any, n_rows: int, device: Any) -> np.ndarray:
    """Return the logits of all rows, float32 of shape (n_rows, n_classes), in blocks."""
    net.eval()
    out = []
    with torch.inference_mode():
        for start in range(0, n_rows, 4096):
            rows = np.arange(start, min(start + 4096, n_rows))
            out.append(net(views.plain(store, rows).to(device)).cpu().numpy())
    return np.concatenate(out)
