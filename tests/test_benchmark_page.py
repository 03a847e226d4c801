"""The page of `make bench-peers` says what its figures say."""

from __future__ import annotations

import pytest

from tests.benchmarks.peers.growth_table import growths
from tests.benchmarks.peers.numbers import extrapolated
from tests.benchmarks.peers.page import PAGE, comparison_table, figures, filled
from tests.benchmarks.peers.targets import target_table


def seconds(*values):
    return {"wall": list(values), "cpu": list(values)}


def found(*rows, failed=""):
    return {"rows": list(rows), "failed": failed}


def comparison(peer, ours, **more):
    row = {"what": "a round", "peer": "theirs", "peer_s": peer, "ours": "ours", "our_s": ours}
    return row | {"note": "", "extrapolated": "", "not_run": ""} | more


def test_the_tables_of_the_page_are_those_of_the_figures():
    page = PAGE.read_text(encoding="utf-8")
    assert filled(page, figures()) == page


def test_a_peer_that_was_not_run_is_a_line_with_the_reason_and_what_it_would_take():
    known = {
        "neighbors.x@10000": found(comparison(seconds(1.0), seconds(0.5))),
        "neighbors.x@100000": found(comparison(seconds(20.0), seconds(5.0))),
        "neighbors.x@1000000": found(comparison(None, seconds(50.0), not_run="too slow")),
        "neighbors.y@10000": found(failed="No module named 'y'"),
    }
    row = known["neighbors.x@1000000"]["rows"][0]
    assert extrapolated(known, "neighbors.x", 1_000_000, row) == pytest.approx(
        200.0
    )  # not 400: at most in proportion
    table = comparison_table(known, "neighbors")
    assert "| ≈ 200, extrapolated; not run: too slow | 50.0 (50.0, one run) | ≈ 4.00 |" in table
    assert "| `y` | not run: No module named 'y' | | 10,000 |" in table


def test_a_target_is_met_by_the_median_of_paired_ratios():
    name = "neighbors.small_text_anchors@10000"
    row = comparison(seconds(30.0, 2.0, 40.0), seconds(10.0, 1.0, 10.0), what="a later round")
    assert "| 3.00 (2.00 to 4.00) | met |" in target_table({name: found(row)})
    row = comparison(seconds(29.0, 2.0, 40.0), seconds(10.0, 1.0, 10.0), what="a later round")
    assert "| 2.90 (2.00 to 4.00) | not met: " in target_table({name: found(row)})


def test_the_exponent_is_that_of_the_two_largest_sizes():
    stages = {1_000: (9.0, 1), 10_000: (1.0, 2**23), 100_000: (100.0, 10 * 2**23)}
    known = {
        f"growth.x@{n}": found({"stage": "fit", "our_s": seconds(cpu), "peak": peak})
        for n, (cpu, peak) in stages.items()
    }
    assert growths(known)[0].exponents == pytest.approx((2.0, 1.0))
    assert "above: fit 2.00" in target_table(known)
