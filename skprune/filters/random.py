"""Random subpools: the baseline for every filter."""

from __future__ import annotations

from typing import Any

import numpy as np

from skprune.base import BaseFilter
from skprune.pools import Pool
from skprune.selections import Selection, lowest, mask_of, one_of


class RandomFilter(BaseFilter):
    """Keep a uniform random part of the pool, redrawn every round.

    Parameters
    ----------
    keep : float or int, default=0.25
        Share or count of the eligible rows that survive.
    text : column name, default=None
        The column of texts, if the pool is a frame with several. The other columns travel along.
    random_state : int, RandomState or None, default=None
        Seed. The random number of a row depends on the seed, the round and the content of the row, so that a
        reordered or smaller pool gives the same picks.

    Notes
    -----
    This is "RandSub" of AnchorAL ([1]_, section 4) and the "Random" pruning strategy of ActivePrune.

    References
    ----------
    .. [1] Lesci and Vlachos, "AnchorAL: Computationally Efficient Active Learning for Large and Imbalanced
       Datasets", NAACL 2024.

    Examples
    --------
    >>> from skprune import RandomFilter
    >>> pool = [f"text {i}" for i in range(8)]
    >>> len(RandomFilter(keep=0.5, random_state=0).fit_transform(pool))
    4
    """

    _needs_memory = ""

    def __init__(self, keep: float | int = 0.25, *, text: Any = None, random_state: Any = None) -> None:
        self.keep = keep
        self.text = text
        self.random_state = random_state

    def _fit(self, pool: Pool) -> None:
        pass

    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        n_kept = self._kept_size(len(eligible), min_rows)
        draw = self._uniforms(pool, eligible)
        order = lowest(draw, n_kept, ties=draw)

        def explain() -> dict[str, Any]:
            threshold = draw[order[-1]]
            kept = mask_of(order, len(draw))
            reasons = ["random draw too high", "kept: its random draw is among the lowest"]
            return {
                "stage": one_of(kept, ["", "random"]),
                "draw": draw,
                "threshold": np.broadcast_to(threshold, len(draw)),
                "reason": one_of(kept, reasons),
            }

        return Selection(order, explain)
