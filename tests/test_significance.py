"""Paired differences agree with scipy, with a formula written by hand and with simulated error rates."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from skprune.significance import paired_difference


def test_independent_runs_get_the_paired_t_test() -> None:
    a, b = np.random.default_rng(0).normal(size=(2, 9))
    found, scipys = paired_difference(a, b), stats.ttest_rel(a, b)
    interval = scipys.confidence_interval(0.95)
    assert found.p == pytest.approx(scipys.pvalue, rel=1e-9)
    assert found.mean - found.margin == pytest.approx(interval.low)
    assert found.mean + found.margin == pytest.approx(interval.high)


def test_an_overlap_gives_the_corrected_resampled_t_test() -> None:
    a, b = np.random.default_rng(1).normal(size=(2, 15))
    n_train, n_test = 90, 10
    differences = a - b
    t = differences.mean() / np.sqrt((1 / 15 + n_test / n_train) * differences.var(ddof=1))
    found = paired_difference(a, b, overlap=n_test / (n_train + n_test))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), 14))
    assert found.margin > paired_difference(a, b).margin


def test_the_correction_keeps_the_level_where_splits_share_their_rows() -> None:
    """Without it, random splits of one small sample find a difference far too often."""
    rng, n_rows, n_test, n_splits = np.random.default_rng(2), 60, 20, 20
    errors = np.zeros((400, 2))
    for trial in errors:
        row_effects = rng.normal(size=n_rows)  # what each row adds to the difference, 0 on average
        splits = [row_effects[rng.permutation(n_rows)[:n_test]].mean() for _ in range(n_splits)]
        for i, overlap in enumerate((0.0, n_test / n_rows)):
            trial[i] = paired_difference(splits, np.zeros(n_splits), overlap=overlap).p < 0.05
    assert errors.mean(axis=0)[0] > 0.3
    assert errors.mean(axis=0)[1] < 0.1


@pytest.mark.parametrize("level", [0.0, 1.0, 1.5])
def test_a_level_that_is_no_probability_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match="confidence_level must lie between 0 and 1"):
        paired_difference([1.0, 2.0], [1.0, 1.0], confidence_level=level)


@pytest.mark.parametrize("overlap", [-0.1, 1.0, np.nan])
def test_an_overlap_that_is_no_share_is_refused(overlap: float) -> None:
    with pytest.raises(ValueError, match="overlap must be at least 0 and less than 1"):
        paired_difference([1.0, 2.0], [1.0, 1.0], overlap=overlap)
