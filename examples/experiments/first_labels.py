"""TypiClust for the first labels: against random rows, entropy and k-means++.

Makes docs/results/first_labels.md and its CSV. From no label at all, a loop labels 20 rows per round, up to
200. Logistic regression on MiniLM vectors learns from them. Each seed draws a pool and a test set of its own,
which the strategies of a seed share. Entropy starts with random rows. A command that was killed continues
where it stopped.

    python examples/experiments/first_labels.py  # about a quarter of an hour on one busy core
    python examples/experiments/first_labels.py --tables docs/results/first_labels.csv  # from the CSV
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _cold_start import play_cold
from _pages import (
    beyond_text,
    command,
    compared,
    origin,
    origins,
    paragraphs,
    publish,
    runs_or_tables,
    said_once,
)
from _pools import SETS, describe_sets, set_shares, split_of
from _runs import Runs, make_parser, markdown, with_packaged_models
from sklearn.metrics import pairwise_distances_argmin_min

from skprune.strategies import Entropy, RandomSampling, TypiClust
from skprune.strategies.base import Picks, Strategy
from skprune.strategies.capabilities import labeled_rows

SWITCH = 60  # labels after which "TypiClust, then entropy" asks by entropy
NEGLIGIBLE = 1.0  # points of accuracy; a smaller difference does not matter to us


class KMeansPlusPlus(Strategy):
    """Draw rows as k-means++ does, by the squared distance to the nearest labeled or drawn row."""

    def _pick(
        self, learner: Any, X_pool: Any, n_instances: int, rng: np.random.Generator, **kwargs: Any
    ) -> Picks:
        known = labeled_rows(learner)
        squared = np.ones(len(X_pool))
        if known is not None:
            squared = pairwise_distances_argmin_min(X_pool, known)[1] ** 2
        picked: list[int] = []
        for _ in range(n_instances):
            row = int(rng.choice(len(squared), p=squared / squared.sum()))
            to_row = np.square(X_pool - X_pool[row]).sum(axis=1, dtype=np.float64)
            squared = np.minimum(squared, to_row) if picked or known is not None else to_row
            squared[row] = 0.0
            picked.append(row)
        return np.array(picked), np.zeros(n_instances)


class TypiClustThenEntropy(Strategy):
    """TypiClust up to ``SWITCH`` labels, entropy afterwards."""

    def _pick(
        self, learner: Any, X_pool: Any, n_instances: int, rng: np.random.Generator, **kwargs: Any
    ) -> Picks:
        known = labeled_rows(learner)
        kind = TypiClust if known is None or len(known) < SWITCH else Entropy
        return kind(random_state=int(rng.integers(2**31)))(learner, X_pool, n_instances)


STRATEGIES: dict[str, type[Strategy]] = {
    "random": RandomSampling,
    "entropy": Entropy,
    "k-means++": KMeansPlusPlus,
    "TypiClust": TypiClust,
    "TypiClust, then entropy": TypiClustThenEntropy,
}


def play(settings: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Play one loop; return the accuracy in percent and the number of classes found at each size."""
    seed = settings["seed"]
    split = split_of(settings["data"], seed, args.memory, args.pool_size)
    strategy = STRATEGIES[settings["strategy"]](random_state=seed)
    first = RandomSampling(random_state=seed) if settings["strategy"] == "entropy" else strategy
    return play_cold(split, strategy, first, seed=seed, batch=args.batch, rounds=args.rounds)


def run_all(args: argparse.Namespace) -> pd.DataFrame:
    """Play the loops that have not been played yet; return one row per run."""
    runs, now = Runs(args.out / "runs.jsonl"), {"origin": origin()}
    common = {key: getattr(args, key) for key in ("pool_size", "batch", "rounds")}
    rows = []
    for name in args.data:
        for seed in range(args.seeds):
            for strategy in STRATEGIES:
                run = {"data": name, "seed": seed, "strategy": strategy}
                found = runs.get(common | run, lambda run=run: play(run, args) | now)
                curve = dict(zip(found["labels"], found["accuracy"], strict=True))
                classes = dict(zip(found["labels"], found["classes"], strict=True))
                rows.append(
                    run
                    | {"mean accuracy": np.mean(found["accuracy"])}
                    | {f"accuracy at {n}": curve[n] for n in milestones(args)}
                    | {f"classes at {n}": classes[n] for n in milestones(args)}
                    | {"origin": found["origin"]}
                )
            print(name, seed, flush=True)
    return said_once(pd.DataFrame(rows))


def milestones(args: argparse.Namespace) -> list[int]:
    """Return the numbers of labels that the tables show: the first, the third and the last."""
    return [args.batch * n for n in sorted({1, min(3, args.rounds + 1), args.rounds + 1})]


def against_random(runs: pd.DataFrame, column: str) -> pd.DataFrame:
    """Compare each strategy with random rows, paired by seed; one family of tests per strategy."""
    parts = []
    for strategy in [name for name in STRATEGIES if name != "random"]:
        family = {}
        for name, group in runs.groupby("data", sort=False):
            table = group.pivot(index="seed", columns="strategy", values=column)
            family[strategy, name] = table[strategy] - table["random"]
        parts.append(compared(family, ["strategy", "data"], NEGLIGIBLE, set_shares(SETS)))
    return pd.concat(parts, ignore_index=True)


def page(runs: pd.DataFrame, args: argparse.Namespace) -> str:
    """Return the page of the results."""
    first, *_, last = milestones(args)
    levels = runs.groupby(["data", "strategy"], sort=False).mean(numeric_only=True).drop(columns="seed")
    text = f"""# The first labels: TypiClust against random rows

Command: `{command("first_labels", args, parse([]))}`, seeds 0 to {runs["seed"].max()}, {origins(runs)}.

**Data.** Pools and test sets, drawn anew by each seed: {describe_sets(args.data, args.pool_size)}.

**Loop.** {first} rows are labeled without a learner, then
{args.rounds} rounds of {args.batch}, up to {last} labels; logistic regression on the vectors learns anew in
each round. Entropy begins with random rows; "TypiClust, then entropy" changes after {SWITCH} labels;
k-means++ draws rows with the squared distance to the nearest labeled row as weight. TypiClust has its
paper's settings, so nothing was tuned on these seeds.

**How to read it.** A difference is that from random rows in the same seed, in points of accuracy: the paired
mean, its 95 % interval (Student's t), and the smallest difference that this number of seeds detects with a
probability of 80 %. p is adjusted by Holm's method over the {len(args.data)} sets of a strategy, in each
table. *Established*: adjusted p < 0.05. *Excluded beyond ± {NEGLIGIBLE:g} points*: not established, and the
interval lies within them. *Not established*: neither. {beyond_text(set_shares(args.data))}
"""
    parts = [*paragraphs(text), "Mean accuracy over the curve:"]
    parts.append(markdown(against_random(runs, "mean accuracy")))
    for n in milestones(args):
        parts += [f"Accuracy with {n} labels:", markdown(against_random(runs, f"accuracy at {n}"))]
    parts += ["Means over the seeds:", markdown(levels.map("{:.1f}".format).reset_index())]
    return "\n\n".join([*parts, "Every run: [first_labels.csv](first_labels.csv)."]) + "\n"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        seeds=20,
        pool_size=3_000,
        batch=20,
        rounds=9,
        memory=None,
        out=Path("first_labels-results"),
        page=None,
        tables=None,
    )
    parser.add_argument("--data", nargs="+", choices=SETS, default=["movies", "reuters", "news"])
    return with_packaged_models(parser.parse_args(argv))


def main() -> None:
    """Play the loops and write the page."""
    args = parse()
    warnings.simplefilter("ignore")
    runs = runs_or_tables(args, run_all)
    args.data = list(dict.fromkeys(runs["data"]))
    publish("first_labels", args, runs, page(runs, args))


if __name__ == "__main__":
    main()
