"""Translation and summarization: NSP, IDDS and TypiClust against random rows, and behind ActivePrune.

Makes docs/results/generation.md and its CSV. The loops are those of translation.py and summarization.py with
short texts and greedy decoding, so that there is time for many seeds. Each seed draws a pool, a test set and
first labels of its own, which all settings of a seed share. A command that was killed continues where it
stopped.

    python examples/experiments/table_generation.py  # an hour on one core, 5 GiB
    python examples/experiments/table_generation.py --task translation --seeds 40
    python examples/experiments/table_generation.py --tables docs/results/generation.csv  # the page only
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from copy import copy
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _generation import STRATEGIES, Split, Task, draw, loop_parser, make_filter, rounds, start
from _pages import (
    COLLECTIONS,
    beyond_text,
    collection_shares,
    command,
    compared,
    count_verdicts,
    kept_by_hand,
    origin,
    origins,
    paired,
    paragraphs,
    publish,
    runs_or_tables,
    said_once,
)
from _runs import Runs, cut, markdown, with_packaged_models
from summarization import summarization
from translation import translation

from skprune import QualityScorer, SentenceEncoder
from skprune.modal import ActiveLearner

MAX_WORDS = {"translation": 8, "summarization": 30}  # longer pairs are left out; descriptions are cut
DATA = {
    "translation": "**Translation**: English to German, Debian's package descriptions, pairs of 4 to "
    f"{MAX_WORDS['translation']} English words.",
    "summarization": f"**Summarization**: a Debian package description, cut after "
    f"{MAX_WORDS['summarization']} words, to the synopsis that its maintainer wrote.",
}
MAX_TOKENS = {
    "translation": {"max_source_length": 32, "max_target_length": 28},
    "summarization": {"max_source_length": 56, "max_target_length": 20},
}
BATCH_SIZE = 8  # pairs per optimizer step; 16, the default, learns less from 20 labels
METRICS = {"translation": "SacreBLEU", "summarization": "ROUGE-L"}
SCALE = {"translation": 1.0, "summarization": 100.0}  # scores to points
FILTERS = {
    "none": "none",
    "random": "random quarter",
    "activeprune": "ActivePrune's quarter",
}
WORDS = {"random": "random rows", "nsp": "NSP", "idds": "IDDS", "typiclust": "TypiClust"}
READ_VECTORS = ("idds", "typiclust")
RANDOM_ROWS = ("none", "random")
SETTINGS = [
    RANDOM_ROWS,
    *(("none", strategy) for strategy in READ_VECTORS),
    *((name, strategy) for strategy in ("nsp", "idds") for name in ("random", "activeprune")),
]
#: The two families of tests of a task and an outcome: (setting, what it is compared with).
FAMILIES = {
    "Against random rows of the whole pool": [(setting, RANDOM_ROWS) for setting in SETTINGS[1:]],
    "ActivePrune against a random quarter with the same strategy": [
        (("activeprune", strategy), ("random", strategy)) for strategy in ("nsp", "idds")
    ],
}
N_TEST = 100  # rows of each test set
NEGLIGIBLE = 1.0  # points; a smaller difference does not matter to us
OUTCOMES = {"end": "after the last round", "mean": "averaged over the rounds after the first labels"}
#: ActivePrune less a random quarter after the last round, from Table 1 of the paper, in points.
PAPER = {
    ("translation", "nsp"): 30.97 - 30.09,
    ("translation", "idds"): 28.97 - 25.00,
    ("summarization", "nsp"): 30.34 - 29.53,
    ("summarization", "idds"): 30.85 - 29.96,
}


def load(name: str) -> Task:
    """Return a task with short texts and greedy decoding."""
    task = translation(MAX_WORDS[name]) if name == "translation" else summarization()
    task.data.data = cut(task.data.data, MAX_WORDS[name]).tolist()
    task.learner.update(MAX_TOKENS[name], num_beams=1, batch_size=BATCH_SIZE)
    return task


def begin(task: Task, args: argparse.Namespace) -> tuple[Split, ActiveLearner, dict[str, Any]]:
    """Return what the settings of a seed share: the texts, and the model of the first labels with its row."""
    split = draw(task, args)
    return split, *start(task, split, args)


def play_one(
    task: Task, filter_name: str, strategy_name: str, shared: Callable[[], Any], args: argparse.Namespace
) -> dict[str, Any]:
    """Play one loop; return its columns, one number per round."""
    split, first, row = shared()
    learner = copy(first)
    learner.estimator = copy(first.estimator)  # a fit replaces the model, so that of the first labels stays
    options = {"encoder": partial(SentenceEncoder(args.encoder))} if strategy_name in READ_VECTORS else {}
    strategy = STRATEGIES[strategy_name](random_state=args.seed, **options)
    # A partial has no fingerprint, so no run gets another's scores or vectors for nothing.
    ask = partial(QualityScorer(args.llm, task=task.name))
    pruner = make_filter(filter_name, task, argparse.Namespace(**vars(args) | {"llm": ask, "memory": None}))
    played = pd.DataFrame([row, *rounds(learner, split, pruner, strategy, args)])
    return played.drop(columns=["round", "pool"]).to_dict("list")


def run_all(args: argparse.Namespace) -> pd.DataFrame:
    """Play the loops that have not been played yet; return one row per run."""
    runs, now = Runs(args.out / "runs.jsonl"), {"origin": origin()}
    common = {
        key: getattr(args, key)
        for key in (
            "pool_size",
            "test_size",
            "n_seeds",
            "batch",
            "rounds",
            "epochs",
            "model",
            "llm",
            "encoder",
        )
    }
    rows = []
    for name in args.task:
        task = load(name)
        for seed in range(args.seeds):
            seeded = argparse.Namespace(**vars(args) | {"seed": seed})
            shared = cache(partial(begin, task, seeded))
            for filter_name, strategy_name in SETTINGS:
                run = {"task": name, "seed": seed, "filter": filter_name, "strategy": strategy_name}
                played = partial(play_one, task, filter_name, strategy_name, shared, seeded)
                found = runs.get(common | run, lambda played=played: played() | now)
                rows.append(run | as_row(found, SCALE[name]))
            print(name, seed, f"{rows[-1]['mean']:.1f}", flush=True)
    return said_once(pd.DataFrame(rows))


def as_row(found: dict[str, Any], scale: float) -> dict[str, Any]:
    """Return a run as a row of the CSV; scores in points."""
    scores = {n: scale * score for n, score in zip(found["labels"], found["score"], strict=True)}
    return {
        "origin": found["origin"],
        "mean": np.mean(list(scores.values())[1:]),
        "end": list(scores.values())[-1],
        **{f"at {n}": score for n, score in scores.items()},
        "subpool": np.mean(found["subpool"][1:]),
        "LLM calls": found["LLM calls"][-1],
        "CPU s selecting": sum(found["select s"]),
        "CPU s training": sum(found["train s"]),
    }


def differences(runs: pd.DataFrame, column: str, pairs: list[tuple[tuple, tuple]]) -> dict[tuple, pd.Series]:
    """Return the differences of pairs of settings, paired by seed."""
    table = runs.pivot(index="seed", columns=["filter", "strategy"], values=column)
    return {(FILTERS[a[0]], WORDS[a[1]]): table[a] - table[b] for a, b in pairs}


def against(
    runs: pd.DataFrame, column: str, pairs: list[tuple[tuple, tuple]], n_test: int = N_TEST
) -> pd.DataFrame:
    """Compare pairs of settings of one task; they are a family."""
    share = n_test / COLLECTIONS[runs["task"].iloc[0]]
    return compared(differences(runs, column, pairs), ["filter", "strategy"], NEGLIGIBLE, share)


def beside_the_paper(runs: pd.DataFrame) -> pd.DataFrame:
    """Set ActivePrune's differences from a random quarter beside those of the paper."""
    rows = []
    for (name, strategy), theirs in PAPER.items():
        mine = runs[runs["task"] == name]
        pair = [(("activeprune", strategy), ("random", strategy))]
        for values in differences(mine, "end", pair).values() if len(mine) else []:
            mean, half, visible, _ = paired(values)
            rows.append(
                {"task": name, "strategy": WORDS[strategy], "paper": f"{theirs:+.2f}"}
                | {"here": f"{mean:+.1f} ± {half:.1f}", "smallest detectable": f"{visible:.1f}"}
                | {"an effect of the paper's size": "would be seen" if theirs >= visible else "may be missed"}
                | {"the paper's in our interval": "yes" if abs(theirs - mean) <= half else "no"}
            )
    return pd.DataFrame(rows)


def levels(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean scores over the seeds, and the median costs."""
    by = runs.assign(
        filter=runs["filter"].map(FILTERS),
        strategy=runs["strategy"].map(WORDS),
    ).groupby(["filter", "strategy"], sort=False)
    scores = [column for column in runs if column.startswith("at ")]
    table = by[scores].mean().map("{:.1f}".format)
    for column in ("subpool", "LLM calls", "CPU s selecting", "CPU s training"):
        table[column] = by[column].median().map("{:.0f}".format)
    return table.rename(columns={name: f"{name} labels" for name in scores}).reset_index()


def section(name: str, runs: pd.DataFrame, n_test: int) -> tuple[list[str], list[str]]:
    """Return what a task shows in words, and its tables."""
    words, parts = [], [f"## {name.capitalize()}, {METRICS[name]}"]
    one_round = runs["mean"].equals(runs["end"])
    for heading, pairs in FAMILIES.items():
        for column, outcome in list(OUTCOMES.items())[: 1 if one_round else None]:
            table = against(runs, column, pairs, n_test)
            words.append(f"* {name.capitalize()}. {heading}, {outcome}: {count_verdicts(table)}.")
            parts += [f"{heading}, {outcome}:", markdown(table)]
    parts += ["Scores are means over the seeds, costs are medians; LLM calls and seconds of a whole run:"]
    return words, [*parts, markdown(levels(runs))]


def page(runs: pd.DataFrame, args: argparse.Namespace) -> str:
    """Return the page of the results, which depends on the runs and the options only."""
    tasks = list(dict.fromkeys(runs["task"]))
    seeds = "; ".join(f"{name}: seeds 0 to {runs.loc[runs['task'] == name, 'seed'].max()}" for name in tasks)
    sections = [section(name, runs[runs["task"] == name], args.test_size) for name in tasks]
    sizes = [args.n_seeds + n * args.batch for n in range(args.rounds + 1)]
    text = f"""# Translation and summarization

Command: `{command("table_generation", args, parse([]))}`, {origins(runs)}. {seeds.capitalize()}.

{" ".join(DATA[name] for name in tasks)} Each seed draws {args.pool_size:,} rows for its pool,
{args.test_size} test texts from other source packages, and
{args.n_seeds} first labels. **Loop.** Each strategy chooses {args.batch} further labels per round (rounds:
{args.rounds}), up to {sizes[-1]}. The packaged T5 (FLAN-T5-small, 77 M weights) is fine-tuned anew in each
round: {args.epochs} epochs in batches of {BATCH_SIZE} at a learning rate of 1e-3; greedy decoding.
**Settings.** NSP asks for the texts whose output the model finds least probable, IDDS for texts that are
typical of what it sees (MiniLM vectors) and unlike the labeled ones, TypiClust for one typical text of each
cluster of the vectors. NSP and IDDS see a random quarter of the pool, drawn anew in each round, or
ActivePrune's: n-grams trained on the pool, and SmolLM2-135M scores a tenth of the pool in each round. IDDS
and TypiClust also see the whole pool. Random rows of the whole pool are the reference. All settings of a seed
share the model of the first labels, so the scores before the first query are equal and do not count.

**How to read it.** Differences are in points of {" and ".join(METRICS[name] for name in tasks)} (0 to 100),
paired by seed: the mean, its 95 % interval (Student's t), and the smallest difference that this number of
seeds detects with a probability of 80 %. p is adjusted by Holm's method over the rows of a table.
*Established*: adjusted p < 0.05. *Excluded beyond ± {NEGLIGIBLE:g} points*: not established, and the
interval, not adjusted, lies within them. *Not established*: neither.
{beyond_text(collection_shares(tasks, args.test_size), counted=True)} In a round,
{args.batch} of {args.pool_size:,} rows are labeled, {args.batch / args.pool_size:.1%}; in the paper it is
1 %.
"""
    limits = """
The paper's differences are those of Table 1, after the last round, on other data, with BART-base and
Gemma-2B, and pools of 14,400 and 223,000 rows. Here, after the last round:
"""
    parts = [
        *paragraphs(text),
        "## Verdicts, counted",
        "\n".join(line for words, _ in sections for item in words for line in paragraphs(item)),
        "## What this design can see",
        *paragraphs(limits),
        markdown(beside_the_paper(runs)),
        *(part for _, tables in sections for part in tables),
        "Every run: [generation.csv](generation.csv).",
    ]
    return "\n\n".join(parts) + "\n"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = loop_parser(
        __doc__,
        test_size=N_TEST,
        epochs=2,
        seeds=8,
        rounds=1,
        batch=32,
        n_seeds=16,
        pool_size=2_000,
        encoder=None,
        llm=None,
        tables=None,
        page=None,
        out=Path("table_generation-results"),
    )
    parser.add_argument("--task", nargs="+", choices=METRICS, default=list(METRICS))
    return parser.parse_args(argv)


def main() -> None:
    """Play the loops, or read them, and write the page and its CSV."""
    given = parse()
    args = with_packaged_models(argparse.Namespace(**vars(given)))
    args.page = args.page or args.out / "generation.md"
    warnings.simplefilter("ignore")
    runs = runs_or_tables(args, run_all)
    given.task = list(dict.fromkeys(runs["task"]))
    publish("generation", args, runs, page(runs, given) + kept_by_hand(args.page))


if __name__ == "__main__":
    main()
