"""AnchorAL's Table 2 on a small scale: which pool filter finds a rare class, and at what cost?

Makes the tables of docs/results/table_anchoral.md. Two sections of the Debian package descriptions are the
rare class in turn. Filters, strategies and seeds are combined; every run starts with 100 labels, five of
them of the rare class, and adds 25 per round. Vectors are computed once. A command that was killed
continues where it stopped.

    python examples/experiments/table_anchoral.py  # eight to thirty minutes on one core
    python examples/experiments/table_anchoral.py --pool-size 0 --neighbors 50 --rounds 36 --seeds 20
    python examples/experiments/table_anchoral.py --learner minilm --strategies entropy --seeds 2
"""

from __future__ import annotations

import argparse
import warnings
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _runs import (
    Runs,
    cut,
    differences,
    draw_rows,
    encode,
    make_parser,
    play,
    random_part,
    sections,
    spread,
    with_packaged_models,
)
from demo import make_classifier
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Bunch

from skprune import ActiveLearningSimulator, AnchorFilter, RandomFilter, SEALSFilter
from skprune.base import BaseFilter
from skprune.datasets import load_debian, split_by_group
from skprune.metrics import budget_matched, learning_curve_auc
from skprune.strategies import BADGE, BERTKM, Entropy, RandomSampling

FILTERS = ("none", "random", "SEALS", "AnchorAL")
STRATEGIES = {"entropy": Entropy, "BADGE": BADGE, "FT-BERTKM": BERTKM, "passive": RandomSampling}
N_ANCHORS = 10
N_RARE = 5  # initial labels of the rare class, as in the paper


def load_pool(args: argparse.Namespace) -> tuple[Bunch, Bunch]:
    """Return the pool and the test set, which are the same for every rare class, filter and seed."""
    parts = split_by_group(load_debian(None), test_size=0.2, random_state=0)
    return tuple(
        sample(part, size, args.max_words)
        for part, size in zip(parts, (args.pool_size, args.test_size), strict=True)
    )


def sample(bunch: Bunch, size: int, max_words: int) -> Bunch:
    """Return a random part of the rows, in order; all rows for 0."""
    rows = random_part(len(bunch.data), size)
    return Bunch(data=cut([bunch.data[row] for row in rows], max_words), sections=bunch.sections[rows])


def make_filter(name: str, args: argparse.Namespace) -> BaseFilter | None:
    """Return the filter that a name of ``FILTERS`` stands for."""
    encoded = {} if args.learner == "linear" else {"encoder": args.encoder, "memory": args.memory}
    match name:
        case "none":
            return None
        case "random":  # as many rows as AnchorAL can retrieve for two classes
            return RandomFilter(keep=2 * N_ANCHORS * args.neighbors)
        case "SEALS":
            return SEALSFilter(n_neighbors=args.neighbors, **encoded)
        case _:
            return AnchorFilter(N_ANCHORS, args.neighbors, **encoded)


def make_learner(args: argparse.Namespace, seed: int) -> Any:
    """Return the model that is trained anew in each round."""
    if args.learner == "linear":
        return LogisticRegression(C=10.0, class_weight="balanced", max_iter=1_000)
    return make_classifier(argparse.Namespace(model=args.encoder, seed=seed))


def play_one(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    strategy: str,
    name: str,
    seed: int,
    args: argparse.Namespace,
) -> dict[str, Any]:
    """Play one loop."""
    simulator = ActiveLearningSimulator(
        make_learner(args, seed),
        STRATEGIES[strategy](random_state=seed),
        make_filter(name, args),
        n_instances=args.batch,
        n_rounds=args.rounds,
        initial=draw_rows(train[1], args.initial, N_RARE, 1, seed),
        random_state=seed,
    )
    return play(simulator, train, test, 1)[0]


def run_all(args: argparse.Namespace) -> pd.DataFrame:
    """Play the loops that have not been played yet; return one row per run."""
    runs = Runs(args.out / "runs.jsonl")
    pool, test = load_pool(args)
    X, X_test = pool.data, test.data
    if args.learner == "linear":
        X, X_test = (encode(texts, args.encoder, args.memory) for texts in (X, X_test))
        # Descriptions that differ only after the encoder's last token have equal vectors: keep one of them.
        distinct = np.sort(np.unique(X, axis=0, return_index=True)[1])
        X, pool.sections = X[distinct], pool.sections[distinct]
    common = {
        key: getattr(args, key)
        for key in (
            "learner",
            "pool_size",
            "test_size",
            "max_words",
            "neighbors",
            "initial",
            "batch",
            "rounds",
        )
    }
    labels = {rare: [(part.sections == rare).astype(int) for part in (pool, test)] for rare in args.rare}
    jobs = []
    for seed, rare, strategy, name in product(
        range(args.seeds), args.rare, [*args.strategies, "passive"], args.filters
    ):
        if strategy == "passive" and name != "none":
            continue
        settings = common | {"rare": rare, "strategy": strategy, "filter": name, "seed": seed}
        y, y_test = labels[rare]
        jobs.append((settings, partial(play_one, (X, y), (X_test, y_test), strategy, name, seed, args)))
    for settings, found in runs.fill(jobs, args.n_jobs):
        named = (settings[key] for key in ("seed", "rare", "strategy", "filter"))
        print(*named, f"F1 {found['f1'][-1]:.3f}, found {found['found'][-1]}", flush=True)
    return pd.DataFrame(
        [
            {**settings, **runs.get(settings, run), "rare rows": int(labels[settings["rare"]][0].sum())}
            for settings, run in jobs
        ]
    )


def summarize(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the summary of each run, at the budget that all runs reached."""
    table = runs[["rare", "strategy", "filter", "seed", "rare rows"]].copy()
    curves = budget_matched(runs["f1"])
    table["F1, AUC"] = [learning_curve_auc(curve) for curve in curves]
    table["F1, mean"] = [learning_curve_auc(curve, normalize=True) for curve in curves]
    table["F1 at the end"] = [curve[-1] for curve in curves]
    table["found"] = [found[len(curve) - 1] for found, curve in zip(runs["found"], curves, strict=True)]
    for column in ("subpool", "minority in subpool"):
        table[column] = [np.mean(values[1 : len(curves[0])]) for values in runs[column]]
    table["CPU s selecting"] = [sum(values[: len(curves[0])]) for values in runs["CPU s selecting"]]
    return table


def show(table: pd.DataFrame) -> str:
    """Return the tables in Markdown."""
    rows = []
    for (rare, strategy, name), group in table.groupby(["rare", "strategy", "filter"], sort=False):
        rows.append(
            {
                "rare class": f"{rare} ({group['rare rows'].iloc[0]})",
                "strategy": strategy,
                "filter": name,
                "seeds": len(group),
                "F1, AUC": spread(group["F1, AUC"], 2),
                "F1, mean": spread(group["F1, mean"], 3),
                "F1 at the end": spread(group["F1 at the end"], 3),
                "found": spread(group["found"], 0),
                "subpool": f"{group['subpool'].median():.0f}",
                "rare in subpool": f"{group['minority in subpool'].median():.1%}",
                "CPU s selecting": spread(group["CPU s selecting"], 2),
            }
        )
    active, groups = table[table["strategy"] != "passive"], ["rare", "strategy"]
    alone = table[table["filter"] == "none"]
    parts = {
        "Outcome": pd.DataFrame(rows),
        "Mean F1 against no filter": differences(active, "F1, mean", groups, "none"),
        "Rare rows found against no filter": differences(active, "found", groups, "none"),
        "Mean F1 against random labels": differences(alone, "F1, mean", ["rare"], "passive", "strategy"),
        "Rare rows found against random labels": differences(alone, "found", ["rare"], "passive", "strategy"),
    }
    return sections(parts)


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        seeds=8,
        pool_size=8_000,
        test_size=2_500,
        max_words=40,
        batch=25,
        rounds=16,
        encoder=None,
        memory=None,
        n_jobs=1,
        out=Path("table_anchoral-results"),
    )
    parser.add_argument("--rare", nargs="+", default=["mail", "database"], help="the rare classes, in turn")
    parser.add_argument("--filters", nargs="+", choices=FILTERS, default=FILTERS)
    parser.add_argument("--strategies", nargs="+", choices=list(STRATEGIES)[:3], default=list(STRATEGIES)[:3])
    parser.add_argument("--learner", choices=("linear", "minilm"), default="linear")
    parser.add_argument("--neighbors", type=int, default=20, help="K of the filters (50 in their papers)")
    parser.add_argument("--initial", type=int, default=100, help="labels before the first round")
    return with_packaged_models(parser.parse_args(argv))


def main() -> None:
    """Play the loops and print the tables."""
    args = parse()
    warnings.simplefilter("ignore")
    table = summarize(run_all(args))
    table.to_csv(args.out / "runs.csv", index=False)
    print(f"\n{show(table)}")


if __name__ == "__main__":
    main()
