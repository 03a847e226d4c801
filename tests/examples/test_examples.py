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
    candidates = pd.read_csv(results / "grid_search.csv")
    assert candidates["mean_test_score"].between(0, 1).all()
    assert len(candidates) > 2 + 3 * 16 + 2
    assert (results / "surfaces.png").stat().st_size > 20_000
    kept = (results / "searches.jsonl").read_text()
    assert run("experiments/grid_search.py", tmp_path, options) == out, "finished searches are kept"
    assert (results / "searches.jsonl").read_text() == kept


def run_twice(name, cwd, options):
    """Run an experiment three times: anew, from the finished runs, and from the CSV; return the table."""
    results = cwd / f"{name}-results"
    run(f"experiments/{name}.py", cwd, options)
    page, kept = (results / f"{name}.md").read_text(), (results / "runs.jsonl").read_text()
    run(f"experiments/{name}.py", cwd, options)
    assert (results / f"{name}.md").read_text() == page
    assert (results / "runs.jsonl").read_text() == kept, "finished runs are kept"
    run(f"experiments/{name}.py", cwd, f"{options} --tables {results / f'{name}.csv'} --out again")
    assert (cwd / "again" / f"{name}.md").read_text() == page
    assert (cwd / "again" / f"{name}.csv").read_text() == (results / f"{name}.csv").read_text()
    assert not (cwd / "again" / "runs.jsonl").exists()
    return pd.read_csv(results / f"{name}.csv")


@pytest.mark.slow
def test_euds(tmp_path):
    table = run_twice("euds", tmp_path, "--data movies --seeds 2 --pool-size 300 --test-size 200")
    assert len(table) == 2 * 2 * (3 + 3 * 10 + 2)
    assert table["accuracy"].between(40, 100).all()
    assert set(table.loc[table["keep"].eq(0.16), "trained on"]) == {48}


@pytest.mark.slow
def test_every_filter(tmp_path):
    options = "--data movies --filters none random perplexity entropy semiprune ups"
    table = run_twice("every_filter", tmp_path, options)
    assert table["kept"].tolist() == [260, 65, 65, 65, 65, 65]


@pytest.mark.slow
def test_tune_without_labels(tmp_path):
    out = run("tune_without_labels.py", tmp_path)
    best = float(out.split("best: ")[1].split("}, ")[1].split(" ")[0])
    random = float(out.split("random rows: ")[1])
    assert best > 0.2 > abs(random)


def test_every_experiment_can_be_imported():
    folder = EXAMPLES / "experiments"
    names = sorted(path.stem for path in folder.glob("*.py"))
    command = [sys.executable, "-W", "ignore", "-c", f"import {', '.join(names)}"]
    subprocess.run(command, check=True, cwd=folder)
