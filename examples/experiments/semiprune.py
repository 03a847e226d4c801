"""SemiPrune with few labels, on fresh pools of full size, against random rows.

Makes docs/results/semiprune.md and its CSV. Each seed draws a pool and a test set of its own: vectors of
Fashion-MNIST (60,000), 20 Newsgroups and Debian, and Fashion-MNIST's images for the convolutional proxy
(60,000, and 5,000 with FixMatch too). Few rows are labeled at random. Each method keeps a share of the pool,
has these rows labeled, and trains one net for a fixed number of steps; the labels that were known count
toward the share. Pools whose labels are all known are compared in semiprune_defaults.py; this page repeats a
part of its CSV. A command that was killed continues where it stopped.

    python examples/experiments/semiprune.py  # three hours on one core
    python examples/experiments/semiprune.py --data news --seeds 20
    python examples/experiments/semiprune.py --tables docs/results/semiprune.csv  # the page, from the CSV
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _pages import (
    beyond_text,
    command,
    count_verdicts,
    origin,
    origins,
    paragraphs,
    publish,
    runs_or_tables,
    said_once,
)
from _pools import N_PIXELS_TEST, Split, describe_sets, set_shares, split_of
from _runs import Runs, make_parser, markdown, with_packaged_models
from semiprune_defaults import METHODS, NEGLIGIBLE, test_table
from sklearn.decomposition import PCA
from sklearn.metrics import accuracy_score, f1_score
from sklearn.utils import Bunch

from skprune import FixMatchClassifier, KMeansFilter, ProxyClassifier, SemiPruneFilter
from skprune.datasets import load_fashion_mnist

VECTORS = ("fashion-60k", "news", "debian")
KEEP = (0.7, 0.3, 0.1)
SEEDS = {"fashion-60k": 8, "news": 20, "debian": 20, "images": 8, "images-60k": 4}
LABELS = {"fashion-60k": 0.01, "news": 0.05, "debian": 0.05, "images": 0.05, "images-60k": 0.01}
PAIRS = ("DUAL + beta", "AUM + budget, grows", "AUM + ccs, grows")  # the first one is the default
K_MEANS = "k-means"
K_MEANS_ON = ("news", "debian")  # at the smallest share: thousands of clusters take longer than all the rest
N_RANDOM = 3  # random draws whose mean is the baseline
# The images: how pseudo-labels are made and what the proxy is. FixMatch learns them in a minute or two.
IMAGE_PAIRS, IMAGE_KEEP = ("DUAL + beta", "AUM + budget, grows"), (0.3, 0.1)
FIXMATCH_STEPS, FIXMATCH_BATCH = 800, 32
SETUPS: dict[str, dict[str, Any]] = {
    "self-training, MLP": {"holdout": 0.0},
    "self-training, conv": {"proxy": ProxyClassifier("conv"), "n_epochs": 20, "holdout": 0.0},
    "self-training, conv, 10 epochs": {"proxy": ProxyClassifier("conv"), "n_epochs": 10, "holdout": 0.0},
    "FixMatch, conv": {
        "ssl": FixMatchClassifier("conv", max_epochs=1, min_steps=FIXMATCH_STEPS, batch_size=FIXMATCH_BATCH),
        "proxy": ProxyClassifier("conv"),
        "n_epochs": 20,
        "holdout": 0.0,
    },
}
#: The sets of images: rows of each pool, and what is compared there.
IMAGES = {
    "images": (5_000, ("self-training, MLP", "self-training, conv", "FixMatch, conv")),
    "images-60k": (60_000, ("self-training, conv, 10 epochs",)),
}
DATA = (*VECTORS, *IMAGES)
DEFAULTS_CSV = Path(__file__).parents[2] / "docs" / "results" / "semiprune_defaults.csv"
ALL_LABELS = ("default", "DUAL + beta", "AUM + budget, 0.1", "AUM + ccs, grows")


@cache
def all_images() -> Bunch:
    """Return the two published sets as one."""
    parts = [load_fashion_mnist(subset) for subset in ("train", "test")]
    return Bunch(
        data=np.concatenate([part.data for part in parts]),
        target=np.concatenate([part.target for part in parts]),
    )


@lru_cache(maxsize=1)
def images_of(data: str, seed: int) -> Split:
    """Draw the pool and the test set of a seed, as images."""
    bunch, (n_pool, _) = all_images(), IMAGES[data]
    rows = np.random.default_rng(seed).permutation(len(bunch.target))[: n_pool + N_PIXELS_TEST]
    X, y = np.float32(bunch.data[rows]) / 255, bunch.target[rows]
    return Split(X[:n_pool], y[:n_pool], X[n_pool:], y[n_pool:])


def on_images(data: str) -> list[str]:
    """Return the methods that are compared on a set of images."""
    return [f"{pair} / {setup}" for setup in IMAGES[data][1] for pair in IMAGE_PAIRS]


def play(
    data: str, seed: int, args: argparse.Namespace, runs: Runs, now: dict[str, str]
) -> Iterator[dict[str, Any]]:
    """Yield one row per method, share of labels and size; each filter is fitted once for all sizes."""
    split = partial(images_of, data, seed) if data in IMAGES else partial(split_of, data, seed, args.memory)

    @cache
    def fitted(labels: float, setup: str) -> SemiPruneFilter:
        y = np.full(len(split().y), -1)
        y[known(labels)] = split().y[known(labels)]
        return SemiPruneFilter(random_state=seed, **SETUPS[setup]).fit(split().X, y)

    def known(labels: float) -> np.ndarray:
        n_rows = len(split().y)
        return np.sort(np.random.default_rng(seed).permutation(n_rows)[: round(labels * n_rows)])

    def choose(method: str, labels: float, keep: float) -> tuple[list[np.ndarray], dict[str, float]]:
        n_rows = len(split().y)
        size = round(keep * n_rows)
        if method == "random":
            rng = np.random.default_rng([seed, size])
            return [rng.choice(n_rows, size, replace=False) for _ in range(N_RANDOM)], {}
        if method == K_MEANS:
            components = PCA(50, random_state=0).fit_transform(split().X)
            return [KMeansFilter(keep=size, random_state=seed).fit(components).select(components)], {}
        if method == "all rows":
            return [np.arange(n_rows)], {}
        pair, _, setup = method.partition(" / ")
        pruner, paid = fitted(labels, setup or next(iter(SETUPS))), known(labels)
        difficulty, coreset, ratio = METHODS[pair]
        pruner.set_params(
            keep=size - len(paid),
            difficulty=difficulty,
            coreset=coreset,
            mis_ratio=ratio(keep) if callable(ratio) else ratio,
        )
        kept = pruner.select(split().X, copies=False)
        unlabeled = np.setdiff1d(np.arange(n_rows), paid)
        right = pruner.pseudo_labels_ == split().y
        about = {"right": 100 * right[unlabeled].mean(), "right among kept": 100 * right[kept].mean()}
        return [np.concatenate([paid, kept])], about

    def run(method: str, labels: float, keep: float) -> dict[str, float]:
        choices, about = choose(method, labels, keep)
        scores = [score(split(), rows, args.steps, seed) for rows in choices]
        return {key: float(np.mean([row[key] for row in scores])) for key in scores[0]} | about

    for method, labels, keep in cells(data):
        settings = {"data": data, "seed": seed, "method": method, "labels": labels, "keep": keep}
        played = partial(run, method, labels, keep)
        found = runs.get(settings | {"steps": args.steps}, lambda played=played: played() | now)
        yield settings | {"right": np.nan, "right among kept": np.nan} | found


def cells(data: str) -> list[tuple[str, float, float]]:
    """Return method, share of labels and size of each run on a data set."""
    methods, shares = (on_images(data), IMAGE_KEEP) if data in IMAGES else (PAIRS, KEEP)
    found = [("all rows", 0.0, 1.0), *(("random", 0.0, keep) for keep in shares)]
    if data in K_MEANS_ON:
        found.append((K_MEANS, 0.0, min(KEEP)))
    return found + [(method, LABELS[data], keep) for method in methods for keep in shares]


def score(split: Split, rows: np.ndarray, steps: int, seed: int) -> dict[str, float]:
    """Train one net on the given rows with their true labels; return its test scores in percent."""
    X, X_test = (part.reshape(len(part), -1) for part in (split.X[rows], split.X_test))
    n_epochs = -(-steps // -(-len(rows) // 128))
    model = ProxyClassifier("mlp", max_epochs=n_epochs, random_state=seed).fit(X, split.y[rows])
    guess = model.predict(X_test)
    return {
        "trained on": len(rows),
        "accuracy": 100 * accuracy_score(split.y_test, guess),
        "macro F1": 100 * f1_score(split.y_test, guess, average="macro", zero_division=0),
    }


def run_all(args: argparse.Namespace) -> pd.DataFrame:
    """Play the runs that have not been played yet; return one row per run."""
    runs, now = Runs(args.out / "runs.jsonl"), {"origin": origin()}
    rows = []
    for data in args.data:
        for seed in range(SEEDS[data] if args.seeds is None else args.seeds):
            rows += play(data, seed, args, runs, now)
            print(data, seed, flush=True)
    return said_once(pd.DataFrame(rows))


def levels(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the means over the seeds."""
    columns = ["accuracy", "macro F1", "trained on", "right", "right among kept"]
    table = runs.groupby(["data", "method", "labels", "keep"], sort=False)[columns].mean()
    table = table.map(lambda value: "" if np.isnan(value) else f"{value:.1f}").reset_index()
    return table.assign(**{key: table[key].map("{:.0%}".format) for key in ("labels", "keep")})


def page(runs: pd.DataFrame, args: argparse.Namespace) -> str:
    """Return the page of the results."""
    on_pixels = runs["data"].isin(IMAGES)
    vectors, images = runs[~on_pixels], runs[on_pixels]
    pictures = [method for data in images["data"].unique() for method in on_images(data)]
    seeds = vectors.groupby("data", sort=False)["seed"].nunique()
    shares = [0.0, *set(LABELS.values())]
    methods = [name for name in (*PAIRS, K_MEANS) if name in set(vectors["method"])]
    clustered = [name for name in K_MEANS_ON if name in set(seeds.index)]
    metrics = ("accuracy", "macro F1") if len(vectors) else ()
    by_metric = {metric: test_table(vectors, metric, shares, methods) for metric in metrics}
    pictured = test_table(images, "accuracy", shares, pictures) if len(images) else pd.DataFrame()
    defaults = pd.read_csv(DEFAULTS_CSV)
    defaults = defaults[(defaults["part"] == "test") & defaults["keep"].isin(KEEP)]
    labeled = ", ".join(f"{LABELS[name]:.0%} on {name}" for name in runs["data"].unique())
    drawn = f"Their sizes: {describe_sets(list(seeds.index))}. "
    if "debian" in seeds:
        drawn += "Debian is split by source package. "
    if "fashion-60k" in seeds:
        drawn += "*fashion-60k* is Fashion-MNIST at full size: 60,000 of its 70,000 images are the pool. "
    if vectors.empty:
        drawn = ""
    if len(images):
        sizes = " and ".join(f"{IMAGES[name][0]:,} (*{name}*)" for name in images["data"].unique())
        pixels = f"""The pixels of Fashion-MNIST are drawn in pools of {sizes}, and tested on
{N_PIXELS_TEST:,} images. *Conv* is a net with two convolutions and 20 epochs, unless the row says otherwise;
*FixMatch* trains one for {FIXMATCH_STEPS} steps of {FIXMATCH_BATCH} labeled and 224 other rows, far fewer
than in its paper."""
    else:
        pixels = """FixMatch, which the paper uses, and the convolutional proxy were not run (`--data images`
plays them)."""
    if clustered:
        labeled += f"""; k-means, which needs none, ran at {min(KEEP):.0%} on {" and ".join(clustered)}, on 50
principal components"""
    text = f"""# SemiPrune with few labels, against random rows

Command: `{command("semiprune", args, parse([]))}`, {origins(runs)}, seeds from 0:
{", ".join(f"{n} on {name}" for name, n in runs.groupby("data", sort=False)["seed"].nunique().items())}.

**Data.** Pools and test sets are drawn anew by each seed. {drawn.strip()}
{pixels}

**Methods.** A few rows of the pool are labeled at random: {labeled}. A method keeps a share of the pool and
has these rows labeled; the labels known at first count toward the share. Pseudo-labels come from
self-training of logistic regression, and the proxy has one hidden layer and 30 epochs, unless the row says
otherwise. "grows" is mis_ratio = max(0, 0.8 − keep), about the schedule of the authors'
scripts. DUAL + beta is the default of SemiPruneFilter with few labels; [it was chosen](semiprune_defaults.md)
with logistic regression as the learner, in sight of runs on debian and news.

**Measure.** A net of one hidden layer learns from the rows for {args.steps:,} steps. A difference is that
from random rows of the same number (mean of {N_RANDOM} draws) in the same seed, in points: the paired mean,
its 95 % interval (Student's t), and the smallest difference that this number of seeds detects with a
probability of 80 %. p is adjusted by Holm's method over the rows of one method in one table. *Established*:
adjusted p < 0.05. *Excluded beyond ± {NEGLIGIBLE:g} points*: not established, and the interval lies within
them. *Not established*: neither.
{beyond_text(set_shares(runs["data"].unique()), counted=True)} Pools of 60,000
images overlap almost entirely: there the seeds differ in labels, test rows and nets more than in pools. Time
decided the number of seeds; earlier pages showed the first ones before the others ran.

**What holds** (counted by the script in the tables below).
"""
    facts = []
    for method in methods:
        counts = [
            f"{metric} {count_verdicts(table[table['method'] == method])}"
            for metric, table in by_metric.items()
        ]
        facts.append(f"{method}: {'; '.join(counts)}.")
    if len(pictured):
        facts += [
            f"On images, {method}: {count_verdicts(pictured[pictured['method'] == method])}."
            for method in pictures
        ]
    parts = [
        *paragraphs(text),
        "\n".join(paragraphs("\n\n".join(f"* {fact}" for fact in facts))),
    ]
    for metric, table in by_metric.items():
        parts += [f"## {metric[0].upper()}{metric[1:]}", markdown(table)]
    if len(pictured):
        parts += ["## Images: FixMatch and a convolutional proxy, accuracy", markdown(pictured)]
    parts += [
        "## All labels known, accuracy",
        *paragraphs(
            """Not run again: the same shares out of the CSV of [the page about the
defaults](semiprune_defaults.md). There, logistic regression is the learner and *fashion* has pools of
8,000."""
        ),
        markdown(test_table(defaults, "accuracy", [1.0], list(ALL_LABELS))),
        "## Means over the seeds",
        *paragraphs(
            """*right* is the share of unlabeled rows whose pseudo-label is right, in percent, of all and of
the rows that are kept."""
        ),
        markdown(levels(runs)),
        "## What this does not test",
        *paragraphs(
            """The paper trains deep nets for 200 epochs on domain-specific, corrupted and long-tailed images.
We know it by its abstract, so which pair of difficulty and coreset is its default is our reading."""
        ),
        "Every run: [semiprune.csv](semiprune.csv).",
    ]
    return "\n\n".join(parts) + "\n"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(__doc__, memory=None, out=Path("semiprune-results"), page=None, tables=None)
    parser.add_argument("--data", nargs="+", choices=DATA, default=list(DATA))
    parser.add_argument("--seeds", type=int, help="number of seeds (default: that of the data set)")
    parser.add_argument("--steps", type=int, default=2_000, help="optimizer steps of every final model")
    return with_packaged_models(parser.parse_args(argv))


def main() -> None:
    """Play the runs and write the page."""
    args = parse()
    warnings.simplefilter("ignore")
    runs = runs_or_tables(args, run_all)
    args.data = list(dict.fromkeys(runs["data"]))
    publish("semiprune", args, runs, page(runs, args))


if __name__ == "__main__":
    main()
