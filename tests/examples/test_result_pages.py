"""Every page of results whose runs are in a CSV is made again from it, to the byte."""

from __future__ import annotations

import importlib
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
#: The script of each page; the pages not here hold no runs, or are written by hand.
SCRIPTS = {
    **{
        name: name
        for name in (
            *("anchor_random_share", "distilled_scorer", "euds", "every_filter", "filter_defaults"),
            *("first_labels", "grid_search", "proxy_filter", "proxy_filter_large", "query_strategies"),
            *("semiprune", "semiprune_defaults", "table_activeprune", "table_anchoral"),
        )
    },
    "generation": "table_generation",
}
BY_HAND = {"llm_server"}  # a server has to be started for it
#: What is made besides the page and its CSV.
BESIDE = {
    "table_activeprune": {"table_activeprune_costs.csv", "table_activeprune_tests.csv"},
    "table_anchoral": {"table_anchoral_rounds.csv", "anchoral_rounds.svg", "anchoral_rarest.svg"},
}


def test_no_csv_is_forgotten() -> None:
    beside = {Path(name).stem for names in BESIDE.values() for name in names if name.endswith(".csv")}
    assert {path.stem for path in RESULTS.glob("*.csv")} == SCRIPTS.keys() | BY_HAND | beside


def test_the_page_with_all_methods_is_made_again_from_the_csv_files() -> None:
    side_by_side = importlib.import_module("side_by_side")
    assert side_by_side.page() == (RESULTS / "side_by_side.md").read_text()


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_page_is_made_again_from_its_csv(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Day, commit and machine are those of the runs, and what people added by hand stays."""
    page = tmp_path / "results" / f"{name}.md"
    page.parent.mkdir()
    page.write_text((RESULTS / page.name).read_text())
    script = importlib.import_module(SCRIPTS[name])
    options = {"tables": RESULTS / f"{name}.csv", "page": page, "out": tmp_path / "out"}
    argv = [word for option, value in options.items() for word in (f"--{option}", str(value))]
    monkeypatch.setattr(sys, "argv", [name, *argv])
    with warnings.catch_warnings():
        script.main()
    made = [*page.parent.iterdir(), *tmp_path.glob("images/*")]
    assert {path.name for path in made} == {page.name, f"{name}.csv"} | BESIDE.get(name, set())
    for path in made:
        published = ROOT / "docs" / path.relative_to(tmp_path)
        assert path.read_bytes() == published.read_bytes(), path.name
