"""SemiPrune on Fashion-MNIST and 20 Newsgroups, against random rows, k-means and true labels.

Makes the tables of docs/results/semiprune.md. A pool is pruned to a share of its rows, the rows are
labeled, and a net is trained on them for a fixed number of steps. SemiPrune's initial labels count toward
the share. Fashion-MNIST is used balanced and with a long tail. Prints the tables, and writes them as CSV
and a plot. A run that was killed continues where it stopped.

To finish in a quarter of an hour on one core, the pools are parts of the data sets, and k-means, which
would take most of the time, clusters the 50 principal components of the rows. SemiPrune is fitted once for
all sizes and pairs of difficulty and coreset.

    python examples/experiments/semiprune.py
    python examples/experiments/semiprune.py --rows 0 --steps 5000 --keep 0.7 0.5 0.3 0.1  # the whole pools
    python examples/experiments/semiprune.py --data news --encoder minilm --labels 0.01 --keep 0.3 0.1
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _runs import Runs, drawing, encode, make_parser, random_part
from scipy.stats import ttest_rel
from significance import holm
from sklearn.decomposition import PCA
from sklearn.metrics import accuracy_score, f1_score

from skprune import (
    KMeansFilter,
    ProxyClassifier,
    RandomFilter,
    SemiPruneFilter,
    TfidfEncoder,
)
from skprune.datasets import fetch_model, load_fashion_mnist, load_newsgroups, long_tail

PAIRS = {"DUAL + beta": ("dual", "dual_beta"), "AUM + budget": ("aum", "budget")}


@dataclass
class Task:
    """A pool and a test set, as vectors."""

    name: str
    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray
    metric: str  # the metric to print and draw

    @cached_property
    def components(self) -> np.ndarray:
        """Principal components of the rows, for k-means."""
        return PCA(50, random_state=0).fit_transform(self.X)


def load_task(name: str, args: argparse.Namespace) -> Task:
    """Load a data set and take the part of its training set that the command line asks for."""
    if name == "news":
        train, test = load_newsgroups("train"), load_newsgroups("test")
        rows = random_part(len(train.data), args.rows)
        encoder = make_encoder(args, train.data)
        X, X_test = encoder([train.data[i] for i in rows]), encoder(test.data)
        return Task(name, X, train.target[rows], X_test, test.target, "accuracy")
    train, test = load_fashion_mnist("train"), load_fashion_mnist("test")
    rows = np.arange(60_000)
    if name == "fashion-lt":
        rows = long_tail(train.target, args.imbalance, random_state=0)
    rows = rows[random_part(len(rows), args.rows)]
    X, X_test = (np.float32(data.reshape(len(data), -1)) / 255 for data in (train.data[rows], test.data))
    metric = "macro F1" if name == "fashion-lt" else "accuracy"
    return Task(name, X, train.target[rows], X_test, test.target, metric)


def make_encoder(args: argparse.Namespace, texts: list[str]) -> Any:
    """Return the callable texts -> vectors that ``--encoder`` names."""
    if args.encoder == "tfidf":
        return TfidfEncoder().fit(texts)
    model = fetch_model("minilm") if args.encoder == "minilm" else args.encoder
    return lambda texts: encode(texts, model, args.memory, batch_size=1024)


Choice = tuple[np.ndarray, dict[str, float]]  # the rows to train on, and figures about them


def play(task: Task, seed: int, args: argparse.Namespace, runs: Runs) -> Iterator[dict[str, Any]]:
    """Yield one row per method and size, for one seed."""
    n_rows = len(task.y)
    common = {"data": task.name, "rows": n_rows, "seed": seed}
    common |= {key: getattr(args, key) for key in ("steps", "encoder", "imbalance")}
    yield score(task, common | {"method": "no pruning", "keep": 1.0}, runs, lambda: (np.arange(n_rows), {}))
    for keep in args.keep:
        random = RandomFilter(keep=keep, random_state=seed)
        k_means = KMeansFilter(keep=keep, random_state=seed)
        for method, pruner, X in (("random", random, task.X), ("k-means", k_means, task.components)):
            settings = common | {"method": method, "keep": keep}
            yield score(task, settings, runs, lambda pruner=pruner, X=X: (pruner.fit(X).select(X), {}))
    order = np.random.default_rng(seed).permutation(n_rows)
    for share in (1.0, *args.labels):
        labeled = np.sort(order[: round(share * n_rows)])
        yield from semi(task, labeled, common | {"labels": share}, args.keep, runs)


def semi(
    task: Task, labeled: np.ndarray, common: dict[str, Any], sizes: Sequence[float], runs: Runs
) -> Iterator[dict[str, Any]]:
    """Yield one row per size and pair of difficulty and coreset, all from one fit."""
    y = np.full(len(task.y), -1)
    y[labeled] = task.y[labeled]
    unlabeled = y == -1
    paid = labeled if unlabeled.any() else labeled[:0]  # with true labels, no row counts as an initial label

    @cache
    def fitted() -> SemiPruneFilter:
        return SemiPruneFilter(cold_start="error", mis_ratio=0.1, random_state=common["seed"]).fit(task.X, y)

    def choose(method: str, n_kept: int) -> Choice:
        difficulty, coreset = PAIRS[method]
        pruner = fitted().set_params(keep=n_kept, difficulty=difficulty, coreset=coreset)
        kept = pruner.select(task.X)
        right = pruner.pseudo_labels_ == task.y
        about = {"agreement": pruner.agreement_, "right among kept": right[kept].mean()}
        if unlabeled.any():
            about["pseudo-labels right"] = right[unlabeled].mean()
        return np.concatenate([paid, kept]), about

    for method in PAIRS:
        for keep in sizes:
            if (n_kept := round(keep * len(y)) - len(paid)) > 0:
                yield score(
                    task, common | {"method": method, "keep": keep}, runs, partial(choose, method, n_kept)
                )


def score(task: Task, settings: dict[str, Any], runs: Runs, choose: Callable[[], Choice]) -> dict[str, Any]:
    """Train on the chosen rows with their true labels; return the scores on the test set."""

    def run() -> dict[str, Any]:
        rows, about = choose()
        n_epochs = -(-settings["steps"] * 128 // len(rows))
        model = ProxyClassifier("mlp", max_epochs=n_epochs, random_state=settings["seed"])
        guess = model.fit(task.X[rows], task.y[rows]).predict(task.X_test)
        return about | {
            "trained on": len(rows),
            "accuracy": accuracy_score(task.y_test, guess),
            "macro F1": f1_score(task.y_test, guess, average="macro"),
            "smallest class": int(np.bincount(task.y[rows], minlength=task.y.max() + 1).min()),
        }

    row = {**settings, **runs.get(settings, run)}
    print("  ".join(f"{v:.3g}" if isinstance(v, float) else f"{v}" for v in row.values()), flush=True)
    return row


def describe(row: pd.Series) -> str:
    """Return the name of a line of the table: the method and its labels."""
    if np.isnan(row["labels"]):
        return row["method"]
    return f"{row['method']}, " + ("true labels" if row["labels"] == 1 else f"{row['labels']:.0%} labels")


def summarize(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return mean and standard deviation over seeds, one line per method and one column per size."""
    groups = table.groupby(["line", "keep"], sort=False)[metric]
    cells = groups.mean().map("{:.3f}".format) + " ± " + groups.std().map("{:.3f}".format)
    return cells.unstack("keep").sort_index(axis=1, ascending=False).fillna("")


def differences(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return each cell's mean difference from random rows, with p in brackets.

    The test is Student's paired t-test over seeds. p is adjusted over all cells by Holm's method.
    """
    runs = table[table["keep"] < 1].pivot(index="seed", columns=["line", "keep"], values=metric)
    pairs = {cell: runs[[cell, ("random", cell[1])]].dropna() for cell in runs if cell[0] != "random"}
    pairs = {cell: pair.to_numpy() for cell, pair in pairs.items() if len(pair) > 1}
    p = holm([ttest_rel(*pair.T).pvalue for pair in pairs.values()])
    mean = [np.mean(pair[:, 0] - pair[:, 1]) for pair in pairs.values()]
    shown = [f"{d:+.3f} ({q:.2f})" for d, q in zip(mean, p, strict=True)]
    found = pd.Series(shown, index=pd.MultiIndex.from_tuples(pairs, names=["line", "keep"]))
    lines = list(dict.fromkeys(line for line, _ in pairs))
    return found.unstack("keep").loc[lines].sort_index(axis=1, ascending=False).fillna("")


def plot(table: pd.DataFrame, metrics: dict[str, str], path: Path) -> None:
    """Draw the metric against the share kept, one column per data set and one row per pair."""
    from matplotlib import colormaps

    shares = sorted(table["labels"].dropna().unique())  # the last one is 1, for true labels
    blues = colormaps["Blues"](np.linspace(0.35, 0.95, len(shares) - 1))
    colors = dict(zip(shares, [*blues, "tab:green"], strict=True))
    size = (5 * len(metrics), 8)
    with drawing(path, len(PAIRS), len(metrics), figsize=size, sharex=True, sharey="col") as (figure, axes):
        for column, (data, metric) in zip(axes.T, metrics.items(), strict=True):
            mine = table[table["data"] == data].sort_values("labels", kind="stable")
            for axis, pair in zip(column, PAIRS, strict=True):
                for method, color in (("random", "tab:gray"), ("k-means", "tab:orange")):
                    draw(axis, mine[mine["method"] == method], metric, method, color=color, linestyle="--")
                for share, curve in mine[mine["method"] == pair].groupby("labels"):
                    label = describe(curve.iloc[0]).removeprefix(f"{pair}, ")
                    draw(axis, curve, metric, label, color=colors[share])
                whole = mine.loc[mine["method"] == "no pruning", metric].mean()
                axis.axhline(whole, color="black", linestyle=":", label="no pruning")
                axis.set(title=f"{data}: {pair}", ylabel=metric)
            column[-1].set(xlabel="share of the pool trained on")
        lines = axes[0, 0].get_legend_handles_labels()
        figure.legend(*lines, loc="outside upper center", ncols=3 * len(metrics))


def draw(axis: Any, curve: pd.DataFrame, metric: str, label: str, **style: Any) -> None:
    """Draw mean and standard deviation over seeds."""
    stats = curve.groupby("keep")[metric].agg(["mean", "std"])
    axis.errorbar(
        stats.index, stats["mean"], stats["std"], marker="o", markersize=4, label=label, capsize=2, **style
    )


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, seeds=5, memory=None, out=Path("semiprune-results"))
    names = ("fashion", "fashion-lt", "news")
    parser.add_argument("--data", nargs="+", choices=names, default=list(names))
    parser.add_argument("--keep", nargs="+", type=float, default=[0.7, 0.3, 0.1], help="shares kept")
    parser.add_argument(
        "--labels",
        nargs="+",
        type=float,
        default=[0.01, 0.02, 0.05],
        help="shares labeled at first",
    )
    parser.add_argument("--rows", type=int, default=4000, help="rows of each pool; 0 for all")
    parser.add_argument("--steps", type=int, default=600, help="optimizer steps of every final model")
    parser.add_argument("--imbalance", type=float, default=0.01, help="imbalance factor of the long tail")
    parser.add_argument("--encoder", default="tfidf", help="tfidf, minilm, or a name or path")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run the comparison."""
    args = parse(argv)
    args.memory = args.memory or args.out / "memory"
    start = time.process_time()
    runs = Runs(args.out / "runs.jsonl")
    tasks = [load_task(name, args) for name in args.data]
    for task in tasks:
        print(f"{task.name}: {len(task.y)} rows of {len(set(task.y))} classes, tested on {len(task.y_test)}")
    rows = [row for seed in range(args.seeds) for task in tasks for row in play(task, seed, args, runs)]
    table = pd.DataFrame(rows)
    table["line"] = table.apply(describe, axis=1)
    table.to_csv(args.out / "semiprune.csv", index=False)
    metrics = {task.name: task.metric for task in tasks}
    for name, metric in metrics.items():
        mine = table[table["data"] == name]
        print(f"\n{name}, {metric}, mean ± standard deviation over {mine['seed'].nunique()} seeds:\n")
        print(summarize(mine, metric).to_string())
        if mine["seed"].nunique() > 1:
            print("\nminus random rows (p of a paired test, Holm):\n")
            print(differences(mine, metric).to_string())
        print()
        share = mine[mine["labels"] < 1].groupby("labels")[["pseudo-labels right", "agreement"]].mean()
        print(share.to_string(float_format="{:.3f}".format))
    plot(table, metrics, args.out / "semiprune.png")
    print(f"\nWritten to {args.out}: semiprune.csv, semiprune.png")
    print(f"{time.process_time() - start:.0f} CPU seconds")


if __name__ == "__main__":
    main()
