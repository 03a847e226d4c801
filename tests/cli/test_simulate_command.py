"""``skprune simulate`` plays the runs of ``ActiveLearningSimulator``."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skprune import ActiveLearningSimulator, RandomFilter
from skprune.significance import paired_difference, smallest_detectable
from skprune.strategies import Margin

COMMAND = ("simulate", "labelled.csv", "-t", "body", "-l", "kind", "--strategy", "margin")
SIZES = ("--rounds", 3, "--batch", 10, "--seeds", 2, "--metric", "accuracy")


@pytest.fixture(autouse=True)
def labelled(folder, texts):
    rng = np.random.default_rng(0)
    kinds = np.where(rng.random(len(texts)) < 0.5, "hills", "trees")
    bodies = [f"{text} {kind}" for text, kind in zip(texts, kinds, strict=True)]
    rows = pd.DataFrame({"body": bodies, "kind": kinds})
    rows.to_csv("labelled.csv", index=False)
    return rows


def test_the_curves_are_those_of_the_simulator(invoke, labelled):
    options = ("--methods", "none,random", "--keep", 0.5, "-o", "curves.csv", "--memory", "runs")
    result = invoke(*COMMAND, *SIZES, *options, "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert [entry["method"] for entry in found["methods"]] == ["none", "random"]
    curves = pd.read_csv("curves.csv")
    assert len(curves) == 2 * 2 * 4
    for method, filter in (("none", None), ("random", RandomFilter(keep=0.5))):
        last = []
        for seed in range(2):
            simulator = ActiveLearningSimulator(
                make_pipeline(TfidfVectorizer(), LogisticRegression(C=10, max_iter=1000)),
                Margin(),
                filter,
                n_instances=10,
                n_rounds=3,
                scoring="accuracy",
                validation_fraction=0.25,
                random_state=seed,
            )
            simulator.fit(labelled["body"].tolist(), labelled["kind"].to_numpy())
            expected = simulator.learning_curve_
            played = curves[(curves["method"] == method) & (curves["seed"] == seed)]
            for column in ("labels", "pool", "subpool", "accuracy"):
                np.testing.assert_allclose(played[column], expected[column])
            last.append(expected["accuracy"].iloc[-1])
        entry = next(entry for entry in found["methods"] if entry["method"] == method)
        assert entry["last accuracy"] == pytest.approx(np.mean(last))
        assert entry["SD of last"] == pytest.approx(np.std(last, ddof=1))
    again = invoke(*COMMAND, *SIZES, *options)
    assert again.exit_code == 0, again.stderr
    assert "random" in again.stdout
    played = pd.read_csv("curves.csv")
    pd.testing.assert_frame_equal(
        played[["accuracy", "select_seconds"]], curves[["accuracy", "select_seconds"]]
    )


def test_parameters_belong_to_one_method(invoke):
    options = ("--methods", "random,active-prune", "--keep", 0.5, "-s", "active-prune.quality=null")
    result = invoke(*COMMAND, *SIZES, *options, "-s", "random.keep=0.1", "-o", "curves.csv")
    assert result.exit_code == 0, result.stderr
    curves = pd.read_csv("curves.csv")
    shares = (curves["subpool"] / curves["pool"])[curves["round"] > 0].groupby(curves["method"]).mean()
    assert shares["random"] < 0.2 < shares["active-prune"]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (("simulate", "labelled.csv", "-t", "body"), 2, "--label is missing"),
        ((*COMMAND, "-l", "stars"), 1, "no column 'stars'; its columns are 'body', 'kind'"),
        ((*COMMAND, "--methods", "best"), 2, "--methods: 'best' is not one of none, "),
        (
            (*COMMAND, "--methods", "random,proxy", "--rounds", 1, "--seeds", 1),
            1,
            "proxy: keep=1500 exceeds the",
        ),
        (
            (*COMMAND, "--methods", "proxy", "--rounds", 1, "--seeds", 1),
            1,
            "in the shell, --set proxy.keep=0.25",
        ),
        ((*COMMAND, "--on-missing", "keep"), 2, "'keep' is not one of error, drop"),
        ((*COMMAND, "--methods", "quota"), 2, "which only Python can give"),
        ((*COMMAND, "--strategy", "best"), 2, "least-confidence"),
        ((*COMMAND, "-s", "keep=0.1"), 2, "must begin with one of the methods (random, perplexity)"),
        ((*COMMAND, "--rounds", 0), 2, "--rounds"),
        ((*COMMAND, "--metric", "beauty"), 1, "beauty"),
    ],
)
def test_errors_are_one_line_with_an_exit_code(invoke, args, code, message):
    result = invoke(*args)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("curves.csv").exists()


def test_methods_are_compared_with_a_baseline(invoke):
    options = ("--methods", "none,random,k-means", "--keep", 0.3, "--rounds", 2, "--batch", 10, "--seeds", 4)
    run = (*COMMAND, *options, "--metric", "accuracy", "-o", "curves.csv", "--memory", "runs")
    found = json.loads(invoke(*run, "--json").stdout)
    assert found["baseline"] == "random"
    curves = pd.read_csv("curves.csv").groupby(["method", "seed"])["accuracy"].mean()
    p = {name: stats.ttest_rel(curves[name], curves["random"]).pvalue for name in ("none", "k-means")}
    for row in found["comparisons"]:
        difference = curves[row["method"]] - curves["random"]
        low, high = stats.ttest_rel(curves[row["method"]], curves["random"]).confidence_interval()
        assert row["mean accuracy vs random"] == pytest.approx(difference.mean())
        assert row["± 95 %"] == pytest.approx((high - low) / 2)
        smaller = p[row["method"]] == min(p.values())
        expected = (
            min(1, 2 * p[row["method"]]) if smaller else min(1, max(2 * min(p.values()), p[row["method"]]))
        )
        assert row["p, Holm"] == pytest.approx(expected)
    assert [row["method"] for row in found["comparisons"]] == ["none", "k-means"]
    wide = json.loads(invoke(*run, "--baseline", "none", "--negligible", 1.0, "--json").stdout)
    assert [row["method"] for row in wide["comparisons"]] == ["random", "k-means"]
    for row in wide["comparisons"]:
        higher = row["mean accuracy vs none"] > 0
        established = f"established: {'higher' if higher else 'lower'}"
        assert row["verdict"] in (established, "excluded beyond ± 1")
    assert "verdict" in invoke(*run).stdout
    one = json.loads(invoke(*COMMAND, *SIZES, "--methods", "none,random", "--seeds", 1, "--json").stdout)
    assert one["comparisons"] == []
    wrong = invoke(*run, "--baseline", "best")
    assert (wrong.exit_code, wrong.stdout) == (2, "")
    assert "'best' is not one of none, random, k-means" in wrong.stderr


def test_the_detectable_difference_is_found_four_times_out_of_five():
    rng = np.random.default_rng(0)
    runs = rng.normal(size=(2000, 12))
    shift = np.median([smallest_detectable(row, np.zeros(12)) for row in runs[:300]])
    found = np.mean([paired_difference(row + shift, np.zeros(12)).p < 0.05 for row in runs])
    assert found == pytest.approx(0.8, abs=0.04)
