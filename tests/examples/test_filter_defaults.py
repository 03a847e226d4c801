"""The grids around the defaults: the rule that picks them, the loops, and the page that reports them."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import normalize

RESULTS = Path(__file__).parents[2] / "docs" / "results"


@pytest.fixture
def experiment() -> ModuleType:
    import filter_defaults

    return filter_defaults


@pytest.fixture
def grids(experiment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    import _default_grids

    small = {"n_seeds": 40, "batch": 10, "rounds": 2}
    monkeypatch.setitem(_default_grids.SIZES, "rare", vary(_default_grids, "rare", **small, texts=4_000))
    few = {"judged": 150, "pool_size": 100, "test_size": 60, "n_seeds": 45, "batch": 5, "rounds": 2}
    monkeypatch.setitem(_default_grids.SIZES, "topics", vary(_default_grids, "topics", **few))
    monkeypatch.setitem(
        _default_grids.SIZES, "labeled", vary(_default_grids, "labeled", pool_size=300, test_size=100)
    )
    return _default_grids


def vary(grids: ModuleType, kind: str, **sizes: int) -> Any:
    return type(grids.SIZES[kind])(**(vars(grids.SIZES[kind]) | sizes))


def vectors_of(texts: Any) -> np.ndarray:
    """Return vectors that say a little about the texts; MiniLM would take a minute."""
    rng = np.random.default_rng(0)
    known = [[len(text) / 100, text.count("e") / 10, *rng.normal(size=6)] for text in texts]
    return normalize(np.array(known, dtype=np.float32))


def runs_of(gains: dict[str, dict[str, float]]) -> pd.DataFrame:
    """Return runs of SEALSFilter: for each stage, the mean gain of each value over the default."""
    rows = []
    for stage, by_value in gains.items():
        for seed in range(8):
            noise = (-1) ** seed * 0.5
            values = {"100": 0.0} | {value: gain + noise for value, gain in by_value.items()}
            rows += [
                {"stage": stage, "filter": "SEALSFilter", "parameter": "n_neighbors", "value": value}
                | {"data": data, "seed": seed, "score": 50 + seed + offset + gain}
                for data, offset in (("mail", 0), ("games", 20))
                for value, gain in values.items()
            ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("gains", "outcome"),
    [
        ({"selection": {"20": -3, "50": 0.1}}, "kept: no alternative established"),
        ({"selection": {"20": -3, "50": -2}}, "kept: no alternative established"),
        ({"selection": {"20": 2, "50": 3}}, "kept: not tested yet"),
        ({"selection": {"20": 2, "50": 3}, "test": {"50": 2}}, "replaced by 50"),
        ({"selection": {"20": 2, "50": 3}, "test": {"50": 0.1}}, "kept: not confirmed"),
        ({"selection": {"20": 2, "50": 3}, "test": {"50": -2}}, "kept: not confirmed"),
    ],
)
def test_a_default_is_replaced_by_a_gain_on_both_kinds_of_sets(
    experiment: ModuleType, gains: dict, outcome: str
) -> None:
    (decided,) = experiment.decisions(runs_of(gains)).to_dict("records")
    assert decided["outcome"] == outcome
    assert decided["best alternative"] == "50"
    assert decided["default"] == "100"
    assert bool(decided["test"]) == ("test" in gains)


def test_differences_are_those_of_a_seed_averaged_over_the_sets(experiment: ModuleType) -> None:
    gains = experiment.gains(runs_of({"selection": {"20": -3, "50": 1}}), "SEALSFilter")
    assert list(gains) == [("SEALSFilter", "n_neighbors", value) for value in ("20", "50")]
    assert gains["SEALSFilter", "n_neighbors", "50"].tolist() == pytest.approx([1.5, 0.5] * 4)


def test_only_winners_are_played_on_the_test_sets(
    experiment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    played = []

    def play(self: Any, setting: Any, data: str, seed: int) -> dict[str, float]:
        played.append((setting.value, data, seed))
        gain = {"20": -1.0, "50": 3.0, "200": 2.0}.get(setting.value, 0.0)
        return {"score": 50 + gain + 0.1 * (seed % 3) * gain}

    monkeypatch.setattr(experiment.Loops, "play", play)
    args = experiment.parse(["--filters", "SEALSFilter", "--seeds", "4", "--out", str(tmp_path)])
    args.memory = tmp_path
    runs = experiment.run_all(args).round(4)
    assert len(played) == 5 * 3 * 4 + 2 * 3 * 4  # no filter, four values; then the best and the default
    on_test = {(value, data) for value, data, seed in played if seed >= experiment.FIRST_TEST_SEED}
    assert {value for value, _ in on_test} == {"100", "50"}
    assert {data for _, data in on_test}.isdisjoint(experiment.SELECTION["rare"])
    again = experiment.run_all(args).round(4)
    assert len(played) == 84, "every run is kept"
    pd.testing.assert_frame_equal(again, runs)
    page = experiment.page(runs, args)
    runs.to_csv(tmp_path / "runs.csv", index=False)
    assert experiment.page(experiment.read(tmp_path / "runs.csv"), args) == page
    assert "| SEALSFilter | n_neighbors | 100 | 50 | 4 | +3." in page


def test_every_setting_of_a_rare_class_can_be_played(grids: ModuleType, tmp_path: Path) -> None:
    loops = grids.Loops("unused", "unused", tmp_path)
    loops._descriptions.vectors = loops._descriptions._look_up(vectors_of(loops._descriptions.texts))
    rows = {}
    for setting in grids.settings():
        if setting.grid.kind == "rare":
            found = loops.play(setting, "games", 0)
            assert 0 <= found["score"] <= 100
            rows[setting.filter, setting.knob, setting.value] = found["rows read"]
    assert rows["AnchorFilter", "max_subpool", "500"] <= 500 < rows["none, vectors", "", ""]
    assert rows["ProxyFilter", "keep", "100"] == 100


def test_every_setting_of_topics_can_be_played(
    grids: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(grids.topics, "encode", lambda texts, *_: vectors_of(texts))
    loops = grids.Loops("unused", "unused", tmp_path)
    corpus = loops._corpus("sections")
    corpus.quality = corpus.length  # SmolLM2 would take minutes
    calls = {}
    for setting in grids.settings():
        if setting.grid.kind == "topics":
            found = loops.play(setting, "sections", 0)
            assert 0 <= found["score"] <= 100
            calls[setting.filter, setting.knob, setting.value] = found["LLM calls"]
    assert calls["ActivePruneFilter", "llm_share", "0.0"] == 0 < calls["ActivePruneFilter", "beta", "0.1"]


def test_a_setting_of_labeled_sets_is_a_mean_over_the_cells_of_euds(
    grids: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(grids.euds, "encode", lambda texts, *_: vectors_of(texts))
    monkeypatch.setattr(grids.euds, "fetch_model", str)
    loops = grids.Loops("unused", "unused", tmp_path)
    setting = grids.Setting("EntropyIntervalFilter", "combine", "generative")
    found = loops.play(setting, "sections", 0)
    cells = [("generative", keep) for keep in grids.euds.SHARES]
    parts = [grids.euds.play(loops._split(0), *cell) for cell in cells]
    assert found["score"] == pytest.approx(
        np.mean([part[f"{learner} macro F1"] for part in parts for learner in ("terms", "vectors")])
    )
    known = pd.read_csv(RESULTS / "euds.csv")
    selection = grids.labeled_selection(known, setting).set_index(["data", "seed"])["score"]
    chosen = known.query("data == 'movies' and seed == 3 and method == 'generative'")
    assert selection["movies", 3] == pytest.approx(chosen["macro F1"].mean())
    assert len(chosen) == 6


def test_the_page_is_made_from_its_csv(experiment: ModuleType) -> None:
    runs = experiment.read(RESULTS / "filter_defaults.csv")
    assert experiment.page(runs, experiment.parse([])) == (RESULTS / "filter_defaults.md").read_text()


def test_the_shipped_defaults_are_those_that_the_rule_takes(experiment: ModuleType) -> None:
    checked = 0
    for row in experiment.decisions(experiment.read(RESULTS / "filter_defaults.csv")).to_dict("records"):
        grid = experiment.GRIDS[row["filter"]]
        parameters = inspect.signature(grid.cls).parameters
        if row["parameter"] in parameters:
            name = row["outcome"].removeprefix("replaced by ")
            taken = row["default"] if name.startswith("kept") else name
            assert parameters[row["parameter"]].default == grid.knobs[row["parameter"]][taken], row
            checked += 1
    assert checked > 10
