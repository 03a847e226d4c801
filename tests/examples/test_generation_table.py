"""The table of translation and summarization: what a seed shares, its families, and a page from its CSV."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

EXPERIMENTS = Path(__file__).parents[2] / "examples" / "experiments"
TINY = "--pool-size 60 --test-size 12 --n-seeds 8 --batch 6 --rounds 1 --epochs 1 --seeds 2"


@pytest.fixture
def table() -> ModuleType:
    import table_generation

    return table_generation


@pytest.fixture
def runs(table: ModuleType) -> pd.DataFrame:
    """Return runs in which ActivePrune gains 3 points with NSP, and nothing else has an effect."""
    rng = np.random.default_rng(0)
    rows = []
    for task in table.METRICS:
        for seed in range(8):
            for name, strategy in table.SETTINGS:
                gain = 3.0 * ((name, strategy) == ("activeprune", "nsp"))
                at = {f"at {n}": 10 + n / 10 + gain * (n > 40) + 0.1 * rng.normal() for n in (40, 70, 100)}
                rows.append(
                    {
                        "task": task,
                        "seed": seed,
                        "filter": name,
                        "strategy": strategy,
                        "origin": "commit 1, now, here",
                    }
                    | {"mean": (at["at 70"] + at["at 100"]) / 2, "end": at["at 100"], **at}
                    | {"subpool": 90, "LLM calls": 0, "CPU s selecting": 1.0, "CPU s training": 2.0}
                )
    return pd.DataFrame(rows).round(4)


@pytest.mark.slow
def test_the_first_labels_and_their_score_are_the_same_for_all_settings(table: ModuleType) -> None:
    args = table.with_packaged_models(table.parse([*TINY.split(), "--rounds", "0"]))
    args.seed = 3
    task = table.load("summarization")
    split, learner, row = table.begin(task, args)
    other = table.draw(task, table.argparse.Namespace(**vars(args) | {"seed": 4}))
    assert len(split.texts) == 60
    assert len(split.test_texts) == 12
    assert not set(split.texts) & set(split.test_texts)
    assert split.texts != other.texts
    assert learner.X_training == split.texts[:8]
    assert max(len(text.split()) for text in split.texts) <= table.MAX_WORDS["summarization"]
    shared = table.partial(tuple, (split, learner, row))
    for setting in (table.RANDOM_ROWS, ("activeprune", "nsp")):
        found = table.play_one(task, *setting, shared, table.argparse.Namespace(**vars(args) | {"rounds": 1}))
        assert found["labels"] == [8, 14]
        assert found["score"][0] == row["score"]
        assert (found["LLM calls"][-1] > 0) == (setting[0] == "activeprune")
    assert learner.X_training == split.texts[:8]
    assert learner.score(split.test_texts, split.references) == row["score"]  # still the first model


def test_each_table_is_a_family_and_the_effect_is_found_where_it_is(
    table: ModuleType, runs: pd.DataFrame
) -> None:
    mine = runs[runs["task"] == "translation"]
    _, quarter = table.FAMILIES.values()
    found = table.compared(table.differences(mine, "end", quarter), ["filter", "strategy"], table.NEGLIGIBLE)
    assert len(found) == 2
    established = found[found["verdict"] == "established"]
    assert established[["filter", "strategy"]].to_numpy().tolist() == [["ActivePrune's quarter", "NSP"]]
    assert float(established["difference"].iloc[0].split()[0]) == pytest.approx(3, abs=0.2)
    paper = table.beside_the_paper(mine).set_index("strategy")
    assert paper.loc["NSP", "paper"] == "+0.88"
    assert paper["the paper's in our interval"].tolist() == ["no", "no"]
    assert paper["an effect of the paper's size"].tolist() == ["would be seen", "would be seen"]


@pytest.mark.parametrize("tasks", [["translation"], ["translation", "summarization"]])
def test_the_page_is_the_same_from_its_csv(
    table: ModuleType, runs: pd.DataFrame, tmp_path: Path, tasks: list[str]
) -> None:
    runs = runs[runs["task"].isin(tasks)]
    args = table.parse(["--page", str(tmp_path / "generation.md"), "--task", *tasks])
    page = table.page(runs, args)
    assert "a gain is established in 1" in page
    table.publish("generation", args, runs, page)
    args.tables = tmp_path / "generation.csv"
    assert table.page(table.runs_or_tables(args, table.run_all), args) == page
    one_round = table.page(runs.assign(mean=runs["end"]), args)
    for text, n_outcomes in ((page, 2), (one_round, 1)):
        assert text.count("\nAgainst random rows of the whole pool, ") == n_outcomes * len(tasks)


@pytest.mark.slow
def test_a_second_command_writes_the_same_page_and_plays_nothing(tmp_path: Path) -> None:
    command = [sys.executable, str(EXPERIMENTS / "table_generation.py"), "--out", str(tmp_path / "out")]
    pages = [tmp_path / f"{name}.md" for name in ("one", "two", "three")]

    def write(page: Path, *more: str) -> str:
        page.write_text("# Earlier\n\n## Added by hand\n\nSaid once.\n")
        command_ = [*command, *TINY.split(), "--task", "translation", "--page", str(page), *more]
        subprocess.run(command_, check=True)
        return page.read_text()

    first = write(pages[0])
    lines = (tmp_path / "out" / "runs.jsonl").read_text()
    assert len(lines.splitlines()) == 2 * 7
    assert first.endswith("\n## Added by hand\n\nSaid once.\n")
    assert write(pages[1]) == first
    assert (tmp_path / "out" / "runs.jsonl").read_text() == lines
    assert write(pages[2], "--tables", str(pages[0].with_suffix(".csv"))) == first
