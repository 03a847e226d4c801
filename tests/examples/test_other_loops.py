"""The examples with modAL, scikit-activeml and small-text run, and their models learn."""

import runpy
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from skprune import RandomFilter

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.filterwarnings("ignore:FigureCanvasAgg is non-interactive")


def run(name):
    """Run an example in this process; return its variables."""
    plt.switch_backend("agg")  # plt.show must not open a window and wait
    return runpy.run_path(str(EXAMPLES / name))


def test_modal_loop(capsys):
    accuracies = run("modal_loop.py")["accuracies"]
    assert set(accuracies) == {"learner", "committee", "ranked batches"}
    for values in accuracies.values():
        assert len(values) == 10
        assert max(values) > 0.5
    assert "accuracy" in capsys.readouterr().out


def test_scikit_activeml_loop():
    pytest.importorskip("skactiveml")
    accuracies = run("scikit_activeml_loop.py")["accuracies"]
    assert len(accuracies) == 10
    assert max(accuracies) > 0.5


@pytest.fixture(scope="module")
def small_text_loop():
    pytest.importorskip("small_text")
    return run("small_text_loop.py")


@pytest.mark.filterwarnings("ignore:The function .* has been deprecated:DeprecationWarning:small_text")
def test_small_text_loop(small_text_loop):
    assert len(small_text_loop["accuracies"]) == 10
    assert max(small_text_loop["accuracies"]) > 0.5


def test_small_text_strategy_gets_kept_rows_and_the_filter_gets_each_label(small_text_loop):
    texts = [f"text {i}" for i in range(50)]

    class First:
        def query(self, clf, dataset, indices_unlabeled, indices_labeled, y, n=10):
            self.given = indices_unlabeled
            return indices_unlabeled[:n]

    first = First()
    pruner = RandomFilter(keep=10, random_state=0)
    strategy = small_text_loop["PrunedQueryStrategy"](first, pruner, texts)
    labeled, y = np.arange(4), np.array([0, 1, 0, 1])
    for _ in range(3):
        unlabeled = np.setdiff1d(np.arange(50), labeled)
        rows = strategy.query(None, None, unlabeled, labeled, y, n=5)
        assert len(first.given) == 10
        assert set(first.given) <= set(unlabeled)
        labeled, y = np.r_[labeled, rows], np.r_[y, np.zeros(5, int)]
    assert len(strategy.filter.labeled_) == 14
