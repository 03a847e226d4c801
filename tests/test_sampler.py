"""PruneSampler: a filter within a Pipeline of imbalanced-learn."""

import pickle
import subprocess
import sys

import imblearn.utils.estimator_checks as imblearn_checks
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from imblearn.base import is_sampler
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import RandomUnderSampler
from sklearn import config_context
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_iris
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from skprune import AnchorFilter, PrunedClassifier, PruneSampler, RandomFilter
from skprune.datasets import load_movie_snippets

HALF = RandomFilter(keep=0.5, random_state=0)


@pytest.fixture(scope="module")
def movies():
    data = load_movie_snippets()
    rows = np.random.default_rng(0).choice(len(data.data), 400, replace=False)
    return [data.data[i] for i in rows], data.target[rows]


def test_rows_are_pruned_in_fit_and_never_in_predict(movies):
    texts, y = movies
    model = make_pipeline(PruneSampler(HALF), TfidfVectorizer(), LogisticRegression()).fit(texts, y)
    rows = model[0].sample_indices_
    assert rows.tolist() == clone(HALF).fit(texts, y).get_support(indices=True).tolist()
    assert len(model.predict(texts)) == len(texts)
    pruned = PrunedClassifier(make_pipeline(TfidfVectorizer(), LogisticRegression()), HALF).fit(texts, y)
    assert np.array_equal(model.predict_proba(texts), pruned.predict_proba(texts))


def test_it_works_anywhere_in_a_pipeline_and_next_to_other_samplers(movies):
    texts, y = movies
    model = make_pipeline(
        TfidfVectorizer(),
        PruneSampler(AnchorFilter(5, 20, random_state=0)),
        TruncatedSVD(5, random_state=0),
        PruneSampler(HALF),
        RandomUnderSampler(random_state=0),
        LogisticRegression(),
    ).fit(texts, y)
    first, second = model[1].sample_indices_, model[3].sample_indices_
    assert len(second) == int(len(first) / 2 + 0.5)
    assert len(model.predict(texts)) == len(texts)


def test_search_and_cross_validation(movies):
    texts, y = movies
    model = make_pipeline(PruneSampler(RandomFilter(random_state=0)), TfidfVectorizer(), LogisticRegression())
    assert cross_val_score(model, texts, y, cv=3).shape == (3,)
    search = GridSearchCV(model, {"prunesampler__filter__keep": [0.2, 0.9]}, cv=3).fit(texts, y)
    assert len(search.best_estimator_[0].sample_indices_) in (80, 360)


def test_rows_are_returned_in_the_same_kind_of_container(movies):
    texts, y = movies
    index = np.random.default_rng(0).permutation(len(texts))
    numbers = np.random.default_rng(0).normal(size=(len(texts), 3))
    sampler = PruneSampler(HALF)
    for X in (
        texts,
        tuple(texts),
        np.array(texts),
        np.array(texts, dtype=object),
        pd.Series(texts, index=index),
        pd.DataFrame({"text": texts, "n": 1}, index=index),
        numbers,
        pd.DataFrame(numbers, columns=list("abc")),
        sp.csr_array(numbers),
    ):
        for target in (y, y.tolist(), pd.Series(y, index=index), None):
            kept, kept_y = sampler.fit_resample(X, target)
            rows = sampler.sample_indices_
            assert type(kept) is type(X)
            assert type(kept_y) is type(target)
            if sp.issparse(X):
                assert np.array_equal(kept.toarray(), numbers[rows])
            elif hasattr(X, "iloc"):
                assert kept.equals(X.iloc[rows])
            else:
                assert np.array_equal(np.asarray(kept), np.asarray(X)[rows])
            if target is not None:
                assert np.asarray(kept_y).tolist() == y[rows].tolist()


def test_labels_of_every_kind():
    X, y = load_iris(return_X_y=True)
    partly = np.where(np.arange(150) % 5 == 0, y, -1)
    sampler = PruneSampler(HALF)
    kept_y = sampler.fit_resample(X, partly)[1]
    assert (kept_y != -1).sum() == 30
    assert 0 < (kept_y == -1).sum() < 61
    make_pipeline(PruneSampler(HALF), Ridge()).fit(X, X[:, 0])
    assert len(make_pipeline(PruneSampler(HALF), KMeans(3, n_init=1)).fit(X).predict(X)) == 150
    few = PruneSampler(RandomFilter(keep=1, random_state=0), min_per_class=4)
    assert set(np.bincount(few.fit_resample(X, y)[1])) <= {4, 5}
    with pytest.warns(UserWarning, match="keeps no row of class"):
        PruneSampler(RandomFilter(keep=1, random_state=0)).fit_resample(X, y)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        sampler.fit_resample(X, y[:-1])


class Grouped(RandomFilter):
    """A filter that requests metadata."""

    def fit(self, X, y=None, *, groups=None):
        self.groups_ = groups
        return super().fit(X, y)


def test_metadata_reaches_the_filter_and_weights_need_pruned_classifier():
    X, y = load_iris(return_X_y=True)
    groups, weights = np.arange(150), np.arange(150) % 3 + 1.0
    with config_context(enable_metadata_routing=True):
        grouping = Grouped(keep=0.5, random_state=0).set_fit_request(groups=True)
        model = make_pipeline(PruneSampler(grouping), LogisticRegression(max_iter=500)).fit(
            X, y, groups=groups
        )
        assert model[0].filter_.groups_ is groups
        weighted = LogisticRegression(max_iter=500).set_fit_request(sample_weight=True)
        # The docstring describes this limit of imbalanced-learn. Once this passes, remove that paragraph.
        with pytest.raises(ValueError, match="sample_weight"):
            make_pipeline(PruneSampler(HALF), weighted).fit(X, y, sample_weight=weights)
        pruned = PrunedClassifier(make_pipeline(weighted), HALF).fit(X, y, sample_weight=weights)
        assert len(np.unique(X[pruned.support_], axis=0)) == 75  # half of the 149 different rows


def test_it_is_a_sampler_that_can_be_cloned_and_pickled():
    X, y = load_iris(return_X_y=True)
    frame = pd.DataFrame(X, columns=list("abcd"))
    sampler = PruneSampler(HALF)
    sampler.fit_resample(frame, y)
    assert is_sampler(sampler)
    assert sampler.n_features_in_ == 4
    assert sampler.feature_names_in_.tolist() == sampler.get_feature_names_out().tolist() == list("abcd")
    assert not hasattr(clone(sampler), "sample_indices_")
    assert pickle.loads(pickle.dumps(sampler)).sample_indices_.tolist() == sampler.sample_indices_.tolist()
    assert "filter: RandomFilter" in sampler._repr_html_()


def test_only_prune_sampler_needs_imbalanced_learn():
    script = (
        "import sys; sys.modules['imblearn'] = None; import skprune; skprune.PrunedClassifier;"
        "skprune.PruneSampler"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode != 0
    last = run.stderr.strip().splitlines()[-1]
    assert last == "ImportError: PruneSampler needs imblearn: pip install 'skprune[imblearn]'"


@parametrize_with_checks([PruneSampler(HALF), PruneSampler(AnchorFilter(5, 20), min_per_class=1)])
def test_scikit_learns_checks(estimator, check):
    check(estimator)


# imbalanced-learn's checks, except those that require balanced classes, a sampling_strategy, or the same rows
# from dense and sparse input (a sparse row has another hash).
@pytest.mark.parametrize(
    "name",
    [
        "check_samplers_fit_resample",
        "check_samplers_pandas",
        "check_samplers_pandas_sparse",
        "check_samplers_string",
        "check_samplers_list",
        "check_samplers_multiclass_ova",
        "check_samplers_preserve_dtype",
        "check_samplers_2d_target",
        "check_sampler_get_feature_names_out",
        "check_sampler_get_feature_names_out_pandas",
    ],
)
def test_imbalanced_learns_checks(name):
    # check_samplers_string expects all three different rows of its pool to survive.
    keep = 1.0 if name == "check_samplers_string" else 0.5
    getattr(imblearn_checks, name)("PruneSampler", PruneSampler(RandomFilter(keep=keep, random_state=0)))
