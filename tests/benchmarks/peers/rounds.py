"""A round of active learning, against one that looks at the whole pool. Training is left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import inputs
from .cases import Row, case, row
from .measuring import alternate, scaled
from .neighbors import BATCH, N_CLASSES, Loop

REPEATS = 3
N_PREDICTED = 128  # texts that measure MiniLM's speed
_LEARNED = 500  # labeled rows of the logistic regression


@case()
def anchors(n: int) -> Iterator[Row]:
    """AnchorFilter keeps at most 1,000 rows."""
    from skprune import AnchorFilter

    yield from _compare(n, "AnchorFilter", AnchorFilter(random_state=0))


@case()
def proxy(n: int) -> Iterator[Row]:
    """ProxyFilter keeps 1,500 rows, and asks the learner about them and the labeled rows."""
    from skprune import ProxyFilter

    yield from _compare(n, "ProxyFilter", ProxyFilter(random_state=0))


def _compare(n: int, name: str, pruner: Any) -> Iterator[Row]:
    from sklearn.linear_model import LogisticRegression

    from skprune.strategies import Entropy

    loop = Loop(n)
    learner = LogisticRegression().fit(loop.X[:_LEARNED], loop.y[:_LEARNED])
    strategy, kept = Entropy(random_state=0), [0]
    pruner.fit(loop.X, loop.known)

    def select() -> np.ndarray:
        new = np.arange(loop.n_labeled, loop.n_labeled + BATCH)
        loop.n_labeled += BATCH
        pruner.partial_fit(loop.X[new], loop.y[new], learner=learner)
        rows = pruner.select(loop.X)
        kept[0] = len(rows)
        return rows

    select()
    full, pruned, selection = alternate(
        REPEATS,
        lambda: strategy(learner, loop.X[loop.n_labeled :], n_instances=BATCH),
        lambda: strategy(learner, loop.X[select()], n_instances=BATCH),
        select,
    )
    note = f"{kept[0]:,} rows kept"
    yield row("logistic regression on the vectors", "the whole pool", full, f"`{name}`", pruned, note=note)
    texts, predict = _minilm()
    (predicted,) = alternate(REPEATS, predict)
    one = scaled(predicted, 1 / len(texts))
    # ProxyFilter also asks the learner about the last subpool and the labeled rows; counted as asked twice.
    asked = kept[0] + (loop.n_labeled + kept[0] if name == "ProxyFilter" else 0)
    yield row(
        "MiniLM on short texts",
        "the whole pool",
        scaled(one, n),
        f"`{name}`",
        scaled(one, asked, selection),
        extrapolated=f"{1 / np.median(one['cpu']):.0f} texts per CPU second, measured on {N_PREDICTED}",
        note=f"{note}, {asked:,} texts predicted",
    )


def _minilm() -> tuple[list[str], Any]:
    import torch

    from skprune import TransformerClassifier
    from skprune.datasets import fetch_model

    torch.set_num_threads(1)
    texts = inputs.snippets(N_PREDICTED)
    model = TransformerClassifier(fetch_model("minilm"), max_epochs=1, min_steps=1, random_state=0)
    model.fit(texts[:16], np.arange(16) % N_CLASSES)
    model.predict_proba(texts[:32])
    return texts, lambda: model.predict_proba(texts)
