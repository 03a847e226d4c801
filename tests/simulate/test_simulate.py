"""ActiveLearningSimulator: the rows it labels, its learning curve, and resuming a killed run.

The file is long because tests mirror the source: it covers all of skprune/simulate/simulator.py.
"""

import json
import pickle
import subprocess
import sys
import textwrap
from functools import partial

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from modAL.batch import uncertainty_batch_sampling
from modAL.uncertainty import uncertainty_sampling
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_digits
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestRegressor
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import f1_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_html_repr
from sklearn.utils.estimator_checks import parametrize_with_checks

from skprune import (
    ActiveLearningSimulator,
    ActivePruneFilter,
    AnchorFilter,
    KMeansFilter,
    ProxyFilter,
    PrunedQuery,
    RandomFilter,
    SEALSFilter,
    UPSFilter,
    ValidationPlateau,
    pools,
)
from skprune.datasets import load_movie_snippets
from skprune.encoders import TransformerEncoder
from skprune.modal import ActiveLearner
from skprune.pools import Pool
from skprune.simulate.journal import Journal
from skprune.store import clear_process_store
from skprune.strategies import Entropy, LeastConfidence, Margin, RandomSampling

X, Y = load_digits(return_X_y=True)
X, Y = X[:400], Y[:400]
MOVIES = load_movie_snippets()
TEXTS, SENTIMENT = (
    MOVIES.data[:8000:40],
    MOVIES.target[:8000:40],
)  # spread out, because the reviews of a film are adjacent


def text_model():
    return make_pipeline(TfidfVectorizer(), LogisticRegression(C=10))


def length(texts):
    """Return a quality score; any callable works."""
    return np.array([len(t) for t in texts], dtype=float)


def simulator(**params):
    settings = {"n_instances": 5, "n_rounds": 4, "random_state": 0, **params}
    run = ActiveLearningSimulator(GaussianNB(), LeastConfidence(), RandomFilter(0.3))
    return run.set_params(**settings)


FILTERS = {
    "none": None,
    "random": RandomFilter(keep=0.3),
    "anchor": AnchorFilter(4, 10),
    "anchor, entropy": AnchorFilter(4, 10, anchor_selection="entropy"),
    "active prune": ActivePruneFilter(keep=0.3, quality=length),
    "k-means": KMeansFilter(keep=20),
    "SEALS": SEALSFilter(4),
    "UPS": UPSFilter(keep=0.3),
    "proxy": ProxyFilter(keep=0.3),
    "proxy, forest": ProxyFilter(keep=0.3, student=RandomForestRegressor(5, random_state=0)),
}


@pytest.mark.parametrize("name", FILTERS)
def test_picks_equal_those_of_a_loop_written_by_hand(name):
    run = ActiveLearningSimulator(
        text_model(), Margin(random_state=1), FILTERS[name], n_instances=6, n_rounds=4, random_state=2
    ).set_params(**{} if name == "none" else {"filter__random_state": 3})
    run.fit(TEXTS, SENTIMENT)
    picks = [np.array(batch) for batch in np.split(run.labeled_indices_, run.learning_curve_["labels"])[:-1]]

    pruner = RandomFilter(keep=1.0, random_state=0) if name == "none" else clone(run.filter)
    learner = ActiveLearner(
        text_model(),
        PrunedQuery(pruner, Margin(random_state=1)).fit(TEXTS),
        [TEXTS[i] for i in picks[0]],
        SENTIMENT[picks[0]],
    )
    free = np.setdiff1d(np.arange(200), picks[0])
    for batch in picks[1:]:
        indices, rows = learner.query([TEXTS[i] for i in free], n_instances=6)
        assert free[indices].tolist() == batch.tolist()
        learner.teach(rows, SENTIMENT[free[indices]])
        free = np.delete(free, indices)
    assert (learner.predict_proba(TEXTS) == run.predict_proba(TEXTS)).all()


@pytest.mark.parametrize("name", FILTERS)
def test_a_resumed_run_makes_the_same_picks(name, tmp_path):
    run = ActiveLearningSimulator(
        text_model(), Margin(), FILTERS[name], n_instances=5, n_rounds=4, validation_fraction=0.2
    ).set_params(random_state=0)
    clear_process_store()
    whole = clone(run).fit(TEXTS, SENTIMENT)
    assert (whole.learning_curve_["llm_calls"].iloc[-1] > 10) == (name == "active prune")
    for cut in (0, 3):
        clear_process_store()
        folder = tmp_path / str(cut)
        clone(run).set_params(n_rounds=cut, memory=folder).fit(TEXTS, SENTIMENT)
        resumed = clone(run).set_params(memory=folder).fit(TEXTS, SENTIMENT)
        assert (resumed.labeled_indices_ == whole.labeled_indices_).all()
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

    X, y = load_digits(return_X_y=True)
    run = ActiveLearningSimulator(
        RandomForestClassifier(10), Entropy(), AnchorFilter(3, 5), n_instances=5, n_rounds=4
    ).set_params(memory=sys.argv[1])
    sync = os.fsync

    def die(file):  # while the journal is written: in the middle of a line, or after it
        global deadly, cut
        deadly -= 1
        if not deadly:
            os.ftruncate(file, os.fstat(file).st_size - cut)
            os.kill(os.getpid(), signal.SIGKILL)
        sync(file)

    os.fsync = die
    for deadly, cut in (1, 9), (4, 0), (1, 7), (1, 0):
        child = os.fork()
        if not child:
            run.fit(X[:300], y[:300])
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
    os.fsync = sync
    run.fit(X[:300], y[:300])
    again = run.set_params(memory=None, random_state=run.seed_)
    print(*again.fit(X[:300], y[:300]).labeled_indices_)
    """
)


def test_a_killed_process_resumes_without_any_seed(tmp_path):
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    whole = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    rounds = [json.loads(line) for line in (tmp_path / "journal.jsonl").read_text().splitlines()[1:]]
    assert [row["round"] for row in rounds] == [0, 1, 2, 3, 4]
    assert [row for round_ in rounds for row in round_["picked"]] == [int(row) for row in whole]


def test_a_finished_run_can_be_prolonged_and_another_run_is_refused(tmp_path):
    simulator(memory=tmp_path).fit(X, Y)
    before = (tmp_path / "journal.jsonl").read_text()
    longer = simulator(memory=tmp_path, n_rounds=6, verbose=1).fit(X, Y)
    assert (tmp_path / "journal.jsonl").read_text().startswith(before)
    assert (longer.labeled_indices_ == simulator(n_rounds=6).fit(X, Y).labeled_indices_).all()
    shorter = simulator(memory=tmp_path, n_rounds=2).fit(X, Y)
    assert len(shorter.learning_curve_) == 3
    assert (shorter.labeled_indices_ == longer.labeled_indices_[:20]).all()

    for other, difference in [
        (simulator(memory=tmp_path, random_state=1), "seed was 0 in that run, and is 1 now"),
        (simulator(memory=tmp_path, filter__keep=0.4), "filter.keep was 0.3 in that run, and is 0.4 now"),
        (simulator(memory=tmp_path, n_instances=6), "n_instances was 5 in that run, and is 6 now"),
        (simulator(memory=tmp_path, estimator__var_smoothing=1.0), "estimator.var_smoothing was 1e-09"),
        (simulator(memory=tmp_path, strategy=uncertainty_sampling), "strategy was .*LeastConfidence"),
    ]:
        with pytest.raises(ValueError, match=f"holds another run: {difference}"):
            other.fit(X, Y)
    with pytest.raises(ValueError, match="X and y was"):
        simulator(memory=tmp_path).fit(X, np.roll(Y, 1))
    with pytest.raises(ValueError, match="X and y was"):
        simulator(memory=tmp_path).fit(X + 1, Y)
    assert (tmp_path / "journal.jsonl").read_text().count("\n") == 8


def test_a_folder_that_is_in_use_or_holds_something_else_is_refused(tmp_path):
    journal = Journal(tmp_path, {}, 0)
    with pytest.raises(OSError, match="is in use by another run"):
        simulator(memory=tmp_path).fit(X, Y)
    journal.close()
    (tmp_path / "journal.jsonl").write_text("a letter\n")
    with pytest.raises(ValueError, match=r"journal.jsonl is not a journal of a simulator run"):
        simulator(memory=tmp_path).fit(X, Y)
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        simulator(memory=tmp_path / "file").fit(X, Y)


def test_the_columns_of_the_learning_curve():
    rare = (Y == 7).astype(int)
    rows = []
    run = simulator(
        filter=AnchorFilter(3, 10, 25), scoring={"f1": "f1", "ap": "average_precision"}, n_initial=9
    )
    run.set_params(callback=rows.append).fit(X[:300], rare[:300], X_val=X[300:], y_val=rare[300:])
    curve = run.learning_curve_
    labels = [9, 14, 19, 24, 29]
    assert curve["labels"].tolist() == labels
    assert curve["pool"].tolist() == [300, 291, 286, 281, 276]
    assert curve["subpool"].tolist()[0] == 0
    assert curve["subpool"][1:].max() <= 25
    assert run.minority_class_ == 1
    for n, found, f1 in zip(labels, curve["minority_found"], curve["f1"], strict=True):
        known = run.labeled_indices_[:n]
        assert found == rare[known].sum() / rare[:300].sum()
        model = GaussianNB().fit(X[known], rare[known])
        assert f1 == f1_score(rare[300:], model.predict(X[300:]))
    assert [row["round"] for row in rows] == [0, 1, 2, 3, 4]
    assert np.concatenate([row["picked"] for row in rows]).tolist() == run.labeled_indices_.tolist()
    assert run.score(X[300:], rare[300:]) == (run.predict(X[300:]) == rare[300:]).mean()


def test_held_out_rows_are_never_labeled_and_include_all_classes():
    run = simulator(validation_fraction=0.25, n_rounds=None).fit(X, Y)
    assert run.stop_reason_ == "every row is labeled"
    assert len(run.labeled_indices_) == 300
    held_out = np.setdiff1d(np.arange(400), run.labeled_indices_)
    assert set(np.bincount(Y[held_out]).tolist()) <= {9, 10, 11}
    assert run.learning_curve_["score"].iloc[-1] == run.score(X[held_out], Y[held_out])


@pytest.mark.parametrize(
    ("params", "reason", "n_labels"),
    [
        ({"n_rounds": 2}, "n_rounds", 20),
        ({"n_rounds": 0, "n_initial": 33}, "n_rounds", 33),
        ({"label_budget": 23}, "label_budget", 23),
        ({"time_budget": 0}, "time_budget", 10),
        ({"stopping": lambda curve: len(curve) == 3}, "<lambda>", 20),
        ({"n_rounds": None, "n_instances": 150}, "every row is labeled", 400),
    ],
)
def test_a_run_stops_at_its_limits(params, reason, n_labels):
    run = simulator(**params).fit(X, Y)
    assert run.stop_reason_ == reason
    assert len(set(run.labeled_indices_)) == len(run.labeled_indices_) == n_labels


@pytest.mark.parametrize("pruner", [None, RandomFilter(0.5)])
def test_a_label_is_never_spent_on_a_copy(pruner):
    run = simulator(filter=pruner, n_rounds=None, n_instances=90).fit(np.vstack([X, X]), np.r_[Y, Y])
    assert run.stop_reason_ == "every row is labeled"
    # 400 different rows: one label each, whatever the last batch has to be cut to.
    assert run.learning_curve_["labels"].tolist() == [90, 180, 270, 360, 400]
    assert sorted(run.labeled_indices_ % 400) == list(range(400))
    assert run.learning_curve_["pool"].tolist() == [800, 620, 440, 260, 80]  # copies are rows of the pool
    assert run.learning_curve_["minority_found"].iloc[-1] == 1


def test_blank_texts_are_labeled_last():
    texts = ["", " ", *TEXTS[:57], "  ", ""]
    run = simulator(estimator=text_model(), filter=RandomFilter(0.3), n_rounds=None, n_instances=10)
    run.fit(texts, [0, 0, *SENTIMENT[:57], 1, 1])
    assert run.stop_reason_ == "every row is labeled"
    assert {texts[row] for row in run.labeled_indices_[:57]} == set(TEXTS[:57])
    assert sorted(texts[row] for row in run.labeled_indices_[57:]) == ["", " ", "  "]


def test_minus_one_and_one_are_classes():
    signs = np.where(SENTIMENT == 1, 1, -1)
    for name, pruner in FILTERS.items():
        params = {"estimator": text_model(), "filter": pruner, "n_rounds": 3}
        run = simulator(**params).fit(TEXTS, signs)
        assert set(run.classes_) == {-1, 1}, name
        as_words = simulator(**params).fit(TEXTS, np.where(signs == 1, "yes", "no"))
        assert run.labeled_indices_.tolist() == as_words.labeled_indices_.tolist(), name


@pytest.mark.parametrize(
    "initial", ["auto", "per_class", "stratified", "random", "typiclust", [3, 1, 2], np.array([10, 11, 0])]
)
def test_the_initial_rows(initial):
    run = simulator(initial=initial, n_rounds=0, n_initial=40).fit(X, Y)
    first = run.labeled_indices_
    if not isinstance(initial, str):
        assert first.tolist() == list(initial)
        return
    assert len(set(first)) == 40
    counts = np.bincount(Y[first], minlength=10)
    if initial in ("auto", "per_class"):
        assert counts.min() >= 1
    if initial == "stratified":
        assert (np.abs(counts - 40 * np.bincount(Y) / 400) < 1).all()
    other = simulator(initial=initial, n_rounds=0, n_initial=40, random_state=1).fit(X, Y)
    assert set(first) != set(other.labeled_indices_)


def test_typiclust_picks_the_initial_rows_of_texts_without_labels():
    run = ActiveLearningSimulator(
        text_model(), Margin(), initial="typiclust", n_rounds=0, n_initial=12, random_state=0
    )
    first = clone(run).fit(TEXTS, SENTIMENT).labeled_indices_
    assert first.tolist() == clone(run).fit(TEXTS, 1 - SENTIMENT).labeled_indices_.tolist()
    assert len(set(first.tolist())) == 12


def test_bad_input_is_refused_before_any_expensive_work():
    def refuse(match, *data, error=ValueError, **params):
        run = simulator(
            filter=KMeansFilter(encoder=lambda texts: pytest.fail("the pool was encoded")), **params
        )
        with pytest.raises(error, match=match):
            run.fit(*(data or (TEXTS, SENTIMENT)))

    refuse("y has 3 labels for 200 rows", TEXTS, SENTIMENT[:3])
    refuse(r"y\[7\] is -1, which marks a row without a label", TEXTS, [*SENTIMENT[:7], -1, *SENTIMENT[8:]])
    refuse(r"X\[1\] is None", ["a", None], [0, 1])
    refuse("X has no rows", [], [])
    refuse("hold only one class \\(0\\)", TEXTS, np.zeros(200, int))
    refuse("hold only one class", initial=np.flatnonzero(SENTIMENT == 1)[:5])
    refuse("n_initial=1 is less than the 2 classes of y", n_initial=1)
    refuse("n_initial=201 exceeds the 200 different rows", n_initial=201)
    refuse("label_budget=4 is less than the 5 initial labels", label_budget=4)
    refuse("initial must name rows of X, each of them once", initial=[0, 0, 1])
    refuse("initial must name rows of X, each of them once", initial=[0, 200])
    refuse("initial must be 'auto', .*, or the positions of", initial=[0.5, 2])
    refuse("X_val and y_val must be given together", TEXTS, SENTIMENT, TEXTS)
    refuse("not both", TEXTS, SENTIMENT, TEXTS, SENTIMENT, validation_fraction=0.5)
    refuse("'n_instances' parameter", n_instances=0)
    refuse("ValidationPlateau watches 'score', but there is no validation", stopping=ValidationPlateau())
    named = {"scoring": ["f1", "recall"], "validation_fraction": 0.2}
    refuse("watches 'score', but the metrics are f1, recall", stopping=[ValidationPlateau()], **named)
    refuse("'scoring' parameter", scoring="f2")
    refuse("'strategy' parameter", strategy="margin")


# ---------------------------------------------------------------------- estimators and pools of every kind


class Translator(BaseEstimator):
    """Returns the translation of the known text that is nearest in length; y holds texts, not classes."""

    def fit(self, X, y):
        assert all(isinstance(text, str) for text in [*X, *y])
        self.lengths_, self.answers_ = np.array([len(x) for x in X]), np.array(y, dtype=object)
        return self

    def predict(self, X):
        return self.answers_[[np.abs(self.lengths_ - len(x)).argmin() for x in X]]

    def score(self, X, y):
        return float(np.mean([a[0] == b[0] for a, b in zip(self.predict(X), y, strict=True)]))


def test_labels_may_be_texts(tmp_path):
    run = ActiveLearningSimulator(
        Translator(), RandomSampling(), ActivePruneFilter(quality=length), validation_fraction=0.2,
        n_instances=7, n_rounds=2, memory=tmp_path, random_state=0,
    )  # fmt: skip
    targets = [text[::-1] for text in TEXTS]
    run.fit(TEXTS, targets)
    assert run.learning_curve_["labels"].tolist() == [7, 14, 21]
    assert run.learning_curve_["minority_found"].isna().all()
    assert run.learning_curve_["score"].between(0, 1).all()
    assert run.predict([TEXTS[run.labeled_indices_[0]]])[0] in targets
    assert not hasattr(run, "predict_proba")
    assert not hasattr(run, "classes_")
    again = clone(run).fit(TEXTS, targets)
    assert (again.labeled_indices_ == run.labeled_indices_).all()


@pytest.mark.parametrize("container", [list, np.array, pd.Series])
def test_classes_may_be_strings(container, tmp_path):
    """The picks are the same as with integer classes, in any container, and can be resumed."""
    settings = {"n_instances": 6, "n_rounds": 3, "validation_fraction": 0.2, "random_state": 0}
    run = ActiveLearningSimulator(text_model(), Margin(), AnchorFilter(3, 10), scoring="f1_macro", **settings)
    numbers = clone(run).fit(TEXTS, SENTIMENT)
    names = container(np.array(["bad", "good"])[SENTIMENT].tolist())
    run.set_params(memory=tmp_path, stopping=ValidationPlateau("f1_macro", patience=9)).fit(TEXTS, names)
    assert run.labeled_indices_.tolist() == numbers.labeled_indices_.tolist()
    assert run.learning_curve_["f1_macro"].equals(numbers.learning_curve_["f1_macro"])
    assert run.minority_class_ == ["bad", "good"][numbers.minority_class_]
    assert set(run.predict(TEXTS)) == set(run.classes_) == {"bad", "good"}
    resumed = clone(run).set_params(n_rounds=4).fit(TEXTS, names)
    assert resumed.labeled_indices_[:24].tolist() == run.labeled_indices_.tolist()


def test_a_regressor():
    run = ActiveLearningSimulator(Ridge(), RandomSampling(), n_rounds=2, random_state=0).fit(X, X[:, 2])
    assert run.score(X, X[:, 2]) > 0.9


def test_a_transformer(minilm):
    from skprune import TransformerClassifier  # the other tests of this file need no torch

    classifier = TransformerClassifier(
        minilm, max_length=16, max_epochs=1, min_steps=2, patience=None, frozen_layers=6, precision="float32"
    )
    run = ActiveLearningSimulator(
        classifier, Entropy(), RandomFilter(keep=12), n_instances=4, n_rounds=2, validation_fraction=0.1,
        scoring="f1_macro", random_state=0,
    )  # fmt: skip
    run.fit(TEXTS, np.array(["bad", "good"])[SENTIMENT])
    assert run.learning_curve_["labels"].tolist() == [4, 8, 12]
    assert set(run.predict(TEXTS[:5])) <= {"bad", "good"}
    assert run.estimator_.random_state is not None  # the simulator set it


@pytest.mark.parametrize("strategy", [uncertainty_sampling, uncertainty_batch_sampling])
def test_strategies_of_modal(strategy):
    run = ActiveLearningSimulator(GaussianNB(), strategy, RandomFilter(0.3), n_rounds=2, random_state=0)
    assert len(run.fit(X, Y).labeled_indices_) == 60


@pytest.mark.parametrize(
    ("pool", "model"),
    [
        (np.array(TEXTS), text_model()),
        (pd.Series(TEXTS, index=np.arange(200)[::-1]), text_model()),
        (pd.DataFrame(X[:200], columns=[f"pixel {i}" for i in range(64)]), LogisticRegression(max_iter=5000)),
        (sp.csr_array(X[:200]), LogisticRegression(max_iter=5000)),
    ],
)
def test_pools_of_every_kind(pool, model):
    run = ActiveLearningSimulator(
        model, Margin(), AnchorFilter(3, 5), n_instances=5, n_rounds=2, random_state=0
    )
    run.fit(pool, SENTIMENT)
    assert len(run.predict(pool)) == 200
    assert hasattr(run, "n_features_in_") == (model.__class__ is LogisticRegression)
    assert hasattr(run, "feature_names_in_") == isinstance(pool, pd.DataFrame)


def test_the_pool_is_read_and_checked_once(monkeypatch, tmp_path):
    checked, check = [], Pool.check
    read, read_rows = [], pools.read_rows
    monkeypatch.setattr(Pool, "check", lambda pool, *rows: (checked.append(len(pool)), check(pool, *rows))[1])
    monkeypatch.setattr(
        pools, "read_rows", lambda rows, *options: (read.append(len(rows)), read_rows(rows, *options))[1]
    )
    simulator(memory=tmp_path).fit(X, Y)
    assert checked.count(400) == read.count(400) == 1


# ---------------------------------------------------------------------- scikit-learn's conventions


def test_clone_pickle_and_repr():
    run = simulator(filter=AnchorFilter(3, 5), keep_estimators=True).fit(X, Y)
    assert not hasattr(clone(run), "estimator_")
    again = pickle.loads(pickle.dumps(run))
    assert (again.predict_proba(X) == run.predict_proba(X)).all()
    assert len(again.estimators_) == 5
    holds_a_learner = clone(run).set_params(filter=UPSFilter()).fit(X, Y)
    pickle.loads(pickle.dumps(holds_a_learner))
    assert run.get_params()["filter__n_anchors"] == 3
    assert "AnchorFilter" in repr(run)
    assert "GaussianNB" in estimator_html_repr(run)


@parametrize_with_checks(
    [ActiveLearningSimulator(GaussianNB(), LeastConfidence(), RandomFilter(0.5), n_instances=40, n_rounds=2)]
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)


def test_parameters_and_metrics_in_a_journal_may_be_nan_or_infinite(tmp_path):
    run = simulator(
        estimator=make_pipeline(SimpleImputer(), LogisticRegression()),
        scoring=lambda *_: np.inf,
        memory=tmp_path,
        n_rounds=1,
    )
    run.fit(X, Y, X_val=X[:50], y_val=Y[:50])
    run.set_params(n_rounds=2).fit(X, Y, X_val=X[:50], y_val=Y[:50])
    assert len(run.learning_curve_) == 3
    assert np.isinf(run.learning_curve_["score"]).all()


def test_only_newlines_separate_the_lines_of_a_journal(tmp_path):
    settings = {"pattern": "[^\u2028 ]+"}
    written = Journal(tmp_path, settings, seed=None)
    written.append({"round": 0})
    written.close()
    read = Journal(tmp_path, settings, seed=None)
    read.close()
    assert (read.seed, read.rounds) == (written.seed, [{"round": 0}])


def asks_for(learner, rows, n_instances, answer):
    return np.array(answer(n_instances))


def test_partial_strategies_with_other_arguments_make_another_run(tmp_path):
    simulator(memory=tmp_path, strategy=partial(asks_for, answer=range)).fit(X, Y)
    with pytest.raises(ValueError, match="holds another run: strategy"):
        simulator(memory=tmp_path, strategy=partial(asks_for, answer=len)).fit(X, Y)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda n: range(2 * n), "asked for 5 rows and returned 10, 10 of them distinct"),
        (lambda n: [0] * n, "returned 5, 1 of them distinct"),
    ],
)
def test_a_strategy_that_returns_too_many_or_repeated_rows_is_refused(answer, message):
    with pytest.raises(ValueError, match=message):
        simulator(strategy=partial(asks_for, answer=answer)).fit(X, Y)


def test_a_strategy_that_a_resumed_run_cannot_repeat_is_refused(tmp_path):
    strategy = RandomSampling(random_state=np.random.RandomState(0))
    with pytest.raises(ValueError, match="random_state of the strategy is a RandomState"):
        simulator(strategy=strategy, memory=tmp_path).fit(X, Y)
    simulator(strategy=strategy).fit(X, Y)


def test_a_metric_named_like_a_column_of_the_curve_is_refused():
    with pytest.raises(ValueError, match=r"columns: \['labels'\]"):
        simulator(scoring={"labels": "accuracy"}, validation_fraction=0.2).fit(X, Y)


def test_a_frozen_encoder_keeps_its_fit():
    encoder = TransformerEncoder(make_pipeline(TfidfVectorizer(), TruncatedSVD(5))).fit(MOVIES.data[:300])
    frozen = AnchorFilter(encoder=FrozenEstimator(encoder))
    run = simulator(filter=frozen, estimator=text_model(), n_rounds=1)
    run.fit(TEXTS, SENTIMENT)
    assert run.query_.filter_._encode.compute.fingerprint == encoder.fingerprint
