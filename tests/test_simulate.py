"""The simulator: whose rows are labelled when, what the curve says, and that a killed run goes on alike."""

import json
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from skprune import (
    ActiveLearningSimulator,
    ActivePruneFilter,
    AnchorFilter,
    KMeansFilter,
    PrunedQuery,
    RandomFilter,
    SEALSFilter,
    UPSFilter,
)
from skprune.datasets import load_movie_snippets
from skprune.modal import ActiveLearner
from skprune.strategies import Entropy, LeastConfidence, Margin

X, Y = load_digits(return_X_y=True)
X, Y = X[:400], Y[:400]
MOVIES = load_movie_snippets()
TEXTS, SENTIMENT = MOVIES.data[:300], MOVIES.target[:300]


def text_model():
    return make_pipeline(TfidfVectorizer(), LogisticRegression(C=10))


def length(texts):
    """A quality of one's own: any callable serves."""
    return np.array([len(t) for t in texts], dtype=float)


def simulator(**params):
    settings = {"n_instances": 5, "n_rounds": 4, "random_state": 0, **params}
    return ActiveLearningSimulator(GaussianNB(), LeastConfidence(), RandomFilter(0.3), **settings)


FILTERS = {
    "none": None,
    "random": RandomFilter(keep=0.3),
    "anchor": AnchorFilter(4, 10),
    "anchor, entropy": AnchorFilter(4, 10, anchor_selection="entropy"),
    "active prune": ActivePruneFilter(keep=0.3, quality=length),
    "k-means": KMeansFilter(keep=20),
    "SEALS": SEALSFilter(4),
    "UPS": UPSFilter(keep=0.3),
}


@pytest.mark.parametrize("name", FILTERS)
def test_it_makes_the_picks_of_a_loop_written_by_hand(name):
    run = ActiveLearningSimulator(
        text_model(), Margin(random_state=1), FILTERS[name], n_instances=6, n_rounds=4, random_state=2
    ).set_params(**{} if name == "none" else {"filter__random_state": 3})
    run.fit(TEXTS, SENTIMENT)
    picks = [np.array(batch) for batch in np.split(run.labelled_indices_, run.learning_curve_["labels"])[:-1]]

    pruner = RandomFilter(keep=1.0, random_state=0) if name == "none" else clone(run.filter)
    learner = ActiveLearner(
        text_model(),
        PrunedQuery(pruner, Margin(random_state=1)).fit(TEXTS),
        [TEXTS[i] for i in picks[0]],
        SENTIMENT[picks[0]],
    )
    free = np.setdiff1d(np.arange(300), picks[0])
    for batch in picks[1:]:
        indices, rows = learner.query([TEXTS[i] for i in free], n_instances=6)
        assert free[indices].tolist() == batch.tolist()
        learner.teach(rows, SENTIMENT[free[indices]])
        free = np.delete(free, indices)
    assert (learner.predict_proba(TEXTS) == run.predict_proba(TEXTS)).all()


@pytest.mark.parametrize("name", FILTERS)
def test_a_run_that_was_cut_short_goes_on_with_the_same_picks(name, tmp_path):
    run = ActiveLearningSimulator(
        text_model(), Margin(), FILTERS[name], n_instances=5, n_rounds=6, validation_fraction=0.2
    ).set_params(random_state=0)
    whole = clone(run).fit(TEXTS, SENTIMENT)
    for cut in (0, 1, 4):
        folder = tmp_path / str(cut)
        clone(run).set_params(n_rounds=cut, folder=folder).fit(TEXTS, SENTIMENT)
        resumed = clone(run).set_params(folder=folder).fit(TEXTS, SENTIMENT)
        assert (resumed.labelled_indices_ == whole.labelled_indices_).all()
        timeless = [c for c in whole.learning_curve_ if not c.endswith("seconds")]
        pd.testing.assert_frame_equal(resumed.learning_curve_[timeless], whole.learning_curve_[timeless])
        assert (resumed.predict(TEXTS) == whole.predict(TEXTS)).all()


KILLED = textwrap.dedent(
    """
    import os, signal, sys
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier
    from skprune import ActiveLearningSimulator, AnchorFilter
    from skprune.strategies import Entropy
    folder, deadly = sys.argv[1], int(sys.argv[2])
    writes = 0
    write = os.fsync
    def fsync(file):  # dies in the middle of a line, or after it
        global writes
        writes += 1
        if writes == deadly:
            if writes % 2:
                os.ftruncate(file, os.fstat(file).st_size - 7)
            os.kill(os.getpid(), signal.SIGKILL)
        write(file)
    os.fsync = fsync
    X, y = load_digits(return_X_y=True)
    run = ActiveLearningSimulator(
        RandomForestClassifier(10), Entropy(), AnchorFilter(3, 5), n_instances=5, n_rounds=4, folder=folder
    )
    run.fit(X[:300], y[:300])
    print(run.seed_, *run.labelled_indices_)
    """
)


def test_a_killed_process_resumes_though_nothing_was_seeded(tmp_path):
    def play(deadly):
        command = [sys.executable, "-c", KILLED, str(tmp_path / "run"), str(deadly)]
        return subprocess.run(command, capture_output=True, text=True)

    # 1: the first line, cut; 4: after a round; 1: a round, cut (lines are counted anew in each process).
    for deadly in (1, 4, 1):
        assert play(deadly).returncode == -signal.SIGKILL
    done = play(0).stdout.split()
    journal = (tmp_path / "run" / "journal.jsonl").read_text().splitlines()
    assert json.loads(journal[0])["seed"] == int(done[0])
    assert [row for line in journal[1:] for row in json.loads(line)["picked"]] == [int(i) for i in done[1:]]
    assert len(journal) == 1 + 5

    run = ActiveLearningSimulator(
        RandomForestClassifier(10), Entropy(), AnchorFilter(3, 5), n_instances=5, n_rounds=4,
        random_state=int(done[0]),
    )  # fmt: skip
    digits = load_digits(return_X_y=True)
    run.fit(digits[0][:300], digits[1][:300])
    assert run.labelled_indices_.tolist() == [int(i) for i in done[1:]]
