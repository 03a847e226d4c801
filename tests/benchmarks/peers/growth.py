"""How time and memory of each stage grow with the rows. Each size runs in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import inputs
from .cases import Row, case, stage
from .measuring import alternate, peak_bytes
from .neighbors import BATCH, Loop

REPEATS = 3
_LARGEST_TRAINING = 300_000  # 300 bytes per token


def _stages(name: str, make: Any, loop: Loop) -> Iterator[Row]:
    """Measure fit, and a round: partial_fit and select."""
    from sklearn.linear_model import LogisticRegression

    known = loop.known
    made: list[Any] = [None]
    learner = LogisticRegression().fit(loop.X[:500], loop.y[:500])

    def fit() -> None:
        made[0] = None
        made[0] = make().fit(loop.X, known)

    def one_round() -> None:
        new = np.arange(loop.n_labeled, loop.n_labeled + BATCH)
        loop.n_labeled += BATCH
        made[0].partial_fit(loop.X[new], loop.y[new], learner=learner)
        made[0].select(loop.X)

    peak = peak_bytes(fit)
    yield stage(f"`{name}`: fit", alternate(REPEATS, fit)[0], peak)
    one_round()
    peak = peak_bytes(one_round)
    yield stage(f"`{name}`: a round", alternate(REPEATS, one_round)[0], peak)


@case()
def random(n: int) -> Iterator[Row]:
    """A random tenth."""
    from skprune import RandomFilter

    yield from _stages("RandomFilter", lambda: RandomFilter(0.1, random_state=0), Loop(n))


@case()
def anchor(n: int) -> Iterator[Row]:
    """Anchors of two classes."""
    from skprune import AnchorFilter

    yield from _stages("AnchorFilter", lambda: AnchorFilter(random_state=0), Loop(n))


@case()
def seals(n: int) -> Iterator[Row]:
    """Neighbors of the labeled rows."""
    from skprune import SEALSFilter

    yield from _stages("SEALSFilter", lambda: SEALSFilter(random_state=0), Loop(n))


@case()
def proxy(n: int) -> Iterator[Row]:
    """1,500 rows that a student picks."""
    from skprune import ProxyFilter

    yield from _stages("ProxyFilter", lambda: ProxyFilter(random_state=0), Loop(n))


@case()
def kmeans(n: int) -> Iterator[Row]:
    """100 clusters."""
    from skprune import KMeansFilter

    yield from _stages("KMeansFilter", lambda: KMeansFilter(100, random_state=0), Loop(n))


@case()
def ups(n: int) -> Iterator[Row]:
    """Rows that the learner was unsure of."""
    from skprune import UPSFilter

    yield from _stages("UPSFilter", lambda: UPSFilter(0.1, random_state=0), Loop(n))


@case(10_000, 100_000, _LARGEST_TRAINING)
def ngram_training(n: int) -> Iterator[Row]:
    """All texts; order 5."""
    from skprune import NGramScorer

    texts = inputs.texts(n + REPEATS + 1)
    # Other texts each time: a process trains only once on the same ones.
    parts = (texts[start : start + n] for start in range(REPEATS + 1))
    part = next(parts)
    peak = peak_bytes(lambda: NGramScorer(max_train_texts=None).fit(part))
    part = None  # type: ignore[assignment]
    seconds = alternate(REPEATS, lambda: NGramScorer(max_train_texts=None).fit(next(parts)))[0]
    yield stage("n-gram training", seconds, peak)


@case()
def ngram_scoring(n: int) -> Iterator[Row]:
    """Raw texts, with a model of 10,000 of them."""
    from skprune import NGramScorer

    texts = inputs.texts(n)
    scorer = NGramScorer().fit(texts[:10_000])
    peak = peak_bytes(lambda: scorer(texts))
    yield stage("n-gram scoring of raw texts", alternate(REPEATS, lambda: scorer(texts))[0], peak)


@case()
def perplexity(n: int) -> Iterator[Row]:
    """The n-gram model is given."""
    from skprune import PerplexityFilter

    yield from _text_stages(n, "PerplexityFilter", lambda ngram: PerplexityFilter(perplexity=ngram))


@case()
def active_prune(n: int) -> Iterator[Row]:
    """The n-gram model is given, and the LLM is left out."""
    from skprune import ActivePruneFilter

    from .llm import free_score

    yield from _text_stages(
        n,
        "ActivePruneFilter",
        lambda ngram: ActivePruneFilter(perplexity=ngram, quality=free_score, random_state=0),
    )


def _text_stages(n: int, name: str, make: Any) -> Iterator[Row]:
    from sklearn.frozen import FrozenEstimator

    from skprune import NGramScorer
    from skprune.store import clear_process_store

    texts = inputs.texts(n)
    ngram = FrozenEstimator(NGramScorer().fit(texts[:10_000]))
    batches = (texts[start : start + BATCH] for start in range(0, n, BATCH))
    made: list[Any] = [None]

    def fit() -> None:
        clear_process_store()
        made[0] = None
        made[0] = make(ngram).fit(texts)

    def one_round() -> None:
        made[0].partial_fit(next(batches), np.zeros(BATCH, dtype=int))
        made[0].select(texts)

    peak = peak_bytes(fit)
    yield stage(f"`{name}`: fit", alternate(REPEATS, fit)[0], peak)
    one_round()
    peak = peak_bytes(one_round)
    yield stage(f"`{name}`: a round", alternate(REPEATS, one_round)[0], peak)
