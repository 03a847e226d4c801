"""The comparisons of runs agree with scipy, with formulas written by hand and with simulated error rates."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import significance
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from significance import bootstrap_interval, cohens_d, compare

from skprune.significance import holm

RUNS = {
    "none": [61.0, 63.5, 58.2, 60.1, 62.2],
    "random": [60.2, 59.9, 63.1, 57.0],
    "ours": [66.0, 65.1, 67.3, 64.9, 66.6],
}
p_values = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(p=p_values)
def test_holm_matches_its_definition(p: list[float]) -> None:
    # The largest adjusted value among the hypotheses with a p-value that is not larger.
    ranked = list(enumerate(sorted(p)))
    expected = [min(1.0, max((len(p) - j) * q for j, q in ranked if q <= value)) for value in p]
    assert holm(p) == pytest.approx(expected)


@given(p=p_values)
def test_holm_keeps_the_order_and_lies_between_p_and_bonferroni(p: list[float]) -> None:
    raw, adjusted = np.array(p), holm(p)
    assert (adjusted >= raw).all()
    assert (adjusted <= np.minimum(1, len(p) * raw) + 1e-15).all()
    assert (np.diff(adjusted[np.argsort(raw, kind="stable")]) >= 0).all()


def test_holm_keeps_the_familywise_error_rate_at_its_level() -> None:
    p = np.random.default_rng(0).uniform(size=(4_000, 5))
    share = np.mean([(holm(row) <= 0.05).any() for row in p])
    assert share == pytest.approx(0.05, abs=0.01)
    assert np.mean((p <= 0.05).any(axis=1)) > 0.2  # the rate without adjustment


@pytest.mark.parametrize("p", [[0.5, 1.2], [-0.1], [np.nan], [[0.1, 0.2]]])
def test_holm_refuses_numbers_that_are_not_p_values(p: list[float]) -> None:
    with pytest.raises(ValueError, match="p_values"):
        holm(p)


def test_cohens_d_matches_its_formula() -> None:
    a, b = RUNS["ours"], RUNS["random"]
    squares = sum((x - np.mean(a)) ** 2 for x in a) + sum((x - np.mean(b)) ** 2 for x in b)
    assert cohens_d(a, b) == pytest.approx((np.mean(a) - np.mean(b)) / np.sqrt(squares / 7))
    assert cohens_d(b, a) == -cohens_d(a, b)


def test_cohens_d_is_the_pooled_t_without_the_sample_sizes() -> None:
    a, b = RUNS["ours"], RUNS["random"]
    t = stats.ttest_ind(a, b).statistic
    assert cohens_d(a, b) == pytest.approx(t * np.sqrt(1 / len(a) + 1 / len(b)))


def test_cohens_d_of_samples_that_do_not_vary() -> None:
    assert cohens_d([2.0, 2.0], [1.0, 1.0]) == np.inf
    assert cohens_d([1.0, 1.0], [2.0, 2.0]) == -np.inf
    assert cohens_d([1.0, 1.0], [1.0, 1.0]) == 0.0


def test_compare_matches_scipy_and_satterthwaites_formula() -> None:
    table = compare(RUNS, "none", random_state=0)
    assert list(table.index) == list(RUNS)
    a, b = np.array(RUNS["random"]), np.array(RUNS["none"])
    u, v = a.var(ddof=1) / len(a), b.var(ddof=1) / len(b)
    row = table.loc["random"]
    assert row["t"] == pytest.approx((a.mean() - b.mean()) / np.sqrt(u + v))
    assert row["df"] == pytest.approx((u + v) ** 2 / (u**2 / (len(a) - 1) + v**2 / (len(b) - 1)))
    assert row["p"] == pytest.approx(2 * stats.t.sf(abs(row["t"]), row["df"]))
    assert row["p"] == pytest.approx(stats.ttest_ind(a, b, equal_var=False).pvalue)
    assert row["difference"] == pytest.approx(a.mean() - b.mean())
    assert (row["median"], row["q25"], row["q75"]) == tuple(np.quantile(a, [0.5, 0.25, 0.75]))
    assert row["low"] < row["difference"] < row["high"]
    assert (
        table.loc[["random", "ours"], "p_holm"].tolist() == holm(table.loc[["random", "ours"], "p"]).tolist()
    )
    assert table.loc["none", ["difference", "d", "p", "p_holm"]].isna().all()
    assert table.loc["ours", "p_holm"] < 0.01 < table.loc["random", "p_holm"]


def test_compare_on_runs_that_do_not_vary() -> None:
    table = compare({"none": [0, 0], "same": [0, 0], "other": [1, 1]}, "none", random_state=0)
    assert table.loc["same", ["t", "p", "p_holm", "low", "high"]].tolist() == [0, 1, 1, 0, 0]
    assert table.loc["other", ["t", "p", "p_holm", "low", "high"]].tolist() == [np.inf, 0, 0, 1, 1]


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({"a": [1.0, 2.0]}, "baseline"),
        ({"none": [1.0], "a": [1.0, 2.0]}, r"runs\['none'\]"),
        ({"none": [1.0, 2.0], "a": [1.0, np.nan]}, r"runs\['a'\]\[1\] is nan"),
    ],
)
def test_compare_names_the_faulty_argument(runs: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compare(runs, "none")


def test_bootstrap_interval_covers_the_mean_at_its_confidence_level() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(200):
        low, high = bootstrap_interval(rng.normal(3.0, 1.0, 30), n_resamples=300, random_state=seed)
        hits += low <= 3.0 <= high
    assert 0.88 <= hits / 200 <= 0.98


def test_bootstrap_interval_is_repeatable_and_narrower_for_correlated_pairs() -> None:
    a = np.arange(20.0)
    b = a + np.random.default_rng(1).normal(0, 0.1, 20)
    options = {"statistic": lambda x, y: x.mean() - y.mean(), "n_resamples": 500, "random_state": 0}
    apart, together = bootstrap_interval(a, b, **options), bootstrap_interval(a, b, paired=True, **options)
    assert together == bootstrap_interval(a, b, paired=True, **options)
    assert np.diff(together) < np.diff(apart) / 10


def test_constant_samples_are_compared_by_their_value_alone():
    # By rounding, nine times 0.9 have a variance above zero and a mean below 0.9.
    same = compare({"a": [0.9] * 8, "b": [0.9] * 9}, "a", random_state=0).loc["b"]
    assert (same["difference"], same["d"], same["p"]) == (0.0, 0.0, 1.0)
    assert cohens_d([0.1] * 3, [0.2] * 3) == -np.inf


def test_doctests_pass() -> None:
    assert doctest.testmod(significance, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0
