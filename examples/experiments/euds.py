"""EUDS on real data: how much accuracy is left where entropies choose what to train on.

20 Newsgroups and film-review snippets are split again for each seed; entropies, random draws and a searched
interval prune the training part; linear models train on what is kept. Prints accuracy against the share kept,
with a paired test against random, and what the kept rows are like; writes CSV and PNG. A killed run goes on
where it stopped.

    python examples/experiments/euds.py  # some minutes on one core
    python examples/experiments/euds.py --learners tfidf-svm minilm-logistic --seeds 10
    python examples/experiments/euds.py --data movies --entropies models  # SmolLM2 and MiniLM
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd
from _runs import Runs
from scipy import stats
from significance import holm
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.svm import LinearSVC

from skprune import (
    EntropyIntervalFilter,
    GenerativeEntropy,
    InformationEntropy,
    RandomFilter,
    SemanticEntropy,
    SentenceEncoder,
)
from skprune.datasets import fetch_model, load_movie_snippets, load_newsgroups
from skprune.filters.entropy_interval.filter import ENTROPIES
from skprune.store import Remembered

DATA: dict[str, Callable[[], Any]] = {
    "movies": load_movie_snippets,
    "newsgroups": lambda: load_newsgroups("all"),
}
LEARNERS = ("tfidf-svm", "minilm-logistic")
METHODS = ("igse", *ENTROPIES, "words")  # the last: a window of the number of words, for control
SHARES = (0.5, 0.25, 0.16)
CENTERS = (0.1, 0.3, 0.5, 0.7, 0.9)  # of the windows that hold the smallest share
TEST_SHARE = 0.25
WORDS_ENCODED = 64  # all of a snippet; the beginning of a post


class Corpus:
    """Texts with labels, and what the learners read of them, made once."""

    def __init__(self, name: str, memory: str) -> None:
        bunch = DATA[name]()
        self.name, self.memory = name, memory
        self.texts = np.array(bunch.data, dtype=object)
        self.y = bunch.target

    @cached_property
    def counts(self) -> Any:
        """Word counts, csr."""
        return CountVectorizer(token_pattern=r"\w+").fit_transform(self.texts)

    @cached_property
    def vectors(self) -> np.ndarray:
        """MiniLM's, of the first words of each text; kept in ``memory``."""
        encoder = SentenceEncoder(str(fetch_model("minilm")))
        heads = [" ".join(text.split()[:WORDS_ENCODED]) for text in self.texts]
        return Remembered(encoder, self.memory, name="encoder")(np.array(heads, dtype=object))

    def accuracy(self, learner: str, train: np.ndarray, test: np.ndarray, seed: int) -> float:
        """Train on some rows, and return the share of the others that is right."""
        if learner == "tfidf-svm":
            known = np.flatnonzero(self.counts[train].sum(axis=0))  # the vocabulary of what is kept
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
    """Rows that one way of pruning keeps."""

    method: str
    center: float
    rows: np.ndarray


class Split:
    """One seed's split of a corpus, and what each way of pruning keeps of the training part."""

    def __init__(self, corpus: Corpus, seed: int, entropies: str, search: bool) -> None:
        self.corpus, self.seed, self.entropies, self.search = corpus, seed, entropies, search
        self.pool, self.test = train_test_split(
            np.arange(len(corpus.y)), test_size=TEST_SHARE, stratify=corpus.y, random_state=seed
        )

    @cached_property
    def scorers(self) -> dict[str, Any]:
        """The three entropies, fitted on the training part once for all filters."""
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
        """Everything that is compared."""
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
                **self.scorers,
            }
        pruner = EntropyIntervalFilter(**setting, **parameters, random_state=self.seed)
        texts = self.corpus.texts[self.pool]
        pruner.fit(texts, self.corpus.y[self.pool])  # all labeled: the set itself is pruned
        lo, hi = pruner.windows_["information"] if pruner.windows_ else (pruner.center, pruner.center)
        return Pick(method, (lo + hi) / 2, self.pool[pruner.select(texts)])

    def describe(self, rows: np.ndarray) -> dict[str, float]:
        """Return what may explain an accuracy: size, length, words seen, classes, copies."""
        counts = self.corpus.counts[rows]
        seen = np.asarray(counts.sum(axis=0)).ravel() > 0
        test = np.asarray(self.corpus.counts[self.test].sum(axis=0)).ravel()
        classes = np.bincount(self.corpus.y[rows], minlength=self.corpus.y.max() + 1) / len(rows)
        return {
            "share": len(rows) / len(self.pool),
            "words a text": counts.sum() / len(rows),
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
    """Return how many words each text has."""
    return np.array([len(text.split()) for text in texts], dtype=float)


def measure(args: argparse.Namespace) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the accuracies and the correlations with the length, from earlier runs where they are known."""
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
    """Train on every pick, and return a row each."""
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
    """Return one row for each way of pruning: accuracy over the seeds, and the difference to random.

    The test is Student's for pairs with the variance of Nadeau and Bengio (2003), as the splits of different
    seeds overlap; p-values of a data set and learner are adjusted by Holm's method.
    """
    middle = accuracies[accuracies["center"].isna() | (accuracies["center"] == 0.5)]
    searched = accuracies[accuracies["method"] == "igse, searched"]
    table = pd.concat([middle, searched]).drop_duplicates()
    # The searched window has a size of its own at each seed.
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
            found.append(
                row
                | {c: group[c].mean() for c in ("words a text", "test words seen", "rarest class", "copies")}
            )
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
    """Draw accuracy against the share kept, and against where the window stands at the smallest share."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    panels = list(accuracies.groupby(["data", "learner"], sort=False))
    figure, axes = plt.subplots(
        2, len(panels), figsize=(4.2 * len(panels), 7.5), squeeze=False, layout="constrained"
    )
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
        below.set(xlabel=f"center of the window, {min(SHARES):.0%} kept", ylabel="accuracy")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw(axis: Any, curve: pd.DataFrame, style: dict[str, Any]) -> None:
    """Draw the mean over the seeds, and the middle half of them as a band."""
    by_x = curve.groupby("x")["accuracy"]
    mean = by_x.mean()
    axis.plot(mean.index, mean, marker="o", markersize=4, **style)
    axis.fill_between(
        mean.index, by_x.quantile(0.25), by_x.quantile(0.75), color=style["color"], alpha=0.12, linewidth=0
    )


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--learners", nargs="+", choices=LEARNERS, default=["tfidf-svm"])
    parser.add_argument(
        "--entropies",
        choices=("cheap", "models"),
        default="cheap",
        help="n-grams and TF-IDF, or SmolLM2 and MiniLM",
    )
    parser.add_argument("--search", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("euds-results"))
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
