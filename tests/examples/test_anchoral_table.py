"""The table of AnchorAL: what a seed draws, equal seconds, and a page that depends on its CSV files only."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from skprune.datasets import BOILERPLATE_SECTIONS

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "examples" / "experiments"
LOOP = {"n_seeds": 40, "batch": 10, "rounds": 2, "pool_size": 0}


@pytest.fixture
def table() -> ModuleType:
    import table_anchoral

    return table_anchoral


def test_each_seed_draws_its_own_pool_test_set_and_first_labels(data: Any) -> None:
    split, other = (data.draw("python+games", seed, 500, 40) for seed in (0, 1))
    assert np.bincount(split.y[split.initial]).tolist() == [30, 5, 5]
    assert len(set(split.initial)) == 40
    assert split.rare == [1, 2]
    assert set(split.texts) != set(other.texts)
    assert set(split.test_texts) != set(other.test_texts)
    section, group = (dict(zip(data.texts, values, strict=True)) for values in (data.sections, data.groups))
    assert not {group[text] for text in split.texts} & {group[text] for text in split.test_texts}
    names = np.array(["", "python", "games"])
    assert all(names[label] in ("", section[text]) for text, label in zip(split.texts, split.y, strict=True))
    assert ((split.y == 1) == [section[text] == "python" for text in split.texts]).all()


def test_a_divisor_thins_the_rare_rows_of_the_pool_only(data: Any) -> None:
    full, thinned = (data.draw(task, 0, 0, 40) for task in ("python", "python/3"))
    assert (thinned.y == 1).sum() == (full.y == 1).sum() // 3
    assert (thinned.y == 0).sum() == (full.y == 0).sum()
    assert thinned.test_texts.tolist() == full.test_texts.tolist()


def test_typical_first_labels_keep_the_rare_ones(data: Any) -> None:
    split = data.draw("python", 0, 0, 40)
    rows = data.typical(split, 0)
    assert len(set(rows)) == 40
    assert set(split.initial[split.y[split.initial] == 1]) <= set(rows)
    assert set(rows) != set(split.initial)
    assert rows.tolist() == data.typical(split, 0).tolist()


def test_only_the_rarest_part_reads_the_sections_of_near_copies(table: ModuleType, data: Any) -> None:
    whole = table.Descriptions(argparse.Namespace(texts=2_000, max_words=40), table.PARTS["rarest"].drop)
    assert {part.drop for name, part in table.PARTS.items() if name != "rarest"} == {BOILERPLATE_SECTIONS}
    assert {"libs", "python"} <= set(whole.sections)
    assert not set(data.sections) & set(BOILERPLATE_SECTIONS)


@pytest.mark.parametrize("strategy", ["BADGE", "random labels"])
def test_a_seed_fixes_the_picks(table: ModuleType, data: Any, strategy: str) -> None:
    settings = {"part": "BADGE", "task": "python", "strategy": strategy, "filter": "none"}
    runs = [
        table.play_one(data, settings | {"seed": seed, "learner": "vectors", **LOOP}, table.PARTS["BADGE"])
        for seed in (0, 0, 1)
    ]
    assert runs[0]["f1"] == runs[1]["f1"] != runs[2]["f1"]
    assert runs[0]["minority in subpool"] == runs[1]["minority in subpool"]


@pytest.mark.parametrize("part", ["small", "timed"])
def test_a_run_is_that_of_its_settings(table: ModuleType, data: Any, monkeypatch: Any, part: str) -> None:
    monkeypatch.setattr(table, "BUDGETS", (0.2, 0.5))
    settings = {"part": part, "task": "python", "strategy": "entropy", "filter": "AnchorAL", "seed": 3}
    settings |= {"learner": "texts" if part == "timed" else "vectors", **LOOP}
    found = table.play_one(data, settings, table.PARTS[part])
    split = data.draw("python", 3, 0, 40)
    assert found["rare rows"] == (split.y == 1).sum()
    if part == "timed":
        early, late = found["checkpoints"]
        assert early["labels"] == 40 + 10 * early["round"] <= late["labels"]  # a slow round may span both
        assert 5 <= early["found"] <= late["found"]
    else:
        assert found["labels"] == [40, 50, 60]
        assert found["subpool"][1:] == [n for n in found["subpool"][1:] if 10 <= n <= 400]
        assert found["found"][0] == 5


def test_the_families_of_tests_are_the_cells(table: ModuleType) -> None:
    import _anchoral_page

    gain = {"none": 0, "SEALS": 0, "AnchorAL": 0.1}
    swing = {"none": 0, "SEALS": 0.01, "AnchorAL": 0.01}  # up in every other seed, else down
    runs = pd.DataFrame(
        [
            {"part": "small", "task": task, "learner": "vectors", "strategy": "entropy", "filter": name}
            | {"seed": seed, "F1": 0.5 + gain[name] + swing[name] * (-1) ** seed}
            for task in ("mail", "games")
            for name in gain
            for seed in range(10)
        ]
    )
    pairs = [(name, "none") for name in ("SEALS", "AnchorAL", "absent")]
    runs["share"] = runs["F1"]
    found = _anchoral_page.tests(runs, pairs, {"F1": "F1", "share": "found"})
    assert found["filter"].tolist() == ["SEALS", "AnchorAL"] * 2
    assert found["verdict"].tolist() == ["excluded beyond ± 2 points", "established"] * 2
    counted = _anchoral_page.counts(found).set_index("filter")
    assert counted.loc["AnchorAL", ["cells", "F1 higher", "F1 lower", "found higher"]].tolist() == [
        2,
        2,
        0,
        2,
    ]


@pytest.mark.slow
def test_a_second_command_writes_the_same_page_and_plays_nothing(tmp_path: Path) -> None:
    options = "--texts 600 --parts small whole rarest --tasks python --pool-size 0 --rounds 2 --n-seeds 30"
    options += " --seeds 2"
    command = [sys.executable, str(EXPERIMENTS / "table_anchoral.py"), "--out", str(tmp_path / "out")]
    pages = [tmp_path / name / "results" / "table_anchoral.md" for name in ("one", "two", "three")]
    for page in pages:
        page.parent.mkdir(parents=True)
    by_hand = "\n## Added by hand\n\nSaid once.\n"

    def write(page: Path, *more: str) -> str:
        page.write_text("# Earlier" + by_hand)
        subprocess.run([*command, *options.split(), "--page", str(page), *more], check=True)
        return page.read_text()

    first = write(pages[0])
    lines = (tmp_path / "out" / "runs.jsonl").read_text()
    assert len(lines.splitlines()) == 2 * (7 + 1 + 7 + 7)
    assert first.endswith(by_hand)
    assert "Earlier" not in first
    assert write(pages[1]) == first
    assert (tmp_path / "out" / "runs.jsonl").read_text() == lines
    assert write(pages[2], "--tables", str(pages[0].with_suffix(".csv"))) == first
    for name in ("anchoral_rounds.svg", "anchoral_rarest.svg"):
        images = [page.parents[1] / "images" / name for page in pages]
        assert len({image.read_bytes() for image in images}) == 1
        assert f"(../images/{name})" in first
