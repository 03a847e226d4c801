"""The table of ActivePrune: what a seed draws, what the controls are, and a page that its CSV files make."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from skprune import ProxyFilter, RandomFilter


@pytest.fixture
def table() -> ModuleType:
    import table_activeprune

    return table_activeprune


@pytest.fixture
def pages(table: ModuleType) -> ModuleType:
    import _activeprune_page

    return _activeprune_page


@pytest.fixture
def corpus(table: ModuleType) -> Any:
    args = table.parse(["--judged", "300", "--pool-size", "200", "--max-words", "20"])
    found = table.Corpus("movies", args)
    rng = np.random.default_rng(0)
    found.vectors = found._look_up(rng.normal(size=(len(found.texts), 8)))  # MiniLM would take minutes
    found.quality = found._look_up(rng.uniform(size=300), found.pool_part)  # so would the LLM
    return found


def settings_of(table: ModuleType, name: str, **changes: Any) -> dict[str, Any]:
    args = table.parse(["--rounds", "2", "--n-seeds", "10", "--test-size", "100"])
    loop = {key: getattr(args, key) for key in ("test_size", "n_seeds", "batch", "rounds")}
    return loop | {"learner": "vectors", "strategy": "LC", "filter": name, "seed": 0} | changes


def test_each_seed_draws_a_pool_that_the_llm_has_scored(corpus: Any) -> None:
    pools, tests = zip(*(corpus.draw(seed, 100) for seed in (0, 1)), strict=True)
    judged = set(corpus.texts[corpus.pool_part])
    assert all(set(pool.texts) <= judged and len(pool.texts) == 200 for pool in pools)
    assert all(not set(pool.texts) & set(test.texts) for pool, test in zip(pools, tests, strict=True))
    assert set(pools[0].texts) != set(pools[1].texts)
    assert corpus.draw(0, 40)[1].texts.tolist() == tests[0].texts[:40].tolist()


def test_controls_replace_the_judge_or_perplexity(table: ModuleType, corpus: Any) -> None:
    texts = corpus.draw(0, 0)[0].texts
    judges = {
        name: table.make_filter(name, corpus, 0).quality(texts)
        for name in (
            *("ActivePrune", "the LLM negated", "text length for the LLM", "random numbers for the LLM"),
        )
    }
    np.testing.assert_allclose(judges["the LLM negated"], 1 - judges["ActivePrune"])
    assert judges["text length for the LLM"].tolist() == [len(text.split()) for text in texts]
    chance = judges["random numbers for the LLM"]
    again = table.make_filter("random numbers for the LLM", corpus, 0).quality(texts[::-1])
    assert again[::-1].tolist() == chance.tolist()
    assert abs(np.corrcoef(chance, judges["ActivePrune"])[0, 1]) < 0.3
    assert table.make_filter("ActivePrune, β = 0", corpus, 0).beta == 0
    assert table.make_filter("none", corpus, 0) is None
    assert isinstance(table.make_filter("ProxyFilter", corpus, 0), ProxyFilter)


def test_every_part_names_filters_and_strategies_that_exist(table: ModuleType, corpus: Any) -> None:
    for part in table.PARTS.values():
        for name in set(part.filters) - {"none"}:
            if "n-grams from" in name:  # they would read whole collections
                continue
            made = table.make_filter(name, corpus, 0)
            assert made.keep == 0.25
        learners, strategies, _ = map(set, zip(*part.cells, strict=True))
        assert {type(table.make_strategy(name, corpus)).__name__ for name in strategies} <= {
            "LeastConfidence",
            "CAL",
            "Coreset",
            "UHerding",
        }
        assert learners <= set(table.LEARNERS)


@pytest.mark.parametrize("strategy", ["LC", "CAL", "Coreset", "UHerding"])
def test_a_run_is_that_of_its_settings(table: ModuleType, corpus: Any, strategy: str) -> None:
    runs = [
        table.play_one(corpus, settings_of(table, "ActivePrune", strategy=strategy, seed=seed))
        for seed in (3, 3, 4)
    ]
    first, again, other = ({**run, "CPU s selecting": 0} for run in runs)
    assert first == again != other
    assert 0 < first["LLM calls"] < 200 * 0.25
    assert 0 < first["F1, mean"] < 1


def test_asking_about_every_text_counts_every_call(table: ModuleType, corpus: Any) -> None:
    assert table.play_one(corpus, settings_of(table, "ASK-LLM"))["LLM calls"] == 200
    assert table.play_one(corpus, settings_of(table, "random"))["LLM calls"] == 0


def test_first_labels_differ_and_nothing_else(table: ModuleType, corpus: Any) -> None:
    at_random, typical = (table.play_one(corpus, settings_of(table, name)) for name in table.FIRST)
    assert at_random["F1, mean"] != typical["F1, mean"]
    kinds = {type(table.make_filter(name, corpus, 0)) for name in table.FIRST}
    assert kinds == {RandomFilter}


def played(part: str, effects: dict[str, float], **changes: Any) -> pd.DataFrame:
    """Return ten runs per filter: F1 up in every other seed, else down, and an effect of the filter."""
    return pd.DataFrame(
        {"part": part, "data": "movies", "strategy": "LC", "filter": name, "seed": seed}
        | {"learner": "logistic regression, sentence vectors"}
        | {"F1, mean": 0.5 + effect + 0.1 * (seed % 3) + 0.001 * (-1) ** seed * (name != "random")}
        | {"LLM calls": 80 * (name == "ActivePrune"), "CPU s selecting": 0.5}
        | changes
        for name, effect in effects.items()
        for seed in range(10)
    )


def test_a_cell_shows_its_verdict_and_what_it_could_see(pages: ModuleType) -> None:
    runs = pd.concat(
        [
            played("LC", {"random": 0, "UPS": 0.0, "ActivePrune": -0.1}, learner=learner)
            for learner in ("a", "b")
        ]
    )
    found = pages.contrasts(runs, [(name, "random") for name in ("UPS", "absent", "ActivePrune")], "F1, mean")
    wide = pages.short(found)
    wide.columns = [column.removesuffix(" (10 seeds)") for column in wide.columns]
    assert wide.columns.tolist() == ["data", "filter", "a", "b"]
    assert wide["filter"].tolist() == ["UPS", "ActivePrune", "*smallest detectable*"]
    assert wide["a"].tolist()[:2] == ["+0.0 ± 0.1, excluded†", "-10.0 ± 0.1, **established**†"]
    assert wide["a"].tolist()[2] == "0.1 (0.1 to 0.1)"
    counted = pages.counts(found).set_index("filter")["verdicts"]
    assert counted["ActivePrune"] == "a loss is established in 2 (2 beyond) of 2 cells"


def test_a_family_may_span_cells(pages: ModuleType) -> None:
    effects = {"movies": 0.0008, "reuters": 0.0003}
    runs = pd.concat(
        [played("first", {"random": 0, "UPS": gain}, data=name) for name, gain in effects.items()]
    )
    alone, together = (
        pages.contrasts(runs, [("UPS", "random")], family=n).set_index("data")["p, Holm"].astype(float)
        for n in (4, 1)
    )
    assert 0.01 < alone["movies"] < 0.1
    assert together["movies"] == pytest.approx(2 * alone["movies"], abs=0.002)
    assert together["reuters"] == alone["reuters"]


def test_costs_are_those_of_selecting_models_and_calls(pages: ModuleType) -> None:
    units = pd.DataFrame(
        {"data": "movies", "seed": [0, 1], "LLM call": [0.1, 0.3], "n-grams": 2.0, "vectors": 4.0}
    )
    effects = {"none": 0.0, "random": 0.0, "ProxyFilter": 0.0, "ActivePrune": 0.1}
    found = pages.costs(played("LC", effects), units).set_index("filter")
    assert found["sum, s"].to_dict() == {
        "none": "0.5",
        "random": "0.5",
        "ProxyFilter": "4.5",
        "ActivePrune": "18.5",
    }
    assert found.loc["ActivePrune", "F1 against random"].startswith("+10.0 ±")


def test_what_people_wrote_stays(pages: ModuleType, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    assert pages.written_by_hand(page) == "## What holds"
    page.write_text("# Title\n\n## What holds\n\n* This.\n\n## Tables\n\nRest.\n")
    assert pages.written_by_hand(page) == "## What holds\n\n* This."
