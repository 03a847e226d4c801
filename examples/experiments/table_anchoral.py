"""AnchorAL's Table 2 in small: which pool filter finds a rare class, at which price?

Two rare sections of the Debian package descriptions, one against the rest; filters by strategies by seeds.
Every seed begins with 100 labels, five of the rare class, and buys 25 a round. A killed command goes on where
it stopped; vectors are computed once.

    python examples/experiments/table_anchoral.py  # half an hour on one core
    python examples/experiments/table_anchoral.py --pool-size 0 --neighbors 50 --rounds 36 --seeds 20
    python examples/experiments/table_anchoral.py --learner minilm --strategies entropy --seeds 2
"""

from __future__ import annotations

import argparse
import os
import warnings
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

# Before torch is loaded: threads that spin while they wait make a busy machine crawl.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd
from _runs import Runs, cut, differences, encode, markdown, play, spread
from demo import make_classifier
from sklearn.linear_model import LogisticRegression
from sklearn.utils import Bunch

from skprune import ActiveLearningSimulator, AnchorFilter, RandomFilter, SEALSFilter
from skprune.base import BaseFilter
from skprune.datasets import fetch_model, load_debian, split_by_group
from skprune.metrics import budget_matched, learning_curve_auc
from skprune.strategies import BADGE, BERTKM, Entropy, RandomSampling

FILTERS = ("none", "random", "SEALS", "AnchorAL")
STRATEGIES = {"entropy": Entropy, "BADGE": BADGE, "FT-BERTKM": BERTKM, "passive": RandomSampling}
N_ANCHORS = 10
N_RARE = 5  # of the initial labels, as in the paper


def load_pool(args: argparse.Namespace) -> tuple[Bunch, Bunch]:
    """Return the pool and the test set: the same for every rare class, filter and seed."""
    parts = split_by_group(load_debian(None), test_size=0.2, random_state=0)
    return tuple(
        sample(part, size, args.max_words)
        for part, size in zip(parts, (args.pool_size, args.test_size), strict=True)
    )


def sample(bunch: Bunch, size: int, max_words: int) -> Bunch:
    """Return a random part of the rows, in order; all rows for 0."""
    rows = np.arange(len(bunch.data))
    if 0 < size < len(rows):
        rows = np.sort(np.random.default_rng(0).choice(rows, size, replace=False))
    return Bunch(data=cut([bunch.data[row] for row in rows], max_words), sections=bunch.sections[rows])


def initial_rows(y: np.ndarray, n_rows: int, seed: int) -> np.ndarray:
    """Draw the rows that are labeled before the first round."""
    rng = np.random.default_rng(seed)
    rare = rng.choice(np.flatnonzero(y == 1), N_RARE, replace=False)
    return np.concatenate([rare, rng.choice(np.flatnonzero(y == 0), n_rows - N_RARE, replace=False)])


def make_filter(name: str, args: argparse.Namespace) -> BaseFilter | None:
    """Return the filter behind a name of ``FILTERS``."""
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
    """Return the model that is trained anew each round."""
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
        initial=initial_rows(train[1], args.initial, seed),
        random_state=seed,
    )
    return play(simulator, train, test, 1)[0]


def run_all(args: argparse.Namespace) -> pd.DataFrame:
    """Run what has not run yet; return a row a run."""
    runs = Runs(args.out / "runs.jsonl")
    pool, test = load_pool(args)
    X, X_test = pool.data, test.data
    if args.learner == "linear":
        X, X_test = (encode(texts, args.encoder, args.memory) for texts in (X, X_test))
        # Descriptions that differ after the encoder's last token only: one row each.
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
            {**settings, **runs.get(settings, run), "rows of it": int(labels[settings["rare"]][0].sum())}
            for settings, run in jobs
        ]
    )


def summarize(runs: pd.DataFrame) -> pd.DataFrame:
    """Return what is made of each run, at the budget that all runs reached."""
    table = runs[["rare", "strategy", "filter", "seed", "rows of it"]].copy()
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
                "rare class": f"{rare} ({group['rows of it'].iloc[0]})",
                "strategy": strategy,
                "filter": name,
                "seeds": len(group),
                "F1, AUC": spread(group["F1, AUC"], 2),
                "F1, mean": spread(group["F1, mean"], 3),
                "F1 at the end": spread(group["F1 at the end"], 3),
                "found": spread(group["found"], 0),
                "subpool": f"{group['subpool'].median():.0f}",
                "of it rare": f"{group['minority in subpool'].median():.1%}",
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
    return "\n\n".join(f"## {title}\n\n{markdown(part)}" for title, part in parts.items())


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rare", nargs="+", default=["mail", "database"], help="sections of Debian")
    parser.add_argument("--filters", nargs="+", choices=FILTERS, default=FILTERS)
    parser.add_argument("--strategies", nargs="+", choices=list(STRATEGIES)[:3], default=list(STRATEGIES)[:3])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--learner", choices=("linear", "minilm"), default="linear")
    parser.add_argument("--pool-size", type=int, default=8_000, help="rows of the pool; 0 for all 30,000")
    parser.add_argument("--test-size", type=int, default=2_500, help="rows of the test set; 0 for all 7,500")
    parser.add_argument("--max-words", type=int, default=40, help="texts are cut after so many words")
    parser.add_argument("--neighbors", type=int, default=20, help="K (the papers: 50, for larger pools)")
    parser.add_argument("--initial", type=int, default=100, help="labels before the first round")
    parser.add_argument("--batch", type=int, default=25, help="labels a round")
    parser.add_argument("--rounds", type=int, default=16)
    parser.add_argument("--encoder", help="sentence encoder, name or path (default: MiniLM, packaged)")
    parser.add_argument("--memory", type=Path, help="folder that keeps the vectors (default: in --out)")
    parser.add_argument("--n-jobs", type=int, default=1, help="runs at a time, each in a process of its own")
    parser.add_argument("--out", type=Path, default=Path("table_anchoral-results"))
    args = parser.parse_args(argv)
    args.memory = args.memory or args.out / "memory"
    args.encoder = args.encoder or str(fetch_model("minilm"))
    return args


def main() -> None:
    """Fill the table and print it."""
    args = parse()
    warnings.simplefilter("ignore")
    table = summarize(run_all(args))
    table.to_csv(args.out / "runs.csv", index=False)
    print(f"\n{show(table)}")


if __name__ == "__main__":
    main()
