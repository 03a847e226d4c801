"""The examples run and print what their docstrings promise."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(name, cwd, options=""):
    """Run an example as a person would, but with skprune's own warnings as errors; return its output."""
    command = [sys.executable, "-W", "error::UserWarning:skprune", str(EXAMPLES / name), *options.split()]
    environment = {**os.environ, "MPLBACKEND": "agg"}  # plt.show must not open a window and wait
    return subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=cwd, env=environment
    ).stdout


@pytest.mark.slow
def test_sklearn_pipeline(tmp_path):
    out = run("sklearn_pipeline.py", tmp_path)
    random, k_means, whole = (float(line.split("accuracy ")[1]) for line in out.splitlines()[:3])
    assert 0.5 < random < whole
    assert 0.5 < k_means < whole
    assert "param_filter__keep" in out
    assert "kept: low perplexity" in out


@pytest.mark.slow
def test_imblearn_pipeline(tmp_path):
    out = run("imblearn_pipeline.py", tmp_path)
    assert out.count("average precision 0.") == 5
    assert "no pruning:  3000 of 3000 rows" in out
    assert "k-means:   300 of 3000 rows" in out


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "promise"),
    [
        ("what_filters_keep", ""),
        ("score_histogram", "perplexity too high"),
        ("learning_curves", "ProxyFilter   300.0 rows"),
    ],
)
def test_pictures(tmp_path, name, promise):
    assert promise in run(f"{name}.py", tmp_path)


@pytest.mark.slow
def test_skorch_transformer(tmp_path):
    pytest.importorskip("skactiveml")
    out = run("skorch_transformer.py", tmp_path)
    assert "trained on" in out
    assert "50 rows taught" in out
    assert "45 rows taught" in out
    assert "[10, 20, 30] labels" in out
    asked = json.loads(out.split("scikit-activeml asks for rows ")[1])
    assert len(set(asked)) == 5
    assert min(asked) >= 40, "the first 40 rows are labeled"


@pytest.mark.slow
def test_grid_search(tmp_path):
    options = "--pool-size 300 --rounds 1 --folds 2 --candidates 2 --n-jobs 1"
    out = run("experiments/grid_search.py", tmp_path, options)
    assert "subpool-neighbors: 32 runs" in out
    results = tmp_path / "grid-search-results"
    candidates = pd.read_csv(results / "candidates.csv")
    assert candidates["mean_test_score"].between(0, 1).all()
    assert len(candidates) > 2 + 3 * 16 + 2
    assert (results / "surfaces.png").stat().st_size > 20_000
    kept = (results / "searches.jsonl").read_text()
    assert run("experiments/grid_search.py", tmp_path, options) == out, "finished searches are kept"
    assert (results / "searches.jsonl").read_text() == kept


def run_twice(name, cwd, options):
    """Run an experiment twice; check that the second run only repeats the table, and return the output."""
    out = run(f"experiments/{name}.py", cwd, options)
    kept = (cwd / f"{name}-results" / "runs.jsonl").read_text()
    again = run(f"experiments/{name}.py", cwd, options)
    assert again.splitlines()[:-1] == out.splitlines()[:-1]  # the last line reports the seconds
    assert (cwd / f"{name}-results" / "runs.jsonl").read_text() == kept, "finished runs are kept"
    return out


@pytest.mark.slow
def test_semiprune(tmp_path):
    options = "--data news --rows 300 --steps 20 --seeds 2 --keep 0.3 0.01 --labels 0.05"
    out = run_twice("semiprune", tmp_path, options)
    table = pd.read_csv(tmp_path / "semiprune-results" / "semiprune.csv")
    # One percent, 3 rows, is less than the 15 initial labels, so SemiPrune skips that size.
    assert len(table) == 2 * (1 + 2 * 2 + 2 * 2 + 2)
    assert set(table.loc[table["labels"].eq(0.05), "trained on"]) == {90}
    assert table["pseudo-labels right"].notna().sum() == 4
    assert out.count("true labels") == 4


@pytest.mark.slow
def test_euds(tmp_path):
    run_twice("euds", tmp_path, "--data movies --seeds 2 --no-search")
    results = tmp_path / "euds-results"
    runs = pd.read_csv(results / "accuracies-cheap.csv")
    assert len(runs) == 2 * (1 + 3 * 1 + 2 * 5 + 5 * 5)
    assert runs["accuracy"].between(0.5, 1).all()
    assert (results / "euds-cheap.png").stat().st_size > 20_000


@pytest.mark.slow
def test_tune_without_labels(tmp_path):
    out = run("tune_without_labels.py", tmp_path)
    best = float(out.split("best: ")[1].split("}, ")[1].split(" ")[0])
    random = float(out.split("random rows: ")[1])
    assert best > 0.2 > abs(random)
