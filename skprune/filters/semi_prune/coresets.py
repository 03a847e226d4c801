"""Coresets: which rows to keep, given how hard each one is."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.special import xlog1py, xlogy
from sklearn.neighbors import NearestNeighbors

_N_STRATA = 50
_N_ANCHORS = 10
# β's exponent and sum, as DUAL gives them.
_C, _A_PLUS_B = 3.0, 16.0
_SMALLEST = 1e-6


@dataclass
class Candidates:
    """The rows to choose from, in random order: of rows that tie, the first is taken.

    Attributes
    ----------
    difficulty : ndarray of float64, shape (n,)
        Any score, higher is harder.
    mean_p : ndarray of float64, shape (n,)
        Mean probability of the row's label over the epochs, μ.
    luck : ndarray of float64, shape (n,)
        Uniform in (0, 1), ascending: all that is random.
    vectors : callable
        Returns the rows as an array of shape (n, n_features). Only D2 calls it.
    mis_ratio : float
        Share of the rows whose label is probably wrong.
    n_neighbors : int
        Of each row in the graph of D2.
    """

    difficulty: np.ndarray
    mean_p: np.ndarray
    luck: np.ndarray
    vectors: Callable[[], Any]
    mis_ratio: float = 0.1
    n_neighbors: int = 10

    def __len__(self) -> int:
        return len(self.difficulty)

    @property
    def hardest_first(self) -> np.ndarray:
        """Positions by difficulty, descending."""
        return np.argsort(-self.difficulty, kind="stable")

    def without_mislabeled(self, k: int) -> np.ndarray:
        """Positions but for the hardest ``mis_ratio`` (fewer where ``k`` are to stay), hardest first."""
        n_dropped = min(int(np.floor(self.mis_ratio * len(self) + 0.5)), len(self) - k)
        return self.hardest_first[n_dropped:]

    @property
    def weight(self) -> np.ndarray:
        """Difficulty that is not negative: a score that can be (AUM) is shifted to begin at 0."""
        return self.difficulty - min(0.0, self.difficulty.min())


#: Chooses ``k`` of the candidates, ``1 <= k <= n``: unique positions, the best first.
Coreset = Callable[[Candidates, int], np.ndarray]


def top(rows: Candidates, k: int) -> np.ndarray:
    """Keep the hardest rows.

    Examples
    --------
    >>> rows = Candidates(np.array([0.1, 0.9, 0.5]), np.full(3, 0.5), np.arange(1, 4) / 4, lambda: None)
    >>> top(rows, 2)
    array([1, 2])
    """
    return rows.hardest_first[:k]


def budget(rows: Candidates, k: int) -> np.ndarray:
    """Drop the hardest ``mis_ratio``, which are probably mislabeled, and keep the next ``k``.

    Fewer are dropped where fewer than ``k`` would be left (ours).
    """
    return rows.without_mislabeled(k)[:k]


def ccs(rows: Candidates, k: int) -> np.ndarray:
    """Drop the hardest ``mis_ratio``; of the rest draw as many rows from each stratum of difficulty.

    Coverage-centric coreset selection: 50 strata of equal width, the smallest first, each gives its share
    of what is still missing, or all its rows. The drawn rows come hardest first.

    Notes
    -----
    Zheng et al., "Coverage-centric Coreset Selection for High Pruning Rates", ICLR 2023, Algorithm 1.
    """
    left = rows.without_mislabeled(k)
    difficulty = rows.difficulty[left]
    low, width = difficulty.min(), np.ptp(difficulty) / _N_STRATA
    stratum = np.zeros(len(left), dtype=np.intp)
    if width > 0:
        stratum = np.minimum((difficulty - low) / width, _N_STRATA - 1).astype(np.intp)
    sizes = np.bincount(stratum, minlength=_N_STRATA)
    quota = np.zeros(_N_STRATA, dtype=np.intp)
    missing = k
    for n_done, which in enumerate(np.argsort(sizes, kind="stable")):
        quota[which] = min(sizes[which], missing // (_N_STRATA - n_done))
        missing -= quota[which]
    drawn = np.argsort(rows.luck[left], kind="stable")
    drawn = drawn[np.argsort(stratum[drawn], kind="stable")]  # by stratum, and by luck within
    place = np.arange(len(left)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = np.sort(drawn[place < quota[stratum[drawn]]])
    return left[kept]


def dual_beta(rows: Candidates, k: int) -> np.ndarray:
    """Draw rows with weights BetaPDF(μ; a, b) · difficulty: easier ones, the more is pruned.

    b = 15 (1 − anchor)(1 − r³) and a = 16 − b, where r is the pruned share and the anchor the mean μ of the
    ten hardest rows. Drawn without replacement, the largest key (Gumbel) first. Rows of weight 0 come last.

    Notes
    -----
    Cho, Shin and Yun, "Lightweight Dataset Pruning without Full Training via Example Difficulty and
    Prediction Uncertainty", ICML 2025. Ours: μ is kept 1e-6 away from 0 and 1 and b above 1e-6, where the
    density would be 0 or infinite; where every difficulty is 0, the density alone decides.
    """
    anchor = rows.mean_p[rows.hardest_first[:_N_ANCHORS]].mean()
    pruned = 1.0 - k / len(rows)
    b = max((_A_PLUS_B - 1.0) * (1.0 - anchor) * (1.0 - pruned**_C), _SMALLEST)
    a = _A_PLUS_B - b
    mu = np.clip(rows.mean_p, _SMALLEST, 1.0 - _SMALLEST)
    weight = rows.weight
    if not weight.any():
        weight = np.ones(len(rows))
    with np.errstate(divide="ignore"):
        log_weight = xlogy(a - 1.0, mu) + xlog1py(b - 1.0, -mu) + np.log(weight)
    key = log_weight - np.log(-np.log(rows.luck))
    return np.argsort(-key, kind="stable")[:k]


def d2(rows: Candidates, k: int) -> np.ndarray:
    """Difficulty and diversity on a graph of nearest neighbors.

    Each row's difficulty grows by that of its neighbors, s_i + Σ_j e^(−d_ij) s_j; then the best row is
    taken, its neighbors lose e^(−d_ij) s_i, and so on.

    Notes
    -----
    Maharana, Yadav and Bansal, "D2 Pruning: Message Passing for Balancing Diversity and Difficulty in Data
    Pruning", ICLR 2024. Ours: Euclidean distances are in units of their mean over the graph, so that vectors
    of any scale serve. The graph is sparse, and searched in blocks: memory is n · (n_neighbors + 1). The
    search is exact and takes n² · n_features: vectors of some dozen dimensions serve better than pixels.
    """
    graph = _neighbor_graph(rows.vectors(), min(rows.n_neighbors, len(rows) - 1))
    weight = rows.weight
    score = weight + graph @ weight
    heap = [(-s, i) for i, s in enumerate(score.tolist())]
    heapq.heapify(heap)
    taken = np.zeros(len(rows), dtype=bool)
    order: list[int] = []
    while len(order) < k:
        negative, i = heapq.heappop(heap)
        if taken[i] or -negative != score[i]:
            continue  # it was damped since, and stands further down
        taken[i] = True
        order.append(i)
        near = slice(graph.indptr[i], graph.indptr[i + 1])
        for j, closeness in zip(graph.indices[near].tolist(), graph.data[near].tolist(), strict=True):
            if not taken[j] and closeness:
                score[j] -= closeness * score[i]
                heapq.heappush(heap, (-float(score[j]), j))
    return np.array(order, dtype=np.intp)


def _neighbor_graph(vectors: Any, n_neighbors: int) -> sp.csr_array:
    """Return e^(−d_ij) of each row's nearest neighbors, shape (n, n)."""
    n_rows = vectors.shape[0]
    if n_neighbors == 0:
        return sp.csr_array((n_rows, n_rows))
    graph = NearestNeighbors(n_neighbors=n_neighbors).fit(vectors).kneighbors_graph(mode="distance")
    mean = graph.data.mean()
    graph.data = np.exp(-graph.data.astype(np.float64) / (mean if mean > 0 else 1.0))
    return sp.csr_array(graph)


CORESETS: dict[str, Coreset] = {"budget": budget, "ccs": ccs, "dual_beta": dual_beta, "d2": d2, "top": top}
