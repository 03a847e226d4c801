"""The texts, the filters and the grid of ActivePrune's table: pools, scores computed once, controls."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from typing import Any

import numpy as np
from _runs import cut, encode, random_part
from sklearn.utils import Bunch

from skprune import (
    ActivePruneFilter,
    AskLLMFilter,
    KMeansFilter,
    NGramScorer,
    PerplexityFilter,
    ProxyFilter,
    QualityScorer,
    RandomFilter,
    UPSFilter,
)
from skprune.base import BaseFilter
from skprune.datasets import load_brown, load_debian, load_movie_snippets, load_newsgroups, load_reuters52
from skprune.encoders import SentenceEncoder
from skprune.row_table import digests
from skprune.store import Remembered
from skprune.streams import row_uniforms

DATA = {
    "movies": (load_movie_snippets, "sentiment classification of film reviews"),
    "newsgroups": (partial(load_newsgroups, "all"), "topic classification of newsgroup posts"),
    "reuters": (partial(load_reuters52, "all"), "topic classification of news agency reports"),
}
# The parameters of each variant of ActivePrune: the ways to reweight, then the ablations of Table 3.
VARIANTS: dict[str, dict[str, Any]] = {
    "ActivePrune": {},
    "ActivePrune, β = 0": {"beta": 0.0},  # draws by weight, but never reweights
    "ActivePrune, novelty": {"reweighting": "novelty"},
    "ActivePrune, no reweighting": {"reweighting": None},  # selects what "paper" does, by the theorem
    "ActivePrune, no LLM": {"quality": None},
    "ActivePrune, no perplexity": {"llm_share": 1.0, "n_candidates": 0.3, "candidates": "random"},
    "ActivePrune, n-grams from elsewhere": {"perplexity": "elsewhere"},
    "ActivePrune, n-grams from Brown": {"perplexity": "brown"},
    # Controls: what else the judge, or the perplexity, could be.
    "random numbers for the LLM": {"quality": "chance"},
    "text length for the LLM": {"quality": "length"},
    "the LLM negated": {"quality": "negated"},
    "text length for perplexity": {"perplexity": "length"},
}
BASELINES = (
    *("none", "random", "ASK-LLM", "UPS", "k-means", "ProxyFilter"),
    *("n-gram perplexity", "n-grams from elsewhere", "n-grams from Brown"),
)
FILTERS = (*BASELINES, *VARIANTS)
AT_RANDOM, TYPICAL = "random, random first labels", "random, TypiClust first labels"
FIRST = {AT_RANDOM: "random", TYPICAL: "typiclust"}
FEW = ("none", "random", "ASK-LLM", "UPS", "n-gram perplexity", "ActivePrune")  # those of Table 10
FEWEST = (
    *("none", "random", "ASK-LLM", "ProxyFilter", "n-gram perplexity"),
    *("ActivePrune", "random numbers for the LLM"),
)


@dataclass(frozen=True)
class Part:
    """A grid of runs.

    Attributes
    ----------
    cells : tuple of (learner, strategy, number of seeds)
    filters : tuple of str
    data : tuple of str
    changes : dict
        Options of the command line that have another value in this part.
    """

    cells: tuple[tuple[str, str, int], ...]
    filters: tuple[str, ...]
    data: tuple[str, ...] = tuple(DATA)
    changes: dict[str, int] = field(default_factory=dict)


SMALLER = {"test_size": 300, "rounds": 3}  # set after one run was timed, before any comparison was seen
PARTS = {
    "LC": Part((("vectors", "LC", 40), ("terms", "LC", 40), ("mlp", "LC", 40)), FILTERS),
    "strategies": Part((("vectors", "CAL", 20), ("vectors", "Coreset", 20)), FEW),
    "UHerding": Part((("vectors", "UHerding", 40),), ("none", "random", "ProxyFilter", "ActivePrune")),
    "first": Part((("vectors", "LC", 40), ("terms", "LC", 40), ("mlp", "LC", 40)), tuple(FIRST)),
    "fine-tuned": Part((("minilm", "LC", 20),), FEWEST, changes=SMALLER),
}
KEEP = 0.25
MIN_CLASS = 100  # rows of a class; reuters has classes of three
N_TIMED = 40  # texts on which the LLM and the encoder are timed


class Corpus:
    """The texts of one data set, and their scores, computed once.

    Parameters
    ----------
    name : str
    args : Namespace
    source : (callable, str), default=None
        Loads the set, and names the labeling task. None: as in ``DATA``.

    Attributes
    ----------
    texts, y : ndarray of str, ndarray of int
    pool_part : ndarray of int
        The rows that pools are drawn from: those that the LLM has scored.
    vectors, quality, elsewhere, brown, length, chance, negated : callables
        ``texts -> array``, by look-up.
    """

    def __init__(
        self, name: str, args: argparse.Namespace, source: tuple[Callable[[], Bunch], str] | None = None
    ) -> None:
        load, self.task = source or DATA[name]
        bunch = load()
        texts, first = np.unique(cut(bunch.data, args.max_words), return_index=True)
        y = np.asarray(bunch.target)[first]
        classes, sizes = np.unique(y, return_counts=True)
        chosen = np.array([len(text.split()) >= 4 for text in texts])
        chosen &= np.isin(y, classes[sizes >= MIN_CLASS])
        self.texts, self.y = texts[chosen], y[chosen]
        self.name, self.args = name, args
        self.pool_part = random_part(len(self.texts), args.judged)

    @cached_property
    def vectors(self) -> Callable[[Any], np.ndarray]:
        """Sentence vectors."""
        return self._look_up(encode(self.texts, self.args.encoder, self.args.memory))

    @property
    def ask(self) -> QualityScorer:
        """The LLM, which has read nothing yet."""
        args = self.args
        return QualityScorer(args.llm, task=self.task, chat_template=args.chat, max_length=args.max_length)

    @cached_property
    def quality(self) -> Callable[[Any], np.ndarray]:
        """P("yes") of the LLM."""
        remembered = Remembered(self.ask, self.args.memory, name="llm", batch_size=64)
        return self._look_up(remembered(self.texts[self.pool_part]), self.pool_part)

    @cached_property
    def elsewhere(self) -> Callable[[Any], np.ndarray]:
        """Perplexity under n-grams of the other data sets and of package descriptions."""
        others: list[str] = []
        for name, (load, _) in DATA.items():
            others += [] if name == self.name else list(cut(load().data, self.args.max_words))
        others += list(cut(load_debian(None).data, self.args.max_words))
        return self._look_up(NGramScorer().fit(others)(self.texts))

    @cached_property
    def brown(self) -> Callable[[Any], np.ndarray]:
        """Perplexity under n-grams of the Brown corpus."""
        return self._look_up(NGramScorer().fit(cut(load_brown().data, self.args.max_words))(self.texts))

    @cached_property
    def length(self) -> Callable[[Any], np.ndarray]:
        """Number of words."""
        return self._look_up(np.array([float(len(text.split())) for text in self.texts]))

    @cached_property
    def negated(self) -> Callable[[Any], np.ndarray]:
        """One minus P("yes")."""
        quality = self.quality
        return lambda texts: 1 - quality(texts)

    def _look_up(self, values: np.ndarray, rows: np.ndarray | None = None) -> Callable[[Any], np.ndarray]:
        return look_up(self.texts if rows is None else self.texts[rows], values)

    def draw(self, seed: int, test_size: int) -> tuple[Bunch, Bunch]:
        """Draw the pool and the test set of a seed."""
        rng = np.random.default_rng(seed)
        pool = rng.permutation(self.pool_part)[: self.args.pool_size]
        test = rng.permutation(np.setdiff1d(np.arange(len(self.texts)), pool))[:test_size]
        return tuple(Bunch(texts=self.texts[rows], y=self.y[rows]) for rows in (pool, test))

    def unit_costs(self, seed: int) -> dict[str, float]:
        """Return the CPU seconds that the models of the filters take for the pool of a seed.

        The models are loaded before the clock starts.
        """
        texts = self.draw(seed, 0)[0].texts
        ask, encoder = self.ask, SentenceEncoder(str(self.args.encoder))
        ask(texts[:2])
        encoder(list(texts[:2]))
        return {
            "LLM call": cpu_seconds(lambda: ask(texts[:N_TIMED])) / N_TIMED,
            "n-grams": cpu_seconds(lambda: NGramScorer().fit(texts)(texts)),
            "vectors": cpu_seconds(lambda: encoder(list(texts[:N_TIMED]))) / N_TIMED * len(texts),
        }


def cpu_seconds(run: Callable[[], Any]) -> float:
    """Return the CPU seconds that a function takes."""
    start = time.process_time()
    run()
    return time.process_time() - start


def look_up(texts: np.ndarray, values: np.ndarray) -> Callable[[Any], np.ndarray]:
    """Return a function that looks up the value of each text. Clones of an estimator share it."""
    row_of = {text: row for row, text in enumerate(texts)}
    return lambda wanted: values[[row_of[text] for text in wanted]]


def _chance(seed: int, texts: Any) -> np.ndarray:
    keys = digests(np.array(texts, dtype=object))
    return row_uniforms(keys, np.arange(len(keys)), seed, 7)


@lru_cache(maxsize=2)
def perplexity_of(corpus: Corpus, seed: int, order: int = 5) -> Callable[[Any], np.ndarray]:
    """Return the perplexity under n-grams of the seed's own pool, by look-up."""
    texts = corpus.draw(seed, 0)[0].texts
    return look_up(texts, NGramScorer(order=order).fit(texts)(texts))


def make_filter(name: str, corpus: Corpus, seed: int) -> BaseFilter | None:
    """Return the filter that a name stands for: one of ``FILTERS``, or "random" with first labels."""
    ask = partial(corpus.quality)  # one of its own per run, to count its calls
    in_pool = perplexity_of(corpus, seed)
    match name:
        case "none":
            return None
        case "ASK-LLM":
            return AskLLMFilter(KEEP, quality=ask)
        case "UPS":
            return UPSFilter(KEEP)
        case "k-means":
            return KMeansFilter(KEEP, encoder=corpus.vectors)
        case "ProxyFilter":
            return ProxyFilter(KEEP, encoder=corpus.vectors)
        case "n-gram perplexity":
            return PerplexityFilter(KEEP, perplexity=in_pool)
        case "n-grams from elsewhere":
            return PerplexityFilter(KEEP, perplexity=corpus.elsewhere)
        case "n-grams from Brown":
            return PerplexityFilter(KEEP, perplexity=corpus.brown)
    if name not in VARIANTS:
        return RandomFilter(KEEP)
    options = {"quality": ask, "perplexity": in_pool, **VARIANTS[name]}
    for parameter in ("quality", "perplexity"):
        if options[parameter] == "chance":
            options[parameter] = partial(_chance, seed)
        elif isinstance(options[parameter], str):
            options[parameter] = partial(getattr(corpus, options[parameter]))
    return ActivePruneFilter(KEEP, **options)
