"""The experiment with ProxyFilter: paired differences, verdicts, and the command that the page shows."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from skprune import TransformerClassifier
from tests.tiny_models import save_tiny_bert


@pytest.fixture
def experiment() -> ModuleType:
    import proxy_filter

    return proxy_filter


@pytest.fixture
def pages(experiment: ModuleType) -> ModuleType:
    import _pages

    return _pages


@pytest.fixture
def tables(experiment: ModuleType) -> ModuleType:
    import _against_none

    return _against_none


def test_the_smallest_detectable_effect_is_detected_with_its_power(pages: ModuleType) -> None:
    rng = np.random.default_rng(0)
    n = 20
    visible = np.mean([pages.paired(pd.Series(rng.normal(size=n)))[2] for _ in range(500)])
    p = [stats.ttest_1samp(rng.normal(visible, 1, size=n), 0).pvalue for _ in range(3000)]
    assert np.mean(np.array(p) < 0.05) == pytest.approx(0.8, abs=0.03)


def test_the_interval_is_that_of_students_t(pages: ModuleType) -> None:
    differences = pd.Series([1.0, 2.0, 4.0, -1.0])
    mean, half, _, p = pages.paired(differences)
    low, high = stats.ttest_1samp(differences, 0).confidence_interval()
    assert (mean - half, mean + half) == pytest.approx((low, high))
    assert p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)
    assert pages.paired(pd.Series([0.0, 0.0]))[3] == 1


@pytest.mark.parametrize(
    ("mean", "half", "p", "word"),
    [
        (2.0, 1.0, 0.01, "established"),
        (2.0, 2.5, 0.3, "excluded beyond ± 5 %"),
        (-3.0, 2.5, 0.06, "not established"),
    ],
)
def test_verdicts(pages: ModuleType, mean: float, half: float, p: float, word: str) -> None:
    assert pages.verdict(mean, half, p, 5.0, "%") == word


def test_the_page_shows_the_options_that_differ_from_their_defaults(experiment: ModuleType) -> None:
    args = experiment.parse(["--seeds", "3", "--rare", "mail", "games", "--out", "elsewhere"])
    shown = experiment.command("proxy_filter", args, experiment.parse([]))
    assert shown.endswith("proxy_filter.py --seeds 3 --rare mail games")


def played(seed_effects: dict[str, list[float]], learner: str = "a model") -> pd.DataFrame:
    """Return runs of one pair of a class and a learner: the F1 of each filter, one number per seed."""
    return pd.DataFrame(
        {"rare": "games", "learner": learner, "filter": name, "seed": seed, "F1, mean": f1, "found": 10}
        for name, values in seed_effects.items()
        for seed, f1 in enumerate(values)
    )


def test_each_filter_is_a_family_of_tests(tables: ModuleType) -> None:
    none = [0.50, 0.60, 0.70, 0.55]
    worse = [0.45, 0.52, 0.66, 0.49]
    same = [0.51, 0.59, 0.70, 0.56]
    runs = [played({"none": none, "random": worse, "ours": same}, learner) for learner in ("a", "b")]
    p = stats.ttest_rel(worse, none).pvalue
    several = tables.against_none(pd.concat(runs), 5.0).set_index(["filter", "learner"])
    assert several["p"]["random"].tolist() == pytest.approx([2 * p, 2 * p])
    alone = tables.against_none(runs[0], 5.0).set_index("filter")  # one pair: its filters are the family
    assert alone["p"]["random"] == pytest.approx(2 * p)
    assert alone["mean"]["random"] == pytest.approx(100 * np.mean(np.subtract(worse, none)) / np.mean(none))


def test_what_holds_counts_every_comparison_once(tables: ModuleType) -> None:
    rng = np.random.default_rng(0)
    none = rng.uniform(0.5, 0.6, 30)
    runs = played({"none": none, "random": none - rng.uniform(0.1, 0.2, 30), "ours": none + 1e-4})
    random, worse, ours, better = tables.what_holds(tables.against_none(runs, 5.0), 5.0).splitlines()
    assert random == "* **random**, 1 pair of a class and a learner:"
    assert worse.startswith("    * lower, established in 1: games with a model -2")
    assert ours == "* **ours**, 1 pair of a class and a learner:"
    assert better.startswith("    * higher, established in 1: games with a model +0")


def test_a_csv_keeps_its_rows_and_gains_the_new_ones(tables: ModuleType, tmp_path: Path) -> None:
    path, key = tmp_path / "runs.csv", ["rare", "learner", "filter", "seed"]
    first = played({"none": [0.12345, 0.2]})
    kept = tables.with_kept(first, path, key)
    kept.to_csv(path, index=False)
    both = tables.with_kept(played({"none": [0.9, 0.9, 0.3]}), path, key)
    assert both["F1, mean"].tolist() == [0.1234, 0.2, 0.3]
    pd.testing.assert_frame_equal(tables.with_kept(first.iloc[:0], path, key), kept)


def test_frozen_layers_that_run_once_give_the_same_model(experiment: ModuleType, tmp_path: Path) -> None:
    texts = [f"{word} {n}" for n, word in enumerate(["plain text", "longer text, of more words", "odd"] * 6)]
    y = [0, 1, 0] * 6
    options = {"frozen_layers": 1, "max_epochs": 12, "min_steps": 6, "batch_size": 4, "lr": 1e-2}
    options |= {"dropout": 0.0, "patience": None, "random_state": 0, "precision": "float32"}
    folder = save_tiny_bert(tmp_path)
    plain = TransformerClassifier(folder, **options).fit(texts, y)
    once = experiment.FrozenOnceClassifier(folder, **options)
    for _ in range(2):  # the second fit reads what the first has kept
        once.fit(texts, y)
        np.testing.assert_allclose(once.predict_proba(texts), plain.predict_proba(texts), atol=0.02)
    assert np.ptp(plain.predict_proba(texts)[:, 1]) > 0.2
    assert once.frozen_layers == 1
