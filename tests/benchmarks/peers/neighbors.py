"""Filters by neighbors, against the search libraries and against the filters of other packages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import inputs
from .cases import Row, case, row
from .measuring import alternate

N_CLASSES, N_LABELED, BATCH, N_ANCHORS, K = 2, 100, 25, 10, 50
ROUNDS = 5
FIRST, LATER = "first round, index included", "a later round"
_SLOW_GRAPH, _LARGEST_GRAPH = 30_000, 100_000  # from the first on, a graph is built only once
_TOO_LONG = "its graph of a million vectors takes more than half an hour"


class Loop:
    """A pool, the rows labeled so far, and the next 25."""

    def __init__(self, n: int) -> None:
        self.X, self.y = inputs.vectors(n, N_CLASSES)
        self.n_labeled = N_LABELED

    @property
    def known(self) -> np.ndarray:
        """Labels, −1 for the rows without one."""
        return np.where(np.arange(len(self.y)) < self.n_labeled, self.y, -1)

    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the unlabeled and the labeled positions."""
        return np.arange(self.n_labeled, len(self.y)), np.arange(self.n_labeled)


class GivenVectors:
    """What small-text asks of a classifier: here it returns the vectors that it was given."""

    num_classes = N_CLASSES

    def embed(self, dataset: Any, pbar: Any = None) -> Any:
        """Return the rows."""
        return dataset


def ask(strategy: Any, loop: Loop) -> Any:
    """Return 25 rows that a strategy of small-text picks."""
    unlabeled, labeled = loop.rows()
    return strategy.query(GivenVectors(), loop.X, unlabeled, labeled, loop.y[labeled], n=BATCH)


@case(10_000, 30_000, 100_000, 1_000_000)
def small_text_anchors(n: int) -> Iterator[Row]:
    """AnchorAL as small-text has it: HNSW with M = 64 and ef = 200."""
    from small_text import AnchorSubsampling, RandomSampling

    from skprune import AnchorFilter

    yield from _against_small_text(
        n,
        lambda: AnchorSubsampling(RandomSampling(), subsample_size=1000, num_anchors=N_ANCHORS, k=K),
        lambda: AnchorFilter(N_ANCHORS, K, 1000, random_state=0),
        "small-text's `AnchorSubsampling`",
        "`AnchorFilter`",
    )


@case(10_000, 30_000, 100_000, 1_000_000)
def small_text_seals(n: int) -> Iterator[Row]:
    """SEALS as small-text has it."""
    from small_text import SEALS, RandomSampling

    from skprune import SEALSFilter

    yield from _against_small_text(
        n,
        lambda: SEALS(RandomSampling(), k=100),
        lambda: SEALSFilter(100, random_state=0),
        "small-text's `SEALS`",
        "`SEALSFilter`",
    )


def _against_small_text(n: int, theirs: Any, ours: Any, peer: str, name: str) -> Iterator[Row]:
    loop = Loop(n)
    if n > _LARGEST_GRAPH:
        yield from _alone(loop, ours(), peer, name)
        return
    pair: list[Any] = [None, None]

    def start_theirs() -> None:
        pair[0] = theirs()
        ask(pair[0], loop)

    def start_ours() -> None:
        pair[1] = ours().fit(loop.X, loop.known)
        pair[1].select(loop.X)

    started = alternate(3 if n < _SLOW_GRAPH else 1, start_theirs, start_ours)
    yield row(FIRST, peer, started[0], name, started[1])

    def their_round() -> None:
        loop.n_labeled += BATCH
        ask(pair[0], loop)

    # Both learn of the same 25 rows.
    peer_round, our_round = alternate(ROUNDS, their_round, lambda: _learn_and_select(loop, pair[1]))
    yield row(LATER, peer, peer_round, name, our_round)


def _against_search(n: int, peer: str, search: Any) -> Iterator[Row]:
    """Compare ``search(X, anchors)``, which returns a function for later rounds, with AnchorFilter."""
    from skprune import AnchorFilter

    loop, is_graph = Loop(n), "exact" not in peer
    pruner = AnchorFilter(N_ANCHORS, K, random_state=0)
    if is_graph and n > _LARGEST_GRAPH:
        yield from _alone(loop, pruner, peer, "`AnchorFilter`")
        return
    anchors = loop.X[: N_CLASSES * N_ANCHORS].copy()
    later: list[Any] = [None]

    def start() -> None:
        later[0] = search(loop.X, anchors)
        later[0]()

    started = alternate(
        1 if is_graph and n >= _SLOW_GRAPH else 3,
        start,
        lambda: pruner.fit(loop.X, loop.known).select(loop.X),
    )
    yield row(FIRST, peer, started[0], "`AnchorFilter`", started[1])
    searched, our_round = alternate(ROUNDS, later[0], lambda: _next_round(loop, pruner))
    yield row(LATER, peer, searched, "`AnchorFilter`", our_round)


def _alone(loop: Loop, pruner: Any, peer: str, name: str) -> Iterator[Row]:
    """Measure only the filter, because the peer takes too long."""
    (started,) = alternate(3, lambda: pruner.fit(loop.X, loop.known).select(loop.X))
    yield row(FIRST, peer, None, name, started, not_run=_TOO_LONG)
    (later,) = alternate(ROUNDS, lambda: _next_round(loop, pruner))
    yield row(LATER, peer, None, name, later, not_run=_TOO_LONG)


def _next_round(loop: Loop, pruner: Any) -> None:
    loop.n_labeled += BATCH
    _learn_and_select(loop, pruner)


def _learn_and_select(loop: Loop, pruner: Any) -> None:
    """Give the filter the 25 newest labels, and let it select."""
    new = np.arange(loop.n_labeled - BATCH, loop.n_labeled)
    pruner.partial_fit(loop.X[new], loop.y[new])
    pruner.select(loop.X)


@case()
def faiss_exact(n: int) -> Iterator[Row]:
    """faiss's exact search, one thread: it copies the vectors into its index."""
    import faiss

    faiss.omp_set_num_threads(1)

    def search(X: np.ndarray, anchors: np.ndarray) -> Any:
        index = faiss.IndexFlatIP(X.shape[1])
        index.add(X)
        return lambda: index.search(anchors, K)

    yield from _against_search(n, "faiss `IndexFlatIP`, exact", search)


@case()
def usearch_exact(n: int) -> Iterator[Row]:
    """usearch's exact search, one thread: it needs no index."""
    from usearch.index import MetricKind
    from usearch.index import search as nearest

    def search(X: np.ndarray, anchors: np.ndarray) -> Any:
        return lambda: nearest(X, anchors, K, MetricKind.IP, exact=True, threads=1)

    yield from _against_search(n, "usearch `search(exact=True)`, exact", search)


@case()
def usearch_graph(n: int) -> Iterator[Row]:
    """usearch's HNSW with its defaults, one thread."""
    from usearch.index import Index

    def search(X: np.ndarray, anchors: np.ndarray) -> Any:
        index = Index(ndim=X.shape[1], metric="ip", dtype="f32")
        index.add(np.arange(len(X)), X, threads=1)
        return lambda: index.search(anchors, K, threads=1)

    yield from _against_search(n, "usearch `Index`, HNSW", search)


@case()
def hnswlib_graph(n: int) -> Iterator[Row]:
    """hnswlib's HNSW with M = 16 and ef_construction = 200, one thread."""
    import hnswlib

    def search(X: np.ndarray, anchors: np.ndarray) -> Any:
        index = hnswlib.Index("ip", X.shape[1])
        index.init_index(len(X), ef_construction=200, M=16)
        index.add_items(X, num_threads=1)
        index.set_ef(200)
        return lambda: index.knn_query(anchors, K, num_threads=1)

    yield from _against_search(n, "hnswlib, HNSW with M = 16", search)


@case()
def skactiveml_subsample(n: int) -> Iterator[Row]:
    """scikit-activeml draws a random tenth, and picks 25 rows of it at random; we only draw the tenth."""
    from skactiveml.pool import RandomSampling, SubSamplingWrapper

    from skprune import RandomFilter

    loop = Loop(n)
    strategy = SubSamplingWrapper(RandomSampling(random_state=0), max_candidates=0.1, random_state=0)
    pruner = RandomFilter(0.1, random_state=0).fit(loop.X, loop.known)

    def theirs() -> Any:
        labels = np.where(np.arange(n) < loop.n_labeled, loop.y, np.nan)
        return strategy.query(loop.X, labels, batch_size=BATCH)

    peer, ours = alternate(ROUNDS, theirs, lambda: _next_round(loop, pruner))
    yield row("a round", "scikit-activeml's `SubSamplingWrapper`", peer, "`RandomFilter`", ours)


@case()
def semhash_representatives(n: int) -> Iterator[Row]:
    """A hundred rows by another idea of what to keep, so the times are for orientation only."""
    from semhash import SemHash

    from skprune import KMeansFilter

    X, _ = inputs.vectors(n, N_CLASSES)
    records, size = [f"text {i}" for i in range(n)], 100
    what, peer, name = "100 representatives; not the same rows", "semhash", "`KMeansFilter`"

    def theirs() -> Any:
        found = SemHash.from_embeddings(X, records, model=None)
        return found.self_find_representative(size)

    def ours() -> Any:
        return KMeansFilter(size, random_state=0).fit(X).select(X)

    if n > _LARGEST_GRAPH:
        yield row(what, peer, None, name, alternate(1, ours)[0], not_run=_TOO_LONG)
    else:
        found = alternate(3 if n < _SLOW_GRAPH else 1, theirs, ours)
        yield row(what, peer, found[0], name, found[1])
