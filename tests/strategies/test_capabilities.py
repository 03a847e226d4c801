"""Penultimate features and sequence scores of every kind of learner, against explicit forward passes."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from imblearn.under_sampling import RandomUnderSampler
from sklearn.decomposition import PCA
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import LinearSVC
from skorch import NeuralNetClassifier

from skprune.modal import ActiveLearner
from skprune.strategies import BADGE, BERTKM, CAL, NSP, Coreset
from skprune.strategies.capabilities import penultimate_features, sequence_scores

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4))
Y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0)
TEXTS = [f"{a} {b}" for a in ("good", "bad", "fine", "dull", "odd") for b in ("film", "song", "book")]
LABELS = [i % 3 for i in range(15)]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("activation", ["identity", "logistic", "tanh", "relu"])
def test_mlp_features_are_its_last_hidden_layer(activation: str) -> None:
    mlp = MLPClassifier((7, 5), activation=activation, max_iter=20, random_state=0).fit(X, Y)
    features = penultimate_features(mlp, X)
    assert features.shape == (60, 5)
    odds = np.exp(features @ mlp.coefs_[-1] + mlp.intercepts_[-1])
    assert odds / odds.sum(axis=1, keepdims=True) == pytest.approx(mlp.predict_proba(X))


def test_pipeline_features_are_the_input_of_its_last_step() -> None:
    model = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, LABELS)
    features = penultimate_features(model, pd.Series(TEXTS))
    assert sp.issparse(features)
    assert (features != model[0].transform(TEXTS)).nnz == 0

    nested = make_pipeline(StandardScaler(), "passthrough", make_pipeline(PCA(2), LogisticRegression())).fit(
        X, Y
    )
    assert penultimate_features(nested, X) == pytest.approx(nested[-1][0].transform(nested[0].transform(X)))


def test_samplers_in_a_pipeline_are_skipped() -> None:
    model = make_sampling_pipeline(
        StandardScaler(), RandomUnderSampler(random_state=0), LogisticRegression()
    ).fit(X, Y)
    assert penultimate_features(model, X) == pytest.approx(model[0].transform(X))


@pytest.mark.parametrize(
    "model",
    [LogisticRegression(), RandomForestClassifier(3), BaggingClassifier(LogisticRegression(), 2)],
    ids=lambda m: type(m).__name__,
)
@pytest.mark.parametrize(
    "container", [np.asarray, sp.csr_matrix, lambda a: pd.DataFrame(a, columns=list("abcd"))]
)
def test_other_classifiers_give_the_vectors_themselves(model: Any, container: Any) -> None:
    rows = container(X)
    features = penultimate_features(model.fit(rows, Y), rows)
    assert np.array_equal(features.toarray() if sp.issparse(features) else features, X)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda model: ActiveLearner(model, Coreset(), TEXTS, LABELS),
        lambda model: GridSearchCV(model, {"logisticregression__C": [1.0]}, cv=2).fit(TEXTS, LABELS),
    ],
    ids=["modAL", "GridSearchCV"],
)
def test_features_of_a_wrapped_learner(wrap: Any) -> None:
    learner = wrap(make_pipeline(TfidfVectorizer(), LogisticRegression()))
    expected = TfidfVectorizer().fit(TEXTS).transform(TEXTS).toarray()
    assert penultimate_features(learner, TEXTS).toarray() == pytest.approx(expected)


def test_features_inside_a_meta_estimator() -> None:
    model = SelfTrainingClassifier(make_pipeline(StandardScaler(), LogisticRegression()))
    model.fit(X, np.where(np.arange(60) % 2, Y, -1))
    assert penultimate_features(model, X) == pytest.approx(model.estimator_[0].transform(X))


def test_float_precision_is_kept_and_integers_become_float64() -> None:
    model = LogisticRegression().fit(X, Y)
    single = X.astype(np.float32)
    assert penultimate_features(model, single) is single
    assert penultimate_features(model, [[1, 2, 3, 4]]).dtype == np.float64


class Perceptron(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.ReLU())
        self.dropout = torch.nn.Dropout(0.5)
        self.head = torch.nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.head(self.dropout(self.body(x))), dim=-1)


@pytest.fixture(scope="module")
def net() -> Any:
    torch.manual_seed(0)
    net = NeuralNetClassifier(Perceptron, max_epochs=2, batch_size=16, train_split=None, verbose=0)
    return net.fit(X.astype(np.float32), Y.astype(np.int64))


def test_skorch_features_are_the_input_of_the_last_linear_layer(net: Any) -> None:
    rows = X.astype(np.float32)
    with torch.no_grad():
        expected = net.module_.body(torch.from_numpy(rows)).numpy()
    for learner in (net, make_pipeline("passthrough", net), pickle.loads(pickle.dumps(net))):
        features = penultimate_features(learner, rows)
        assert features.dtype == np.float32
        assert features == pytest.approx(expected, abs=1e-6)
    assert not net.module_.head._forward_pre_hooks


def test_predictions_in_other_threads_do_not_leak_into_the_features(net: Any) -> None:
    rows = X.astype(np.float32)
    expected = penultimate_features(net, rows)
    stop = threading.Event()

    def predict() -> None:
        while not stop.is_set():
            net.predict_proba(rows[:7])

    other = threading.Thread(target=predict)
    other.start()
    try:
        with ThreadPoolExecutor(3) as pool:
            found = list(pool.map(lambda _: penultimate_features(net, rows), range(20)))
    finally:
        stop.set()
        other.join()
    assert all(np.array_equal(features, expected) for features in found)


@pytest.mark.parametrize(
    "learner",
    [
        make_pipeline(TfidfVectorizer(), LogisticRegression()),
        make_pipeline(StandardScaler(), LogisticRegression()),
        MLPClassifier(),
        NeuralNetClassifier(Perceptron),
    ],
    ids=["texts", "vectors", "MLP", "skorch"],
)
def test_unfitted_learner_raises_not_fitted_error(learner: Any) -> None:
    rows = TEXTS if "tfidf" in str(learner).lower() else X.astype(np.float32)
    with pytest.raises(NotFittedError):
        penultimate_features(learner, rows)


@pytest.mark.parametrize("strategy", [Coreset, BERTKM, BADGE, CAL])
def test_text_learner_without_features_gets_a_helpful_error(strategy: type) -> None:
    class Reader(LogisticRegression):  # turns texts into vectors internally
        def fit(self, X: Any, y: Any) -> Reader:
            return super().fit([[len(x)] for x in X], y)

        def predict_proba(self, X: Any) -> Any:
            return super().predict_proba([[len(x)] for x in X])

    learner = ActiveLearner(Reader(), strategy(), TEXTS, LABELS)
    message = (
        f"{strategy.__name__} needs penultimate features, which Reader does not have for texts. Use a learner"
    )
    with pytest.raises(TypeError, match=message):
        learner.query(TEXTS)


@pytest.mark.parametrize("estimator", [LinearRegression(), StandardScaler(), None])
def test_non_classifiers_have_no_features(estimator: Any) -> None:
    with pytest.raises(TypeError, match=r"does not have for vectors.*or any classifier"):
        penultimate_features(estimator, X)


def test_invalid_features_raise() -> None:
    class Broken:
        def __init__(self, features: Any) -> None:
            self.features = features

        def penultimate(self, X: Any) -> Any:
            return self.features

    with pytest.raises(ValueError, match=r"shape \(3,\) for 3 rows; Coreset needs one vector per row"):
        penultimate_features(Broken(np.zeros(3)), TEXTS[:3], needed_by="Coreset")
    with pytest.raises(ValueError, match=r"shape \(2, 4\) for 3 rows"):
        penultimate_features(Broken(np.zeros((2, 4))), TEXTS[:3])
    with pytest.raises(ValueError, match=r"Coreset: penultimate features of Broken contains NaN.*row 1"):
        penultimate_features(Broken(np.array([[1.0], [np.nan], [0.0]])), TEXTS[:3], needed_by="Coreset")


class Generator:
    """Returns the scores it was given."""

    def __init__(self, scores: Any) -> None:
        self.scores = scores

    def sequence_scores(self, X: Any) -> Any:
        return self.scores


def test_sequence_scores_are_validated() -> None:
    scores = sequence_scores(Generator([-0.5, -np.inf, 1e-9]), TEXTS[:3])
    assert scores.tolist() == [-0.5, -np.inf, 0.0]
    with pytest.raises(ValueError, match=r"shape \(2,\) for 3 rows"):
        sequence_scores(Generator([-0.5, -0.1]), TEXTS[:3])
    for invalid in (0.3, np.nan):
        with pytest.raises(ValueError, match=rf"of at most 0, got {invalid} for row 1"):
            sequence_scores(Generator([-0.5, invalid, -0.1]), TEXTS[:3])


def test_error_names_a_learner_without_sequence_scores() -> None:
    for learner in (LinearSVC(), ActiveLearner(LinearSVC(), NSP())):
        with pytest.raises(TypeError, match=r"NSP needs .* sequence_scores\(X\).*; LinearSVC does not"):
            NSP()(learner, X)
