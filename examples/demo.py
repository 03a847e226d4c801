"""The main job, end to end: prune a pool, ask for labels, fine-tune, round after round.

Two real pools (Debian package descriptions with a rare class; film-review snippets), four ways to prune
them, and a transformer that is fine-tuned each round under modAL. Prints a row a round and a table at last;
writes both as CSV and the learning curves as PNG. A killed run goes on where it stopped.

    python examples/demo.py                      # parts of the pools, some minutes on two cores
    python examples/demo.py --pool-size 0        # the whole pools
    python examples/demo.py --data debian --filters random anchoral --rounds 10
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# Before torch is loaded: threads that spin while they wait make training five times slower on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd
from sklearn.metrics import auc, f1_score
from sklearn.model_selection import train_test_split

from skprune import (
    ActivePruneFilter,
    AnchorFilter,
    AskLLMFilter,
    EntropyIntervalFilter,
    KMeansFilter,
    PerplexityFilter,
    PrunedQuery,
    RandomFilter,
    SEALSFilter,
    SemiPruneFilter,
    TransformerClassifier,
    UPSFilter,
)
from skprune.base import BaseFilter
from skprune.datasets import fetch_model, load_debian, load_movie_snippets, split_by_group
from skprune.modal import ActiveLearner
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
    "seconds": "select s",
    "labels": "labels",
    "found": "rare found",
    "f1": "F1",
}


@dataclass
class Task:
    """A pool to label from, a test set, and the class whose F1 counts."""

    name: str
    about: str  # what the texts are labelled for, as the LLM is told
    texts: list[str]
    y: np.ndarray
    test_texts: list[str]
    y_test: np.ndarray
    test_weights: np.ndarray  # give the rare class its share of the whole test set back
    rare: int
    seeds: np.ndarray  # rows labelled before the first round


def load_task(name: str, args: argparse.Namespace) -> Task:
    """Load a data set and take the asked-for part of it."""
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
    # Of a rare class, a plain sample of some hundred rows holds too few to tell one F1 from another.
    share = np.mean(y_test == rare)
    test_rows = sample(y_test, args.test_size, max(share, 0.2), rare, args.seed)
    is_rare = y_test[test_rows] == rare
    weights = np.where(is_rare, share / is_rare.mean(), (1 - share) / (1 - is_rare.mean()))
    # As AnchorAL begins: five labels of the rare class, the rest of the others.
    rng = np.random.default_rng(args.seed)
    rare_rows, others = np.flatnonzero(y == rare), np.flatnonzero(y != rare)
    n_rare = min(5, len(rare_rows)) if name == "debian" else args.n_seeds // 2
    seeds = np.concatenate(
        [
            rng.choice(rare_rows, n_rare, replace=False),
            rng.choice(others, args.n_seeds - n_rare, replace=False),
        ]
    )
    test = [test_texts[i] for i in test_rows]
    return Task(name, about, texts, y, test, y_test[test_rows], weights, rare, np.sort(seeds))


def sample(y: np.ndarray, n_rows: int, share: float, rare: int, seed: int) -> np.ndarray:
    """Return a random part of the rows, in order, with ``share`` of them rare; all rows for 0."""
    if not 0 < n_rows < len(y):
        return np.arange(len(y))
    rng = np.random.default_rng(seed)
    rare_rows, others = np.flatnonzero(y == rare), np.flatnonzero(y != rare)
    n_rare = min(len(rare_rows), round(share * n_rows))
    parts = rng.choice(rare_rows, n_rare, replace=False), rng.choice(others, n_rows - n_rare, replace=False)
    return np.sort(np.concatenate(parts))


def make_filter(name: str, task: Task, args: argparse.Namespace) -> BaseFilter:
    """Return the filter behind a name of ``FILTERS``."""
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
    """Return the transformer to fine-tune, with a recipe for few labels and two cores."""
    return TransformerClassifier(
        args.model or fetch_model("minilm"),
        max_length=48,
        lr=2e-4,
        head_lr=2e-3,
        batch_size=16,
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


class Journal:
    """The rounds of one loop, a JSON line each: what a killed run goes on from.

    The first line holds what the picks depend on; a journal of other settings is set aside.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path = path
        self.rounds: list[dict[str, Any]] = []
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        whole = [json.loads(line) for line in lines if line.endswith("\n")]
        if whole and whole[0] == settings:
            self.rounds = whole[1:]
        elif lines:
            path.rename(path.with_suffix(".old"))
        # Written anew, so that half a line of a killed run goes.
        path.write_text("".join(json.dumps(line) + "\n" for line in [settings, *self.rounds]))

    def append(self, round_: dict[str, Any]) -> None:
        """Keep a round."""
        with self.path.open("a") as file:
            file.write(json.dumps(round_) + "\n")
        self.rounds.append(round_)


def play(task: Task, name: str, args: argparse.Namespace) -> pd.DataFrame:
    """Play the rounds of one filter on one task, printing a row each."""
    settings = {
        key: str(value)
        for key, value in vars(args).items()
        if key not in {"out", "memory", "data", "filters", "rounds"}
    }
    journal = Journal(args.out / f"{task.name}-{name}.jsonl", settings)
    start = time.perf_counter()
    query = PrunedQuery(make_filter(name, task, args), STRATEGIES[args.strategy](random_state=args.seed))
    query.fit(task.texts)
    print(f"\n{task.name}, {name}: ready after {time.perf_counter() - start:.1f} s")
    print("  ".join(f"{title:>10}" for title in COLUMNS.values()))
    n_rare = int((task.y == task.rare).sum())
    batches = [task.seeds, *(np.array(r["picked"]) for r in journal.rounds[1:])]
    for batch in batches:  # the seeds alone, unless this is a resumed run
        query.tell([task.texts[i] for i in batch], task.y[batch])
    known = np.concatenate(batches)  # in order of arrival: the order of training
    for round_ in journal.rounds[: args.rounds + 1]:
        show(round_)
    if len(journal.rounds) > args.rounds:
        return frame(task, name, journal.rounds[: args.rounds + 1])
    learner = ActiveLearner(make_classifier(args), query, [task.texts[i] for i in known], task.y[known])
    while len(journal.rounds) <= args.rounds:
        pool = np.setdiff1d(np.arange(len(task.texts)), known)
        round_ = {"round": len(journal.rounds), "pool": len(pool), "subpool": 0, "seconds": 0.0, "picked": []}
        if round_["round"]:
            start = time.perf_counter()
            picked, rows = learner.query([task.texts[i] for i in pool], n_instances=args.batch)
            round_ |= {"seconds": time.perf_counter() - start, "subpool": len(query.subpool_)}
            picked = pool[picked]
            round_["picked"] = picked.tolist()
            learner.teach(rows, task.y[picked])
            known = np.concatenate([known, picked])
        round_["llm_calls"] = getattr(query.filter_, "n_llm_calls_", 0)
        round_["labels"] = len(known)
        round_["found"] = float((task.y[known] == task.rare).sum() / n_rare)
        guess = learner.predict(task.test_texts)
        round_["f1"] = f1(task, guess)
        journal.append(round_)
        show(round_)
    return frame(task, name, journal.rounds)


def f1(task: Task, guess: np.ndarray) -> float:
    """Return the F1 of the rare class."""
    return float(
        f1_score(task.y_test, guess, pos_label=task.rare, sample_weight=task.test_weights, zero_division=0.0)
    )


def show(round_: dict[str, Any]) -> None:
    """Print one round."""
    cells = (f"{round_[c]:.3f}" if isinstance(round_[c], float) else str(round_[c]) for c in COLUMNS)
    print("  ".join(f"{cell:>10}" for cell in cells), flush=True)


def frame(task: Task, name: str, rounds: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the rounds as a table."""
    table = pd.DataFrame(rounds)[list(COLUMNS)]
    table.insert(0, "filter", name)
    table.insert(0, "data", task.name)
    return table


def compare(rounds: pd.DataFrame) -> pd.DataFrame:
    """Return one row a data set and filter: where the curves end, and what they cost."""
    rows = []
    for (data, name), curve in rounds.groupby(["data", "filter"], sort=False):
        span = curve["labels"].iloc[-1] - curve["labels"].iloc[0]
        rows.append(
            {
                "data": data,
                "filter": name,
                "labels": curve["labels"].iloc[-1],
                "F1 at the end": curve["f1"].iloc[-1],
                "F1, mean of the curve": auc(curve["labels"], curve["f1"]) / span if span else np.nan,
                "rare found": curve["found"].iloc[-1],
                "subpool, mean": curve["subpool"][1:].mean(),
                "select s, a round": curve["seconds"][1:].mean(),
                "LLM calls": curve["llm_calls"].iloc[-1],
            }
        )
    return pd.DataFrame(rows)


def plot(rounds: pd.DataFrame, path: Path) -> None:
    """Draw F1 and the share of the rare class found against the number of labels."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    datasets = rounds["data"].unique()
    figure, axes = plt.subplots(
        2, len(datasets), figsize=(5 * len(datasets), 7), sharex="col", squeeze=False, layout="constrained"
    )
    for column, data in zip(axes.T, datasets, strict=True):
        for name, curve in rounds[rounds["data"] == data].groupby("filter", sort=False):
            for axis, key in zip(column, ("f1", "found"), strict=True):
                axis.plot(curve["labels"], curve[key], marker="o", markersize=4, label=name)
        column[0].set(title=data, ylabel="F1 of the rarer class")
        column[1].set(xlabel="labels", ylabel="share of the rarer class found")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=5)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", choices=("debian", "movies"), default=["debian", "movies"])
    parser.add_argument("--filters", nargs="+", choices=FILTERS, default=list(FILTERS[:4]))
    parser.add_argument("--strategy", choices=STRATEGIES, default="entropy")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=20, help="labels a round")
    parser.add_argument("--n-seeds", type=int, default=50, help="labels before the first round")
    parser.add_argument(
        "--n-neighbors", type=int, default=20, help="AnchorAL's K (the paper: 50, for larger pools)"
    )
    parser.add_argument("--pool-size", type=int, default=1000, help="rows of each pool; 0 for all")
    parser.add_argument("--test-size", type=int, default=300, help="rows of each test set; 0 for all")
    parser.add_argument("--rare", default="games", help="the Debian section that is the rare class")
    parser.add_argument("--model", help="transformer to fine-tune, name or path (default: MiniLM, packaged)")
    parser.add_argument("--encoder", help="sentence encoder, name or path (default: MiniLM, packaged)")
    parser.add_argument("--llm", help="quality LLM, name or path (default: SmolLM2-135M, packaged)")
    parser.add_argument("--memory", help="folder that keeps scores and embeddings from run to run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("demo-results"))
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Run the demo."""
    args = parse(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    args.memory = args.memory or str(args.out / "memory")
    start = time.perf_counter()
    rounds = []
    for data in args.data:
        task = load_task(data, args)
        print(
            f"\n{data}: {len(task.texts)} rows, {np.mean(task.y == task.rare):.1%} of the rarer class; "
            f"tested on {len(task.test_texts)}, {np.mean(task.y_test == task.rare):.0%} of it, weighted back"
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
    print(f"{time.perf_counter() - start:.0f} seconds in all")


if __name__ == "__main__":
    main()
