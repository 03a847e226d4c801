"""Stopping criteria compared with their definitions, alone and within a run."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.stats import entropy
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import cohen_kappa_score

from skprune import (
    ActiveLearningSimulator,
    OverallUncertainty,
    StabilizingPredictions,
    ValidationPlateau,
)
from skprune.simulate.stopping import PlayedRound
from skprune.strategies import Margin

X, Y = load_digits(return_X_y=True)
X, Y = X[:500], Y[:500]


def play(stopping, **params):
    settings = {"n_instances": 25, "n_rounds": 12, "random_state": 0, "keep_estimators": True, **params}
    return ActiveLearningSimulator(RandomForestClassifier(20), Margin(), stopping=stopping, **settings).fit(
        X, Y
    )


def test_overall_uncertainty_is_the_mean_normalized_entropy_of_the_unlabeled_rows():
    run = play(OverallUncertainty(threshold=0.5, max_rows=None))
    curve = run.learning_curve_
    for n, value, model in zip(curve["labels"], curve["overall_uncertainty"], run.estimators_, strict=True):
        free = np.setdiff1d(np.arange(500), run.labeled_indices_[:n])
        assert value == pytest.approx(entropy(model.predict_proba(X[free]), axis=1).mean() / np.log(10))
    assert run.stop_reason_.startswith("OverallUncertainty")
    assert curve["overall_uncertainty"].iloc[-1] < 0.5 <= curve["overall_uncertainty"].iloc[:-1].min()
    sample = play(OverallUncertainty(threshold=0, max_rows=100), n_rounds=2).learning_curve_
    assert (sample["overall_uncertainty"] - curve["overall_uncertainty"][:3]).abs().between(1e-9, 0.1).all()


def test_stabilizing_predictions_use_the_kappa_of_successive_models():
    run = play(StabilizingPredictions(threshold=0.85, window=2))
    kappas = run.learning_curve_["kappa"].to_numpy()
    predictions = [model.predict(X) for model in run.estimators_]
    expected = [cohen_kappa_score(a, b) for a, b in pairwise(predictions)]
    assert np.isnan(kappas[0])
    assert kappas[1:] == pytest.approx(expected)
    means = np.convolve(expected, [0.5, 0.5], "valid")
    assert run.stop_reason_.startswith("StabilizingPredictions")
    assert means[-1] > 0.85 >= means[:-1].max()


class Recorder:
    """A model that records the rows that it predicts."""

    def __init__(self):
        self.seen = []

    def predict(self, rows):
        self.seen.append(rows)
        return np.zeros(len(rows))


def test_the_stop_set_is_the_same_in_every_round():
    before, now = Recorder(), Recorder()
    for unlabeled in (np.arange(500), np.arange(100, 500)):
        played = PlayedRound(now, before, X, unlabeled, seed=3)
        assert StabilizingPredictions(stop_set_size=40).measure(played) == {"kappa": 1.0}
    assert len(now.seen[0]) == 40
    assert all((rows == now.seen[0]).all() for rows in [*before.seen, *now.seen])


def test_a_plateau_stops_a_run(tmp_path):
    run = play(ValidationPlateau(patience=2), validation_fraction=0.3, memory=tmp_path)
    scores = run.learning_curve_["score"].to_numpy()
    assert run.stop_reason_.startswith("ValidationPlateau")
    assert scores[-2:].max() <= scores[:-2].max()
    assert all(scores[i - 1 : i + 1].max() > scores[: i - 1].max() for i in range(2, len(scores) - 1))
    again = play(ValidationPlateau(patience=2), validation_fraction=0.3, memory=tmp_path)
    pd.testing.assert_frame_equal(again.learning_curve_, run.learning_curve_)
    with pytest.raises(ValueError, match="watches 'f1', but the metrics are accuracy, score"):
        ValidationPlateau("f1")(pd.DataFrame({"accuracy": [0.5], "score": [0.5]}))


def test_the_first_criterion_that_is_met_ends_a_run_also_after_resuming(tmp_path):
    criteria = [OverallUncertainty(0.4), StabilizingPredictions(0.99, window=3), lambda curve: False]
    whole = play(criteria, memory=tmp_path)
    lines = (tmp_path / "journal.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "journal.jsonl").write_text("".join(lines[:4]))
    resumed = play(criteria, memory=tmp_path)
    for column in ("labels", "overall_uncertainty", "kappa"):
        assert resumed.learning_curve_[column].equals(whole.learning_curve_[column])
    assert resumed.stop_reason_ == whole.stop_reason_


@pytest.mark.parametrize(
    ("scores", "stops"),
    [
        ([0.5, 0.54, 0.58, 0.58], False),  # 0.54 is not a new best score, but 0.58 is
        ([0.5, 0.54, 0.58, 0.58, 0.6], True),
        ([np.nan, 0.7, 0.7, 0.7], True),
        ([0.5, 0.4], False),
    ],
)
def test_a_plateau_begins_after_the_last_new_best_score(scores, stops):
    assert ValidationPlateau(patience=2, min_delta=0.05)(pd.DataFrame({"score": scores})) is stops
