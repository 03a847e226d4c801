"""What the tables share: finished runs kept in a file, one run of the loop, and Markdown."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from significance import compare
from sklearn.metrics import make_scorer

from skprune import ActiveLearningSimulator
from skprune.encoders import SentenceEncoder
from skprune.metrics import minority_f1
from skprune.store import Remembered

Job = tuple[dict[str, Any], Callable[[], dict[str, Any]]]  # settings, and what finds something under them


class Runs:
    """Runs by their settings, one JSON line each; a run is there whole or not at all.

    Parameters
    ----------
    path : Path
        Made where it does not exist. Half a line of a killed command is dropped.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        whole = [line for line in lines if line.endswith("\n")]
        path.write_text("".join(whole))
        self._runs = {_key(run["settings"]): run for run in map(json.loads, whole)}

    def get(self, settings: dict[str, Any], run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return what ``run()`` found under these settings: from the file, else by running it now."""
        key = _key(settings)
        if key not in self._runs:
            self._keep(settings, run())
        return self._runs[key]["found"]

    def fill(self, jobs: Iterable[Job], n_jobs: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """Run the jobs that are not in the file, ``n_jobs`` at a time, and keep each as it ends.

        Parameters
        ----------
        jobs : iterable of (settings, run)
            As for `get`; where ``n_jobs`` is not 1, ``run`` goes to another process.

        Yields
        ------
        settings, found : dict
            Of what ran now, in the order in which it ended.
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
) -> tuple[dict[str, Any], np.ndarray]:
    """Play a loop and note what the simulator does not: CPU seconds, and the subpool's minority.

    CPU seconds of the process do not depend on what else the machine does.

    Parameters
    ----------
    simulator : ActiveLearningSimulator
    train, test : rows and labels
    positive : label, or sequence of labels
        The classes whose F1 counts, and are looked for in the subpool.

    Returns
    -------
    curve : dict of lists
        A number a round for each key.
    picked : ndarray of int
        The rows labeled, in order.
    """
    X, y = train
    is_positive = dict(zip(map(_content, X), np.isin(y, positive), strict=True))
    strategy = simulator.strategy
    ticks, seconds, shares = [time.process_time()], [], []

    def watched(learner: Any, rows: Any, **options: Any) -> Any:
        answer = strategy(learner, rows, **options)
        seconds.append(time.process_time() - ticks[-1])
        shares.append(float(np.mean([is_positive[_content(row)] for row in rows])))
        return answer

    simulator.set_params(
        strategy=watched,
        scoring=make_scorer(minority_f1, minority=positive),
        callback=lambda _: ticks.append(time.process_time()),
    )
    simulator.fit(X, y, *test)
    curve = simulator.learning_curve_
    found = {
        "labels": curve["labels"].tolist(),
        "f1": curve["score"].tolist(),
        "found": [int(np.isin(y[simulator.labeled_indices_[:n]], positive).sum()) for n in curve["labels"]],
        "subpool": curve["subpool"].tolist(),
        "llm_calls": curve["llm_calls"].tolist(),
        "minority in subpool": [0.0, *shares],
        "CPU s before the first query": ticks[1] - ticks[0],
        "CPU s selecting": [0.0, *seconds],
    }
    return found, simulator.labeled_indices_


def _content(row: Any) -> Any:
    return row if isinstance(row, str) else row.tobytes()


def encode(texts: Sequence[str], encoder: Any, memory: Path) -> np.ndarray:
    """Return vectors of texts, computed once and kept in ``memory``."""
    remembered = Remembered(SentenceEncoder(str(encoder)), memory, name="encoder", batch_size=256)
    return remembered(np.array(texts, dtype=object))


def cut(texts: Sequence[str], n_words: int) -> np.ndarray:
    """Return the beginnings of texts."""
    return np.array([" ".join(text.split()[:n_words]) for text in texts], dtype=object)


def spread(values: Sequence[float], digits: int) -> str:
    """Return the median and the quartiles."""
    low, median, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def differences(
    runs: pd.DataFrame, column: str, by: list[str], baseline: str, of: str = "filter"
) -> pd.DataFrame:
    """Compare the runs of each filter (or whatever ``of`` names) with those of ``baseline``, in each group.

    Holm's adjustment is over all comparisons of a group.
    """
    parts = []
    for names, group in runs.groupby(by, sort=False):
        samples = {name: rows[column].to_numpy() for name, rows in group.groupby(of, sort=False)}
        if min(map(len, samples.values())) < 2 or baseline not in samples:
            continue
        table = compare(samples, baseline, random_state=0).drop(index=baseline)
        shown = {name: [value] * len(table) for name, value in zip(by, names, strict=True)} | {
            of: table.index,
            f"against {baseline} (95 %)": [
                f"{row.difference:+.3f} ({row.low:+.3f} to {row.high:+.3f})" for row in table.itertuples()
            ],
            "Cohen's d": table["d"].map("{:.2f}".format),
            "Welch's p": table["p"].map(_p_value),
            "p, Holm": table["p_holm"].map(_p_value),
        }
        parts.append(pd.DataFrame(shown))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def markdown(table: pd.DataFrame) -> str:
    """Return a table as Markdown."""
    lines = [table.columns, ["---"] * len(table.columns), *table.astype(str).to_numpy()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
