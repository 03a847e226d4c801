"""The experiment with ProxyFilter: paired differences, verdicts, and the command that the page shows."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy import stats

EXPERIMENTS = Path(__file__).parents[2] / "examples" / "experiments"


@pytest.fixture
def experiment(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(EXPERIMENTS)
    import proxy_filter

    return proxy_filter


def test_the_smallest_detectable_effect_is_detected_with_its_power(experiment: ModuleType) -> None:
    rng = np.random.default_rng(0)
    n = 20
    visible = np.mean([experiment.paired(pd.Series(rng.normal(size=n)))[2] for _ in range(500)])
    p = [stats.ttest_1samp(rng.normal(visible, 1, size=n), 0).pvalue for _ in range(3000)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.8, abs=0.03)


def test_the_interval_is_that_of_students_t(experiment: ModuleType) -> None:
    differences = pd.Series([1.0, 2.0, 4.0, -1.0])
    mean, half, _, p = experiment.paired(differences)
    low, high = stats.ttest_1samp(differences, 0).confidence_interval()
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert p == stats.ttest_1samp(differences, 0).pvalue
    assert experiment.paired(pd.Series([0.0, 0.0]))[3] == 1


@pytest.mark.parametrize(
    ("mean", "half", "p", "word"),
    [
        (2.0, 1.0, 0.01, "established"),
        (2.0, 2.5, 0.3, "excluded beyond ± 5 %"),
        (-3.0, 2.5, 0.06, "not established"),
    ],
)
def test_verdicts(experiment: ModuleType, mean: float, half: float, p: float, word: str) -> None:
    assert experiment.verdict(mean, half, p, experiment.NEGLIGIBLE) == word


def test_the_page_shows_the_options_that_differ_from_their_defaults(experiment: ModuleType) -> None:
    args = experiment.parse(["--seeds", "3", "--rare", "mail", "games", "--out", "elsewhere"])
    shown = experiment.command("proxy_filter", args, experiment.parse([]))
    assert shown.endswith("proxy_filter.py --seeds 3 --rare mail games")
