"""The next batch is computed while people label, and is the same whatever the timing."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from skprune import AnchorFilter, Prefetch, ProxyFilter, PrunedQuery, RandomFilter
from skprune.loops import load_loop, save_loop
from skprune.modal import ActiveLearner, Committee
from skprune.strategies import Entropy, Margin, RandomSampling

WORDS = ["bird", "cat", "dog", "green", "hills", "old", "ran", "sat", "trees", "while", "sea", "sky"]
_rng = np.random.default_rng(0)
TEXTS = list(dict.fromkeys(" ".join(_rng.choice(WORDS, size=6)) for _ in range(400)))
ANSWERS = ["yes" if "cat" in text or "sea" in text else "no" for text in TEXTS]
POOL, TRUTH = TEXTS[20:], dict(zip(TEXTS, ANSWERS, strict=True))
FILTERS = {
    "random": RandomFilter(keep=60, random_state=0),
    "anchor": AnchorFilter(n_anchors=3, n_neighbors=10, random_state=0),
    "proxy": ProxyFilter(keep=60, random_state=0),
}


class Slow(LogisticRegression):
    """A model that takes its time, and fails when it is told to."""

    seconds = 0.0
    failing = 0

    def predict_proba(self, X):
        time.sleep(Slow.seconds)
        return super().predict_proba(X)

    def fit(self, X, y):
        if Slow.failing > 0:
            Slow.failing -= 1
            raise OSError("the disk is full")
        return super().fit(X, y)


@pytest.fixture(autouse=True)
def no_thread_is_left():
    before = threading.active_count()
    yield
    Slow.seconds, Slow.failing = 0.0, 0
    assert threading.active_count() == before


def make_learner(filter="random", model=None):
    model = LogisticRegression(C=10) if model is None else model
    query = PrunedQuery(FILTERS[filter], Entropy(random_state=0))
    return ActiveLearner(make_pipeline(TfidfVectorizer(), model), query, TEXTS[:20], ANSWERS[:20])


def labels_of(rows):
    return [TRUTH[text] for text in rows]


def one_behind(learner, n_batches, size):
    """The batches that the documentation promises, without a thread."""
    handed, previous, picks = set(), None, []
    for _ in range(n_batches):
        rows = [i for i in range(len(POOL)) if i not in handed]
        indices, texts = learner.query([POOL[i] for i in rows], n_instances=size)
        picks.append([rows[i] for i in indices])
        handed.update(picks[-1])
        if previous is not None:
            learner.teach(previous, labels_of(previous))
        previous = texts
    return picks


@pytest.mark.parametrize("seconds", [0.0, 0.03])
@pytest.mark.parametrize("pause", [0.0, 0.06])
def test_the_model_is_one_batch_behind_whatever_the_timing(seconds, pause):
    expected = one_behind(make_learner(), 6, 15)
    Slow.seconds = seconds
    picks = []
    with Prefetch(make_learner(model=Slow(C=10)), POOL, n_instances=15) as batches:
        for batch in batches:
            picks.append(batch.indices.tolist())
            if len(picks) == 6:
                break
            time.sleep(pause)
            batches.teach(batch.rows, labels_of(batch.rows))
    assert picks == expected


@pytest.mark.parametrize("filter", FILTERS)
def test_batches_are_disjoint_and_cover_the_pool(filter):
    handed = []
    with Prefetch(make_learner(filter), POOL, n_instances=70) as batches:
        for batch in batches:
            batches.teach(batch.rows, labels_of(batch.rows))
            handed.append(batch)
            assert batch.rows == [POOL[i] for i in batch.indices]
            assert len(batch.scores) == len(batch.reasons) == len(batch.rows)
            assert all("picked by the strategy" in reason for reason in batch.reasons)
            assert not any("not picked" in reason for reason in batch.reasons)
        with pytest.raises(StopIteration):
            next(batches)
        learner = batches.wait()
    assert sorted(i for batch in handed for i in batch.indices) == list(range(len(POOL)))
    assert [len(batch.rows) for batch in handed] == [70] * (len(POOL) // 70) + [len(POOL) % 70]
    assert sorted(learner.X_training) == sorted(TEXTS)


def test_copies_and_labeled_rows_are_never_picked():
    pool = [*POOL[:30], *POOL[:30], *TEXTS[:20], " "]
    learner = make_learner()
    learner.query_strategy.set_params(filter__keep=0.5)
    with Prefetch(learner, pool, n_instances=7) as batches:
        found = [text for batch in batches for text in batch.rows]
    assert sorted(found) == sorted([*POOL[:30], " "])  # the blank text when nothing else is left


def test_rows_that_people_have_already_are_left_out():
    with Prefetch(make_learner(), POOL, n_instances=30, pending=POOL[5:]) as batches:
        assert [sorted(batch.indices) for batch in batches] == [list(range(5))]


@pytest.mark.parametrize("failing", [1, 2])
def test_an_error_in_the_background_is_raised_once_and_nothing_is_lost(failing):
    expected = one_behind(make_learner(), 4, 15)
    learner = make_learner(model=Slow(C=10))
    picks, errors = [], 0
    with Prefetch(learner, POOL, n_instances=15) as batches:
        first = next(batches)
        Slow.failing = failing
        batches.teach(first.rows, labels_of(first.rows))
        picks.append(first.indices.tolist())
        time.sleep(0.2)
        assert len(batches.untaught) == 1
        while len(picks) < 4:
            try:
                batch = next(batches)
            except OSError:
                errors += 1
                continue
            picks.append(batch.indices.tolist())
            if len(picks) < 4:
                batches.teach(batch.rows, labels_of(batch.rows))
    assert errors == failing
    assert picks == expected
    assert batches.untaught == []


def test_close_teaches_what_waits_and_tells_an_error():
    Slow.seconds = 0.05
    with Prefetch(make_learner(model=Slow()), POOL, n_instances=5) as batches:
        for batch in (next(batches), next(batches)):
            batches.teach(batch.rows, labels_of(batch.rows))
    assert len(batches._learner.X_training) == 30
    with pytest.raises(ValueError, match="closed"):
        next(batches)
    batches.close()
    batches = Prefetch(make_learner(model=Slow()), POOL, n_instances=5)
    batch = next(batches)
    Slow.failing = 9
    batches.teach(batch.rows, labels_of(batch.rows))
    with pytest.raises(OSError, match="disk is full"):
        batches.close()
    assert batches.untaught == [(batch.rows, labels_of(batch.rows))]
    Slow.failing = 0
    batches.close()  # tries again
    assert batches.untaught == []


def test_a_failed_query_does_not_keep_labels_from_being_taught():
    class Fails(Entropy):
        def _pick(self, *args, **kwargs):
            raise MemoryError("no memory")

    learner = ActiveLearner(
        make_pipeline(TfidfVectorizer(), LogisticRegression()), Fails(), TEXTS[:20], ANSWERS[:20]
    )
    batches = Prefetch(learner, POOL)
    batches._state.acquire()
    batches._state.wait_for(lambda: batches._error is not None, timeout=10)
    batches._state.release()
    for _ in range(2):
        with pytest.raises(MemoryError):
            next(batches)
    batches.teach(POOL[:3], labels_of(POOL[:3]))
    with suppress(MemoryError):  # if the query was tried once more
        batches.close()
    assert len(learner.X_training) == 23


def test_a_loop_that_is_saved_and_continued_makes_the_same_picks(tmp_path):
    expected = one_behind(make_learner("anchor"), 4, 15)
    learner = make_learner("anchor")
    with Prefetch(learner, POOL, n_instances=15) as batches:
        first = next(batches)
        batches.teach(first.rows, labels_of(first.rows))
        second = next(batches)
        save_loop(batches.wait(), tmp_path / "loop.json")
    estimator = make_pipeline(TfidfVectorizer(), LogisticRegression(C=10))
    learner = load_loop(tmp_path / "loop.json", estimator, learner.query_strategy, POOL)
    with Prefetch(learner, POOL, n_instances=15, pending=second.rows) as batches:
        batches.teach(second.rows, labels_of(second.rows))
        third = next(batches)
        fourth = next(batches)
    assert [third.indices.tolist(), fourth.indices.tolist()] == expected[2:]


def test_rows_come_in_the_container_of_the_pool():
    frame = pd.DataFrame({"body": POOL, "id": range(len(POOL))}, index=range(1000, 1000 + len(POOL)))
    start = pd.DataFrame({"body": TEXTS[:20], "id": -1})
    vectorizer = make_pipeline(ColumnOf("body"), TfidfVectorizer(), LogisticRegression())
    query = PrunedQuery(RandomFilter(keep=30, random_state=0, text="body"), Margin(random_state=0))
    learner = ActiveLearner(vectorizer, query, start, ANSWERS[:20])
    with Prefetch(learner, frame, n_instances=4) as batches:
        batch = next(batches)
        assert list(batch.rows["id"]) == batch.indices.tolist()
        batches.teach(batch.rows, labels_of(batch.rows["body"]))
        assert not set(next(batches).indices) & set(batch.indices)


class ColumnOf(sklearn.base.BaseEstimator, sklearn.base.TransformerMixin):
    """Takes one column of a frame."""

    def __init__(self, name="body"):
        self.name = name

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X[self.name]


def test_committees_vectors_and_other_strategies_work_too():
    X = np.random.default_rng(0).random((80, 3))
    y = (X[:, 0] > 0.5).astype(int)
    members = [
        ActiveLearner(model, X_training=X[:10], y_training=y[:10])
        for model in (LogisticRegression(), MultinomialNB())
    ]
    for learner in (
        Committee(members),
        ActiveLearner(LogisticRegression(), RandomSampling(random_state=0), X[:10], y[:10]),
        ActiveLearner(LogisticRegression(), RandomSampling(random_state=0)),
    ):
        seen = []
        with Prefetch(learner, X, n_instances=9) as batches:
            for batch in batches:
                assert batch.reasons is None
                seen.append(batch.indices)
                batches.teach(batch.rows, y[batch.indices])
        found = np.concatenate(seen)
        assert len(found) == len(set(found)) == (70 if len(seen) == 8 else 80)
    assert all(len(a) >= len(b) for a, b in pairwise(seen))


def test_the_thread_has_the_configuration_of_its_maker():
    seen = []

    class Sees(RandomSampling):
        def _pick(self, *args, **kwargs):
            seen.append(sklearn.get_config()["assume_finite"])
            return super()._pick(*args, **kwargs)

    with (
        sklearn.config_context(assume_finite=True),
        Prefetch(ActiveLearner(LogisticRegression(), Sees()), np.eye(5)) as batches,
    ):
        next(batches)
    assert set(seen) == {True}


def test_bad_input_is_refused_at_once():
    with pytest.raises(TypeError, match=r"learner must be an ActiveLearner .* got LogisticRegression"):
        Prefetch(LogisticRegression(), POOL)
    with pytest.raises(ValueError, match="n_instances == 0, must be >= 1"):
        Prefetch(make_learner(), POOL, n_instances=0)
    with pytest.raises(ValueError, match=r"X_pool\[1\] is None"):
        Prefetch(make_learner(), ["a", None])
    with Prefetch(make_learner(), POOL, n_instances=2) as batches:
        batch = next(batches)
        with pytest.raises(ValueError, match=r"y\[1\] is None"):
            batches.teach(batch.rows, ["yes", None])
        with pytest.raises(ValueError, match="inconsistent"):
            batches.teach(batch.rows, ["yes"])
        assert batches.untaught == []
        assert len(batches.wait().X_training) == 20


def test_an_interrupted_close_keeps_the_labels_that_are_waiting(monkeypatch):
    learner = make_learner()
    released = threading.Event()
    teach = learner.teach

    def slow(X, y):
        assert released.wait(60)
        teach(X, y)

    batches = Prefetch(learner, POOL, n_instances=5)
    rows = next(batches).rows
    batches.wait()
    monkeypatch.setattr(learner, "teach", slow)
    for row in rows[:4]:
        batches.teach([row], labels_of([row]))

    def interrupted(condition):
        raise KeyboardInterrupt

    with monkeypatch.context() as now:
        now.setattr(batches._state, "wait_for", interrupted)
        with pytest.raises(KeyboardInterrupt):
            batches.close()
    assert len(batches.untaught) == 4
    released.set()
    batches.close()
    assert batches.untaught == []
    assert len(learner.X_training) == 24


def test_a_batch_of_any_strategy_holds_neither_copies_nor_blanks():
    texts = ["nice", "", "nice", "bad film", "good film", "bad film", " "]
    classifier = make_pipeline(TfidfVectorizer(), LogisticRegression())
    learner = ActiveLearner(classifier, Margin(random_state=0), ["a good one", "a bad one"], [1, 0])
    with Prefetch(learner, texts, n_instances=3) as batches:
        assert sorted(next(batches).rows) == ["bad film", "good film", "nice"]
        assert sorted(next(batches).rows) == ["", " "]


@pytest.mark.parametrize("arguments", [{"n_instances": 2.5}, {"n_instances": 0}, {"pending": [[1.0, 2.0]]}])
def test_arguments_are_checked_at_once(arguments):
    with pytest.raises((TypeError, ValueError), match=next(iter(arguments))):
        Prefetch(make_learner(), POOL, **arguments)
