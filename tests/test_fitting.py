"""Unfitted components are fitted on the pool; frozen ones keep their fit, in clones and searches too."""

from functools import partial

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import TruncatedSVD
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skprune import (
    ActiveLearningSimulator,
    ActivePruneFilter,
    AnchorFilter,
    EntropyIntervalFilter,
    NGramScorer,
    PerplexityFilter,
    PrunedClassifier,
    TfidfEncoder,
)
from skprune.datasets import load_movie_snippets
from skprune.scorers import GenerativeEntropy, SemanticEntropy
from skprune.store import open_store
from skprune.strategies import Margin

MOVIES = load_movie_snippets()
TEXTS, Y = MOVIES.data[:9600:80], MOVIES.target[:9600:80]
CORPUS = MOVIES.data[7:9600:80]  # of which none is in the pool
NGRAM = NGramScorer(order=3).fit(CORPUS)
LSA = make_pipeline(TfidfVectorizer(), TruncatedSVD(8, random_state=0))

# A filter with a component that knows the corpus, where it stands, and the component's name in the store.
READY = {
    "n-gram model": (PerplexityFilter(perplexity=FrozenEstimator(NGRAM)), lambda pruner: pruner._scorer),
    "n-gram model, ActivePrune": (
        ActivePruneFilter(perplexity=FrozenEstimator(NGRAM), quality=None),
        lambda pruner: pruner._score,
    ),
    "TF-IDF": (
        AnchorFilter(encoder=FrozenEstimator(TfidfEncoder(8).fit(CORPUS))),
        lambda pruner: pruner._encode,
    ),
    "frozen": (AnchorFilter(encoder=FrozenEstimator(LSA.fit(CORPUS))), lambda pruner: pruner._encode),
    "generative": (
        EntropyIntervalFilter(generative=FrozenEstimator(GenerativeEntropy().fit(CORPUS))),
        lambda pruner: pruner._scorers["generative"],
    ),
    "semantic": (
        EntropyIntervalFilter(combine="semantic", semantic=FrozenEstimator(SemanticEntropy().fit(CORPUS))),
        lambda pruner: pruner._scorers["semantic"],
    ),
}


@pytest.mark.parametrize("name", READY)
def test_clones_of_a_filter_know_what_its_component_knows(name):
    pruner, used = READY[name]
    pruner = clone(pruner)
    direct = used(pruner.fit(TEXTS))
    cloned = used(clone(clone(pruner)).fit(TEXTS[::-1]))
    assert cloned.fingerprint == direct.fingerprint, "another pool would have made another model"
    assert np.allclose(cloned(np.array(TEXTS, object)), direct(np.array(TEXTS, object)), atol=1e-6)


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_uses_a_ready_model_and_scores_each_text_once(n_jobs, tmp_path):
    pruner = ActivePruneFilter(
        perplexity=FrozenEstimator(NGRAM), quality=None, memory=str(tmp_path), random_state=0
    )
    model = PrunedClassifier(make_pipeline(TfidfVectorizer(), LogisticRegression()), pruner)
    search = GridSearchCV(model, {"filter__keep": [0.3, 0.6]}, cv=3, n_jobs=n_jobs, error_score="raise")
    search.fit(TEXTS, Y)
    kept = open_store(tmp_path).info()
    assert kept["fingerprint"].tolist() == [NGRAM.fingerprint], "one model, whatever the fold or the process"
    assert kept["values"].tolist() == [len(set(TEXTS))]
    best = search.best_estimator_.filter_
    assert best.log_perplexity_ == pytest.approx(NGRAM(TEXTS))


def test_a_search_over_training_parameters_trains_a_model_in_each_fold(tmp_path):
    pruner = PerplexityFilter(perplexity=NGramScorer(), memory=str(tmp_path))
    model = PrunedClassifier(make_pipeline(TfidfVectorizer(), LogisticRegression()), pruner)
    grid = {"filter__perplexity__order": [2, 3]}
    search = GridSearchCV(model, grid, cv=3, refit=False, error_score="raise").fit(TEXTS, Y)
    assert len(search.cv_results_["params"]) == 2
    assert len(set(open_store(tmp_path).info()["fingerprint"])) == 2 * 3


def test_a_grid_of_ready_models_keeps_them_apart(tmp_path):
    models = [FrozenEstimator(m) for m in (NGRAM, NGramScorer(order=2).fit(CORPUS))]
    words = make_pipeline(TfidfVectorizer(), LogisticRegression())
    pruned = PrunedClassifier(words, PerplexityFilter(memory=str(tmp_path)))
    GridSearchCV(pruned, {"filter__perplexity": models}, cv=2, refit=False, error_score="raise").fit(TEXTS, Y)
    assert set(open_store(tmp_path).info()["fingerprint"]) == {model.fingerprint for model in models}


def test_a_run_in_a_folder_goes_on_with_the_model_it_began_with(tmp_path):
    classifier = make_pipeline(TfidfVectorizer(), LogisticRegression())
    settings = {"n_instances": 5, "n_rounds": 1, "memory": tmp_path, "random_state": 0}

    def play(perplexity):
        pruner = PerplexityFilter(perplexity=perplexity)
        return ActiveLearningSimulator(classifier, Margin(), pruner, **settings).fit(TEXTS, Y)

    first, again = play(FrozenEstimator(NGRAM)), play(FrozenEstimator(NGramScorer(order=3).fit(CORPUS)))
    assert again.labeled_indices_.tolist() == first.labeled_indices_.tolist()
    for other in (FrozenEstimator(NGramScorer(order=3).fit(TEXTS)), NGramScorer(order=3)):
        with pytest.raises(ValueError, match=r"filter.perplexity\."):
            play(other)


def test_what_is_not_fitted_learns_from_the_pool():
    for encoder in (TfidfEncoder(8), LSA, clone(LSA)):
        pruners = [clone(AnchorFilter(encoder=encoder)).fit(X) for X in (TEXTS, TEXTS[:80])]
        assert len({pruner._encode.fingerprint for pruner in pruners}) == 2
    pruner = PerplexityFilter(perplexity=NGramScorer(order=2)).fit(TEXTS)
    with pytest.raises(NotFittedError):
        pruner.perplexity(TEXTS)  # the filter fitted a clone


FITTED = {
    "perplexity": (PerplexityFilter, NGRAM),
    "encoder": (AnchorFilter, TfidfEncoder(8).fit(CORPUS)),
    "semantic": (partial(EntropyIntervalFilter, combine="semantic"), SemanticEntropy().fit(CORPUS)),
    "generative": (EntropyIntervalFilter, GenerativeEntropy(FrozenEstimator(NGRAM)).fit(CORPUS)),
}


@pytest.mark.parametrize("name", ["perplexity", "encoder", "semantic"])
def test_a_fitted_component_that_clones_would_forget_is_refused(name):
    kind, component = FITTED[name]
    pruner = kind(**{name: component})
    for use in (lambda: pruner.fit(TEXTS), lambda: clone(pruner)):
        with pytest.raises(ValueError, match=rf"{name}=.* is already fitted.*FrozenEstimator"):
            use()
    nested = PrunedClassifier(LogisticRegression(), pruner)
    with pytest.raises(ValueError, match="FrozenEstimator"):
        clone(nested)


def test_a_component_around_a_frozen_one_keeps_it_in_clones():
    kind, component = FITTED["generative"]
    pruner = clone(kind(generative=component, combine="generative")).fit(TEXTS)
    assert pruner._scorers["generative"].fingerprint == component.fingerprint
