"""Which query strategy is worth more than random rows? From no label at all, and with rare classes.

Makes docs/results/query_strategies.md and its CSV. The strategies of a seed share pool, test set and, in the
last part, first labels. The parts:

* balanced: the loop of first_labels.py with more strategies. Accuracy, from 20 labels to 200;
* rivals: two strategies of that part against each other, on other seeds;
* rare: the loop of table_anchoral.py without a filter. F1 of rare sections, from 100 labels to 350.

Vectors are computed once. A command that was killed continues where it stopped.

    python examples/experiments/query_strategies.py  # an hour on one busy core, a quarter of it MiniLM
    python examples/experiments/query_strategies.py --parts rare --seeds 10
    python examples/experiments/query_strategies.py --tables docs/results/query_strategies.csv
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _cold_start import play_cold
from _descriptions import N_RARE, QUERY, TEST_SHARE, Descriptions
from _pages import (
    beyond_text,
    command,
    compared,
    count_verdicts,
    origin,
    origins,
    paragraphs,
    publish,
    runs_or_tables,
    said_once,
)
from _pools import describe_sets, set_shares, split_of
from _runs import Runs, make_parser, markdown, play, with_packaged_models
from sklearn.linear_model import LogisticRegression

from skprune import ActiveLearningSimulator
from skprune.datasets import BOILERPLATE_SECTIONS
from skprune.metrics import learning_curve_auc
from skprune.strategies import (
    BADGE,
    CAL,
    DIRECT,
    Coreset,
    Entropy,
    LeastConfidence,
    Margin,
    MaxHerding,
    RandomSampling,
    TypiClust,
    UHerding,
)
from skprune.strategies.base import Strategy
from skprune.strategies.encoding import EncodingStrategy
from skprune.streams import generator

STRATEGIES: dict[str, type[Strategy]] = {
    "random": RandomSampling,
    "entropy": Entropy,
    "margin": Margin,
    "least confidence": LeastConfidence,
    "TypiClust": TypiClust,
    "MaxHerding": MaxHerding,
    "UHerding": UHerding,
    "BADGE": BADGE,
    "Coreset": Coreset,
    "CAL": CAL,
    "DIRECT": DIRECT,
}
N_SEEDS = 100  # first labels of the rare part
THREE = "mail+database+hamradio"


@dataclass(frozen=True)
class Part:
    """A grid of runs, and how they are compared.

    Attributes
    ----------
    pool_size, batch, rounds : int
    data, strategies : tuple of str
    baselines : tuple of str
        The strategies that the others are compared with.
    outcomes : dict of str -> (title, float)
        The columns that are compared, what the page calls them, and the largest difference that does not
        matter, in points.
    first_seed, n_seeds : int
    slow : dict of (data, strategy) -> int
        Numbers of seeds of cells that take too long for all of them.
    """

    pool_size: int
    batch: int
    rounds: int
    data: tuple[str, ...]
    strategies: tuple[str, ...]
    baselines: tuple[str, ...]
    outcomes: dict[str, tuple[str, float]]
    first_seed: int = 0
    n_seeds: int = 20
    slow: dict[tuple[str, str], int] = field(default_factory=dict)


ACCURACY = {"mean": ("mean accuracy", 1.0), "end": ("accuracy at the end", 1.0)}
PARTS = {
    "balanced": Part(
        *(3_000, 20, 9, ("movies", "reuters", "news")),
        tuple(name for name in STRATEGIES if name != "DIRECT"),
        ("random", "margin"),
        ACCURACY,
    ),
    "rivals": Part(
        *(3_000, 20, 9, ("movies", "reuters", "news")),
        ("TypiClust", "UHerding"),
        ("TypiClust",),
        ACCURACY,
        first_seed=100,
        n_seeds=10,
    ),
    "rare": Part(
        *(8_000, 25, 10, ("games", "mail", "hamradio", THREE)),
        ("random", "entropy", "margin", "TypiClust", "UHerding", "DIRECT"),
        ("random", "entropy"),
        {"mean": ("F1", 2.0), "found": ("rare rows found", 5.0)},
        slow={(THREE, "TypiClust"): 6, (THREE, "UHerding"): 6},
    ),
}

SHARES = set_shares(PARTS["balanced"].data) | dict.fromkeys(PARTS["rare"].data, TEST_SHARE)


def play_balanced(settings: dict[str, Any], args: argparse.Namespace) -> dict[str, float]:
    """Play one loop from no label at all. Strategies that need a learner begin with random rows."""
    seed, kind = settings["seed"], STRATEGIES[settings["strategy"]]
    split = split_of(settings["data"], seed, args.memory, settings["pool_size"])
    first = kind if issubclass(kind, EncodingStrategy) else RandomSampling
    sizes = {"batch": settings["batch"], "rounds": settings["rounds"]}
    curve = play_cold(split, kind(random_state=seed), first(random_state=seed), seed=seed, **sizes)
    return {
        "mean": float(np.mean(curve["accuracy"])),
        "end": curve["accuracy"][-1],
        "found": 100 * curve["classes"][-1] / len(set(split.y)),
        "rows": len(split.y),
    }


def play_rare(settings: dict[str, Any], args: argparse.Namespace) -> dict[str, float]:
    """Play one loop with rare classes; pool, first labels and learner are those of table_anchoral.py."""
    seed, data = settings["seed"], descriptions(args.encoder, args.memory)
    split = data.draw(settings["data"], seed, settings["pool_size"], N_SEEDS)
    query_seed = int(generator(seed, QUERY).integers(2**31))
    simulator = ActiveLearningSimulator(
        LogisticRegression(C=10.0, class_weight="balanced", max_iter=1_000),
        STRATEGIES[settings["strategy"]](random_state=query_seed),
        n_instances=settings["batch"],
        n_rounds=settings["rounds"],
        initial=split.initial,
        random_state=seed,
    )
    pool, test = (data.vectors(texts) for texts in (split.texts, split.test_texts))
    curve, _ = play(simulator, (pool, split.y), (test, split.y_test), split.rare)
    n_rare = int((split.y > 0).sum())
    return {
        "mean": 100 * float(learning_curve_auc(curve["f1"], normalize=True)),
        "end": 100 * curve["f1"][-1],
        "found": 100 * curve["found"][-1] / n_rare,
        "rows": n_rare,
    }


@lru_cache(maxsize=1)
def descriptions(encoder: str, memory: Path) -> Descriptions:
    """Return the Debian package descriptions that table_anchoral.py draws from."""
    args = argparse.Namespace(texts=0, max_words=40, encoder=encoder, memory=memory)
    return Descriptions(args, BOILERPLATE_SECTIONS)


def jobs(args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the settings of all runs; those of one data set and seed follow each other."""
    for name in args.parts:
        part = PARTS[name]
        sizes = {"pool_size": part.pool_size, "batch": part.batch, "rounds": part.rounds}
        seeds = range(part.n_seeds if args.seeds is None else args.seeds)
        for data, seed, strategy in product(part.data, seeds, part.strategies):
            if seed < part.slow.get((data, strategy), len(seeds)):
                run = {"part": name, "data": data, "seed": part.first_seed + seed, "strategy": strategy}
                yield run | sizes


def run_all(args: argparse.Namespace) -> pd.DataFrame:
    """Play the loops that have not been played yet; return one row per run."""
    kept, now, rows = Runs(args.out / "runs.jsonl"), {"origin": origin()}, []
    for settings in jobs(args):
        play_one = play_rare if settings["part"] == "rare" else play_balanced
        found = kept.get(settings, lambda s=settings, p=play_one: p(s, args) | now)
        rows.append({key: settings[key] for key in ("part", "data", "seed", "strategy")} | found)
        print(*list(rows[-1].values())[:6], flush=True)
    return said_once(pd.DataFrame(rows))


def against(runs: pd.DataFrame, baseline: str, outcomes: dict[str, tuple[str, float]]) -> pd.DataFrame:
    """Compare the strategies with one of them, paired by seed; each outcome is a family of tests."""
    others = [name for name in runs["strategy"].unique() if name != baseline]
    tables = []
    for column, (title, negligible) in outcomes.items():
        family = {}
        for name, (data, group) in product(others, runs.groupby("data", sort=False)):
            wide = group.pivot(index="seed", columns="strategy", values=column)
            family[name, data] = (wide[name] - wide[baseline]).dropna()
        table = compared(family, ["strategy", "data"], negligible, SHARES)
        tables.append(table if not tables else table.iloc[:, 3:].add_prefix(f"{title}: "))
    return pd.concat(tables, axis=1)


def verdicts(runs: pd.DataFrame, part: Part) -> pd.DataFrame:
    """Count the verdicts on each strategy of a part over its sets."""
    found: dict[tuple[str, str], dict[str, str]] = {}
    for baseline, (column, outcome) in product(part.baselines, part.outcomes.items()):
        table = against(runs, baseline, {column: outcome})
        for strategy, cells in table.groupby("strategy", sort=False):
            found.setdefault((strategy, outcome[0]), {})[f"against {baseline}"] = count_verdicts(cells)
    rows = [{"strategy": name, "outcome": title} | row for (name, title), row in found.items()]
    return pd.DataFrame(rows).fillna("").query("strategy != 'random'")


def levels(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the means over the seeds."""
    groups = runs.groupby(["data", "strategy"], sort=False)
    means = groups[["mean", "end", "found"]].mean().map("{:.1f}".format)
    return pd.concat([groups.size().rename("seeds"), means], axis=1).reset_index()


def page(runs: pd.DataFrame, args: argparse.Namespace) -> str:
    """Return the page of the results; it depends on the runs and the command only."""
    balanced, rare = PARTS["balanced"], PARTS["rare"]
    in_pool = runs[runs["part"] == "rare"].groupby("data", sort=False)["rows"].mean()
    rows = ", ".join(f"{n:.0f} rows of *{name}*" for name, n in in_pool.items())
    text = f"""# Query strategies against random rows

Command: `{command("query_strategies", args, parse([]))}`, {origins(runs)}. Each table
says how many seeds it has, from 0 on unless stated.

**Strategies** have their default settings, which are those of their papers; nothing was tuned on these
seeds. They compare the vectors that the learner reads. With two classes, entropy, margin and
least confidence ask for the same rows.

**How to read it.** Differences are paired by seed, in points: the mean, its 95 % interval (Student's t), and
the smallest difference that this number of seeds detects with a probability of 80 %. p is adjusted by Holm's
method over all rows of a table, for each outcome; these families were named before the runs. *Established*:
adjusted p < 0.05. *Excluded beyond ± x*: not established, and the interval lies within ± 1 point of
accuracy, ± 2 points of F1 or ± 5 percent of the rare rows. *Not established*: neither.
{beyond_text(SHARES, counted=True)} Nothing here covers other learners.
"""
    setting = {
        "balanced": f"""
**Data.** Pools and test sets, drawn anew by each seed:
{describe_sets(list(balanced.data), balanced.pool_size)}.

**Loop.** As in [the first labels](first_labels.md): {balanced.batch} rows are labeled without a learner, then
{balanced.rounds} rounds of {balanced.batch}; logistic regression on the vectors learns anew in each round.
TypiClust, MaxHerding and UHerding pick the first rows themselves; the others begin with random rows. *mean*
is the mean accuracy over the curve, *end* that with {balanced.batch * (balanced.rounds + 1)} labels, *found*
the share of the classes that were met, in percent. The page of the first labels tests the same runs of
entropy and TypiClust in families of three tests. Here a table is one family, so that adjusted p are larger.
""",
        "rare": f"""
**Data.** Debian package descriptions, as in [the table of AnchorAL](table_anchoral.md): each seed splits them
by source package anew, draws a pool of {rare.pool_size:,}, and tests on all rows of the other side. The
sections named are the rare classes, everything else is one class; *{THREE}* has three rare classes, whose F1
is averaged. The pools hold {rows}, on average. Vectors are those of MiniLM.

**Loop.** {N_SEEDS} first labels, {N_RARE} of each rare class, which all strategies share, then {rare.rounds}
rounds of {rare.batch}, without a filter; logistic regression with balanced classes learns anew in each round.
*mean* is the F1 of the rare classes over the rounds, *end* that after the last one, *found* the share of the
rare rows of the pool that were labeled at the end, in percent. TypiClust and UHerding take seconds per
query; time ran out for some of their seeds on {THREE}.
""",
    }
    setting["rivals"] = f"""
The same loop on other seeds, {PARTS["rivals"].first_seed} and up. This comparison was named after the part
above had been seen, and before it was run.
"""
    titles = {
        "balanced": "From no label at all",
        "rivals": "UHerding against TypiClust",
        "rare": "Rare classes",
    }
    parts = paragraphs(text)
    for name, part in PARTS.items():
        mine = runs[runs["part"] == name]
        if mine.empty:
            continue
        parts += [f"## {titles[name]}", *paragraphs(setting[name])]
        if len(part.strategies) > 2:
            parts += ["Verdicts, counted over the sets:", markdown(verdicts(mine, part))]
        for baseline in part.baselines:
            table = against(mine, baseline, part.outcomes)
            parts += [
                f"Against {baseline}, first the {next(iter(part.outcomes.values()))[0]}:",
                markdown(table),
            ]
        parts += ["Means over the seeds:", markdown(levels(mine))]
    return "\n\n".join([*parts, "Every run: [query_strategies.csv](query_strategies.csv)."]) + "\n"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        encoder=None,
        memory=None,
        out=Path("query_strategies-results"),
        page=None,
        tables=None,
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--seeds", type=int, help="number of seeds (default: the part's)")
    return parser.parse_args(argv)


def main() -> None:
    """Play the loops, or read them, and write the page."""
    given = parse()
    args = with_packaged_models(argparse.Namespace(**vars(given)))
    warnings.simplefilter("ignore")
    runs = runs_or_tables(args, run_all)
    given.parts = list(dict.fromkeys(runs["part"]))
    publish("query_strategies", args, runs, page(runs, given))


if __name__ == "__main__":
    main()
