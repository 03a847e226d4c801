"""Coresets: which rows to keep, given the difficulty of each."""

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
# The exponent of the pruned share and the sum of the two Beta parameters in DUAL.
_EXPONENT, _A_PLUS_B = 3.0, 16.0
_SMALLEST = 1e-6


@dataclass
class Candidates:
    """The rows to choose from, in random order; ties go to the row that comes first.

    Attributes
    ----------
    difficulty : ndarray of float64, shape (n,)
        Any score that is higher for harder rows.
    mean_p : ndarray of float64, shape (n,)
        Mean probability of the row's label over the epochs, μ.
    uniforms : ndarray of float64, shape (n,)
        Random numbers in (0, 1), ascending; the only source of randomness.
    vectors : callable
        Returns the rows as an array of shape (n, n_features). Only D2 calls it.
    mis_ratio : float, default=0.1
        Share of the rows whose label is probably wrong.
    n_neighbors : int, default=10
        Number of neighbors of each row in the graph of D2.
    classes : ndarray of int, shape (n,), default=None
        The class of each row; None is one class for all. Only ``class_ccs`` reads it.
    """

    difficulty: np.ndarray
    mean_p: np.ndarray
    uniforms: np.ndarray
    vectors: Callable[[], Any]
    mis_ratio: float = 0.1
    n_neighbors: int = 10
    classes: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.difficulty)

    @property
    def hardest_first(self) -> np.ndarray:
        """Positions in descending order of difficulty."""
        return np.argsort(-self.difficulty, kind="stable")

    def without_mislabeled(self, k: int) -> np.ndarray:
        """Return the positions without the hardest ``mis_ratio``, hardest first; at least ``k`` remain."""
        n_dropped = min(int(np.floor(self.mis_ratio * len(self) + 0.5)), len(self) - k)
        return self.hardest_first[n_dropped:]

    def without_mislabeled_by_class(self, k: int) -> np.ndarray:
        """Return the positions without the hardest ``mis_ratio`` of each class; at least ``k`` remain.

        Hardest first. The number dropped is rounded down, so that a class with fewer than 1 / mis_ratio rows
        loses none. If fewer than ``k`` would remain, the rows that are least hard within their class stay.
        """
        order = self.hardest_first
        classes = np.zeros(len(self), dtype=np.intp) if self.classes is None else self.classes[order]
        sizes = np.bincount(classes)
        place = np.empty(len(self), dtype=np.intp)  # of a row within its class, hardest first
        place[np.argsort(classes, kind="stable")] = np.arange(len(self)) - np.repeat(
            np.cumsum(sizes) - sizes, sizes
        )
        n_dropped = int(np.floor(self.mis_ratio * sizes).sum())
        share = (place + 1) / sizes[classes]
        hardest = np.argsort(share, kind="stable")[: min(n_dropped, len(self) - k)]
        return np.delete(order, hardest)

    @property
    def weight(self) -> np.ndarray:
        """Nonnegative difficulty: scores with negative values (AUM) are shifted so that the lowest is 0."""
        return self.difficulty - min(0.0, self.difficulty.min())


#: Chooses ``k`` of the candidates, ``1 <= k <= n``, and returns their unique positions, best first.
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
    """Drop the hardest ``mis_ratio``, which are probably mislabeled, and keep the ``k`` hardest others.

    If fewer than ``k`` rows would be left, fewer are dropped (our addition).
    """
    return rows.without_mislabeled(k)[:k]


def ccs(rows: Candidates, k: int) -> np.ndarray:
    """Drop the hardest ``mis_ratio``, and draw equally many rows from each stratum of difficulty.

    Coverage-centric coreset selection has 50 strata of equal width. They are filled in ascending order of
    size: each supplies an equal share of the rows that are still missing, or all its rows. The drawn rows
    are returned hardest first.

    Notes
    -----
    Zheng et al., "Coverage-centric Coreset Selection for High Pruning Rates", ICLR 2023, Algorithm 1.
    """
    return _stratified(rows, rows.without_mislabeled(k), k)


def class_ccs(rows: Candidates, k: int) -> np.ndarray:
    """Run :func:`ccs` within each class, which keeps its share of the rows: ours.

    The hardest ``mis_ratio`` of each class are dropped first, and ``k`` is divided among the classes in
    proportion to the rows that remain. CCS drops the rows of rare classes, which are hard because they are
    few and not because their labels are wrong; and where some classes are harder than others, its strata of
    hard rows hold little else than these classes.
    """
    left = rows.without_mislabeled_by_class(k)
    if rows.classes is None:
        return _stratified(rows, left, k)
    classes = rows.classes[left]
    share = k * np.bincount(classes) / len(left)
    quota = np.floor(share).astype(np.intp)
    quota[np.argsort(quota - share, kind="stable")[: k - quota.sum()]] += 1
    members = (left[classes == c] for c in np.flatnonzero(quota))
    kept = [_stratified(rows, of_class, n) for of_class, n in zip(members, quota[quota > 0], strict=True)]
    return left[np.isin(left, np.concatenate(kept))]


def _stratified(rows: Candidates, left: np.ndarray, k: int) -> np.ndarray:
    """Draw ``k`` of the rows ``left``, which are sorted hardest first, from strata of difficulty."""
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
    drawn = np.argsort(rows.uniforms[left], kind="stable")
    drawn = drawn[np.argsort(stratum[drawn], kind="stable")]  # by stratum, in random order within each
    place = np.arange(len(left)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    kept = np.sort(drawn[place < quota[stratum[drawn]]])
    return left[kept]


def dual_beta(rows: Candidates, k: int) -> np.ndarray:
    """Draw rows with weights BetaPDF(μ; a, b) · difficulty; the more is pruned, the easier the rows.

    b = 15 (1 − anchor)(1 − r³) and a = 16 − b, where r is the pruned share and the anchor is the mean μ of
    the ten hardest rows. Rows are drawn without replacement, in descending order of Gumbel keys; rows of
    weight 0 come last.

    Notes
    -----
    Cho, Shin and Yun, "Lightweight Dataset Pruning without Full Training via Example Difficulty and
    Prediction Uncertainty", ICML 2025. Our additions: μ stays at least 1e-6 away from 0 and 1, and b is at
    least 1e-6, because the density would be 0 or infinite there; if every difficulty is 0, the density alone
    decides.
    """
    anchor = rows.mean_p[rows.hardest_first[:_N_ANCHORS]].mean()
    pruned = 1.0 - k / len(rows)
    b = max((_A_PLUS_B - 1.0) * (1.0 - anchor) * (1.0 - pruned**_EXPONENT), _SMALLEST)
    a = _A_PLUS_B - b
    mu = np.clip(rows.mean_p, _SMALLEST, 1.0 - _SMALLEST)
    weight = rows.weight
    if not weight.any():
        weight = np.ones(len(rows))
    with np.errstate(divide="ignore"):
        log_weight = xlogy(a - 1.0, mu) + xlog1py(b - 1.0, -mu) + np.log(weight)
    key = log_weight - np.log(-np.log(rows.uniforms))
    return np.argsort(-key, kind="stable")[:k]


def d2(rows: Candidates, k: int) -> np.ndarray:
    """Balance difficulty and diversity on a graph of nearest neighbors.

    First the score of each row is raised by the difficulty of its neighbors, s_i + Σ_j e^(−d_ij) s_j. Then
    the row with the highest score is taken and the scores of its neighbors drop by e^(−d_ij) s_i, repeatedly.

    Notes
    -----
    Maharana, Yadav and Bansal, "D2 Pruning: Message Passing for Balancing Diversity and Difficulty in Data
    Pruning", ICLR 2024. Our change: Euclidean distances are in units of their mean over the graph, so that
    the scale of the vectors does not matter. The graph is sparse and built in blocks; memory grows with
    n · (n_neighbors + 1). The search is exact and time grows with n² · n_features, so vectors of some dozen
    dimensions are better suited than pixels.
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
            continue  # its score dropped since, and a newer entry is further down
        taken[i] = True
        order.append(i)
        near = slice(graph.indptr[i], graph.indptr[i + 1])
        for j, closeness in zip(graph.indices[near].tolist(), graph.data[near].tolist(), strict=True):
            if not taken[j] and closeness:
                score[j] -= closeness * score[i]
                heapq.heappush(heap, (-float(score[j]), j))
    return np.array(order, dtype=np.intp)


def _neighbor_graph(vectors: Any, n_neighbors: int) -> sp.csr_array:
    """Return e^(−d_ij) for the nearest neighbors of each row, shape (n, n)."""
    n_rows = vectors.shape[0]
    if n_neighbors == 0:
        return sp.csr_array((n_rows, n_rows))
    graph = NearestNeighbors(n_neighbors=n_neighbors).fit(vectors).kneighbors_graph(mode="distance")
    mean = graph.data.mean()
    graph.data = np.exp(-graph.data.astype(np.float64) / (mean if mean > 0 else 1.0))
    return sp.csr_array(graph)


CORESETS: dict[str, Coreset] = {
    "budget": budget,
    "ccs": ccs,
    "class_ccs": class_ccs,
    "dual_beta": dual_beta,
    "d2": d2,
    "top": top,
}

#: Those that drop rows as probably mislabeled, and which rows they leave.
WITHOUT_MISLABELED: dict[str, Callable[[Candidates, int], np.ndarray]] = {
    "budget": Candidates.without_mislabeled,
    "ccs": Candidates.without_mislabeled,
    "class_ccs": Candidates.without_mislabeled_by_class,
}
