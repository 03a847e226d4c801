"""The papers' own data and models: play the loops that a file in papers/ describes.

The files name data sets and models of the Hugging Face hub, with the settings of ActivePrune's Table 1 and of
AnchorAL's Table 2. Playing them needs the hub and a GPU: they have been checked, but not been run; see
docs/results/papers_data.md. A command that was killed continues where it stopped.

    python examples/experiments/paper.py activeprune_imdb --check  # builds all objects, downloads nothing
    python examples/experiments/paper.py activeprune_imdb
    python examples/experiments/paper.py anchoral_wikitoxic --filters AnchorAL none --seeds 2
    python examples/experiments/paper.py anchoral_wikitoxic --set estimator.model='"openai-community/gpt2"'
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import json
import tomllib
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _runs import Runs, make_parser, markdown
from significance import compare
from sklearn.metrics import make_scorer
from sklearn.utils import Bunch

import skprune
from skprune import ActiveLearningSimulator, strategies
from skprune.metrics import learning_curve_auc, minority_f1

FOLDER = Path(__file__).parent / "papers"
SECTIONS = {"source", "seeds", "data", "loop", "estimator", "strategies", "filters"}
COLUMNS = {"name", "revision", "train", "test", "text", "target", "rare", "rare_share", "test_others"}
OTHERS = "others"  # the class of all rows that are not rare


def read(name: str, changes: Sequence[str] = ()) -> dict[str, Any]:
    """Read a configuration by its name in papers/ or by its path, and check it.

    Parameters
    ----------
    name : str
    changes : sequence of str
        ``section.key=value``, with the value in TOML.
    """
    path = Path(name) if Path(name).suffix == ".toml" else FOLDER / f"{name}.toml"
    config = tomllib.loads(path.read_text(encoding="utf-8"))
    for change in changes:
        keys, _, value = change.partition("=")
        *parents, last = keys.split(".")
        table = config
        for key in parents:
            table = table[key]
        table[last] = tomllib.loads(f"value = {value}")["value"]
    check(config)
    return config


def check(config: dict[str, Any]) -> None:
    """Build every object and check its parameters; nothing is downloaded."""
    for kind, given, known in (("section", config, SECTIONS), ("key of [data]", config["data"], COLUMNS)):
        if unknown := set(given) - known:
            raise ValueError(f"Unknown {kind}: {sorted(unknown)}. Choose among {sorted(known)}")
    for name, strategy in product(config["filters"], config["strategies"]):
        make_simulator(config, name, strategy, n_pool=1_000, seed=0)


def build(table: Any) -> Any:
    """Return the object that a table with a ``class`` describes; nested tables are built first."""
    if not isinstance(table, dict):
        return table
    parameters = {key: build(value) for key, value in table.items() if key != "class"}
    if "class" not in table:
        return parameters or None
    name = table["class"]
    if name not in {*skprune.__all__, *strategies.__all__}:
        raise ValueError(f"skprune has no public class {name!r}")
    factory = getattr(skprune, name, None) or getattr(strategies, name)
    known = list(inspect.signature(factory).parameters)
    if unknown := set(parameters) - set(known):
        raise ValueError(f"{name} has no parameters {sorted(unknown)}. It has {known}")
    made = factory(**parameters)
    if hasattr(made, "_validate_params"):
        made._validate_params()
    return made


def make_simulator(
    config: dict[str, Any], filter: str, strategy: str, n_pool: int, seed: int, **options: Any
) -> ActiveLearningSimulator:
    """Return the loop of a configuration. A number of labels below 1 is a share of the pool."""
    loop = {key: value for key, value in config["loop"].items() if key != "n_initial_rare"}
    for key in ("n_instances", "n_initial"):
        if 0 < loop.get(key, 1) < 1:
            loop[key] = max(1, round(loop[key] * n_pool))
    rare = list(config["data"].get("rare", {}))
    if rare:
        loop["scoring"] = {"score": make_scorer(minority_f1, minority=rare)}
    return ActiveLearningSimulator(
        build(config["estimator"]),
        build(config["strategies"][strategy]),
        build(config["filters"][filter]),
        random_state=seed,
        **loop | options,
    )


def load(data: dict[str, Any], seed: int) -> tuple[Bunch, Bunch]:
    """Return the pool and the test set: texts with labels, or with target texts.

    ``name`` is a data set of the hub, or a folder that ``DatasetDict.save_to_disk`` wrote. With ``rare``, a
    table of class -> values of the target, all other rows form one class. ``rare_share`` draws the rare rows
    of the pool down to this share, and ``test_others`` the other rows of the test set to this number.
    """
    from datasets import load_dataset, load_from_disk

    if Path(data["name"]).is_dir():
        parts = load_from_disk(data["name"])
    else:
        parts = load_dataset(data["name"], revision=data.get("revision"))
    rng = np.random.default_rng(seed)
    found = []
    for split in ("train", "test"):
        part = parts[data.get(split, split)]
        if missing := {data["text"], data["target"]} - set(part.column_names):
            raise ValueError(f"{data['name']} has no columns {sorted(missing)}, but {part.column_names}")
        texts, values = list(part[data["text"]]), list(part[data["target"]])
        y = np.array([name_class(value, data["rare"]) for value in values] if "rare" in data else values)
        chosen = np.arange(len(y))
        rare, others = np.flatnonzero(y != OTHERS), np.flatnonzero(y == OTHERS)
        if split == "train" and "rare_share" in data:
            n_rare = round(data["rare_share"] / (1 - data["rare_share"]) * len(others))
            chosen = np.sort(np.concatenate([rng.choice(rare, n_rare, replace=False), others]))
        if split == "test" and "test_others" in data:
            n_others = min(data["test_others"], len(others))
            chosen = np.sort(np.concatenate([rare, rng.choice(others, n_others, replace=False)]))
        found.append(Bunch(data=[texts[i] for i in chosen], target=y[chosen]))
    return found[0], found[1]


def name_class(value: Any, rare: dict[str, list[Any]]) -> str:
    """Return the first rare class that has the value, or one of the values of a multi-label row."""
    values = set(value) if isinstance(value, list) else {value}
    return next((name for name, wanted in rare.items() if values & set(wanted)), OTHERS)


def first_labels(config: dict[str, Any], y: np.ndarray, seed: int) -> dict[str, Any]:
    """Return the rows labeled at first, if the configuration says how many of each rare class."""
    n_rare = config["loop"].get("n_initial_rare")
    if n_rare is None:
        return {}
    rng = np.random.default_rng(seed)
    rows = [rng.choice(np.flatnonzero(y == name), n_rare, replace=False) for name in config["data"]["rare"]]
    n_others = config["loop"]["n_initial"] - sum(map(len, rows))
    return {
        "initial": np.concatenate([*rows, rng.choice(np.flatnonzero(y == OTHERS), n_others, replace=False)])
    }


def play(config: dict[str, Any], filter: str, strategy: str, seed: int, out: Path) -> dict[str, Any]:
    """Play one loop; its rounds are kept in a folder while it runs."""
    pool, test = load(config["data"], seed)
    key = json.dumps([config, filter, strategy, seed], sort_keys=True)
    simulator = make_simulator(
        config,
        filter,
        strategy,
        len(pool.data),
        seed,
        memory=out / "loops" / hashlib.blake2b(key.encode(), digest_size=8).hexdigest(),
        **first_labels(config, pool.target, seed),
    )
    simulator.fit(pool.data, pool.target, X_val=test.data, y_val=test.target)
    return {"rounds": json.loads(simulator.learning_curve_.to_json(orient="records"))}


def run_all(config: dict[str, Any], args: argparse.Namespace) -> pd.DataFrame:
    """Play the loops that have not been played yet; return one row per round."""
    runs = Runs(args.out / "runs.jsonl")
    rows = []
    cells = product(
        range(args.seeds or config["seeds"]), config["strategies"], args.filters or config["filters"]
    )
    for seed, strategy, name in cells:
        named = {"strategy": strategy, "filter": name, "seed": seed}
        found = runs.get({"config": config, **named}, partial(play, config, name, strategy, seed, args.out))
        rows += [named | round_ for round_ in found["rounds"]]
        print(strategy, name, seed, f"{rows[-1]['score']:.4f}", flush=True)
    return pd.DataFrame(rows)


def summarize(rounds: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the table of scores, and the differences from the first filter."""
    cells = ["strategy", "filter", "seed"]
    last = rounds.groupby(cells, sort=False)[["labels", "score", "llm_calls"]].last()
    last["seconds selecting"] = rounds.groupby(cells, sort=False)["select_seconds"].sum()
    last["mean score"] = [
        learning_curve_auc(curve["score"], curve["labels"], normalize=True) if len(curve) > 1 else np.nan
        for _, curve in rounds.groupby(cells, sort=False)
    ]
    groups = last.groupby(["strategy", "filter"], sort=False)
    baseline = rounds["filter"].iloc[0]
    against = {}
    for strategy, runs in last["mean score"].groupby("strategy", sort=False):
        samples = {name: scores.to_numpy() for name, scores in runs.groupby("filter", sort=False)}
        if min(map(len, samples.values())) > 1 and baseline in samples:
            against[strategy] = compare(samples, baseline, random_state=0).drop(index=baseline)
    return {
        "Median and quartiles": groups.agg(quartiles).reset_index(),
        f"Mean score against {baseline}": (
            pd.concat(against, names=["strategy", "filter"]).round(3).reset_index()
            if against
            else pd.DataFrame()
        ),
    }


def quartiles(values: pd.Series) -> str:
    """Return the median and the quartiles as text."""
    low, median, high = values.quantile([0.25, 0.5, 0.75])
    return f"{median:.3f} ({low:.3f} to {high:.3f})"


def main(argv: list[str] | None = None) -> None:
    """Check a configuration, or play its loops."""
    parser = make_parser(__doc__, seeds=None, out=Path("paper-results"))
    parser.add_argument("config", help="a name in papers/, or the path of a TOML file")
    parser.add_argument("--check", action="store_true", help="build all objects, and stop there")
    parser.add_argument("--filters", nargs="+", help="filters of the file to play (default: all)")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="other values, in TOML")
    args = parser.parse_args(argv)
    config = read(args.config, args.set)
    n_loops = len(config["strategies"]) * len(args.filters or config["filters"])
    print(f"{config['source']}: {n_loops} loops per seed, {args.seeds or config['seeds']} seeds", flush=True)
    if args.check:
        return
    rounds = run_all(config, args)
    rounds.to_csv(args.out / f"{Path(args.config).stem}.csv", index=False)
    for title, table in summarize(rounds).items():
        print(f"\n{title}\n\n{markdown(table)}" if len(table) else "")


if __name__ == "__main__":
    main()
