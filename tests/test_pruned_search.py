"""A search computes the score of each distinct text once, across clones, folds and processes."""

import os
from collections import Counter

import numpy as np
import pytest
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline

from skprune import ActivePruneFilter, AnchorFilter, PrunedClassifier, row_table
from skprune.datasets import load_movie_snippets
from skprune.pools import Pool


def class_for_workers():
    """Return a class that worker processes get by value, since they cannot import a test file."""

    class Recorder:
        """Computes numbers from texts, and writes one line to a file for each text."""

        def __init__(self, path, n_values):
            self.path = path
            self.n_values = n_values

        @property
        def fingerprint(self):
            return f"{self.path.name}: letters of a text, {self.n_values}"

        def __call__(self, texts):
            file = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            lines = "".join(f"{text!r}\n" for text in texts)
            os.write(file, lines.encode())  # one write, so that no line is torn
            os.close(file)
            letters = "etaoins"[: self.n_values]
            counts = np.array([[text.count(letter) for letter in letters] for text in texts])
            return counts[:, 0] if self.n_values == 1 else counts

        def count(self):
            """Return how many times each text was computed."""
            return Counter(self.path.read_text().splitlines()) if self.path.exists() else Counter()

    return Recorder


Recorder = class_for_workers()


@pytest.fixture(scope="module")
def movies():
    data = load_movie_snippets()
    rows = np.random.default_rng(0).choice(len(data.data), 240, replace=False)
    rows = np.append(rows, rows[:40])  # copies
    return [data.data[i] for i in rows], data.target[rows]


@pytest.fixture
def recorders(tmp_path):
    return {
        name: Recorder(tmp_path / name, n) for name, n in [("perplexity", 1), ("quality", 1), ("encoder", 5)]
    }


def pruned(pruner):
    return PrunedClassifier(make_pipeline(TfidfVectorizer(), LogisticRegression()), pruner)


def active_prune(recorders, memory):
    two = {name: recorders[name] for name in ("perplexity", "quality")}
    return pruned(ActivePruneFilter(**two, memory=memory, random_state=0))


GRID = {"filter__keep": [0.3, 0.6], "filter__temperature": [0.05, 0.5], "filter__llm_share": [0.1, 0.3]}


@pytest.mark.parametrize("on_disk", [False, True])
def test_one_process_computes_each_text_once(movies, recorders, tmp_path, on_disk):
    texts, y = movies
    model = active_prune(recorders, tmp_path / "scores" if on_disk else None)
    GridSearchCV(model, GRID, cv=3).fit(texts, y)
    scored, asked = recorders["perplexity"].count(), recorders["quality"].count()
    assert set(scored.values()) == {1}
    assert len(scored) == len(set(texts))
    assert set(asked.values()) == {1}
    assert 0 < len(asked) < len(scored)


def test_worker_processes_share_the_scores_that_they_compute(movies, recorders, tmp_path):
    """A worker waits for a text that another worker is computing."""
    texts, y = movies
    model = active_prune(recorders, tmp_path / "scores")
    search = GridSearchCV(model, GRID, cv=3, n_jobs=2).fit(texts, y)
    for name in ("perplexity", "quality"):
        counts = recorders[name].count()
        assert set(counts.values()) == {1}
        assert len(counts) <= len(set(texts))
    before = {name: recorders[name].count() for name in recorders}
    again = GridSearchCV(model, GRID, cv=3, n_jobs=2).fit(texts, y)
    assert {name: recorders[name].count() for name in recorders} == before
    assert np.array_equal(again.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"])


def test_after_fitting_the_filter_on_all_rows_a_search_computes_no_scores(movies, recorders, tmp_path):
    """The documentation recommends this if scores are expensive: fit the filter on all rows first."""
    texts, y = movies
    model = active_prune(recorders, tmp_path / "scores").set_params(filter__n_candidates=1.0)
    model.filter.set_params(llm_share=1.0).fit(texts)
    once = {name: recorders[name].count() for name in ("perplexity", "quality")}
    assert all(set(counts.values()) == {1} and len(counts) == len(set(texts)) for counts in once.values())
    GridSearchCV(model, GRID, cv=3, n_jobs=2).fit(texts, y)
    assert {name: recorders[name].count() for name in once} == once


def test_vectors_are_computed_once_in_every_kind_of_search(movies, recorders, tmp_path):
    texts, y = movies
    anchors = pruned(AnchorFilter(encoder=recorders["encoder"], memory=tmp_path / "vectors", random_state=0))
    grid = {"filter__n_anchors": [2, 20], "filter__n_neighbors": [10, 40], "filter__max_subpool": [60, 120]}
    GridSearchCV(anchors, grid, cv=3).fit(texts, y)
    two = {"cv": 3, "n_jobs": 2, "error_score": "raise", "random_state": 0}
    RandomizedSearchCV(anchors, grid, n_iter=3, **two).fit(texts, y)
    HalvingGridSearchCV(anchors, grid, min_resources=120, **two).fit(texts, y)
    counts = recorders["encoder"].count()
    assert set(counts.values()) == {1}
    assert len(counts) == len(set(texts))


def test_the_texts_of_a_fold_are_hashed_once(movies, monkeypatch):
    """The settings of a search fit filters on the same folds."""
    texts, y = [f"{text} of this test" for text in movies[0]], movies[1]
    hashed = []
    digest = row_table._digest
    monkeypatch.setattr(row_table, "_digest", lambda content: hashed.append(content) or digest(content))
    pruner = ActivePruneFilter(perplexity=lambda texts: [float(len(t)) for t in texts], quality=None)
    GridSearchCV(pruned(pruner), {"filter__keep": [0.2, 0.4, 0.6, 0.8]}, cv=3, refit=False).fit(texts, y)
    assert 0 < len(hashed) <= 3 * len(set(texts))


def test_pools_of_the_same_texts_share_no_memory_of_other_pools():
    texts = np.array([f"text {i}" for i in range(50)], dtype=object)
    first, second = Pool(texts).table, Pool(list(texts)).table
    assert first is not second
    assert first.digests is second.digests
    first.numbers_of(np.append(texts[::-1], ["a new one"]))
    assert second._recent[0].tolist() == texts.tolist()
    assert second.numbers_of(texts[::-1]).tolist() == list(range(50))[::-1]
