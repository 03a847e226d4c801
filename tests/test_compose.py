"""PrunedClassifier and PrunedEstimator: estimators trained on the rows that a filter keeps."""

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn import config_context
from sklearn.base import clone, is_classifier, is_clusterer, is_outlier_detector, is_regressor
from sklearn.cluster import DBSCAN, KMeans
from sklearn.datasets import load_diabetes, load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.exceptions import NotFittedError, UnsetMetadataPassedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from skprune import (
    ActivePruneFilter,
    AnchorFilter,
    KMeansFilter,
    LostClassWarning,
    PerplexityFilter,
    PoolExhaustedError,
    PrunedClassifier,
    PrunedEstimator,
    RandomFilter,
)
from skprune.datasets import load_movie_snippets, load_reuters52
from skprune.training_set import class_labels

HALF = RandomFilter(keep=0.5, random_state=0)


@pytest.fixture(scope="module")
def movies():
    data = load_movie_snippets()
    rows = np.random.default_rng(0).choice(len(data.data), 400, replace=False)
    return [data.data[i] for i in rows], data.target[rows]


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def text_model():
    return make_pipeline(TfidfVectorizer(), LogisticRegression())


# ---------------------------------------------------------------------- the rows that survive


def test_it_trains_on_the_rows_the_filter_keeps_and_predicts_every_row(movies):
    texts, y = movies
    for pruner in (HALF, PerplexityFilter(keep=100), AnchorFilter(5, 20, random_state=0)):
        model = PrunedClassifier(text_model(), pruner).fit(texts, y)
        rows = clone(pruner).fit(texts, y).get_support(indices=True)
        assert np.flatnonzero(model.support_).tolist() == rows.tolist()
        by_hand = text_model().fit([texts[i] for i in rows], y[rows])
        assert model.predict(texts).tolist() == by_hand.predict(texts).tolist()
        assert np.array_equal(model.predict_proba(texts), by_hand.predict_proba(texts))
        assert model.score(texts, y) == by_hand.score(texts, y)
        assert model.filter_.explain()["kept"].to_numpy().nonzero()[0].tolist() == rows.tolist()


def test_the_classifier_gets_the_same_kind_of_container(movies):
    texts, y = movies

    class Recorder(LogisticRegression):
        def fit(self, X, y=None):
            self.got_ = X, y
            words = X["words"] if isinstance(X, pd.DataFrame) else X
            return super().fit(TfidfVectorizer().fit_transform(words), y)

    index = np.random.default_rng(1).permutation(len(texts))
    targets = [y.tolist(), y, pd.Series(y, index=index), y.astype(str)]
    containers = [texts, np.array(texts, dtype=object), pd.Series(texts, index=index), np.array(texts)]
    for X, target in zip(containers, targets, strict=True):
        model = PrunedClassifier(Recorder(), HALF).fit(X, target)
        got, got_y = model.estimator_.got_
        assert type(got) is type(X)
        assert type(got_y) is type(target)
        assert list(got) == [texts[i] for i in np.flatnonzero(model.support_)]
        assert [str(label) for label in got_y] == [str(label) for label in y[model.support_]]
    frame = pd.DataFrame({"words": texts, "n": 1.0}, index=index)
    model = PrunedClassifier(Recorder(), HALF).fit(frame, y)
    assert model.estimator_.got_[0].equals(frame[model.support_])


def test_the_last_step_of_a_pipeline_over_sparse_rows(movies):
    texts, y = movies
    model = make_pipeline(TfidfVectorizer(), PrunedClassifier(LinearSVC(), AnchorFilter(5, 20))).fit(texts, y)
    assert 0 < model[-1].support_.sum() < len(model[-1].support_) == len(texts)
    assert model.decision_function(texts).shape == (len(texts),)
    assert model[-1].n_features_in_ > 100
    assert model.classes_.tolist() == [0, 1]
    assert not hasattr(model, "predict_proba")
    assert not hasattr(model, "transform")


def test_search_and_cross_validation_on_real_data(movies):
    texts, y = movies
    model = PrunedClassifier(text_model(), RandomFilter(random_state=0))
    scores = cross_val_score(model, texts, y, cv=3)
    assert scores.shape == (3,)
    grid = {"filter__keep": [10, 0.9], "estimator__logisticregression__C": [1, 10]}
    search = GridSearchCV(model, grid, cv=3).fit(texts, y)
    by_keep = pd.DataFrame(search.cv_results_).groupby("param_filter__keep")["mean_test_score"].max()
    assert by_keep[0.9] > by_keep[10]
    assert search.best_estimator_.support_.sum() == 360
    filters = {"filter": [HALF, PerplexityFilter(keep=0.5)]}
    assert GridSearchCV(model, filters, cv=3).fit(texts, y).best_params_["filter"] in filters["filter"]


# ---------------------------------------------------------------------- labels


def test_rows_with_a_label_survive_and_the_others_are_pruned(iris):
    X, y = iris
    partly = np.where(np.arange(len(y)) % 5 == 0, y, -1)
    model = PrunedClassifier(SelfTrainingClassifier(LogisticRegression(max_iter=500)), HALF).fit(X, partly)
    assert model.support_[partly != -1].all()
    n_labeled, n_free = 30, (~model.filter_.pool_.isin(model.filter_.labeled_)).sum()
    assert model.support_.sum() == n_labeled + int(0.5 * n_free + 0.5)
    assert model.classes_.tolist() == [0, 1, 2]


def test_a_classifier_that_treats_minus_one_as_a_class_is_refused(iris):
    X, y = iris
    model = PrunedClassifier(LogisticRegression(max_iter=500), HALF)
    with pytest.raises(ValueError, match=r"y holds -1, .* LogisticRegression treats it as a class"):
        model.fit(X, np.where(np.arange(len(y)) % 5 == 0, y, -1))
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_plus_and_minus_one_are_two_classes(iris):
    X, y = iris
    signs = np.where(y == 0, -1, 1)
    model = PrunedClassifier(LogisticRegression(), AnchorFilter(3, 10, random_state=0)).fit(X, signs)
    zeros = PrunedClassifier(LogisticRegression(), AnchorFilter(3, 10, random_state=0)).fit(X, (y > 0) * 1)
    assert model.classes_.tolist() == [-1, 1]
    assert model.support_.tolist() == zeros.support_.tolist()


@pytest.mark.parametrize(
    ("y", "seen"),
    [
        (None, None),
        ([0.5, 1.5, 2.0], None),
        ([[0, 1], [1, 0], [1, 1]], None),
        (sp.csr_array(np.eye(3)), None),
        ([-1, -1, -1], None),
        ([[0], [1], [2]], [0, 1, 2]),
        (["a", "b", None], ["a", "b", None]),
        ([1, -1, -1], [1, 0, 0]),
        (["a", "a"], ["a", "a"]),
        (["a", None], ["a", None]),
        ([1.0, 0.0, np.nan], [1.0, 0.0, np.nan]),
        (pd.Series(["a", "b", "b"], index=[5, 3, 1]), ["a", "b", "b"]),
    ],
)
def test_the_labels_that_a_filter_sees(y, seen):
    got = class_labels(y)
    assert (
        got is None
        if seen is None
        else np.array_equal(np.array(got, dtype=object).astype(str), np.array(seen, dtype=object).astype(str))
    )


def test_a_lost_class_causes_a_warning_and_min_per_class_keeps_it():
    data = load_reuters52()
    rows = np.random.default_rng(0).choice(len(data.data), 600, replace=False)
    texts, y = [data.data[i] for i in rows], np.array(data.target_names)[data.target[rows]]
    names, sizes = np.unique(y, return_counts=True)
    with pytest.warns(LostClassWarning, match=r"RandomFilter keeps no row of class .* and 17 more"):
        lossy = PrunedClassifier(text_model(), RandomFilter(keep=30, random_state=0)).fit(texts, y)
    assert len(lossy.classes_) < len(names)
    model = PrunedClassifier(text_model(), RandomFilter(keep=30, random_state=0), min_per_class=2)
    model.fit(texts, y)
    assert model.classes_.tolist() == names.tolist()
    assert model.support_[lossy.support_].all()
    kept = dict(zip(*np.unique(y[model.support_], return_counts=True), strict=True))
    before = dict(zip(*np.unique(y[lossy.support_], return_counts=True), strict=True))
    assert kept == {c: max(before.get(c, 0), min(2, n)) for c, n in zip(names, sizes, strict=True)}


def test_the_rows_added_for_a_class_are_those_the_filter_ranks_best():
    X = np.concatenate([np.arange(20.0), [30.0, 31.0, 29.0]])[:, None]
    y = np.array([0] * 20 + [1] * 3)

    class Smallest(RandomFilter):
        def _uniforms(self, pool, rows):
            return pool.vectors[rows, 0] / 100

    model = PrunedClassifier(LogisticRegression(), Smallest(keep=5), min_per_class=2).fit(X, y)
    assert np.flatnonzero(model.support_).tolist() == [0, 1, 2, 3, 4, 20, 22]


# ---------------------------------------------------------------------- metadata


def test_metadata_with_one_entry_per_row_is_cut_to_the_rows_kept(iris):
    X, y = iris
    weights = np.random.default_rng(0).uniform(0, 5, len(y))
    expected = None
    for given in (weights, weights.tolist(), pd.Series(weights, index=range(9, 159))):
        model = PrunedClassifier(Recording(), HALF).fit(X, y, sample_weight=given, note="as is", table={1: 2})
        assert np.array_equal(np.asarray(model.estimator_.weights_), weights[model.support_])
        assert model.estimator_.rest_ == ("as is", {1: 2})
        expected = expected or model.support_.tolist()
        assert model.support_.tolist() == expected
    rows = model.support_
    real = PrunedClassifier(LogisticRegression(max_iter=500), HALF).fit(X, y, sample_weight=weights)
    by_hand = LogisticRegression(max_iter=500).fit(X[rows], y[rows], sample_weight=weights[rows])
    assert np.array_equal(real.estimator_.coef_, by_hand.coef_)
    assert real.score(X, y, sample_weight=weights) == by_hand.score(X, y, sample_weight=weights)


class Recording(LogisticRegression):
    """Records the metadata that it gets."""

    def fit(self, X, y, sample_weight=None, note=None, table=None):
        self.weights_, self.rest_ = sample_weight, (note, table)
        self.classes_ = np.unique(y)
        return self


class Grouped(RandomFilter):
    """A filter that requests metadata."""

    def fit(self, X, y=None, *, groups=None):
        self.groups_ = groups
        return super().fit(X, y)


def test_metadata_is_routed_to_the_part_that_requests_it(iris):
    X, y = iris
    weights, groups = np.arange(150) % 7 + 1.0, np.arange(150)
    with config_context(enable_metadata_routing=True):
        weighted = LogisticRegression(max_iter=500).set_fit_request(sample_weight=True)
        weighted.set_score_request(sample_weight=True)
        grouping = Grouped(keep=0.5, random_state=0).set_fit_request(groups=True)
        model = PrunedClassifier(weighted, grouping).fit(X, y, sample_weight=weights, groups=groups)
        assert model.filter_.groups_.tolist() == groups.tolist()
        rows = model.support_
        by_hand = LogisticRegression(max_iter=500).fit(X[rows], y[rows], sample_weight=weights[rows])
        assert np.array_equal(model.estimator_.coef_, by_hand.coef_)
        assert model.score(X, y, sample_weight=weights) == by_hand.score(X, y, sample_weight=weights)

        scaler = StandardScaler().set_fit_request(sample_weight=False)
        outer = make_pipeline(scaler, PrunedClassifier(weighted, HALF))
        search = GridSearchCV(outer, {"prunedclassifier__filter__keep": [0.3, 0.6]}, cv=3)
        search.fit(X, y, sample_weight=weights)
        assert search.best_estimator_[-1].support_.sum() in (45, 90)

        undecided = PrunedClassifier(LogisticRegression(), HALF)
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            undecided.fit(X, y, sample_weight=weights)
        with pytest.raises(TypeError, match="nobody"):
            undecided.fit(X, y, nobody=1)


# ---------------------------------------------------------------------- estimators other than classifiers


def test_minus_one_in_a_regressors_target_is_a_number():
    X, y = load_diabetes(return_X_y=True)
    y = np.where(np.arange(len(y)) % 3 == 0, -1.0, y)  # not a missing label
    model = PrunedEstimator(Ridge(), AnchorFilter(20, 10, random_state=0)).fit(X, y)
    by_hand = Ridge().fit(X[model.support_], y[model.support_])
    assert np.array_equal(model.predict(X), by_hand.predict(X))
    assert model.score(X, y) == by_hand.score(X, y)
    assert 0 < model.support_.sum() < len(X)
    assert is_regressor(model)
    several = PrunedEstimator(Ridge(), HALF).fit(X, np.c_[y, -y])
    assert several.predict(X).shape == (len(X), 2)


def test_clusterers_outlier_detectors_and_transformers(iris):
    X, _ = iris
    clusterer = PrunedEstimator(KMeans(3, n_init=1, random_state=0), HALF)
    assert is_clusterer(clusterer)
    assert clusterer.fit_predict(X).tolist() == clusterer.predict(X).tolist()
    kept = {tuple(row) for row in X[clusterer.support_]}
    assert len(kept) == 75  # half of the 149 different rows
    n_copies = sum(tuple(row) in kept for row in X)  # copies survive with their first
    assert len(clusterer.estimator_.labels_) == clusterer.support_.sum() == n_copies
    assert not hasattr(
        PrunedEstimator(DBSCAN(), HALF), "fit_predict"
    )  # DBSCAN cannot predict rows that it was not fitted on
    detector = PrunedEstimator(IsolationForest(n_estimators=5, random_state=0), HALF).fit(X)
    assert is_outlier_detector(detector)
    assert set(detector.predict(X)) == {-1, 1}
    assert detector.score_samples(X).shape == (150,)
    reducer = PrunedEstimator(PCA(2), HALF).set_output(transform="pandas")
    frame = pd.DataFrame(X, columns=list("abcd"))
    out = reducer.fit_transform(frame)
    assert out.columns.tolist() == ["pca0", "pca1"] == reducer.get_feature_names_out().tolist()
    assert len(out) == 150
    assert reducer.feature_names_in_.tolist() == list("abcd")
    assert np.allclose(reducer.inverse_transform(reducer.transform(frame)).mean(0), X.mean(0), atol=0.2)
    assert isinstance(clone(reducer).fit(frame).transform(frame), pd.DataFrame)


# ---------------------------------------------------------------------- scikit-learn's conventions


def test_each_class_accepts_its_kind_of_estimator(iris):
    X, y = iris
    with pytest.raises(TypeError, match="LogisticRegression is a classifier; use PrunedClassifier"):
        PrunedEstimator(LogisticRegression(), HALF).fit(X, y)
    with pytest.raises(TypeError, match="Ridge is not a classifier; use PrunedEstimator"):
        PrunedClassifier(Ridge(), HALF).fit(X, y)
    assert is_classifier(PrunedClassifier(LogisticRegression(), HALF))


@pytest.mark.parametrize(("kind", "estimator"), [(PrunedClassifier, Ridge()), (PrunedEstimator, Ridge())])
def test_a_filter_in_the_place_of_the_estimator_is_refused(kind, estimator):
    message = rf"estimator=RandomFilter\(...\) is a filter; pass the estimator first: {kind.__name__}\("
    with pytest.raises(TypeError, match=message):
        kind(HALF, estimator).fit([[1.0], [2.0]], [0, 1])


@pytest.mark.parametrize(
    ("X", "y", "error", "message"),
    [
        ([], [], ValueError, "X has no rows"),
        (["a", None], [0, 1], ValueError, r"X\[1\] is None"),
        (["a", "b"], [0], ValueError, "inconsistent numbers of samples"),
        (["a", "b"], None, ValueError, "requires y to be passed"),
        (["a", "b"], [0.5, 0.25], ValueError, "Unknown label type: continuous"),
        (["a", "b", "a"], [0, 1, -1], PoolExhaustedError, "all 3 rows of X are labeled"),
    ],
)
def test_bad_input_is_refused_and_leaves_the_estimator_unfitted(X, y, error, message):
    model = PrunedClassifier(text_model(), RandomFilter(keep=1.0))
    with pytest.raises(error, match=message):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(["a"])
    assert not hasattr(model, "classes_")


def test_a_search_over_a_parameter_that_needs_rounds_causes_a_warning(movies):
    texts, y = movies
    pruner = ActivePruneFilter(
        0.5, perplexity=lambda t: [float(len(x)) for x in t], quality=None, random_state=0
    )
    model = PrunedClassifier(text_model(), pruner)
    search = GridSearchCV(model, {"filter__beta": [0.1, 0.5], "estimator__logisticregression__C": [1]}, cv=2)
    message = "filter__beta has no effect here: .* Tune it with ActiveLearningSimulator"
    with pytest.warns(UserWarning, match=message):
        search.fit(texts, y)
    assert len(set(search.cv_results_["mean_test_score"])) == 1  # the warning is right
    with pytest.warns(UserWarning, match=message):
        make_pipeline(clone(model)).set_params(prunedclassifier__filter__beta=0.3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GridSearchCV(model, {"filter__keep": [0.3, 0.5]}, cv=2).fit(texts, y)


def test_parameters_are_validated():
    with pytest.raises(ValueError, match="'filter' parameter of PrunedClassifier"):
        PrunedClassifier(LogisticRegression(), PCA()).fit([[1.0], [2.0]], [0, 1])
    with pytest.raises(ValueError, match="'min_per_class' parameter"):
        PrunedClassifier(LogisticRegression(), HALF, min_per_class=-1).fit([[1.0], [2.0]], [0, 1])


def test_clone_pickle_joblib_and_html(movies, tmp_path):
    texts, y = movies
    model = PrunedClassifier(text_model(), AnchorFilter(5, 20, random_state=0), min_per_class=1).fit(texts, y)
    joblib.dump(model, tmp_path / "model.joblib")
    for again in (pickle.loads(pickle.dumps(model)), joblib.load(tmp_path / "model.joblib")):
        assert np.array_equal(again.predict_proba(texts), model.predict_proba(texts))
        assert again.support_.tolist() == model.support_.tolist()
        assert (again.filter_.explain()["kept"] == model.filter_.explain()["kept"]).all()
    fresh = clone(model)
    assert not hasattr(fresh, "estimator_")
    assert fresh.fit(texts, y).support_.tolist() == model.support_.tolist()
    html = model._repr_html_()
    assert "filter: AnchorFilter" in html
    assert "TfidfVectorizer" in html


NAN_PASSES = "the filter refuses NaN in fit, but the estimator accepts it in predict"
NO_OFFSET = "only estimator_ has offset_"


@parametrize_with_checks(
    [
        PrunedClassifier(LogisticRegression(), HALF),
        PrunedClassifier(LogisticRegression(), AnchorFilter(5, 20, random_state=0), min_per_class=2),
        PrunedClassifier(LogisticRegression(), KMeansFilter(keep=0.5, random_state=0), min_per_class=1),
        PrunedEstimator(Ridge(), HALF),
        PrunedEstimator(KMeans(n_clusters=3, n_init=1, random_state=0), HALF),
        PrunedEstimator(IsolationForest(n_estimators=5, random_state=0), HALF),
        PrunedEstimator(StandardScaler(), HALF),
    ],
    expected_failed_checks=lambda model: {
        "IsolationForest": {"check_estimators_nan_inf": NAN_PASSES, "check_outliers_train": NO_OFFSET},
        "StandardScaler": {"check_estimators_nan_inf": NAN_PASSES},
    }.get(type(model.estimator).__name__, {}),
)
def test_scikit_learns_checks(estimator, check):
    check(estimator)
