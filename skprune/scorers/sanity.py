"""Whether a quality scorer can tell texts from the same words in random order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import roc_auc_score
from sklearn.utils import check_random_state

from skprune.pools import check_texts

PASSING_AUC = 0.7


@dataclass(frozen=True)
class SanityCheck:
    """How well P("yes") tells texts from the same words in random order.

    Attributes
    ----------
    auc : float
        Area under the ROC curve. 0.5 is chance; below it, shuffled texts score higher than real ones.
    n : int
        Number of texts, each scored once as it is and once shuffled.
    """

    auc: float
    n: int

    @property
    def passed(self) -> bool:
        """Whether the AUC is at least 0.7, a bound that we chose."""
        return self.auc >= PASSING_AUC

    def __str__(self) -> str:
        found = f"AUC {self.auc:.2f} of {self.n} texts against their shuffled words"
        if self.passed:
            return f"passed: {found} (at least {PASSING_AUC} is required)"
        return (
            f"failed: {found} (at least {PASSING_AUC} is required). This model's scores say little about "
            "quality: try a larger or instruction-tuned model, or another prompt"
        )


def compare_with_shuffled(
    score: Callable[[list[str]], np.ndarray], texts: Any, *, n: int, random_state: Any
) -> SanityCheck:
    """Score some texts, and the same words in random order.

    Parameters
    ----------
    score : callable
        ``texts -> scores``, higher for better texts.
    texts : sequence of str
        The sample to draw from.
    n : int
        Number of texts to draw.
    random_state : int, RandomState or None
        Seed of the draw and of the word order.

    Raises
    ------
    ValueError
        If fewer than two texts have several words to shuffle.

    Examples
    --------
    >>> is_sorted = lambda texts: [text.split() == sorted(text.split()) for text in texts]
    >>> compare_with_shuffled(is_sorted, ["a b c d", "e f g h"], n=2, random_state=0).auc
    1.0
    """
    rng = check_random_state(random_state)
    pool = np.unique(check_texts(texts))
    real, shuffled = [], []
    for text in pool[rng.permutation(len(pool))]:
        reordered = " ".join(rng.permutation(text.split()))
        if reordered != " ".join(text.split()):
            real.append(text)
            shuffled.append(reordered)
        if len(real) == n:
            break
    if len(real) < 2:
        raise ValueError(f"texts must hold at least two texts of several words, got {len(real)}")
    is_real = np.repeat([True, False], len(real))
    return SanityCheck(auc=float(roc_auc_score(is_real, score(real + shuffled))), n=len(real))
