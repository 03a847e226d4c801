"""The displays draw what explanations and learning curves say; the tests read the drawn data back."""

from __future__ import annotations

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import make_classification
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression

from skprune import (
    ActiveLearningSimulator,
    ActivePruneFilter,
    KMeansFilter,
    PerplexityFilter,
    PrunedClassifier,
    PrunedQuery,
    RandomFilter,
)
from skprune.metrics import learning_curve_auc
from skprune.plotting import (
    QualityCostDisplay,
    ScoreHistogramDisplay,
    ScoreScatterDisplay,
    SimulationCurveDisplay,
    SubpoolCompositionDisplay,
    VectorMapDisplay,
)
from skprune.plotting.explanations import main_column, threshold_of
from skprune.strategies import Margin
from tests.contract.test_contract import FILTERS, TEXTS, quality_of

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    matplotlib.pyplot.close("all")


@pytest.fixture(scope="module")
def runs():
    X, y = make_classification(600, weights=[0.8], flip_y=0, random_state=0)

    def run(filter, seed):
        simulator = ActiveLearningSimulator(
            LogisticRegression(), Margin(), filter, n_rounds=3, random_state=seed, scoring=["f1", "accuracy"]
        )
        return simulator.fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])

    filters = {"none": None, "random": RandomFilter(keep=30), "k-means": KMeansFilter(keep=40)}
    return {name: [run(filter, seed) for seed in range(3)] for name, filter in filters.items()}


# ---------------------------------------------------------------- histogram


def heights(container):
    return np.array([patch.get_height() for patch in container])


def test_bars_count_the_kept_the_removed_and_the_labeled_rows():
    pruner = PerplexityFilter(keep=0.25, random_state=0).fit(TEXTS, [0] * 10 + [-1] * 110)
    display = ScoreHistogramDisplay.from_estimator(pruner, bins=7)
    explained = pruner.explain()
    scores = explained["log10_perplexity"].to_numpy()
    edges = np.histogram_bin_edges(scores[np.isfinite(scores)], bins=7)
    for status, rows in (("kept", explained["kept"]), ("removed", ~explained["kept"] & np.isfinite(scores))):
        assert heights(display.bars_[status]).tolist() == np.histogram(scores[rows], edges)[0].tolist()
    # Without a score the labeled rows have no bars, and the legend says so.
    assert heights(display.bars_["labeled"]).sum() == 0
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert "labeled (10, 10 without a score)" in labels


def test_bars_are_stacked_and_the_line_is_at_the_score_of_the_last_kept_row():
    pruner = PerplexityFilter(keep=0.25, random_state=0).fit(TEXTS)
    display = ScoreHistogramDisplay.from_estimator(pruner)
    explained = pruner.explain()
    assert display.line_.get_xdata()[0] == explained.loc[explained["kept"], "log10_perplexity"].max()
    tops = heights(display.bars_["kept"])
    assert [patch.get_y() for patch in display.bars_["removed"]] == tops.tolist()
    total = sum(heights(bars).sum() for bars in display.bars_.values())
    assert total == len(TEXTS)


def test_a_blank_row_is_counted_in_the_legend_but_not_drawn():
    pruner = PerplexityFilter(keep=2, perplexity=lambda texts: [len(t) for t in texts])
    display = ScoreHistogramDisplay.from_estimator(pruner.fit(["a", "bb", "ccc", " "]))
    assert heights(display.bars_["removed"]).sum() == 1
    assert "removed (2, 1 without a score)" in [t.get_text() for t in display.ax_.get_legend().get_texts()]


@pytest.mark.filterwarnings("ignore:.* entropy is concentrated")
@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_has_a_histogram(name):
    pruner = FILTERS[name]
    labels = [0, 1] * 10 + [-1] * (len(TEXTS) - 20)
    pruner = pruner.__sklearn_clone__().fit(TEXTS, labels)
    explained = pruner.explain()
    if name in ("UPS", "plausibility"):  # without a learner, or enough labels, they have no scores
        with pytest.raises(ValueError, match="no score to draw"):
            ScoreHistogramDisplay.from_estimator(pruner)
        return
    display = ScoreHistogramDisplay.from_estimator(pruner)
    column = main_column(explained)
    drawn = sum(heights(bars).sum() for bars in display.bars_.values())
    assert drawn == np.isfinite(explained[column]).sum() > 0
    if display.line_ is not None:
        assert display.line_.get_xdata()[0] == threshold_of(explained)


@pytest.mark.parametrize(
    ("name", "column"),
    [("perplexity", "log10_perplexity"), ("ask LLM", "quality"), ("random", "draw"), ("k-means", "distance")],
)
def test_the_score_with_the_threshold_is_found(name, column):
    pruner = FILTERS[name].__sklearn_clone__().fit(TEXTS)
    assert main_column(pruner.explain()) == column


def test_no_line_is_drawn_for_a_threshold_per_cluster_or_of_another_score():
    pruner = KMeansFilter(keep=10, random_state=0).fit(TEXTS)
    assert ScoreHistogramDisplay.from_estimator(pruner).line_ is None
    pruner = ActivePruneFilter(quality=quality_of, random_state=0).fit(TEXTS)
    assert ScoreHistogramDisplay.from_estimator(pruner, column="quality").line_ is None


def test_given_axes_are_used():
    figure, axes = matplotlib.pyplot.subplots(1, 2)
    pruner = RandomFilter(random_state=0).fit(TEXTS)
    display = ScoreHistogramDisplay.from_estimator(pruner, ax=axes[1])
    assert display.ax_ is axes[1]
    assert display.figure_ is figure
    assert not axes[0].patches


def test_wrappers_and_queries_serve_as_the_estimator():
    X, y = make_classification(100, random_state=0)
    model = PrunedClassifier(LogisticRegression(), RandomFilter(random_state=0)).fit(X, y)
    query = PrunedQuery(RandomFilter(random_state=0), Margin()).fit(X)
    for estimator in (model, query):
        display = ScoreHistogramDisplay.from_estimator(estimator)
        assert heights(display.bars_["kept"]).sum() == 25


def test_wrong_estimators_and_columns_are_refused():
    with pytest.raises(NotFittedError):
        ScoreHistogramDisplay.from_estimator(RandomFilter())
    with pytest.raises(TypeError, match="must be a filter or contain one, got LogisticRegression"):
        ScoreHistogramDisplay.from_estimator(LogisticRegression().fit([[0], [1]], [0, 1]))
    pruner = RandomFilter(random_state=0).fit(TEXTS)
    with pytest.raises(ValueError, match="column='rank' is not a score of this filter; its scores are draw"):
        ScoreHistogramDisplay.from_estimator(pruner, column="rank")
    with pytest.raises(ValueError, match="has 1 score"):
        ScoreScatterDisplay.from_estimator(pruner)


# ---------------------------------------------------------------- scatter


def test_points_are_perplexity_and_quality_by_status():
    pruner = ActivePruneFilter(quality=quality_of, n_candidates=0.5, random_state=0).fit(TEXTS)
    display = ScoreScatterDisplay.from_estimator(pruner)
    explained = pruner.explain()
    known = explained["quality"].notna()
    for status, rows in (("kept", explained["kept"]), ("removed", ~explained["kept"])):
        drawn = np.asarray(display.points_[status].get_offsets())
        assert drawn[:, 0].tolist() == explained.loc[rows, "log10_perplexity"].tolist()
        asked = known[rows].to_numpy()
        assert drawn[asked, 1].tolist() == explained.loc[rows & known, "quality"].tolist()
        assert (drawn[~asked, 1] < explained["quality"].min()).all()
    assert "not asked" in [text.get_text() for text in display.ax_.texts]


# ---------------------------------------------------------------- simulations


def test_a_line_is_the_mean_over_seeds_and_the_band_its_interval(runs):
    display = SimulationCurveDisplay.from_simulators(runs, metric="accuracy")
    scores = np.array([simulator.learning_curve_["accuracy"] for simulator in runs["random"]])
    line = display.lines_["random"]
    assert line.get_xdata().tolist() == [20, 40, 60, 80]
    assert line.get_ydata() == pytest.approx(scores.mean(axis=0))
    low, high = stats.t.interval(0.95, 2, scores.mean(axis=0), stats.sem(scores, axis=0))
    corners = display.bands_["random"].get_paths()[0].vertices
    assert corners[:, 1].max() == pytest.approx(high.max())
    assert corners[:, 1].min() == pytest.approx(low.min())


def test_the_legend_states_the_paired_difference_adjusted_by_holm(runs):
    display = SimulationCurveDisplay.from_simulators(runs, baseline="none")

    def height(simulator):
        curve = simulator.learning_curve_
        return learning_curve_auc(curve["f1"], curve["labels"], normalize=True)

    heights = {name: [height(simulator) for simulator in simulators] for name, simulators in runs.items()}
    p = [stats.ttest_rel(heights[name], heights["none"]).pvalue for name in ("random", "k-means")]
    expected = [min(1, 2 * p[0]), min(1, 2 * p[1])]
    expected[int(np.argmax(p))] = max(*p, 2 * min(p)) if 2 * min(p) < 1 else 1
    assert [display.differences[name].p for name in ("random", "k-means")] == pytest.approx(expected)
    labels = [text.get_text() for text in display.ax_.get_legend().get_texts()]
    assert labels[0] == "none (n = 3): baseline"
    mean = np.mean(heights["random"]) - np.mean(heights["none"])
    assert f"random (n = 3): {mean:+.3f} ±" in labels[1]
    assert labels[1].endswith("established")


def test_runs_are_paired_by_seed_whatever_their_order(runs):
    shuffled = {"none": runs["none"], "random": runs["random"][::-1]}
    straight = {"none": runs["none"], "random": runs["random"]}
    displays = [SimulationCurveDisplay.from_simulators(r, baseline="none") for r in (shuffled, straight)]
    assert displays[0].differences == displays[1].differences


def test_curves_are_cut_at_the_labels_that_all_runs_reached(runs):
    X, y = make_classification(600, weights=[0.8], flip_y=0, random_state=0)
    short = ActiveLearningSimulator(
        LogisticRegression(), Margin(), n_rounds=1, random_state=3, scoring=["f1", "accuracy"]
    ).fit(X[:300], y[:300], X_val=X[300:], y_val=y[300:])
    display = SimulationCurveDisplay.from_simulators({"none": [*runs["none"], short]})
    assert display.lines_["none"].get_xdata().tolist() == [20, 40]


def test_wrong_simulators_are_refused(runs):
    with pytest.raises(ValueError, match="baseline='all' is not one of the methods: none, random, k-means"):
        SimulationCurveDisplay.from_simulators(runs, baseline="all")
    with pytest.raises(ValueError, match=r"needs the same seeds.*\[1, 2\] and \[0, 1, 2\]"):
        SimulationCurveDisplay.from_simulators({**runs, "random": runs["random"][1:]}, baseline="none")
    with pytest.raises(NotFittedError, match=r"simulators\['new'\]\[0\]"):
        SimulationCurveDisplay.from_simulators(
            {"new": [ActiveLearningSimulator(LogisticRegression(), Margin())]}
        )
    with pytest.raises(ValueError, match="no column 'recall'"):
        SimulationCurveDisplay.from_simulators(runs, metric="recall")
    with pytest.raises(ValueError, match="at least one fitted simulator"):
        SimulationCurveDisplay.from_simulators({})


def test_points_are_the_mean_final_score_and_the_summed_seconds(runs):
    display = QualityCostDisplay.from_simulators(runs)
    x, y = display.points_["k-means"].lines[0].get_data()
    curves = [simulator.learning_curve_ for simulator in runs["k-means"]]
    assert x[0] == pytest.approx(np.mean([curve["select_seconds"].sum() for curve in curves]))
    assert y[0] == pytest.approx(np.mean([curve["f1"].iloc[-1] for curve in curves]))
    segments = display.points_["k-means"].lines[2][1].get_segments()
    low, high = stats.t.interval(0.95, 2, y[0], stats.sem([curve["f1"].iloc[-1] for curve in curves]))
    assert segments[0][:, 1] == pytest.approx([low, high])


def test_bars_are_the_shares_of_the_classes_in_each_subpool(runs):
    simulator = runs["random"][0]
    display = SubpoolCompositionDisplay.from_simulator(simulator)
    assert display.rounds.tolist() == [1, 2, 3]
    assert simulator.subpool_counts_.sum(axis=1).tolist() == [0, 30, 30, 30]
    rare = heights(display.bars_["1"])
    assert rare == pytest.approx(simulator.subpool_counts_[1:, 1] / 30)
    assert rare + heights(display.bars_["0"]) == pytest.approx(np.ones(3))


def test_the_counted_subpool_is_the_one_that_the_strategy_saw():
    X, y = make_classification(200, n_classes=3, n_informative=4, random_state=0)
    seen = []

    def strategy(learner, rows, n_instances):
        seen.append(np.array([y[np.flatnonzero((row == X).all(axis=1))[0]] for row in rows]))
        return np.arange(n_instances)

    simulator = ActiveLearningSimulator(
        LogisticRegression(), strategy, RandomFilter(keep=25), n_rounds=2, n_instances=5, random_state=0
    ).fit(X, y)
    expected = [[0, 0, 0], *(np.bincount(labels, minlength=3).tolist() for labels in seen)]
    assert simulator.subpool_counts_.tolist() == expected


def test_a_resumed_run_has_the_same_subpool_counts(tmp_path):
    X, y = make_classification(200, random_state=0)

    def run(n_rounds, memory):
        simulator = ActiveLearningSimulator(
            LogisticRegression(), Margin(), RandomFilter(keep=25), random_state=0, memory=memory
        )
        return simulator.set_params(n_rounds=n_rounds).fit(X, y)

    run(2, tmp_path)
    assert run(4, tmp_path).subpool_counts_.tolist() == run(4, None).subpool_counts_.tolist()


def test_rounds_of_a_journal_without_counts_are_left_out(tmp_path):
    X, y = make_classification(200, random_state=0)
    simulator = ActiveLearningSimulator(
        LogisticRegression(), Margin(), RandomFilter(keep=25), random_state=0, memory=tmp_path, n_rounds=2
    ).fit(X, y)
    journal = tmp_path / "journal.jsonl"
    lines = journal.read_text().splitlines()
    old = [line.replace('"subpool_counts"', '"ignored"') if i < 3 else line for i, line in enumerate(lines)]
    journal.write_text("\n".join(old) + "\n")
    simulator.fit(X, y)
    assert np.isnan(simulator.subpool_counts_[:2]).all()
    assert SubpoolCompositionDisplay.from_simulator(simulator).rounds.tolist() == [2]


def test_a_damaged_count_in_a_journal_is_refused(tmp_path):
    X, y = make_classification(200, random_state=0)
    simulator = ActiveLearningSimulator(
        LogisticRegression(), Margin(), random_state=0, memory=tmp_path, n_rounds=1
    ).fit(X, y)
    journal = tmp_path / "journal.jsonl"
    journal.write_text(journal.read_text().replace('"subpool_counts": [0, 0]', '"subpool_counts": [-1, 0]'))
    with pytest.raises(ValueError, match=r"line 2 .*subpool_counts must hold 2 counts"):
        simulator.fit(X, y)


# ---------------------------------------------------------------- map


def test_the_map_shows_every_row_where_pca_puts_it():
    X = np.random.default_rng(0).normal(size=(60, 4)) * [9, 5, 1, 1]
    pruner = KMeansFilter(keep=10, random_state=0).fit(X, [0, 1, *[-1] * 58])
    display = VectorMapDisplay.from_estimator(pruner)
    assert {status: len(points.get_offsets()) for status, points in display.points_.items()} == {
        "removed": 48,
        "kept": 10,
        "labeled": 2,
    }
    centered = X - X.mean(axis=0)
    distances = np.linalg.svd(centered)[1]
    assert np.linalg.norm(display.positions, axis=0) == pytest.approx(distances[:2])
    assert (
        display.axis_labels[0]
        == f"PCA axis 1 ({distances[0] ** 2 / (distances**2).sum():.0%} of the variance)"
    )


def test_the_map_samples_large_pools_and_says_so():
    pruner = RandomFilter(keep=0.5, random_state=0).fit(TEXTS)
    display = VectorMapDisplay.from_estimator(pruner, max_rows=50)
    assert display.positions.shape == (50, 2)
    assert display.ax_.get_legend().get_title().get_text() == "50 of 120 rows"
    again = VectorMapDisplay.from_estimator(pruner, max_rows=50)
    assert np.array_equal(display.positions, again.positions)


def test_the_map_takes_vectors_and_checks_their_number():
    pruner = RandomFilter(keep=0.5, random_state=0).fit(TEXTS)
    vectors = np.random.default_rng(0).normal(size=(120, 2))
    display = VectorMapDisplay.from_estimator(pruner, vectors=vectors)
    assert np.linalg.norm(display.positions, axis=1) == pytest.approx(
        np.linalg.norm(vectors - vectors.mean(axis=0), axis=1)
    )
    with pytest.raises(ValueError, match="one row for each of the 120 rows of X, got 119"):
        VectorMapDisplay.from_estimator(pruner, vectors=vectors[1:])


# ---------------------------------------------------------------- without matplotlib


def test_plotting_is_imported_without_matplotlib_and_names_the_extra():
    code = """
import sys
sys.modules["matplotlib"] = sys.modules["matplotlib.pyplot"] = None
from skprune import RandomFilter
from skprune.plotting import ScoreHistogramDisplay
try:
    ScoreHistogramDisplay.from_estimator(RandomFilter(random_state=0).fit(["a", "b", "c"]))
except ImportError as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "ScoreHistogramDisplay needs matplotlib: pip install 'skprune[plot]'" in found.stdout
