"""The demo, end to end: prune a pool, ask for labels, fine-tune a transformer, round after round.

Runs on two real pools: Debian package descriptions with a rare class, and film-review snippets. Each pool
is pruned in five ways. Prints one row per round and a final table, the one of docs/results/demo.md; writes
both as CSV and the learning curves as PNG. A run that was killed continues where it stopped.

    python examples/experiments/demo.py  # parts of the pools, two to eight minutes on two cores
    python examples/experiments/demo.py --pool-size 0  # the whole pools
    python examples/experiments/demo.py --data debian --filters random anchoral --rounds 10
"""

from __future__ import annotations

import argparse
import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _runs import draw_rows, drawing, make_parser
from sklearn.metrics import auc, f1_score
from sklearn.model_selection import train_test_split

from skprune import (
    ActiveLearningSimulator,
    ActivePruneFilter,
    AnchorFilter,
    AskLLMFilter,
    EntropyIntervalFilter,
    KMeansFilter,
    PerplexityFilter,
    ProxyFilter,
    RandomFilter,
    SEALSFilter,
    SemiPruneFilter,
    TransformerClassifier,
    UPSFilter,
)
from skprune.base import BaseFilter
from skprune.datasets import fetch_model, load_debian, load_movie_snippets, split_by_group
from skprune.strategies import Entropy, LeastConfidence, Margin, RandomSampling

STRATEGIES = {
    "entropy": Entropy,
    "least-confidence": LeastConfidence,
    "margin": Margin,
    "random": RandomSampling,
}
FILTERS = (
    "none",
    "random",
    "activeprune",
    "anchoral",
    "proxy",
    "askllm",
    "entropy",
    "kmeans",
    "perplexity",
    "seals",
    "semiprune",
    "ups",
)
COLUMNS = {
    "round": "round",
    "pool": "pool",
    "subpool": "subpool",
    "llm_calls": "LLM calls",
    "select_seconds": "select s",
    "labels": "labels",
    "minority_found": "rare found",
    "score": "F1",
}


@dataclass
class Task:
    """A pool to label from, a test set, and the class whose F1 counts."""

    name: str
    about: str  # the labeling task, as described to the LLM
    texts: list[str]
    y: np.ndarray
    test_texts: list[str]
    y_test: np.ndarray
    test_weights: np.ndarray  # restore the rare class's share of the whole test set
    rare: int
    seeds: np.ndarray  # rows labeled before the first round


def load_task(name: str, args: argparse.Namespace) -> Task:
    """Load a data set and take the part that the command line asks for."""
    if name == "debian":
        train, test = split_by_group(load_debian(args.rare), test_size=0.2, random_state=args.seed)
        texts, y, test_texts, y_test = train.data, train.target, test.data, test.target
        about, rare = f"classifying software descriptions: is it about {args.rare}?", 1
    else:
        data = load_movie_snippets()
        texts, test_texts, y, y_test = train_test_split(
            data.data, data.target, test_size=0.2, stratify=data.target, random_state=args.seed
        )
        about = "sentiment classification of film reviews"
        rare = int(np.bincount(y).argmin())
    rows = sample(y, args.pool_size, np.mean(y == rare), rare, args.seed)
    texts, y = [texts[i] for i in rows], y[rows]
    # A plain sample of a few hundred rows holds too few rare rows to tell one F1 from another.
    share = np.mean(y_test == rare)
    test_rows = sample(y_test, args.test_size, max(share, 0.2), rare, args.seed)
    is_rare = y_test[test_rows] == rare
    weights = np.where(is_rare, share / is_rare.mean(), (1 - share) / (1 - is_rare.mean()))
    # As in AnchorAL's paper, five of the initial labels belong to the rare class.
    n_rare = min(5, np.count_nonzero(y == rare)) if name == "debian" else args.n_seeds // 2
    seeds = draw_rows(y, args.n_seeds, n_rare, rare, args.seed)
    test = [test_texts[i] for i in test_rows]
    return Task(name, about, texts, y, test, y_test[test_rows], weights, rare, np.sort(seeds))


def sample(y: np.ndarray, n_rows: int, share: float, rare: int, seed: int) -> np.ndarray:
    """Return ``n_rows`` random rows, in order, of which ``share`` are rare; all rows for 0."""
    if not 0 < n_rows < len(y):
        return np.arange(len(y))
    n_rare = min(np.count_nonzero(y == rare), round(share * n_rows))
    return np.sort(draw_rows(y, n_rows, n_rare, rare, seed))


def make_filter(name: str, task: Task, args: argparse.Namespace) -> BaseFilter:
    """Return the filter that a name of ``FILTERS`` stands for."""
    common = {"random_state": args.seed}
    scored = {"keep": 0.25, "memory": args.memory, **common}
    encoded = {"encoder": str(args.encoder or fetch_model("minilm")), "memory": args.memory, **common}
    asked = {"quality": args.llm or fetch_model("smollm2-135m"), "task": task.about}
    match name:
        case "none":
            return RandomFilter(keep=1.0, **common)
        case "random":
            return RandomFilter(keep=0.25, **common)
        case "activeprune":
            return ActivePruneFilter(**asked, **scored)
        case "anchoral":
            return AnchorFilter(n_anchors=10, n_neighbors=args.n_neighbors, **encoded)
        case "proxy":
            return ProxyFilter(keep=0.25, **encoded)
        case "askllm":
            return AskLLMFilter(**asked, **scored)
        case "entropy":
            return EntropyIntervalFilter(**scored)
        case "kmeans":
            return KMeansFilter(keep=0.25, **encoded)
        case "perplexity":
            return PerplexityFilter(**scored)
        case "seals":
            return SEALSFilter(n_neighbors=args.n_neighbors, **encoded)
        case "semiprune":
            return SemiPruneFilter(keep=0.25, **encoded)
        case _:
            return UPSFilter(keep=0.25, **common)


def make_classifier(args: argparse.Namespace) -> TransformerClassifier:
    """Return the transformer to fine-tune, with settings for few labels and two cores."""
    return TransformerClassifier(
        args.model or fetch_model("minilm"),
        max_length=32,
        lr=2e-4,
        head_lr=2e-3,
        batch_size=12,
        max_epochs=3,
        min_steps=30,
        patience=None,
        class_weight="balanced",
        dropout=0.0,
        frozen_layers=4,
        schedule="linear",
        warmup=0.1,
        random_state=args.seed,
    )


def play(task: Task, name: str, args: argparse.Namespace) -> pd.DataFrame:
    """Play one filter on one task, print a row per round, and return the rounds as a table."""
    print(f"\n{task.name}, {name}")
    print("  ".join(f"{title:>10}" for title in COLUMNS.values()))
    simulator = ActiveLearningSimulator(
        make_classifier(args),
        STRATEGIES[args.strategy](random_state=args.seed),
        make_filter(name, task, args),
        n_instances=args.batch,
        n_rounds=args.rounds,
        initial=task.seeds,
        scoring=WeightedF1(task.rare, task.test_weights),
        memory=args.out / "runs" / f"{task.name}-{name}-{fingerprint(args)}",
        callback=show,
        random_state=args.seed,
    )
    simulator.fit(task.texts, task.y, X_val=task.test_texts, y_val=task.y_test)
    table = simulator.learning_curve_[list(COLUMNS)]
    table.insert(0, "filter", name)
    table.insert(0, "data", task.name)
    return table


def fingerprint(args: argparse.Namespace) -> str:
    """Return a short name for the options that a run depends on, so that other options get another folder."""
    free = {"out", "memory", "data", "filters", "rounds"}
    settings = sorted((key, str(value)) for key, value in vars(args).items() if key not in free)
    return hashlib.blake2b(repr(settings).encode(), digest_size=4).hexdigest()


@dataclass
class WeightedF1:
    """Score by the F1 of the rare class, with test rows weighted by ``weights``."""

    rare: int
    weights: np.ndarray

    def __call__(self, model: Any, texts: list[str], y: np.ndarray) -> float:
        guess = model.predict(texts)
        return f1_score(y, guess, pos_label=self.rare, sample_weight=self.weights, zero_division=0.0)


def show(round_: dict[str, Any]) -> None:
    """Print one round."""
    cells = (f"{round_[c]:.3f}" if isinstance(round_[c], float) else str(round_[c]) for c in COLUMNS)
    print("  ".join(f"{cell:>10}" for cell in cells), flush=True)


def compare(rounds: pd.DataFrame) -> pd.DataFrame:
    """Return one row per data set and filter: the end of the curve, its mean, and what it cost."""
    rows = []
    for (data, name), curve in rounds.groupby(["data", "filter"], sort=False):
        span = curve["labels"].iloc[-1] - curve["labels"].iloc[0]
        rows.append(
            {
                "data": data,
                "filter": name,
                "labels": curve["labels"].iloc[-1],
                "F1 at the end": curve["score"].iloc[-1],
                "F1, mean of the curve": auc(curve["labels"], curve["score"]) / span if span else np.nan,
                "rare found": curve["minority_found"].iloc[-1],
                "subpool, mean": curve["subpool"][1:].mean(),
                "select s per round": curve["select_seconds"][1:].mean(),
                "LLM calls": curve["llm_calls"].iloc[-1],
            }
        )
    return pd.DataFrame(rows)


def plot(rounds: pd.DataFrame, path: Path) -> None:
    """Draw F1 and the share of the rare class found against the number of labels."""
    datasets = rounds["data"].unique()
    size = (5 * len(datasets), 7)
    with drawing(path, 2, len(datasets), figsize=size, sharex="col") as (figure, axes):
        for column, data in zip(axes.T, datasets, strict=True):
            for name, curve in rounds[rounds["data"] == data].groupby("filter", sort=False):
                for axis, key in zip(column, ("score", "minority_found"), strict=True):
                    axis.plot(curve["labels"], curve[key], marker="o", markersize=4, label=name)
            column[0].set(title=data, ylabel="F1 of the rarer class")
            column[1].set(xlabel="labels", ylabel="share of the rarer class found")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=5)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        rounds=5,
        batch=20,
        n_seeds=50,
        n_neighbors=20,
        pool_size=800,
        test_size=200,
        rare="games",
        encoder=None,
        llm=None,
        memory=None,
        seed=0,
        out=Path("demo-results"),
    )
    parser.add_argument("--data", nargs="+", choices=("debian", "movies"), default=["debian", "movies"])
    parser.add_argument("--filters", nargs="+", choices=FILTERS, default=list(FILTERS[:5]))
    parser.add_argument("--strategy", choices=STRATEGIES, default="entropy")
    parser.add_argument("--model", help="transformer to fine-tune, name or path (default: MiniLM, packaged)")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run the demo."""
    args = parse(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    args.memory = args.memory or args.out / "memory"
    start = time.perf_counter()
    rounds = []
    for data in args.data:
        task = load_task(data, args)
        print(
            f"\n{data}: {len(task.texts)} rows, {np.mean(task.y == task.rare):.1%} of the rarer class; "
            f"tested on {len(task.test_texts)} rows, {np.mean(task.y_test == task.rare):.0%} of that class, "
            "weighted back to its share"
        )
        rounds += [play(task, name, args) for name in args.filters]
    table = pd.concat(rounds, ignore_index=True)
    summary = compare(table)
    table.to_csv(args.out / "rounds.csv", index=False)
    summary.to_csv(args.out / "comparison.csv", index=False)
    plot(table, args.out / "learning-curves.png")
    print(f"\nAfter {args.rounds} rounds of {args.batch} labels:\n")
    print(summary.to_string(index=False, float_format="{:.3f}".format))
    print(f"\nWritten to {args.out}: rounds.csv, comparison.csv, learning-curves.png")
    print(f"{time.perf_counter() - start:.0f} seconds in total")


if __name__ == "__main__":
    main()
