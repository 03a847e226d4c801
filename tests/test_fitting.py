"""What a user has fitted stays fitted inside a filter, also in searches; what is not learns from the pool."""

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
    "n-gram model": (PerplexityFilter(perplexity=NGRAM), lambda pruner: pruner._scorer),
    "n-gram model, ActivePrune": (
        ActivePruneFilter(perplexity=NGRAM, quality=None),
        lambda pruner: pruner._score,
    ),
    "TF-IDF": (AnchorFilter(encoder=TfidfEncoder(8).fit(CORPUS)), lambda pruner: pruner._encode),
    "frozen": (AnchorFilter(encoder=FrozenEstimator(LSA.fit(CORPUS))), lambda pruner: pruner._encode),
    "generative": (
        EntropyIntervalFilter(information=None, generative=GenerativeEntropy().fit(CORPUS), semantic=None),
        lambda pruner: pruner._scorers["generative"],
    ),
    "semantic": (
        EntropyIntervalFilter(information=None, generative=None, semantic=SemanticEntropy().fit(CORPUS)),
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
    pruner = ActivePruneFilter(perplexity=NGRAM, quality=None, memory=str(tmp_path), random_state=0)
    model = PrunedClassifier(pruner, make_pipeline(TfidfVectorizer(), LogisticRegression()))
    search = GridSearchCV(model, {"filter__keep": [0.3, 0.6]}, cv=3, n_jobs=n_jobs, error_score="raise")
    search.fit(TEXTS, Y)
    kept = open_store(tmp_path).info()
    assert kept["fingerprint"].tolist() == [NGRAM.fingerprint], "one model, whatever the fold or the process"
    assert kept["values"].tolist() == [len(set(TEXTS))]
    best = search.best_estimator_.filter_
    assert best.log_perplexity_ == pytest.approx(NGRAM(TEXTS))


def test_a_search_over_what_it_is_trained_with_trains_on_the_pool(tmp_path):
    pruner = PerplexityFilter(perplexity=NGRAM, memory=str(tmp_path))
    model = PrunedClassifier(pruner, make_pipeline(TfidfVectorizer(), LogisticRegression()))
    grid = {"filter__perplexity__order": [2, 3]}
    search = GridSearchCV(model, grid, cv=3, refit=False, error_score="raise").fit(TEXTS, Y)
    assert len(search.cv_results_["params"]) == 2
    prints = set(open_store(tmp_path).info()["fingerprint"])
    assert NGRAM.fingerprint in prints, "order 3 is what it has"
    assert len(prints) == 1 + 3, "order 2 is another model in each fold"
    assert NGRAM.order == 3
    assert NGRAM(TEXTS[:2]).shape == (2,), "the user's own is as it was"


def test_a_grid_of_ready_models_keeps_them_apart(tmp_path):
    models = [NGRAM, NGramScorer(order=2).fit(CORPUS)]
    words = make_pipeline(TfidfVectorizer(), LogisticRegression())
    pruned = PrunedClassifier(PerplexityFilter(memory=str(tmp_path)), words)
    GridSearchCV(pruned, {"filter__perplexity": models}, cv=2, refit=False, error_score="raise").fit(TEXTS, Y)
    assert set(open_store(tmp_path).info()["fingerprint"]) == {model.fingerprint for model in models}


def test_a_run_in_a_folder_goes_on_with_the_model_it_began_with(tmp_path):
    classifier = make_pipeline(TfidfVectorizer(), LogisticRegression())
    settings = {"n_instances": 5, "n_rounds": 1, "folder": tmp_path, "random_state": 0}

    def play(perplexity):
        pruner = PerplexityFilter(perplexity=perplexity)
        return ActiveLearningSimulator(classifier, Margin(), pruner, **settings).fit(TEXTS, Y)

    first, again = play(NGRAM), play(NGramScorer(order=3).fit(CORPUS))
    assert again.labelled_indices_.tolist() == first.labelled_indices_.tolist()
    for other in (NGramScorer(order=3).fit(TEXTS), NGramScorer(order=3)):
        with pytest.raises(ValueError, match=r"filter.perplexity.fitted was 'ngram-"):
            play(other)


def test_what_is_not_fitted_learns_from_the_pool():
    for encoder in (TfidfEncoder(8), LSA, clone(LSA)):
        pruners = [clone(AnchorFilter(encoder=encoder)).fit(X) for X in (TEXTS, TEXTS[:80])]
        assert len({pruner._encode.fingerprint for pruner in pruners}) == 2
    pruner = PerplexityFilter(perplexity=NGramScorer(order=2)).fit(TEXTS)
    with pytest.raises(NotFittedError):
        pruner.perplexity(TEXTS)  # the filter fitted a clone


def test_a_setting_that_was_learned_with_is_forgotten_with_it():
    scorer = SemanticEntropy(TfidfEncoder(8), n_clusters=4).fit(CORPUS)
    assert clone(scorer).set_params(temperature=0.5, n_clusters=4)(TEXTS).shape == (120,)
    for changed in ({"n_clusters": 5}, {"encoder__n_components": 4}):
        with pytest.raises(NotFittedError):
            clone(scorer).set_params(**changed)(TEXTS)
    assert scorer(TEXTS).shape == (120,)
