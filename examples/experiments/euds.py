"""EUDS on real data: how accurate is a model when entropies choose its training rows?

Makes the tables of docs/results/euds.md. 20 Newsgroups and film-review snippets are split anew for each
seed. Entropies, random draws and a searched interval prune the training part, and linear models are trained
on the kept rows. Prints accuracy against the share kept, with a paired test against random rows, and
properties of the kept rows; writes CSV and PNG. A run that was killed continues where it stopped.

    python examples/experiments/euds.py  # some minutes on one core
    python examples/experiments/euds.py --learners tfidf-svm minilm-logistic --seeds 10
    python examples/experiments/euds.py --data movies --entropies models  # SmolLM2 and MiniLM
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _runs import Runs, cut, drawing, encode, make_parser
from scipy import stats
from significance import holm
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.svm import LinearSVC

from skprune import (
    EntropyIntervalFilter,
    GenerativeEntropy,
    InformationEntropy,
    RandomFilter,
    SemanticEntropy,
)
from skprune.datasets import fetch_model, load_movie_snippets, load_newsgroups
from skprune.filters.entropy_interval.filter import ENTROPIES
from skprune.store import Remembered

DATA: dict[str, Callable[[], Any]] = {
    "movies": load_movie_snippets,
    "newsgroups": lambda: load_newsgroups("all"),
}
LEARNERS = ("tfidf-svm", "minilm-logistic")
METHODS = ("igse", *ENTROPIES, "words")  # "words" is a control: an interval of the number of words
SHARES = (0.5, 0.25, 0.16)
CENTERS = (0.1, 0.3, 0.5, 0.7, 0.9)  # quantiles at which the intervals of the smallest share are centered
TEST_SHARE = 0.25
PROPERTIES = ["words per text", "test words seen", "rarest class", "copies"]  # see Split.describe
WORDS_ENCODED = 64  # a whole snippet, or the beginning of a post


class Corpus:
    """Texts with labels, and the features of both learners, computed once."""

    def __init__(self, name: str, memory: str) -> None:
        bunch = DATA[name]()
        self.name, self.memory = name, memory
        self.texts = np.array(bunch.data, dtype=object)
        self.y = bunch.target

    @cached_property
    def counts(self) -> Any:
        """Word counts, a csr array of shape (n_texts, n_words)."""
        return CountVectorizer(token_pattern=r"\w+").fit_transform(self.texts)

    @cached_property
    def vectors(self) -> np.ndarray:
        """MiniLM vectors of the first words of each text, kept in ``memory``."""
        texts = cut(self.texts, WORDS_ENCODED)
        return encode(texts, fetch_model("minilm"), self.memory, batch_size=1024)

    def accuracy(self, learner: str, train: np.ndarray, test: np.ndarray, seed: int) -> float:
        """Train on the rows ``train``, and return the accuracy on the rows ``test``."""
        if learner == "tfidf-svm":
            known = np.flatnonzero(self.counts[train].sum(axis=0))  # the vocabulary of the kept rows
            tfidf = TfidfTransformer(sublinear_tf=True)
            X_train = tfidf.fit_transform(self.counts[train][:, known])
            X_test = tfidf.transform(self.counts[test][:, known])
            model = LinearSVC(random_state=seed)
        else:
            X_train, X_test = self.vectors[train], self.vectors[test]
            model = LogisticRegression(C=10.0, max_iter=1000)
        return float(model.fit(X_train, self.y[train]).score(X_test, self.y[test]))


@dataclass
class Pick:
    """The rows that one way of pruning keeps."""

    method: str
    center: float
    rows: np.ndarray


class Split:
    """One seed's split of a corpus, and the rows of the training part that each way of pruning keeps."""

    def __init__(self, corpus: Corpus, seed: int, entropies: str, search: bool) -> None:
        self.corpus, self.seed, self.entropies, self.search = corpus, seed, entropies, search
        self.pool, self.test = train_test_split(
            np.arange(len(corpus.y)), test_size=TEST_SHARE, stratify=corpus.y, random_state=seed
        )

    @cached_property
    def scorers(self) -> dict[str, Any]:
        """The three entropies, fitted once on the training part for all filters."""
        memory, texts = self.corpus.memory, self.corpus.texts[self.pool]
        models = self.entropies == "models"
        return {
            "information": InformationEntropy(),
            "generative": GenerativeEntropy(str(fetch_model("smollm2-135m")) if models else None).fit(texts),
            "semantic": SemanticEntropy(str(fetch_model("minilm")) if models else None, memory=memory).fit(
                texts
            ),
        }

    @cached_property
    def picks(self) -> list[Pick]:
        """All ways of pruning that are compared."""
        return list(self._picks())

    def _picks(self) -> Iterator[Pick]:
        yield Pick("all", np.nan, self.pool)
        for share in SHARES:
            yield self._random("random", share)
            for method in METHODS:
                for center in CENTERS if share == min(SHARES) else (0.5,):
                    yield self._interval(method, keep=share, center=center)
        if self.search:
            searched = self._interval("igse, searched", interval="search")
            yield searched
            yield self._random("random, as many", len(searched.rows))

    def _random(self, method: str, keep: float) -> Pick:
        texts = self.corpus.texts[self.pool]
        kept = RandomFilter(keep, random_state=self.seed).fit(texts).select(texts)
        return Pick(method, np.nan, self.pool[kept])

    def _interval(self, method: str, **parameters: Any) -> Pick:
        if method == "words":
            setting = {"combine": "information", "information": count_words}
        else:
            setting = {
                "combine": method.removesuffix(", searched"),
                "memory": self.corpus.memory,
                "information": self.scorers["information"],
                "generative": FrozenEstimator(self.scorers["generative"]),
                "semantic": FrozenEstimator(self.scorers["semantic"]),
            }
        pruner = EntropyIntervalFilter(**setting, **parameters, random_state=self.seed)
        texts = self.corpus.texts[self.pool]
        pruner.fit(texts, self.corpus.y[self.pool])  # all rows are labeled: the training set itself is pruned
        lo, hi = pruner.windows_["information"] if pruner.windows_ else (pruner.center, pruner.center)
        return Pick(method, (lo + hi) / 2, self.pool[pruner.select(texts)])

    def describe(self, rows: np.ndarray) -> dict[str, float]:
        """Return properties that may explain an accuracy: size, length, vocabulary, classes, copies."""
        counts = self.corpus.counts[rows]
        seen = np.asarray(counts.sum(axis=0)).ravel() > 0
        test = np.asarray(self.corpus.counts[self.test].sum(axis=0)).ravel()
        classes = np.bincount(self.corpus.y[rows], minlength=self.corpus.y.max() + 1) / len(rows)
        return {
            "share": len(rows) / len(self.pool),
            "words per text": counts.sum() / len(rows),
            "test words seen": test[seen].sum() / test.sum(),
            "rarest class": classes.min() * len(classes),  # 1: balanced
            "copies": 1 - len(set(self.corpus.texts[rows])) / len(rows),
        }

    def correlations(self) -> dict[str, float]:
        """Return Spearman's rank correlation of each entropy with the number of words."""
        texts = self.corpus.texts[self.pool]
        length = count_words(texts)
        return {
            name: stats.spearmanr(Remembered(score, self.corpus.memory, name=name)(texts), length).statistic
            for name, score in self.scorers.items()
        }


def count_words(texts: Sequence[str]) -> np.ndarray:
    """Return the number of words of each text."""
    return np.array([len(text.split()) for text in texts], dtype=float)


def measure(args: argparse.Namespace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the accuracies and the correlations with the length; finished runs are not repeated."""
    runs = Runs(args.out / "runs.jsonl")
    common = {
        "methods": METHODS,
        "shares": SHARES,
        "centers": CENTERS,
        "test": TEST_SHARE,
        "words": WORDS_ENCODED,
    }
    common |= {"entropies": args.entropies, "search": args.search}
    accuracies, correlations = [], []
    for data in args.data:
        corpus = Corpus(data, str(args.out / "memory"))
        for seed in range(args.seeds):
            split = Split(corpus, seed, args.entropies, args.search)
            of = {"data": data, "seed": seed}
            for learner in args.learners:
                found = runs.get(
                    common | of | {"learner": learner}, lambda s=split, name=learner: accuracy_rows(s, name)
                )
                accuracies += [of | {"learner": learner} | row for row in found["picks"]]
                print(data, seed, learner, f"{len(found['picks'])} picks", flush=True)
            correlations.append(of | runs.get(common | of | {"correlations": "words"}, split.correlations))
    return pd.DataFrame(accuracies), pd.DataFrame(correlations)


def accuracy_rows(split: Split, learner: str) -> dict[str, Any]:
    """Train on every pick, and return one row per pick."""
    rows = [
        {
            "method": pick.method,
            "center": pick.center,
            **split.describe(pick.rows),
            "accuracy": split.corpus.accuracy(learner, pick.rows, split.test, split.seed),
        }
        for pick in split.picks
    ]
    return {"picks": rows}


def compare(accuracies: pd.DataFrame) -> pd.DataFrame:
    """Return one row per way of pruning: accuracy over the seeds, and the difference from random rows.

    The test is Student's paired t-test with the variance of Nadeau and Bengio (2003), because the splits of
    different seeds overlap. The p-values of a data set and learner are adjusted by Holm's method.
    """
    middle = accuracies[accuracies["center"].isna() | (accuracies["center"] == 0.5)]
    searched = accuracies[accuracies["method"] == "igse, searched"]
    table = pd.concat([middle, searched]).drop_duplicates()
    # The size of the searched interval differs from seed to seed.
    is_searched = table["method"].isin(["igse, searched", "random, as many"])
    table["kept"] = np.where(is_searched, np.nan, table["share"].round(2))
    rows = []
    for (data, learner), part in table.groupby(["data", "learner"], sort=False):
        found = []
        for (kept, method), group in part.groupby(["kept", "method"], dropna=False, sort=False):
            seeds = group.set_index("seed")["accuracy"]
            rival = "random, as many" if np.isnan(kept) else "random"
            random = part[
                (part["method"] == rival) & (part["kept"].isna() if np.isnan(kept) else part["kept"] == kept)
            ]
            row = {
                "data": data,
                "learner": learner,
                "kept": group["share"].mean(),
                "method": method,
                "mean": seeds.mean(),
                "median": seeds.median(),
                "q1": seeds.quantile(0.25),
                "q3": seeds.quantile(0.75),
                "n": len(seeds),
            }
            if method not in ("all", rival) and len(random):
                difference = seeds - random.set_index("seed")["accuracy"]
                row |= {"minus random": difference.mean(), "p": paired_p(difference.to_numpy())}
            found.append(row | group[PROPERTIES].mean().to_dict())
        result = pd.DataFrame(found)
        tested = result["p"].notna()
        result.loc[tested, "p, Holm"] = holm(result.loc[tested, "p"])
        rows.append(result)
    return pd.concat(rows, ignore_index=True)


def paired_p(difference: np.ndarray) -> float:
    """Return the two-sided p-value of the corrected resampled t-test."""
    n = len(difference)
    if n < 2:
        return np.nan
    error = np.sqrt((1 / n + TEST_SHARE / (1 - TEST_SHARE)) * difference.var(ddof=1))
    return float(2 * stats.t.sf(abs(difference.mean()) / error, n - 1)) if error else np.nan


def plot(accuracies: pd.DataFrame, path: Path) -> None:
    """Draw accuracy against the share kept, and against the center of the interval at the smallest share."""
    panels = list(accuracies.groupby(["data", "learner"], sort=False))
    with drawing(path, 2, len(panels), figsize=(4.2 * len(panels), 7.5)) as (figure, axes):
        for (above, below), ((data, learner), part) in zip(axes.T, panels, strict=True):
            whole = part.loc[part["method"] == "all", "accuracy"].mean()
            for axis in (above, below):
                axis.axhline(whole, color="black", linewidth=1, linestyle=":", label="the whole pool")
            for i, method in enumerate(("random", *METHODS)):
                curve = part[part["method"] == method]
                style = {"color": "black" if method == "random" else f"C{i - 1}", "label": method}
                at_half = curve[curve["center"].isna() | (curve["center"] == 0.5)]
                draw(above, at_half.assign(x=100 * at_half["share"].round(2)), style)
                smallest = curve[curve["share"].round(2) == min(SHARES)]
                if method == "random":
                    below.axhline(smallest["accuracy"].mean(), linestyle="--", linewidth=1, **style)
                else:
                    draw(below, smallest.assign(x=smallest["center"]), style)
            searched = part[part["method"] == "igse, searched"]
            above.plot(100 * searched["share"], searched["accuracy"], "x", color="C0", label="igse, searched")
            above.set(title=f"{data}, {learner}", xlabel="kept, %", ylabel="accuracy", xscale="log")
            shares = (*SHARES, 1.0)
            above.set_xticks([100 * share for share in shares], [f"{share:.0%}" for share in shares])
            above.minorticks_off()
            below.set(xlabel=f"center of the interval, {min(SHARES):.0%} kept", ylabel="accuracy")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=8)


def draw(axis: Any, curve: pd.DataFrame, style: dict[str, Any]) -> None:
    """Draw the mean over the seeds, and the interquartile range as a band."""
    by_x = curve.groupby("x")["accuracy"]
    mean = by_x.mean()
    axis.plot(mean.index, mean, marker="o", markersize=4, **style)
    axis.fill_between(
        mean.index, by_x.quantile(0.25), by_x.quantile(0.75), color=style["color"], alpha=0.12, linewidth=0
    )


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, seeds=5, out=Path("euds-results"))
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--learners", nargs="+", choices=LEARNERS, default=["tfidf-svm"])
    parser.add_argument(
        "--entropies",
        choices=("cheap", "models"),
        default="cheap",
        help="n-grams and TF-IDF, or SmolLM2 and MiniLM",
    )
    parser.add_argument(
        "--search", action=argparse.BooleanOptionalAction, default=True, help="search the interval, too"
    )
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run the comparison."""
    args = parse(argv)
    start = time.perf_counter()
    accuracies, correlations = measure(args)
    summary = compare(accuracies)
    accuracies.to_csv(args.out / f"accuracies-{args.entropies}.csv", index=False)
    summary.to_csv(args.out / f"comparison-{args.entropies}.csv", index=False)
    correlations.to_csv(args.out / f"correlations-{args.entropies}.csv", index=False)
    plot(accuracies, args.out / f"euds-{args.entropies}.png")
    with pd.option_context("display.width", 250):
        print(summary.to_string(index=False, float_format="{:.3f}".format, na_rep=""))
        print("\nRank correlation with the number of words, mean over seeds:")
        print(correlations.drop(columns="seed").groupby("data", sort=False).mean().round(2).to_string())
    print(f"\nWritten to {args.out}. {time.perf_counter() - start:.0f} seconds")


if __name__ == "__main__":
    main()
