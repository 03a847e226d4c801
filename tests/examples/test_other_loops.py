"""The examples with modAL, scikit-activeml and small-text run, and learn."""

import runpy
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SHORT = ["--rounds", "2", "--pool-size", "200"]


def run(name):
    return runpy.run_path(str(EXAMPLES / name))


def test_modal_loop(capsys):
    accuracies = run("modal_loop.py")["main"](SHORT)
    assert set(accuracies) == {"learner", "committee", "ranked batches"}
    for values in accuracies.values():
        assert len(values) == 2
        assert max(values) > 0.5
    assert "accuracy" in capsys.readouterr().out


def test_scikit_activeml_loop():
    pytest.importorskip("skactiveml")
    accuracies = run("scikit_activeml_loop.py")["main"](SHORT)
    assert len(accuracies) == 2
    assert max(accuracies) > 0.5


@pytest.mark.filterwarnings("ignore:The function .* has been deprecated:DeprecationWarning:small_text")
def test_small_text_loop():
    pytest.importorskip("small_text")
    accuracies = run("small_text_loop.py")["main"](SHORT)
    assert len(accuracies) == 2
    assert max(accuracies) > 0.5


def test_small_text_gets_rows_that_survive_and_the_filter_learns_of_each_label():
    pytest.importorskip("small_text")
    from skprune import RandomFilter

    strategy_class = run("small_text_loop.py")["PrunedQueryStrategy"]
    texts = [f"text {i}" for i in range(50)]

    class First:
        def query(self, clf, dataset, indices_unlabeled, indices_labeled, y, n=10):
            self.given = indices_unlabeled
            return indices_unlabeled[:n]

    first = First()
    strategy = strategy_class(first, RandomFilter(keep=10, random_state=0), texts)
    labeled, y = np.arange(4), np.array([0, 1, 0, 1])
    for _ in range(3):
        unlabeled = np.setdiff1d(np.arange(50), labeled)
        rows = strategy.query(None, None, unlabeled, labeled, y, n=5)
        assert len(first.given) == 10
        assert set(first.given) <= set(unlabeled)
        labeled, y = np.r_[labeled, rows], np.r_[y, np.zeros(5, int)]
    assert len(strategy.filter.labeled_) == 14
