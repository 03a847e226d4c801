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


def test_no_csv_is_forgotten() -> None:
    beside = {"table_activeprune_costs", "table_activeprune_tests", "table_anchoral_rounds"}
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
    made = sorted(page.parent.iterdir())
    assert {page, page.with_suffix(".csv")} <= set(made)
    for path in made:
        assert path.read_text() == (RESULTS / path.name).read_text(), path.name
    for image in tmp_path.glob("images/*"):
        assert image.read_bytes() == (ROOT / "docs" / "images" / image.name).read_bytes(), image.name
