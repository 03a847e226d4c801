"""Which default of a filter is beaten? A grid around each, chosen on some sets and confirmed on others.

Makes docs/results/filter_defaults.md and its CSV. Each seed draws a pool, a test set and first labels of its
own; the settings of a seed share them. One parameter differs from its default at a time. Three kinds of loops
judge the filters: rare sections of package descriptions, topics, and labeled sets (the loop of euds.py, whose
CSV has the runs on the selection sets). The page states the rule. A command that was killed continues where
it stopped.

    python examples/experiments/filter_defaults.py  # an hour on one core, twelve minutes of it models
    python examples/experiments/filter_defaults.py --filters SEALSFilter --seeds 40
    python examples/experiments/filter_defaults.py --tables docs/results/filter_defaults.csv  # the page alone
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd
from _default_grids import (
    GRIDS,
    N_SEEDS,
    N_TEST_SEEDS,
    SELECTION,
    SIZES,
    TEST,
    Loops,
    Setting,
    labeled_selection,
    settings,
)
from _pages import command, compared, count_verdicts, origin, origins, paragraphs, publish, said_once
from _runs import Runs, make_parser, markdown, with_packaged_models

FIRST_TEST_SEED = 100
BUDGET = "keep"  # its values are shown, not compared
NEGLIGIBLE = 1.0  # points of F1; a smaller difference does not matter to us
EUDS = Path(__file__).parents[2] / "docs" / "results" / "euds.csv"
FILTERS = [name for name, grid in GRIDS.items() if grid.cls is not None]
NAMES = ["filter", "parameter", "value"]


def play(stage: str, wanted: list[Setting], args: argparse.Namespace) -> pd.DataFrame:
    """Play the runs that have not been played yet; return one row per setting, set and seed."""
    loops, kept = Loops(args.encoder, args.llm, args.memory), Runs(args.out / "runs.jsonl")
    made = {"origin": origin()}

    def run(setting: Setting, data: str, seed: int) -> dict[str, Any]:
        return loops.play(setting, data, seed) | made

    rows: list[dict[str, Any]] = []
    for kind, sets in (SELECTION if stage == "selection" else TEST).items():
        here = [setting for setting in wanted if setting.grid.kind == kind]
        if kind == "labeled" and stage == "selection":
            rows += [{"stage": stage} | row for setting in here for row in of_euds(setting)]
            continue
        first, usual = (0, N_SEEDS[kind]) if stage == "selection" else (FIRST_TEST_SEED, N_TEST_SEEDS)
        seeds = range(first, first + (args.seeds or usual))
        for seed, data in product(seeds, sets if here else ()):
            for setting in here:
                place = {"data": data, "seed": seed}
                key = setting.key() | place | {"sizes": vars(SIZES[kind])}
                found = kept.get(key, partial(run, setting, data, seed))
                rows.append({"stage": stage} | setting.names() | place | found)
            print(stage, data, seed, flush=True)
    return pd.DataFrame(rows)


def of_euds(setting: Setting) -> Iterator[dict[str, Any]]:
    """Yield the runs of EntropyIntervalFilter that euds.py has made."""
    for row in labeled_selection(pd.read_csv(EUDS), setting).to_dict("records"):
        yield setting.names() | row


def run_all(args: argparse.Namespace) -> pd.DataFrame:
    """Play all settings on the selection sets, and on the test sets those that win there."""
    names = {*args.filters, *(GRIDS[name].unpruned for name in args.filters)}
    wanted = [setting for setting in settings() if setting.filter in names]
    selection = play("selection", wanted, args)
    winners = [row for row in best(selection).itertuples() if row.established]
    to_test = [Setting(row.filter, row.parameter, x) for row in winners for x in (row.default, row.value)]
    runs = pd.concat([selection, play("test", to_test, args)], ignore_index=True)
    return said_once(runs)


def scores(runs: pd.DataFrame, filter: str, knob: str) -> pd.DataFrame:
    """Return the scores of one parameter's values, means over the sets: one row per seed."""
    chosen = runs[(runs["filter"] == filter) & (runs["parameter"] == knob)]
    return chosen.pivot_table(index="seed", columns="value", values="score", sort=False)


def gains(runs: pd.DataFrame, filter: str) -> dict[tuple[str, str, str], pd.Series]:
    """Return the differences from the default, by alternative."""
    found = {}
    for knob in dict.fromkeys(runs.loc[runs["filter"] == filter, "parameter"]):
        if knob and knob != BUDGET:
            table = scores(runs, filter, knob)
            default, *others = (value for value in GRIDS[filter].knobs[knob] if value in table)
            found |= {(filter, knob, value): table[value] - table[default] for value in others}
    return found


def against_defaults(runs: pd.DataFrame, *, one_family: bool = False) -> pd.DataFrame:
    """Compare the alternatives with their defaults; each filter is a family of tests, or all are one.

    Returns
    -------
    DataFrame
        The columns of `compared`, and "mean": the difference as a number.
    """
    families = [gains(runs, name) for name in dict.fromkeys(runs["filter"])]
    if one_family:
        families = [{key: values for family in families for key, values in family.items()}]
    tables = [
        compared(family, NAMES, NEGLIGIBLE).assign(mean=[values.mean() for values in family.values()])
        for family in families
        if family
    ]
    return pd.concat(tables, ignore_index=True)


def best(selection: pd.DataFrame) -> pd.DataFrame:
    """Return the best alternative of each parameter on the selection sets.

    Returns
    -------
    DataFrame
        Rows of `against_defaults`, with "default" and "established": whether a gain is.
    """
    table = against_defaults(selection)
    table = table.loc[table.groupby(NAMES[:2], sort=False)["mean"].idxmax()]
    defaults = [next(iter(GRIDS[row.filter].knobs[row.parameter])) for row in table.itertuples()]
    gained = (table["verdict"] == "established") & (table["mean"] > 0)
    return table.assign(default=defaults, established=gained)


def decisions(runs: pd.DataFrame) -> pd.DataFrame:
    """Return one row per parameter: the default, its best rival, and which of them the rule takes."""
    table = best(runs[runs["stage"] == "selection"])
    on_test = runs[runs["stage"] == "test"]
    tested = against_defaults(on_test, one_family=True).set_index(NAMES) if len(on_test) else pd.DataFrame()
    rows = []
    for row in table.to_dict("records"):
        outcome, test = "kept: no alternative established", {}
        key = tuple(row[name] for name in NAMES)
        if row["established"] and key not in tested.index:
            outcome = "kept: not tested yet"
        elif row["established"]:
            found = tested.loc[key]
            sure = found["verdict"] == "established" and found["mean"] > 0
            outcome = f"replaced by {row['value']}" if sure else "kept: not confirmed"
            test = {"test": found["difference"], "p, Holm, test": found["p, Holm"]}
        rows.append(
            {"filter": row["filter"], "parameter": row["parameter"], "default": row["default"]}
            | {"best alternative": row["value"], "seeds": row["seeds"], "selection": row["difference"]}
            | {"smallest detectable": row["smallest detectable"], "p, Holm": row["p, Holm"]}
            | {"verdict": row["verdict"], "test": "", "p, Holm, test": ""}
            | test
            | {"outcome": outcome}
        )
    return pd.DataFrame(rows)


def budgets(selection: pd.DataFrame) -> pd.DataFrame:
    """Compare each value of ``keep`` with no pruning, paired by seed; each filter is a family."""
    tables = []
    for name in selection.loc[selection["parameter"] == BUDGET, "filter"].unique():
        table = scores(selection, name, BUDGET)
        whole = selection[selection["filter"] == GRIDS[name].unpruned]
        if len(whole):
            none = whole.groupby("seed")["score"].mean()
            family = {(name, BUDGET, value): table[value] - none for value in table}
            tables.append(compared(family, NAMES, NEGLIGIBLE))
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def levels(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the mean score of each setting on each set, and what it cost."""
    by = ["stage", *NAMES, "data"]
    costs = [name for name in ("rows read", "LLM calls", "CPU s selecting") if name in runs]
    table = runs.groupby(by, sort=False)[["score", *costs]].mean().reset_index()
    formats = {"score": "{:.1f}", "rows read": "{:.0f}", "LLM calls": "{:.0f}", "CPU s selecting": "{:.2f}"}
    for column in ("score", *costs):
        table[column] = ["" if pd.isna(value) else formats[column].format(value) for value in table[column]]
    return table


def read(path: Path) -> pd.DataFrame:
    """Return the runs of a CSV; the names of values stay as they are."""
    return pd.read_csv(path, dtype={"value": str}).fillna({"parameter": "", "value": ""})


def page(runs: pd.DataFrame, args: argparse.Namespace) -> str:
    """Return the page of the results."""
    selection = runs[runs["stage"] == "selection"]
    decided = decisions(runs)
    shown = argparse.Namespace(**vars(args) | {"filters": list(dict.fromkeys(decided["filter"]))})
    rare, topics, labeled = (SIZES[kind] for kind in SELECTION)
    replaced = decided[decided["outcome"].str.startswith("replaced")]
    changed = "; ".join(f"{row.filter}, {row.parameter}: {row.outcome}" for row in replaced.itertuples())
    table = against_defaults(selection)
    text = f"""# The defaults of the other filters

Command: `{command("filter_defaults", shown, parse([]))}`, seeds from 0 for selection and from
{FIRST_TEST_SEED} for the test, {origins(runs)}.

**The rule**, written before the runs. One parameter differs from its default at a time. For each parameter,
the value with the best mean on the *selection* sets replaces the default only if its gain is established
there, and is then established on the *test* sets too, with other seeds. Nothing else was played on the test
sets. Otherwise the default stays: a default that was not beaten is not thereby shown to be the best. `keep`
is a budget, so it is shown and not chosen. Sizes and seeds were set after one seed of each loop had been
timed.

**Rare classes** (AnchorFilter, SEALSFilter, ProxyFilter). The loop of [table_anchoral](table_anchoral.md):
Debian package descriptions, pools of {rare.pool_size:,}, {rare.n_seeds} first labels, 5 of each rare section,
and {rare.rounds} rounds of {rare.batch} by entropy. The filters search MiniLM vectors. Logistic regression
reads the same vectors, or TF-IDF for ProxyFilter, whose student would else copy it. ProxyFilter keeps 400
rows. Selection: {", ".join(SELECTION["rare"])}; test: {", ".join(TEST["rare"])}.

**Topics** (PerplexityFilter, UPSFilter, ActivePruneFilter). The loop of
[table_activeprune](table_activeprune.md): pools of {topics.pool_size:,} from {topics.judged:,} texts that
SmolLM2-135M has scored, {topics.n_seeds} first labels, {topics.rounds} rounds of {topics.batch} by least
confidence, logistic regression on MiniLM vectors. Filters keep a quarter. Twenty seeds were planned for the
selection; the time sufficed for {N_SEEDS["topics"]}. *first* is the end of the scores that is kept first;
*middle* means near the median. Selection: {", ".join(SELECTION["topics"])}; test: *sections*, the larger
sections of package descriptions.

**Labeled sets** (EntropyIntervalFilter). Selection: the runs of [euds](euds.md), pools of
{labeled.pool_size:,}, mean over its learners and the shares that it keeps; centers at 16 %. These runs had
been seen before the rule was written. Test: *sections*.

**How to read it.** The score is macro F1 in percent, that of the rare classes where there are some, averaged
over the learning curve where there is one, and over the sets of a stage. Differences are paired by seed: the
mean in points, its 95 % interval (Student's t), and the smallest difference that this number of seeds
detects with a probability of 80 %. p is adjusted by Holm's method over all alternatives of a filter on the
selection sets, over all comparisons on the test sets, and over the sizes of a filter. *Established*: adjusted
p < 0.05. *Excluded beyond ± {NEGLIGIBLE:g} points*: not established, and the interval lies within. *Not
established*: neither. Pools of one set overlap, so the intervals do not cover other sets.

**What holds** (counted by the script).
"""
    facts = [
        f"{len(decided) - len(replaced)} of {len(decided)} defaults are kept. {changed}".strip(),
        f"The best alternative of each parameter against its default: {count_verdicts(best(selection))}.",
        f"All alternatives: {count_verdicts(table)}.",
    ]
    parts = [
        *paragraphs(text),
        "\n".join(paragraphs("\n\n".join(f"* {fact}" for fact in facts))),
        "## Decisions",
        markdown(decided),
        "## Every alternative against its default, on the selection sets",
        markdown(table.drop(columns="mean")),
    ]
    sizes = budgets(selection)
    if len(sizes):
        parts += ["## Sizes against no pruning, on the selection sets", markdown(sizes)]
    parts += ["## Means over the seeds", markdown(levels(runs))]
    return "\n\n".join([*parts, "Every run: [filter_defaults.csv](filter_defaults.csv)."]) + "\n"


def parse(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = make_parser(
        __doc__,
        encoder=None,
        llm=None,
        memory=None,
        out=Path("filter_defaults-results"),
        page=None,
        tables=None,
    )
    parser.add_argument("--seeds", type=int, help="number of seeds (default: that of the loop)")
    parser.add_argument("--filters", nargs="+", choices=FILTERS, default=FILTERS)
    return parser.parse_args(argv)


def main() -> None:
    """Play the runs, or read them, and write the page."""
    given = parse()
    args = with_packaged_models(argparse.Namespace(**vars(given)))
    warnings.simplefilter("ignore")
    runs = read(args.tables) if args.tables else run_all(args).round(4)
    publish("filter_defaults", args, runs, page(runs, given))


if __name__ == "__main__":
    main()
