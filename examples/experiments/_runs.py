"""What the experiments share: command lines, drawn rows, finished runs kept in a file, tables and plots."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Before torch is loaded: threads that spin while they wait make training five times slower on a busy machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.metrics import make_scorer

from skprune import ActiveLearningSimulator
from skprune.datasets import fetch_model
from skprune.encoders import SentenceEncoder
from skprune.metrics import minority_f1
from skprune.store import Remembered
from skprune.streams import draw_seed, seed_open_states

Job = tuple[dict[str, Any], Callable[[], dict[str, Any]]]  # settings, and the function to run under them

OPTIONS: dict[str, dict[str, Any]] = {
    "rare": {"help": "the Debian section that is the rare class"},
    "pool_size": {"type": int, "help": "rows of each pool; 0 for all"},
    "test_size": {"type": int, "help": "rows of each test set; 0 for all"},
    "max_words": {"type": int, "help": "words after which texts are cut"},
    "n_seeds": {"type": int, "help": "labels before the first round"},
    "batch": {"type": int, "help": "labels per round"},
    "rounds": {"type": int, "help": "rounds of labeling"},
    "n_neighbors": {
        "type": int,
        "help": "K of AnchorFilter and SEALSFilter (50 in their papers)",
    },
    "encoder": {"help": "sentence encoder, name or path (default: MiniLM, packaged)"},
    "llm": {"help": "quality LLM, name or path (default: SmolLM2-135M, packaged)"},
    "memory": {"type": Path, "help": "folder that keeps scores and vectors for later runs"},
    "n_jobs": {"type": int, "help": "processes that work at the same time"},
    "seed": {"type": int, "help": "seed of all random numbers"},
    "seeds": {"type": int, "help": "number of seeds"},
    "out": {"type": Path, "help": "folder of the results"},
    "tables": {"type": Path, "help": "make the page from this CSV of finished runs, and run nothing"},
    "page": {"type": Path, "help": "where to write the page (default: in --out)"},
}


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Print the description as it is, and the default of every option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None else super()._get_help_string(action)


def make_parser(description: str | None, **defaults: Any) -> argparse.ArgumentParser:
    """Return a parser with the options of ``OPTIONS`` that ``defaults`` names."""
    parser = argparse.ArgumentParser(description=description, formatter_class=_HelpFormatter)
    for name, default in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", default=default, **OPTIONS[name])
    return parser


def with_packaged_models(args: argparse.Namespace) -> argparse.Namespace:
    """Set those of ``memory``, ``encoder`` and ``llm`` that the command line left out to their defaults.

    Nothing is fetched if the page is made from a CSV.
    """
    if getattr(args, "tables", None):
        return args
    if "memory" in args:
        args.memory = args.memory or args.out / "memory"
    for option, model in (("encoder", "minilm"), ("llm", "smollm2-135m")):
        if option in args and getattr(args, option) is None:
            setattr(args, option, str(fetch_model(model)))
    return args


def random_part(n_total: int, n_rows: int) -> np.ndarray:
    """Return ``n_rows`` random rows out of ``n_total``, in order; all rows for 0."""
    if not 0 < n_rows < n_total:
        return np.arange(n_total)
    return np.sort(np.random.default_rng(0).choice(n_total, n_rows, replace=False))


def draw_rows(y: np.ndarray, n_rows: int, n_rare: int, rare: Any, seed: int) -> np.ndarray:
    """Return ``n_rows`` random rows: first ``n_rare`` of the class ``rare``, then rows of the others."""
    rng = np.random.default_rng(seed)
    rare_rows = rng.choice(np.flatnonzero(y == rare), n_rare, replace=False)
    return np.concatenate([rare_rows, rng.choice(np.flatnonzero(y != rare), n_rows - n_rare, replace=False)])


def cut(texts: Iterable[str], n_words: int) -> np.ndarray:
    """Return the first words of each text."""
    return np.array([" ".join(text.split()[:n_words]) for text in texts], dtype=object)


def encode(texts: Sequence[str], encoder: Any, memory: Any, *, batch_size: int = 256) -> np.ndarray:
    """Return the sentence vectors of texts; they are computed once and kept in the folder ``memory``."""
    remembered = Remembered(SentenceEncoder(str(encoder)), memory, name="encoder", batch_size=batch_size)
    return remembered(np.array(texts, dtype=object))


class Runs:
    """Finished runs, found by their settings and kept in a file, one JSON line per run.

    Parameters
    ----------
    path : Path
        Created if it does not exist. An incomplete last line, left by a killed command, is dropped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        complete = [line for line in lines if line.endswith("\n")]
        path.write_text("".join(complete))
        self._runs = {_key(run["settings"]): run for run in map(json.loads, complete)}

    def get(self, settings: dict[str, Any], run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return the result under these settings: from the file if it is there, else from ``run()``."""
        key = _key(settings)
        if key not in self._runs:
            self._keep(settings, run())
        return self._runs[key]["found"]

    def fill(self, jobs: Iterable[Job], n_jobs: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Run the jobs that are not in the file, ``n_jobs`` at a time, and keep each as soon as it ends.

        Parameters
        ----------
        jobs : iterable of (settings, run)
            As for `get`. If ``n_jobs`` is not 1, ``run`` is sent to another process.
        n_jobs : int
            Number of processes.

        Yields
        ------
        settings, found : dict
            Each job that ran now, in the order in which the jobs ended.
        """
        missing = [job for job in jobs if _key(job[0]) not in self._runs]
        ended = Parallel(n_jobs, return_as="generator_unordered")(delayed(_run)(*job) for job in missing)
        for settings, found in ended:
            yield settings, self._keep(settings, found)

    def _keep(self, settings: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
        line = json.dumps({"settings": settings, "found": found}) + "\n"
        with self.path.open("a") as file:
            file.write(line)
        self._runs[_key(settings)] = json.loads(line)
        return self._runs[_key(settings)]["found"]


def _run(settings: dict[str, Any], run: Callable[[], Any]) -> tuple[dict[str, Any], Any]:
    return settings, run()


def _key(settings: dict[str, Any]) -> str:
    return json.dumps(settings, sort_keys=True)


def play(
    simulator: ActiveLearningSimulator,
    train: tuple[Any, np.ndarray],
    test: tuple[Any, np.ndarray],
    positive: Any,
    majority: Any = None,
) -> tuple[dict[str, Any], np.ndarray]:
    """Play a loop, and record CPU seconds and the positive share of each subpool besides the curve.

    CPU seconds of the process do not depend on what else the machine does.

    Parameters
    ----------
    simulator : ActiveLearningSimulator
        The loop; its strategy, scoring and callback are replaced.
    train, test : (rows, labels)
        The pool and the test set.
    positive : label, or sequence of labels
        The classes whose F1 is measured and whose rows are counted.
    majority : label, default=None
        Another class whose F1 is measured, as "majority f1".

    Returns
    -------
    curve : dict of lists
        One number per round for each key.
    picked : ndarray of int
        The labeled rows, in order.
    """
    X, y = train
    strategy = clone(simulator.strategy, safe=False)
    if hasattr(strategy, "get_params"):  # the simulator cannot seed a strategy within a function
        seed_open_states(strategy, lambda: draw_seed(simulator.random_state))
    ticks, seconds = [time.process_time()], []

    def watched(learner: Any, rows: Any, **options: Any) -> Any:
        answer = strategy(learner, rows, **options)
        seconds.append(time.process_time() - ticks[-1])
        return answer

    scoring = {"f1": make_scorer(minority_f1, minority=positive)}
    if majority is not None:
        scoring["majority f1"] = make_scorer(minority_f1, minority=majority)
    simulator.set_params(
        strategy=watched,
        scoring=scoring,
        callback=lambda _: ticks.append(time.process_time()),
    )
    simulator.fit(X, y, *test)
    curve, seen = simulator.learning_curve_, simulator.subpool_counts_[1:]
    is_positive = np.isin(simulator.subpool_classes_, positive)
    found = {
        "labels": curve["labels"].tolist(),
        **{name: curve[name].tolist() for name in scoring},
        "found": [int(np.isin(y[simulator.labeled_indices_[:n]], positive).sum()) for n in curve["labels"]],
        "subpool": curve["subpool"].tolist(),
        "llm_calls": curve["llm_calls"].tolist(),
        "minority in subpool": [0.0, *(seen[:, is_positive].sum(axis=1) / seen.sum(axis=1))],
        "CPU s before the first query": ticks[1] - ticks[0],
        "CPU s selecting": [0.0, *seconds],
    }
    return found, simulator.labeled_indices_


def markdown(table: pd.DataFrame) -> str:
    """Return a table in Markdown."""
    lines = [table.columns, ["---"] * len(table.columns), *table.astype(str).to_numpy()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


@contextmanager
def drawing(path: Path, n_rows: int, n_columns: int, **options: Any) -> Iterator[tuple[Any, np.ndarray]]:
    """Provide a figure and its axes, an array of shape (n_rows, n_columns), and save it on exit."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(n_rows, n_columns, squeeze=False, layout="constrained", **options)
    yield figure, axes
    figure.savefig(path, dpi=130, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)
