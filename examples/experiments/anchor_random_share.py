"""AnchorFilter: does it help if a share of the subpool is drawn at random?

Makes docs/results/anchor_random_share.md and its CSV. The loop, the pools and the learners are those of
proxy_filter.py. The subpool keeps its size: the least similar rows make room for random ones. Shares are
compared with the filter as it is, on tuning seeds first; the best one is compared again on other seeds. A
command that was killed continues where it stopped.

    python examples/experiments/anchor_random_share.py  # about ten minutes on one busy core
"""

from __future__ import annotations

import argparse
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _pages import (
    COLLECTIONS,
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
from _runs import Runs, make_parser, markdown
from proxy_filter import LEARNERS, N_RARE, play_one

from skprune import AnchorFilter
from skprune.metrics import learning_curve_auc
from skprune.pools import Pool
from skprune.selections import Selection

FIRST_TEST_SEED = 100
NEGLIGIBLE = 2.0  # points of F1; a smaller difference does not matter to us


class WithRandomRows(AnchorFilter):
    """Replace the least similar rows of the subpool by random ones.

    Parameters
    ----------
    n_anchors, n_neighbors : int
    random_share : float
        Share of the subpool that is random.
    random_state : int or None
    """

    def __init__(
        self,
        n_anchors: int = 10,
        n_neighbors: int = 50,
        *,
        random_share: float = 0.0,
        random_state: Any = None,
    ) -> None:
        super().__init__(n_anchors, n_neighbors, random_state=random_state)
        self.random_share = random_share

    def _select(self, pool: Pool, eligible: np.ndarray, min_rows: int) -> Selection:
        found = super()._select(pool, eligible, min_rows)
        near = found.order[: round((1 - self.random_share) * len(found.order))]
        others = np.setdiff1d(np.arange(len(eligible)), near)
        drawn = others[np.argsort(self._uniforms(pool, eligible)[others], kind="stable")]
        order = np.concatenate([near, drawn[: len(found.order) - len(near)]])
        return Selection(order, found.explain)


def play_share(settings: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Play one loop with a share of random rows."""
    found = play_one(settings, WithRandomRows(10, args.n_neighbors, random_share=settings["share"]), args)
    return {
        "F1, mean": 100 * learning_curve_auc(found["f1"], normalize=True),
        "found": found["found"][-1],
        "subpool": float(np.mean(found["subpool"][1:])),
    }


def play_seeds(seeds: range, shares: list[float], args: argparse.Namespace) -> pd.DataFrame:
    """Play the loops that have not been played yet; return one row per run."""
    runs, now = Runs(args.out / "runs.jsonl"), {"origin": origin()}
    sizes = ("pool_size", "test_size", "max_words", "n_neighbors", "n_seeds", "batch", "rounds")
    common = {key: getattr(args, key) for key in sizes}
    rows = []
    for seed in seeds:
        for rare in args.rare:
            for learner in list(LEARNERS)[:2]:
                for share in shares:
                    run = {"seed": seed, "rare": rare, "learner": learner, "share": share}
                    played = partial(play_share, run, args)
                    rows.append(run | runs.get(common | run, lambda played=played: played() | now))
        print(seed, flush=True)
    return pd.DataFrame(rows)


def run_all(args: argparse.Namespace) -> pd.DataFrame:
    """Play the tuning seeds, then the best share of random rows on the test seeds; return one row per run."""
    tuning = play_seeds(range(args.seeds), [0.0, *args.shares], args)
    seeds = range(FIRST_TEST_SEED, FIRST_TEST_SEED + args.test_seeds)
    test = play_seeds(seeds, [0.0, best_share(tuning)], args)
    return said_once(pd.concat([tuning.assign(part="tuning"), test.assign(part="test")], ignore_index=True))


def against_none(runs: pd.DataFrame, column: str, share_tested: float) -> pd.DataFrame:
    """Compare each share with none, paired by seed; one family of tests per share."""
    parts = []
    for share in sorted(set(runs["share"]) - {0.0}):
        family = {}
        for (rare, learner), group in runs.groupby(["rare", "learner"], sort=False):
            table = group.pivot(index="seed", columns="share", values=column)
            family[f"{share:.0%}", rare, learner] = table[share] - table[0.0]
        parts.append(compared(family, ["random share", "rare", "learner"], NEGLIGIBLE, share_tested))
    return pd.concat(parts, ignore_index=True)


def best_share(runs: pd.DataFrame) -> float:
    """Return the share with the best mean F1 over classes and learners, without 0."""
    return float(runs[runs["share"] > 0].groupby("share")["F1, mean"].mean().idxmax())


def page(runs: pd.DataFrame, args: argparse.Namespace) -> str:
    """Return the page of the results."""
    tuning, test = (runs[runs["part"] == part] for part in ("tuning", "test"))
    share, tested = best_share(tuning), args.test_size / COLLECTIONS["descriptions"]
    last = FIRST_TEST_SEED + args.test_seeds - 1
    text = f"""# AnchorFilter with a share of random rows

Command: `{command("anchor_random_share", args, parse([]))}`, seeds 0 to {args.seeds - 1} for tuning and
{FIRST_TEST_SEED} to {last} for the test, {origins(runs)}.

**Data and loop.** As in [ProxyFilter against no pruning](proxy_filter.md): each seed draws {args.pool_size:,}
Debian descriptions for its pool and {args.test_size:,} for its test set, one section against all others;
{args.n_seeds} initial labels, {N_RARE} of them rare, {args.rounds} rounds of {args.batch} by entropy. A = 10,
K = {args.n_neighbors}. The subpool keeps its size; random rows replace the least similar ones.

**How to read it.** Differences are those from the filter without random rows in the same seed: the paired
mean, its 95 % interval (Student's t), and the smallest difference that this number of seeds detects with a
probability of 80 %. F1 of the rare class is averaged over the curve, in points. p is adjusted by Holm's
method over the rows of one share in one table. *Established*: adjusted p < 0.05. *Excluded beyond ±
{NEGLIGIBLE:g} points*: not established, and the interval lies within them. *Not established*: neither.
{beyond_text({"descriptions": tested})}
"""
    parts = [
        *paragraphs(text),
        "## Tuning seeds",
        markdown(against_none(tuning, "F1, mean", tested)),
        f"## Test seeds, {share:.0%} random: the best share of the tuning seeds",
        markdown(against_none(test, "F1, mean", tested)),
        "Rare rows found (the unit is a row):",
        markdown(against_none(test, "found", tested)),
        "Every run: [anchor_random_share.csv](anchor_random_share.csv).",
    ]
    return "\n\n".join(parts) + "\n"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        seeds=10,
        pool_size=8_000,
        test_size=4_000,
        max_words=40,
        n_neighbors=20,
        n_seeds=100,
        batch=25,
        rounds=10,
        out=Path("anchor_random_share-results"),
        page=None,
        tables=None,
    )
    parser.add_argument("--rare", nargs="+", default=["games", "mail"], help="rare classes, in turn")
    parser.add_argument("--shares", nargs="+", type=float, default=[0.1, 0.25, 0.5], help="shares to tune")
    parser.add_argument("--test-seeds", type=int, default=20, help="number of test seeds")
    return parser.parse_args(argv)


def main() -> None:
    """Play the loops and write the page."""
    args = parse()
    warnings.simplefilter("ignore")
    runs = runs_or_tables(args, run_all)
    publish("anchor_random_share", args, runs, page(runs, args))


if __name__ == "__main__":
    main()
