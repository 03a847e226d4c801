"""The examples run, and print what they promise."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name, cwd):
    """Run an example as a person would, with warnings as errors of skprune's own making."""
    command = [sys.executable, "-W", "error::UserWarning:skprune", str(EXAMPLES / name)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd).stdout


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
def test_skorch_transformer(tmp_path):
    assert "trained on" in run("skorch_transformer.py", tmp_path)


@pytest.mark.slow
def test_tune_without_labels(tmp_path):
    out = run("tune_without_labels.py", tmp_path)
    best = float(out.split("best: ")[1].split("}, ")[1].split(" ")[0])
    random = float(out.split("random rows: ")[1])
    assert best > 0.2 > abs(random)
