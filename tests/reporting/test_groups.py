"""Keep rates by group agree with counts and with scipy, and the floors mend what is flagged."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from skprune.reporting.groups import FOUR_FIFTHS, keep_rates


def rates_of(kept, groups, decided=None):
    kept = np.asarray(kept, dtype=bool)
    return keep_rates(kept, groups, np.ones(len(kept), dtype=bool) if decided is None else decided)


def pool(seed=0, n=400):
    rng = np.random.default_rng(seed)
    site = rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1])
    kept = rng.random(n) < np.where(site == "b", 0.2, 0.5)
    return kept, site


def test_counts_p_values_and_flags():
    kept, site = pool()
    table = rates_of(kept, {"site": site}).set_index("group")
    highest = max(kept[site == s].mean() for s in "abc")
    p = {}
    for s in "abc":
        inside = site == s
        assert table.loc[s, "rows"] == inside.sum()
        assert table.loc[s, "kept"] == kept[inside].sum()
        assert table.loc[s, "ratio"] == pytest.approx(kept[inside].mean() / highest)
        assert table.loc[s, "flagged"] == (kept[inside].mean() / highest < 0.8)
        cells = pd.crosstab(inside, kept)
        p[s] = stats.fisher_exact(cells).pvalue
        assert table.loc[s, "p"] == pytest.approx(p[s])
    lowest = min(p.values())
    assert table["p_holm"].min() == pytest.approx(3 * lowest)
    assert table.index[0] == "b"
    assert table.loc["b", "flagged"]


def test_a_tiny_group_does_not_flag_the_others():
    kept = np.r_[np.ones(3), np.tile([1, 0], 100)].astype(bool)
    table = rates_of(kept, {"site": ["floored"] * 3 + ["a"] * 100 + ["b"] * 100}).set_index("group")
    assert not table["flagged"].any()
    assert table.loc["floored", "ratio"] == 2


def test_all_divisions_are_adjusted_together():
    kept, site = pool()
    alone = rates_of(kept, {"site": site}).set_index("group")["p_holm"]
    noise = np.random.default_rng(1).choice(list("xy"), len(kept))
    both = rates_of(kept, {"site": site, "noise": noise}).set_index("group")["p_holm"]
    assert both["b"] == pytest.approx(5 / 3 * alone["b"])


@given(seed=st.integers(0, 10_000), n=st.integers(5, 60))
def test_a_floor_is_the_smallest_number_that_lifts_the_flag(seed, n):
    kept, site = pool(seed, n)
    table = rates_of(kept, {"site": site})
    highest = table.loc[table["rows"] >= 0.02 * table["rows"].sum(), "rate"].max()
    for row in table.itertuples():
        if row.missing:
            assert row.flagged
            assert row.floor / row.rows >= FOUR_FIFTHS * highest - 1e-9
            assert (row.floor - 1) / row.rows < FOUR_FIFTHS * highest
        else:
            assert row.floor == row.kept
            assert not row.flagged


def test_the_detectable_difference_is_found_four_times_in_five():
    """A simulation of the stated power, at the level of a single comparison of two halves."""
    rng = np.random.default_rng(0)
    n, site = 800, np.repeat(["a", "b"], 400)
    difference = rates_of(np.arange(n) % 2 == 0, {"site": site})["detectable"].iloc[0]
    found = 0
    for _ in range(300):
        kept = rng.random(n) < np.where(site == "a", 0.5 + difference / 2, 0.5 - difference / 2)
        found += (rates_of(kept, {"site": site})["p_holm"] < 0.05).any()
    assert 0.7 < found / 300 < 0.9


def test_rows_with_a_label_do_not_count():
    kept, site = pool()
    decided = np.arange(len(kept)) >= 100
    table = rates_of(kept, {"site": site}, decided)
    expected = rates_of(kept[100:], {"site": site[100:]})
    pd.testing.assert_frame_equal(table, expected)


def test_numbers_are_cut_at_quartiles_and_rare_words_are_joined():
    kept = np.arange(200) % 3 == 0
    table = rates_of(kept, {"length": np.arange(200.0), "word": [f"w{min(i, 60)}" for i in range(200)]})
    assert (table.loc[table["by"] == "length", "rows"] == 50).all()
    words = table.loc[table["by"] == "word"].set_index("group")["rows"]
    assert len(words) == 31
    assert words["w60"] == 140
    assert words["(other values)"] == 60 - 29


def test_missing_values_are_a_group():
    groups = pd.DataFrame(
        {"site": ["a", None, "a", np.nan], "size": [1.0, np.nan, 2.0, 2.0]}, index=[9, 8, 7, 6]
    )
    table = rates_of([True, False, True, False], groups).set_index(["by", "group"])
    assert table.loc[("site", "(missing)"), "rows"] == 2
    assert table.loc[("size", "(missing)"), "rows"] == 1


def test_a_single_group_is_compared_with_nobody():
    table = rates_of([True, False], {"site": ["a", "a"]})
    assert table["p"].tolist() == [1.0]
    assert np.isinf(table["detectable"]).all()


def test_wrong_groups_are_refused():
    with pytest.raises(ValueError, match=r"groups\['site'\] must hold one value for each of the 2 rows"):
        rates_of([True, False], {"site": ["a"]})
    with pytest.raises(TypeError, match="must be a dict of arrays or a DataFrame, got ndarray"):
        rates_of([True, False], np.array(["a", "b"]))
