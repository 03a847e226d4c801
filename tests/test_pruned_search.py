"""A search never pays twice: each distinct text is scored once, whatever the clones, folds and processes."""

import os
from collections import Counter

import numpy as np
import pytest
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, RandomizedSearchCV
from sklearn.pipeline import make_pipeline

from skprune import ActivePruneFilter, AnchorFilter, PrunedClassifier
from skprune.datasets import load_movie_snippets


class Journal:
    """Numbers from a text, and a line in a file for each text that they were computed of."""

    def __init__(self, path, n_values):
        self.path = path
        self.n_values = n_values

    @property
    def fingerprint(self):
        return f"{self.path.name}: letters of a text, {self.n_values}"

    def __call__(self, texts):
        file = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.write(file, "".join(f"{text!r}\n" for text in texts).encode())  # one write, so that none is torn
        os.close(file)
        counts = np.array([[text.count(letter) for letter in "etaoins"[: self.n_values]] for text in texts])
        return counts[:, 0] if self.n_values == 1 else counts

    def count(self):
        """How many times each text was computed."""
        return Counter(self.path.read_text().splitlines()) if self.path.exists() else Counter()


@pytest.fixture(scope="module")
def movies():
    data = load_movie_snippets()
    rows = np.random.default_rng(0).choice(len(data.data), 240, replace=False)
    rows = np.append(rows, rows[:40])  # copies
    return [data.data[i] for i in rows], data.target[rows]


@pytest.fixture
def journals(tmp_path):
    return {
        name: Journal(tmp_path / name, n) for name, n in [("perplexity", 1), ("quality", 1), ("encoder", 5)]
    }


def pruned(pruner):
    return PrunedClassifier(pruner, make_pipeline(TfidfVectorizer(), LogisticRegression()))


def active_prune(journals, memory):
    two = {name: journals[name] for name in ("perplexity", "quality")}
    return pruned(ActivePruneFilter(**two, memory=memory, random_state=0))


GRID = {"filter__keep": [0.3, 0.6], "filter__temperature": [0.05, 0.5], "filter__beta": [0.1, 2.0]}


@pytest.mark.parametrize("on_disk", [False, True])
def test_one_process_computes_each_text_once(movies, journals, tmp_path, on_disk):
    texts, y = movies
    model = active_prune(journals, tmp_path / "scores" if on_disk else None)
    GridSearchCV(model, GRID, cv=3).fit(texts, y)
    scored, asked = journals["perplexity"].count(), journals["quality"].count()
    assert set(scored.values()) == {1}
    assert len(scored) == len(set(texts))
    assert set(asked.values()) == {1}
    assert 0 < len(asked) < len(scored)


def test_worker_processes_share_what_they_compute(movies, journals, tmp_path):
    """A worker that wants a text which another one is computing waits for it."""
    texts, y = movies
    model = active_prune(journals, tmp_path / "scores")
    search = GridSearchCV(model, GRID, cv=3, n_jobs=2).fit(texts, y)
    for name in ("perplexity", "quality"):
        counts = journals[name].count()
        assert set(counts.values()) == {1}
        assert len(counts) <= len(set(texts))
    before = {name: journals[name].count() for name in journals}
    again = GridSearchCV(model, GRID, cv=3, n_jobs=2).fit(texts, y)
    assert {name: journals[name].count() for name in journals} == before
    assert np.array_equal(again.cv_results_["mean_test_score"], search.cv_results_["mean_test_score"])


def test_after_one_fit_a_search_scores_nothing_more(movies, journals, tmp_path):
    """What the docs advise where scores are dear: fit the filter once on all rows, then search."""
    texts, y = movies
    model = active_prune(journals, tmp_path / "scores").set_params(filter__n_candidates=1.0)
    model.filter.set_params(llm_share=1.0).fit(texts)
    once = {name: journals[name].count() for name in ("perplexity", "quality")}
    assert all(set(counts.values()) == {1} and len(counts) == len(set(texts)) for counts in once.values())
    GridSearchCV(model, GRID, cv=3, n_jobs=2).fit(texts, y)
    assert {name: journals[name].count() for name in once} == once


def test_vectors_too_in_every_kind_of_search(movies, journals, tmp_path):
    texts, y = movies
    anchors = pruned(AnchorFilter(encoder=journals["encoder"], memory=tmp_path / "vectors", random_state=0))
    grid = {"filter__n_anchors": [2, 20], "filter__n_neighbors": [10, 40], "filter__max_subpool": [60, 120]}
    GridSearchCV(anchors, grid, cv=3).fit(texts, y)
    two = {"cv": 3, "n_jobs": 2, "error_score": "raise", "random_state": 0}
    RandomizedSearchCV(anchors, grid, n_iter=3, **two).fit(texts, y)
    HalvingGridSearchCV(anchors, grid, min_resources=120, **two).fit(texts, y)
    counts = journals["encoder"].count()
    assert set(counts.values()) == {1}
    assert len(counts) == len(set(texts))
