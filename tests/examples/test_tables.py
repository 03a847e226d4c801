"""The helpers that the tables share."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

from skprune import ActiveLearningSimulator, RandomFilter
from skprune.metrics import minority_f1
from skprune.strategies import Entropy


@pytest.fixture
def runs() -> ModuleType:
    import _runs

    return _runs


def test_a_run_is_played_once_but_an_incomplete_line_again(tmp_path: Path, runs: ModuleType) -> None:
    path = tmp_path / "new" / "runs.jsonl"
    played = []

    def run(value: float) -> dict:
        played.append(value)
        return {"f1": [value, 0.5]}

    kept = runs.Runs(path)
    first = kept.get({"seed": 0, "filter": "none"}, lambda: run(0.1))
    assert kept.get({"filter": "none", "seed": 0}, lambda: run(0.2)) == first == {"f1": [0.1, 0.5]}
    kept.get({"seed": 1, "filter": "none"}, lambda: run(0.3))
    path.write_text(path.read_text()[:-9])  # killed while it wrote the second run
    again = runs.Runs(path)
    assert again.get({"seed": 0, "filter": "none"}, lambda: run(0.4)) == first
    assert again.get({"seed": 1, "filter": "none"}, lambda: run(0.5)) == {"f1": [0.5, 0.5]}
    assert played == [0.1, 0.3, 0.5]
    assert [json.loads(line)["settings"]["seed"] for line in path.read_text().splitlines()] == [0, 1]


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_each_job_runs_once_with_any_number_of_jobs(tmp_path: Path, runs: ModuleType, n_jobs: int) -> None:
    get_reusable_executor().shutdown()  # workers started earlier would not find _runs
    jobs = [({"seed": seed}, partial(divmod, seed, 2)) for seed in range(5)]
    kept = runs.Runs(tmp_path / "runs.jsonl")
    assert len(list(kept.fill(jobs[:2], n_jobs))) == 2
    assert sorted(settings["seed"] for settings, _ in kept.fill(jobs, n_jobs)) == [2, 3, 4]
    again = runs.Runs(tmp_path / "runs.jsonl")
    assert list(again.fill(jobs, n_jobs)) == []
    assert [tuple(again.get(*job)) for job in jobs] == [divmod(seed, 2) for seed in range(5)]


def test_play_measures_a_loop_as_documented(runs: ModuleType) -> None:
    X, y = load_digits(return_X_y=True)
    y = (y == 8).astype(int)
    simulator = ActiveLearningSimulator(
        LogisticRegression(max_iter=300),
        Entropy(random_state=0),
        RandomFilter(keep=100),
        n_instances=10,
        n_rounds=3,
        random_state=0,
    )
    curve, picked = runs.play(simulator, (X[:900], y[:900]), (X[900:], y[900:]), 1)
    assert curve["labels"] == [10, 20, 30, 40] == [10 * (i + 1) for i in range(len(picked) // 10)]
    assert curve["found"] == [int(y[picked[:n]].sum()) for n in curve["labels"]]
    assert curve["subpool"][1:] == [100] * 3
    assert all(0 < share < 0.3 for share in curve["minority in subpool"][1:])
    assert len(curve["CPU s selecting"]) == 4
    assert min(curve["CPU s selecting"][1:]) > 0
    assert curve["f1"][-1] == minority_f1(y[900:], simulator.predict(X[900:]), 1)
    assert "majority f1" not in curve
    curve, _ = runs.play(simulator, (X[:900], y[:900]), (X[900:], y[900:]), 1, 0)
    assert curve["majority f1"][-1] == minority_f1(y[900:], simulator.predict(X[900:]), 0) > curve["f1"][-1]


def test_drawn_rows_hold_the_asked_number_of_rare_ones(runs: ModuleType) -> None:
    y = np.repeat(["common", "rare"], [90, 10])
    rows = runs.draw_rows(y, 20, 5, "rare", seed=0)
    assert len(set(rows)) == 20
    assert (y[rows] == "rare").tolist() == [True] * 5 + [False] * 15
    assert runs.draw_rows(y, 20, 5, "rare", seed=0).tolist() == rows.tolist()


def test_a_random_part_is_in_order_and_0_means_all_rows(runs: ModuleType) -> None:
    rows = runs.random_part(100, 30).tolist()
    assert rows == sorted(set(rows))
    assert len(rows) == 30
    assert runs.random_part(100, 0).tolist() == list(range(100))
