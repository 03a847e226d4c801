"""ProxyFilter on the largest pool there is, with sentence vectors, against no pruning and five other filters.

Makes docs/results/proxy_filter_large.md and its CSV. The pool is the larger side of a split of all Debian
package descriptions by source package, anew for each seed; the test set is drawn from the other side. Three
sections are the rare class in turn; film-review snippets are a balanced set. Vectors are those of MiniLM, and
the learners are logistic regression on them, logistic regression on TF-IDF, and a small neural net on them. A
command that was killed continues where it stopped.

The rows of a CSV beside the page stay, and new ones are added; with --seeds 0 the page is made from it alone.

    python examples/experiments/proxy_filter_large.py  # an hour or so, a quarter of it for vectors
    python examples/experiments/proxy_filter_large.py --seeds 0 --page docs/results/proxy_filter_large.md
"""

from __future__ import annotations

import argparse
import warnings
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _against_none import against_none, levels, seeds_of, shown, what_holds, with_kept
from _pages import COLLECTIONS, beyond_text, command, origin, paragraphs, publish, runs_or_tables
from _runs import Runs, cut, encode, make_parser, markdown, play, with_packaged_models
from proxy_filter import LEARNERS, N_RARE, NEGLIGIBLE, ContentOf, make_learner, measured
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.utils import Bunch

from skprune import ActiveLearningSimulator, AnchorFilter, ProxyFilter, RandomFilter, SEALSFilter, UPSFilter
from skprune.base import BaseFilter
from skprune.datasets import fetch_model, load_debian, load_movie_snippets, split_by_group
from skprune.strategies import Entropy

FILTERS = ("none", "ProxyFilter", "AnchorAL", "SEALS", "UPS", "random")
BALANCED = "film-reviews"
KEEP = {BALANCED: 450}  # about the share that the others keep
SETTINGS = ["test_size", "max_words", "keep", "n_seeds", "batch", "rounds"]


@lru_cache(maxsize=2)
def encoded(balanced: bool, max_words: int, memory: Path) -> Bunch:
    """Return a set with the distinct vectors of its texts."""
    bunch = load_movie_snippets() if balanced else load_debian(None)
    texts = cut(bunch.data, max_words)
    vectors = encode(texts, fetch_model("minilm"), memory)
    rows = np.sort(np.unique(vectors, axis=0, return_index=True)[1])  # learners tell texts by their vectors
    labels = bunch.target if balanced else bunch.sections
    groups = np.arange(len(texts)) if balanced else bunch.groups
    release = "" if balanced else bunch.release
    return Bunch(
        data=rows,
        target=labels[rows],
        groups=groups[rows],
        texts=texts[rows],
        vectors=vectors[rows],
        release=release,
    )


@lru_cache(maxsize=1)
def data_of(balanced: bool, seed: int, test_size: int, max_words: int, memory: Path) -> tuple[Bunch, Bunch]:
    """Return the pool and the test set of a seed: vectors and labels."""
    whole = encoded(balanced, max_words, memory)
    numbered = Bunch(data=np.arange(len(whole.data)), target=whole.target, groups=whole.groups)
    pool, test = (np.array(part.data) for part in split_by_group(numbered, 0.3, random_state=seed))
    test = np.random.default_rng(seed).permutation(test)[:test_size]
    rows = np.concatenate([pool, test])
    vectorizer = TfidfVectorizer(sublinear_tf=True).fit(whole.texts[pool])
    ContentOf.contents = {"terms": vectorizer.transform(whole.texts[rows])}
    ContentOf.row_of = {whole.vectors[row].tobytes(): i for i, row in enumerate(rows)}
    return tuple(Bunch(vectors=whole.vectors[part], labels=whole.target[part]) for part in (pool, test))


def make_filter(name: str, keep: int) -> BaseFilter | None:
    """Return the filter that a name of ``FILTERS`` stands for; none keeps more than ``keep`` rows."""
    match name:
        case "none":
            return None
        case "ProxyFilter":
            return ProxyFilter(keep)
        case "AnchorAL":
            return AnchorFilter(10, keep // 20, max_subpool=keep)
        case "SEALS":
            return SEALSFilter(keep=keep)
        case "UPS":
            return UPSFilter(keep)
        case _:
            return RandomFilter(keep)


def play_one(settings: dict[str, Any], args: argparse.Namespace) -> dict[str, Any]:
    """Play one loop with a filter; the settings name the seed, the class, the learner and the filter."""
    seed, rare = settings["seed"], settings["rare"]
    pool, test = data_of(rare == BALANCED, seed, args.test_size, args.max_words, args.memory)
    rng = np.random.default_rng(seed)
    if rare == BALANCED:
        y, y_test, positive = pool.labels, test.labels, [0, 1]
        initial = rng.choice(len(y), args.n_seeds, replace=False)
    else:
        y, y_test, positive = (pool.labels == rare).astype(int), (test.labels == rare).astype(int), 1
        sizes = ((1, N_RARE), (0, args.n_seeds - N_RARE))
        initial = np.concatenate([rng.choice(np.flatnonzero(y == c), n, replace=False) for c, n in sizes])
    simulator = ActiveLearningSimulator(
        make_learner(settings["learner"]),
        Entropy(),
        make_filter(settings["filter"], settings["keep"]),
        n_instances=args.batch,
        n_rounds=args.rounds,
        initial=initial,
        random_state=seed,
    )
    found, _ = play(simulator, (pool.vectors, y), (test.vectors, y_test), positive)
    counted = {"rare rows": int(y.sum()), "rare rows of the test set": int(y_test.sum())}
    return found | counted | {"pool": len(y)}


def run_all(args: argparse.Namespace) -> pd.DataFrame:
    """Play the loops that have not been played yet; return one row per run."""
    runs, now = Runs(args.out / "runs.jsonl"), {"origin": origin()}
    rows = []
    for seed, rare, learner, name in product(range(args.seeds), args.rare, args.learners, FILTERS):
        common = {key: getattr(args, key) for key in SETTINGS} | {"keep": KEEP.get(rare, args.keep)}
        settings = common | {"seed": seed, "rare": rare, "learner": learner, "filter": name}
        found = runs.get(settings, lambda settings=settings: play_one(settings, args) | now)
        rows.append(
            {"rare": rare, "learner": LEARNERS[learner], "filter": name, "seed": seed, "pool": found["pool"]}
            | {key: found[key] for key in ("rare rows", "rare rows of the test set")}
            | measured(found)
            | common
            | {"release": encoded(False, args.max_words, args.memory).release, "origin": found["origin"]}
        )
        print(*rows[-1].values(), flush=True)
    return pd.DataFrame(rows)


def page(runs: pd.DataFrame) -> str:
    """Return the page of the results."""
    rows = {name: COLLECTIONS["movies" if name == BALANCED else "descriptions"] for name in runs["rare"]}
    largest = runs["test_size"].max()
    shares = {name: min(0.3, largest / n) for name, n in rows.items()}  # 0.3: the smaller side of the split
    table = against_none(runs, NEGLIGIBLE, shares)
    first = runs.iloc[0]
    names = {shown: name for name, shown in LEARNERS.items()}
    seeds = runs.groupby(["rare", "learner"])["seed"].nunique()
    options = {"seeds": seeds.max(), "rare": list(runs["rare"].unique())}
    options |= {"learners": [names[x] for x in runs["learner"].unique()]}
    options |= {key: int(first[key]) for key in SETTINGS}
    usual = parse([])
    given = command("proxy_filter_large", argparse.Namespace(**vars(usual) | options), usual)
    pools = runs.groupby("rare", sort=False)["pool"].mean()
    parts = runs.groupby(runs["rare"] == BALANCED, sort=False)
    seeds_used = "; ".join(f"{', '.join(part['rare'].unique())}: {seeds_of(part)}" for _, part in parts)
    seconds = runs.groupby(["filter", "rare", "learner"])["CPU s selecting"].mean().groupby("filter")
    low, high = seconds.min(), seconds.max()
    text = f"""Command: `{given}`, {seeds_used}. Measured at {first["origin"]}.
Two processes took the seeds from both ends, and were stopped at a fixed time; only whole seeds count.

**Cost.** To select in all rounds takes {low["ProxyFilter"]:.2f} to {high["ProxyFilter"]:.2f} CPU seconds with
ProxyFilter, {low["none"]:.2f} to {high["none"]:.2f} without pruning: for models this small there is little to
save.

**Data.** All rows of `load_debian(None)`, the package descriptions of {first["release"]} without
near-boilerplate sections, split by source package for each seed; the pool is the larger side,
{pools.iloc[0]:,.0f} rows on average, and the test set at most {first["test_size"]:,} rows of the other.
One section against all others. Film-review snippets, split at random, are a balanced set: the pool has
{pools.iloc[-1]:,.0f} rows. Texts are cut at {first["max_words"]} words. **Vectors.** Those of MiniLM.
**Loop.** {first["n_seeds"]} initial labels, {N_RARE} of them rare, or random ones for the film reviews;
{first["rounds"]} rounds of {first["batch"]} by entropy. **Filters.** ProxyFilter, SEALS, UPS and random
keep {first["keep"]:,} rows ({KEEP[BALANCED]} film reviews); the paper of SEALS sets no such limit. AnchorAL
with A = 10 and K = {first["keep"] // 20} ({KEEP[BALANCED] // 20}) retrieves at most as many.

**How to read it.** The score is the F1 of the rare class, for the film reviews the mean F1 of both
classes; it is averaged over the curve. The first table shows its difference from no pruning in the same
seed, in percent of the mean without pruning: the paired mean, its 95 % interval (Student's t), and the
smallest difference that this number of seeds detects with a probability of 80 %. p is adjusted by
Holm's method over the {len(seeds)} comparisons of a filter. *Established*: adjusted p < 0.05. *Excluded
beyond ± {NEGLIGIBLE:.0f} %*: not established, and the interval lies within ± {NEGLIGIBLE:.0f} %. *Not
established*: neither. "Rare rows found" is the paired difference at the end; it says nothing about the
film reviews. {beyond_text(shares)}
"""
    blocks = ["# ProxyFilter on a large pool with sentence vectors", "## What holds"]
    blocks += [
        what_holds(table, NEGLIGIBLE),
        *paragraphs(text),
        "## Against no pruning",
        markdown(shown(table)),
    ]
    blocks += ["## Means over the seeds", markdown(levels(runs))]
    return "\n\n".join([*blocks, "Every run: [proxy_filter_large.csv](proxy_filter_large.csv)."]) + "\n"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        seeds=10,
        test_size=8_000,
        max_words=40,
        n_seeds=100,
        batch=25,
        rounds=20,
        memory=None,
        out=Path("proxy_filter_large-results"),
        page=None,
        tables=None,
    )
    classes = ["games", "mail", "hamradio", BALANCED]
    parser.add_argument("--rare", nargs="+", default=classes, help="rare classes, in turn")
    models = list(LEARNERS)[:3]
    parser.add_argument(
        "--learners", nargs="+", choices=models, default=models, help="models that are trained"
    )
    parser.add_argument("--keep", type=int, default=1_500, help="rows that each filter keeps")
    return with_packaged_models(parser.parse_args(argv))


def main() -> None:
    """Play the loops and write the page."""
    args = parse()
    warnings.simplefilter("ignore")
    runs = runs_or_tables(args, run_all)
    if not args.tables:
        known = args.page and args.page.with_suffix(".csv")
        runs = with_kept(runs, known, ["rare", "learner", "filter", "seed", *SETTINGS])
    publish("proxy_filter_large", args, runs, page(runs))


if __name__ == "__main__":
    main()
