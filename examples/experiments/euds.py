"""EUDS against random rows: how accurate is a model when entropies choose its training rows?

Makes docs/results/euds.md and its CSV. Each seed draws a pool and a test set of its own. The pool, whose
labels are all known, is pruned by the entropies, by windows of the number of words (a control), and by the
filters that other pages recommend; linear models are trained on the rows that are kept. A command that was
killed continues where it stopped.

    python examples/experiments/euds.py  # an hour and a half on one core
    python examples/experiments/euds.py --data movies --seeds 40
    python examples/experiments/euds.py --tables docs/results/euds.csv  # the page again, from the CSV
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _euds_page import (
    BY_CLASS,
    ENTROPY_METHODS,
    LEARNERS,
    MIN_CLASS,
    N_RANDOM,
    N_TEST,
    OFF_CENTER,
    PLAUSIBLE,
    SHARES,
    VECTOR_WORDS,
    WINNERS,
    page,
)
from _pages import command, origin, publish, runs_or_tables, said_once
from _runs import Runs, cut, encode, make_parser, with_packaged_models
from scipy import stats
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import train_test_split
from sklearn.svm import LinearSVC

from skprune import (
    EntropyIntervalFilter,
    GenerativeEntropy,
    InformationEntropy,
    KMeansFilter,
    PlausibilityFilter,
    SemanticEntropy,
    SemiPruneFilter,
)
from skprune.datasets import fetch_model, load_movie_snippets, load_newsgroups, load_reuters52
from skprune.filters.entropy_interval.filter import ENTROPIES
from skprune.store import Remembered, clear_process_store

DATA = {
    "movies": load_movie_snippets,
    "newsgroups": partial(load_newsgroups, "all"),
    "reuters": partial(load_reuters52, "all"),
}


class Corpus:
    """The distinct texts of a data set with their labels, and the features of both learners, computed once.

    Parameters
    ----------
    name : str
    args : Namespace
    load : callable, default=None
        Loads the set. None: as in ``DATA``.

    Attributes
    ----------
    texts, y : ndarray of str, ndarray of int
    counts : csr array of shape (n_texts, n_words)
    vectors : ndarray of float32, shape (n_texts, n_dimensions)
    """

    def __init__(self, name: str, args: argparse.Namespace, load: Callable[[], Any] | None = None) -> None:
        bunch = (load or DATA[name])()
        texts, first = np.unique(cut(bunch.data, args.max_words), return_index=True)
        y = np.asarray(bunch.target)[first]
        classes, sizes = np.unique(y, return_counts=True)
        chosen = np.isin(y, classes[sizes >= MIN_CLASS]) & np.array(
            [len(text.split()) >= 4 for text in texts]
        )
        self.name, self.args = name, args
        self.texts, self.y = texts[chosen], y[chosen]

    @cached_property
    def counts(self) -> Any:
        """Word counts."""
        return CountVectorizer(token_pattern=r"\w+").fit_transform(self.texts)

    @cached_property
    def vectors(self) -> np.ndarray:
        """MiniLM vectors of the first words of each text."""
        return encode(cut(self.texts, VECTOR_WORDS), fetch_model("minilm"), self.args.memory)

    def scores(self, learner: str, train: np.ndarray, test: np.ndarray) -> dict[str, float]:
        """Train on the rows ``train``; return accuracy and macro F1 on the rows ``test``, in percent."""
        if learner == "terms":
            known = np.flatnonzero(self.counts[train].sum(axis=0))  # the vocabulary of the kept rows
            tfidf = TfidfTransformer(sublinear_tf=True)
            X = tfidf.fit_transform(self.counts[train][:, known])
            X_test = tfidf.transform(self.counts[test][:, known])
            model: Any = LinearSVC(random_state=0)
        else:
            X, X_test = self.vectors[train], self.vectors[test]
            model = LogisticRegression(C=10.0, tol=1e-3, max_iter=300)
        guess = model.fit(X, self.y[train]).predict(X_test)
        return {
            "accuracy": 100 * accuracy_score(self.y[test], guess),
            "macro F1": 100 * f1_score(self.y[test], guess, average="macro", zero_division=0),
        }


class Split:
    """One seed's pool and test set, and the rows of the pool that each way of pruning keeps."""

    def __init__(self, corpus: Corpus, seed: int) -> None:
        self.corpus, self.seed = corpus, seed
        order = np.random.default_rng(seed).permutation(len(corpus.y))
        sizes = corpus.args.pool_size, corpus.args.test_size
        self.pool, self.test = order[: sizes[0]], order[sizes[0] : sum(sizes)]
        self.texts, self.y = corpus.texts[self.pool], corpus.y[self.pool]

    @cached_property
    def entropies(self) -> dict[str, Any]:
        """The three entropies in their cheap forms, fitted once on the pool for all filters."""
        return {
            "information": InformationEntropy(),
            "generative": GenerativeEntropy().fit(self.texts),
            "semantic": SemanticEntropy().fit(self.texts),
        }

    @cached_property
    def semi_prune(self) -> SemiPruneFilter:
        """SemiPruneFilter with its defaults."""
        return SemiPruneFilter(random_state=self.seed).fit(self.corpus.vectors[self.pool], self.y)

    @cached_property
    def plausible(self) -> np.ndarray:
        """The rows that PlausibilityFilter keeps by default."""
        X = self.corpus.vectors[self.pool]
        return PlausibilityFilter(PLAUSIBLE, random_state=self.seed).fit(X, self.y).select(X, copies=False)

    def rows(self, method: str, keep: float) -> list[np.ndarray]:
        """Return the rows of the pool that a method keeps; several draws if it is random."""
        n, size = len(self.pool), round(keep * len(self.pool))
        rng = np.random.default_rng([self.seed, size])
        match method:
            case "all rows":
                return [np.arange(n)]
            case "random":
                return [rng.choice(n, size, replace=False) for _ in range(N_RANDOM)]
            case "random by class":
                states = rng.integers(2**31, size=N_RANDOM).tolist()
                options = {"train_size": size, "stratify": self.y}
                return [train_test_split(np.arange(n), random_state=s, **options)[0] for s in states]
            case "plausible":
                return [self.plausible]
            case "plausible, then random":
                return [rng.choice(self.plausible, size, replace=False) for _ in range(N_RANDOM)]
            case "k-means":
                X = self.corpus.vectors[self.pool]
                return [KMeansFilter(size, random_state=self.seed).fit(X).select(X)]
            case "SemiPrune":
                X = self.corpus.vectors[self.pool]
                return [self.semi_prune.set_params(keep=size).select(X, copies=False)]
        return [self._interval(method, size)]

    def _interval(self, method: str, size: int) -> np.ndarray:
        name, _, center = method.partition(" at ")
        if name == "words":
            setting = {"combine": "information", "information": count_words}
        else:
            setting = {
                "combine": name.lower(),
                "information": self.entropies["information"],
                "generative": FrozenEstimator(self.entropies["generative"]),
                "semantic": FrozenEstimator(self.entropies["semantic"]),
            }
        pruner = EntropyIntervalFilter(size, **setting, center=float(center or 0.5), random_state=self.seed)
        return pruner.fit(self.texts).select(self.texts)

    def describe(self, rows: np.ndarray) -> dict[str, float]:
        """Return what may explain an accuracy: the length of the texts, and the share of the rarest class."""
        classes = np.unique(self.y, return_inverse=True)[1]
        shares = np.bincount(classes[rows], minlength=classes.max() + 1) / len(rows)
        whole = np.bincount(classes) / len(classes)
        return {
            "words per text": float(count_words(self.texts[rows]).mean()),
            "class shift": 50 * float(np.abs(shares - whole).sum()),  # total variation, in percent
        }

    def correlations(self) -> dict[str, float]:
        """Return Spearman's rank correlation of each entropy with the number of words."""
        length = count_words(self.texts)
        return {
            name: stats.spearmanr(Remembered(score, None, name=name)(self.texts), length).statistic
            for name, score in self.entropies.items()
        }


def count_words(texts: Sequence[str]) -> np.ndarray:
    """Return the number of words of each text."""
    return np.array([len(text.split()) for text in texts], dtype=float)


def cells() -> list[tuple[str, float]]:
    """Return the ways of pruning, each with the share it keeps."""
    found = [("all rows", 1.0), ("random", PLAUSIBLE), ("plausible", PLAUSIBLE)]
    found += [
        (method, keep) for keep in SHARES for method in ("random", BY_CLASS, *ENTROPY_METHODS, *WINNERS)
    ]
    return found + [(f"IGSE at {center}", min(SHARES)) for center in OFF_CENTER]


def play(split: Split, method: str, keep: float) -> dict[str, Any]:
    """Prune once and train each learner; return one number per column of the CSV, means over the draws."""
    found = []
    for rows in split.rows(method, keep):
        found.append(split.describe(rows) | {"trained on": len(rows)})
        for learner in LEARNERS:
            scores = split.corpus.scores(learner, split.pool[rows], split.test)
            found[-1] |= {f"{learner} {metric}": value for metric, value in scores.items()}
    return {key: float(np.mean([row[key] for row in found])) for key in found[0]}


def run_all(args: argparse.Namespace) -> pd.DataFrame:
    """Play the runs that have not been played yet; return one row per run and learner."""
    runs, now = Runs(args.out / "runs.jsonl"), {"origin": origin()}
    common = {key: getattr(args, key) for key in ("pool_size", "test_size", "max_words")}
    rows = []
    for data in args.data:
        corpus = Corpus(data, args)
        for seed in range(args.seeds):
            split = Split(corpus, seed)
            named = {"data": data, "seed": seed}
            linked = runs.get(common | named | {"correlations": "words"}, split.correlations)
            for method, keep in cells():
                what = {"method": method, "keep": keep}
                played = partial(play, split, method, keep)
                found = runs.get(common | named | what, lambda played=played: played() | now)
                rest = {key: found[key] for key in ("trained on", "words per text", "class shift", "origin")}
                for learner, title in LEARNERS.items():
                    scores = {metric: found[f"{learner} {metric}"] for metric in ("accuracy", "macro F1")}
                    rows.append(named | {"learner": title} | what | scores | rest)
                rows[-1] |= {f"ρ {name}": linked[name] for name in ENTROPIES if method == "all rows"}
            clear_process_store()
            print(data, seed, flush=True)
    return said_once(pd.DataFrame(rows))


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        seeds=40,
        pool_size=3_000,
        test_size=N_TEST,
        max_words=200,
        memory=None,
        out=Path("euds-results"),
        page=None,
        tables=None,
    )
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    return with_packaged_models(parser.parse_args(argv))


def main() -> None:
    """Play the runs and write the page."""
    args = parse()
    warnings.simplefilter("ignore")
    runs = runs_or_tables(args, run_all)
    args.data = list(dict.fromkeys(runs["data"]))
    publish("euds", args, runs, page(runs, args, command("euds", args, parse([]))))


if __name__ == "__main__":
    main()
