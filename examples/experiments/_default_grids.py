"""The grids around the defaults of the filters, and the loops that judge a setting."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import Any

import _activeprune as topics
import euds
import numpy as np
import pandas as pd
import table_activeprune
from _descriptions import QUERY, Descriptions
from _pools import debian
from _runs import play
from sklearn.kernel_approximation import Nystroem
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch
from table_anchoral import make_learner

from skprune import (
    ActiveLearningSimulator,
    ActivePruneFilter,
    AnchorFilter,
    EntropyIntervalFilter,
    PerplexityFilter,
    ProxyFilter,
    SEALSFilter,
    UPSFilter,
)
from skprune.datasets import BOILERPLATE_SECTIONS
from skprune.metrics import learning_curve_auc
from skprune.strategies import Entropy, LeastConfidence
from skprune.streams import generator

#: The sizes of each kind of loop.
SIZES = {
    "rare": Namespace(texts=0, max_words=40, pool_size=8_000, n_seeds=100, batch=25, rounds=10),
    "topics": Namespace(
        **{"judged": 2_000, "pool_size": 1_000, "test_size": 1_000, "max_words": 60},
        **{"n_seeds": 20, "batch": 10, "rounds": 10, "chat": True, "max_length": 48},
    ),
    "labeled": Namespace(pool_size=3_000, test_size=3_000, max_words=200),
}
N_SECTIONS = 6_000  # package descriptions that the set "sections" is made of

#: Twenty were planned for each kind; the time sufficed for ten of the loops about topics.
N_SEEDS = {"rare": 20, "topics": 10, "labeled": 20}
N_TEST_SEEDS = 20

#: For each kind of loop: the sets on which settings are chosen, and those on which a choice is confirmed.
SELECTION = {
    "rare": ("games", "mail", "mail+database+hamradio"),
    "topics": ("movies", "newsgroups", "reuters"),
    "labeled": ("movies", "newsgroups", "reuters"),
}
TEST = {
    "rare": ("sound", "electronics", "video+math+editors"),
    "topics": ("sections",),
    "labeled": ("sections",),
}


@dataclass(frozen=True)
class Grid:
    """The settings of one filter that are compared, one parameter at a time.

    Attributes
    ----------
    kind : {"rare", "topics", "labeled"}
        The loop that judges a setting.
    cls : type or None
        The filter; None stands for the whole pool.
    knobs : dict of {parameter: {name of the value: value}}
        The first value of each is the default.
    unpruned : str, default=""
        The grid of the same loop without a filter.
    learner : str, default="vectors"
        What the learner of a rare class reads.
    """

    kind: str
    cls: type | None
    knobs: dict[str, dict[str, Any]]
    unpruned: str = ""
    learner: str = "vectors"


def named(*values: Any) -> dict[str, Any]:
    """Return values under their own names."""
    return {str(value): value for value in values}


GRIDS = {
    "none, vectors": Grid("rare", None, {}),
    "none, terms": Grid("rare", None, {}, learner="terms"),
    "AnchorFilter": Grid(
        "rare",
        AnchorFilter,
        {
            "n_anchors": named(10, 5, 20, 50),
            "n_neighbors": named(50, 20, 100, 200),
            "max_subpool": named(1_000, 500, 2_000),
            "aggregate": named("retrieved", "all", "max"),
            "anchor_selection": named("kmeans++", "random", "entropy"),
        },
        "none, vectors",
    ),
    "SEALSFilter": Grid("rare", SEALSFilter, {"n_neighbors": named(100, 20, 50, 200)}, "none, vectors"),
    "ProxyFilter": Grid(
        "rare",
        ProxyFilter,
        {
            "shares": {
                "1/3, 1/3, 1/3": (1 / 3, 1 / 3, 1 / 3),
                "1/2, 1/2, 0": (0.5, 0.5, 0.0),
                "0.45, 0.45, 0.1": (0.45, 0.45, 0.1),
                "0.2, 0.2, 0.6": (0.2, 0.2, 0.6),
                "0.6, 0.2, 0.2": (0.6, 0.2, 0.2),
                "0.2, 0.6, 0.2": (0.2, 0.6, 0.2),
            },
            "student": {
                "Ridge, α = 1": None,
                "Ridge, α = 0.1": Ridge(0.1),
                "Ridge on 300 RBF features": make_pipeline(Nystroem(n_components=300), Ridge()),
            },
            "keep": named(400, 100, 1_500),  # 400 of 8,000 rows; the default, 1,500, is for larger pools
        },
        "none, terms",
        learner="terms",
    ),
    "none, topics": Grid("topics", None, {}),
    "PerplexityFilter": Grid(
        "topics",
        PerplexityFilter,
        {"order": named(5, 3), "first": named("lowest", "highest", "middle")},
        "none, topics",
    ),
    "UPSFilter": Grid(
        "topics",
        UPSFilter,
        {
            "gamma": named(0.1, 0.05, 0.3),
            "uncertainty": named("least_confidence", "margin"),
            "refresh_rounds": {"0, 1, 4, 8": (0, 1, 4, 8), "0": (0,), "all": tuple(range(20))},
        },
        "none, topics",
    ),
    "ActivePruneFilter": Grid(
        "topics",
        ActivePruneFilter,
        {
            "beta": named(0.1, 0.0, 1.0),
            "reweighting": {"sample": "sample", "off": None},
            "llm_share": named(0.2, 0.0, 0.1, 0.5),
            "n_candidates": named(0.1, 0.05, 0.3),
            "keep": named(0.25, 0.1, 0.5),
        },
        "none, topics",
    ),
    "EntropyIntervalFilter": Grid(
        "labeled",
        EntropyIntervalFilter,
        {"combine": named("igse", "information", "generative", "semantic"), "center": named(0.5, 0.3, 0.7)},
    ),
}


@dataclass(frozen=True)
class Setting:
    """A filter whose parameters have their defaults, except for at most one.

    Attributes
    ----------
    filter : str
        A key of ``GRIDS``.
    knob, value : str
        The parameter and the name of its value; empty if there is none.
    """

    filter: str
    knob: str = ""
    value: str = ""

    @property
    def grid(self) -> Grid:
        """The grid of the filter."""
        return GRIDS[self.filter]

    @property
    def is_default(self) -> bool:
        """Whether the value is the default."""
        return not self.knob or self.value == next(iter(self.grid.knobs[self.knob]))

    def names(self) -> dict[str, str]:
        """Return the columns that tell this setting apart."""
        return {"filter": self.filter, "parameter": self.knob, "value": self.value}

    def key(self) -> dict[str, str]:
        """Return the same for settings that mean the same runs: the defaults of all parameters."""
        as_default = self.is_default and self.grid.kind != "labeled"  # centers have a share of their own
        return (Setting(self.filter) if as_default else self).names()

    def options(self) -> dict[str, Any]:
        """Return the values of all parameters of the grid."""
        options = {knob: next(iter(values.values())) for knob, values in self.grid.knobs.items()}
        return options | ({self.knob: self.grid.knobs[self.knob][self.value]} if self.knob else {})


def settings() -> list[Setting]:
    """Return all settings, the default of each parameter before its alternatives."""
    found = []
    for name, grid in GRIDS.items():
        found += [Setting(name, knob, value) for knob, values in grid.knobs.items() for value in values]
        found += [] if grid.knobs else [Setting(name)]
    return found


def sections() -> Bunch:
    """Return package descriptions whose section is the topic."""
    bunch = debian()
    return Bunch(data=bunch.data[:N_SECTIONS], target=bunch.target[:N_SECTIONS])


@dataclass(frozen=True)
class Loops:
    """Plays a filter with one setting on a set and a seed.

    Attributes
    ----------
    encoder, llm : str
    memory : Path
    """

    encoder: str
    llm: str
    memory: Path

    def play(self, setting: Setting, data: str, seed: int) -> dict[str, float]:
        """Return the score of a setting in percent, and what it cost.

        Parameters
        ----------
        setting : Setting
        data : str
            A set of ``SELECTION`` or ``TEST``.
        seed : int
        """
        return getattr(self, f"_play_{setting.grid.kind}")(setting, data, seed)

    def _with_models(self, kind: str) -> Namespace:
        return Namespace(**vars(SIZES[kind]), encoder=self.encoder, llm=self.llm, memory=self.memory)

    # ------------------------------------------------------------------ rare classes

    @cached_property
    def _descriptions(self) -> Descriptions:
        return Descriptions(self._with_models("rare"), BOILERPLATE_SECTIONS)

    def _play_rare(self, setting: Setting, data: str, seed: int) -> dict[str, float]:
        split = self._descriptions.draw(data, seed, SIZES["rare"].pool_size, SIZES["rare"].n_seeds)
        cls, pruner = setting.grid.cls, None
        if cls is not None:
            pruner = cls(**setting.options(), encoder=self._descriptions.vectors)
        simulator = ActiveLearningSimulator(
            make_learner(setting.grid.learner, self._descriptions, seed),
            Entropy(random_state=int(generator(seed, QUERY).integers(2**31))),
            pruner,
            n_instances=SIZES["rare"].batch,
            n_rounds=SIZES["rare"].rounds,
            initial=split.initial,
            random_state=seed,
        )
        train, test = (split.texts, split.y), (split.test_texts, split.y_test)
        return summed_up(play(simulator, train, test, split.rare)[0])

    # ------------------------------------------------------------------ topics

    @lru_cache  # noqa: B019 - there is one object per process
    def _corpus(self, data: str) -> topics.Corpus:
        load = (sections, "topic classification of software packages") if data == "sections" else None
        return topics.Corpus(data, self._with_models("topics"), load)

    def _play_topics(self, setting: Setting, data: str, seed: int) -> dict[str, float]:
        corpus = self._corpus(data)
        pool, test = corpus.draw(seed, corpus.args.test_size)
        pruner = None
        if setting.grid.cls is not None:
            pruner = setting.grid.cls(**self._with_scores(setting, corpus, seed))
        simulator = ActiveLearningSimulator(
            table_activeprune.make_learner("vectors", corpus),
            LeastConfidence(),
            pruner,
            n_instances=SIZES["topics"].batch,
            n_rounds=SIZES["topics"].rounds,
            initial="per_class",
            n_initial=SIZES["topics"].n_seeds,
            random_state=seed,
        )
        train, test = (pool.texts, pool.y), (test.texts, test.y)
        return summed_up(play(simulator, train, test, np.unique(pool.y))[0])

    def _with_scores(self, setting: Setting, corpus: topics.Corpus, seed: int) -> dict[str, Any]:
        """Return the parameters of a filter, with look-ups in the place of models."""
        cls, options = setting.grid.cls, setting.options()
        first = options.pop("first", None)
        if cls is ActivePruneFilter:
            options["quality"] = partial(corpus.quality)  # of its own per run, to count its calls
        if cls in (PerplexityFilter, ActivePruneFilter):
            perplexity = topics.perplexity_of(corpus, seed, options.pop("order", 5))
            options["perplexity"] = reordered(perplexity, first, corpus.draw(seed, 0)[0].texts)
        return options

    # ------------------------------------------------------------------ labeled sets

    @cached_property
    def _labeled(self) -> euds.Corpus:
        return euds.Corpus("sections", self._with_models("labeled"), sections)

    @lru_cache(maxsize=1)  # noqa: B019 - there is one object per process
    def _split(self, seed: int) -> euds.Split:
        return euds.Split(self._labeled, seed)

    def _play_labeled(self, setting: Setting, data: str, seed: int) -> dict[str, float]:
        found = [euds.play(self._split(seed), method, keep) for method, keep in labeled_cells(setting)]
        return {
            "score": float(
                np.mean([row[f"{learner} macro F1"] for row in found for learner in euds.LEARNERS])
            )
        }


def summed_up(curve: dict[str, Any]) -> dict[str, float]:
    """Return the mean height of a learning curve in percent, and what the loop cost."""
    return {
        "score": 100 * learning_curve_auc(curve["f1"], normalize=True),
        "rows read": float(np.mean(curve["subpool"][1:])),
        "LLM calls": curve["llm_calls"][-1],
        "CPU s selecting": sum(curve["CPU s selecting"]),
    }


def reordered(
    score: Callable[[Any], np.ndarray], first: str | None, pool: np.ndarray
) -> Callable[[Any], np.ndarray]:
    """Return a score whose lowest values are the highest, or the middle, ones of another score."""
    if first == "highest":
        return lambda texts: -score(texts)
    if first == "middle":
        middle = np.median(score(pool))
        return lambda texts: np.abs(score(texts) - middle)
    return score


def labeled_cells(setting: Setting) -> list[tuple[str, float]]:
    """Return the methods of euds.py, and the shares they keep, that a setting stands for."""
    if setting.knob == "center":
        name = "IGSE" if setting.is_default else f"IGSE at {setting.value}"
        return [(name, min(euds.SHARES))]
    return [("IGSE" if setting.is_default else setting.value, keep) for keep in euds.SHARES]


def labeled_selection(runs: pd.DataFrame, setting: Setting) -> pd.DataFrame:
    """Return the scores of a setting of EntropyIntervalFilter by set and seed, from the runs of euds.py."""
    cells = labeled_cells(setting)
    chosen = runs[[cell in cells for cell in zip(runs["method"], runs["keep"], strict=True)]]
    return chosen.groupby(["data", "seed"], sort=False)["macro F1"].mean().rename("score").reset_index()
