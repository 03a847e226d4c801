"""The table of the query strategies: who picks the first rows, the families, and a page from its CSV."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module as load
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.utils import Bunch


@pytest.fixture
def experiment(data: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """The experiment with small pools: three groups of vectors, and a part of the package descriptions."""
    found, pools = load("query_strategies"), load("_pools")
    y = np.arange(240) % 3
    vectors = np.random.default_rng(0).normal(size=(240, 6)) + 2 * np.eye(3, 6)[y]
    bunch = Bunch(vectors=vectors, target=y)
    monkeypatch.setitem(pools.SETS, "groups", (lambda: bunch, 150, 90))
    monkeypatch.setattr(found, "descriptions", lambda encoder, memory: data)
    monkeypatch.setattr(found, "SHARES", dict.fromkeys(("one", "two", "groups", "python"), 0.3))
    for name, size, task in (("balanced", 150, "groups"), ("rivals", 150, "groups"), ("rare", 600, "python")):
        small = replace(found.PARTS[name], pool_size=size, batch=6, rounds=2, data=(task,))
        monkeypatch.setitem(found.PARTS, name, small)
    yield found
    pools.split_of.cache_clear()
    pools._encoded.cache_clear()


def test_strategies_that_need_a_learner_begin_with_the_same_random_rows(experiment: ModuleType) -> None:
    settings = {"data": "groups", "seed": 0, "pool_size": 150, "batch": 6, "rounds": 0}
    first = {
        name: experiment.play_balanced(settings | {"strategy": name}, Bunch(memory=None))["mean"]
        for name in experiment.PARTS["balanced"].strategies
    }
    own = ("TypiClust", "MaxHerding", "UHerding")
    assert {score for name, score in first.items() if name not in own} == {first["random"]}
    assert first["MaxHerding"] == first["UHerding"] != first["random"]
    assert first["TypiClust"] != first["random"]


def test_a_table_is_a_family_for_each_outcome(experiment: ModuleType) -> None:
    rng = np.random.default_rng(0)
    gains = {"random": 0.0, "margin": 0.0, "CAL": 2.0}
    runs = pd.DataFrame(
        [
            {"data": data, "seed": seed, "strategy": name, "mean": 50 + gain + rng.normal(), "end": 50.0}
            for data in ("one", "two")
            for seed in range(8)
            for name, gain in gains.items()
        ]
    )
    outcomes = experiment.PARTS["balanced"].outcomes
    table = experiment.against(runs, "random", outcomes)
    assert table[["strategy", "data"]].to_numpy().tolist() == [
        [name, data] for name in ("margin", "CAL") for data in ("one", "two")
    ]
    wide = runs.pivot(index=["data", "seed"], columns="strategy", values="mean")
    p = [
        stats.ttest_rel(wide.loc[row.data][row.strategy], wide.loc[row.data]["random"]).pvalue
        for row in table.itertuples()
    ]
    smallest = int(np.argmin(p))
    shown = 4 * p[smallest]
    assert table["p, Holm"][smallest] == ("< 0.001" if shown < 0.001 else f"{shown:.3f}")
    assert set(table["accuracy at the end: verdict"]) == {"excluded beyond ± 1 points"}
    assert set(experiment.against(runs, "margin", outcomes)["strategy"]) == {"random", "CAL"}


def test_a_page_is_the_same_from_its_csv_and_from_finished_runs(
    experiment: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def call(*options: str) -> None:
        monkeypatch.setattr(sys, "argv", ["", "--seeds", "2", "--out", str(tmp_path), *options])
        experiment.main()

    call()
    page, lines = (tmp_path / name for name in ("query_strategies.md", "runs.jsonl"))
    text, runs = page.read_text(), lines.read_text()
    assert len(runs.splitlines()) == 2 * (10 + 2 + 6)
    table = pd.read_csv(page.with_suffix(".csv"))
    assert table[["mean", "end", "found"]].stack().between(0, 100).all()
    call()
    assert (page.read_text(), lines.read_text()) == (text, runs)
    call("--tables", str(page.with_suffix(".csv")), "--page", str(tmp_path / "again.md"))
    assert (tmp_path / "again.md").read_text() == text
