"""ActiveLearner, a subclass of modAL's that works with current scikit-learn."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from modAL.models import ActiveLearner as ModalActiveLearner
from sklearn.base import clone
from sklearn.datasets import load_iris
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skprune.modal import ActiveLearner
from skprune.strategies import LeastConfidence

X, Y = load_iris(return_X_y=True)
ORDER = np.random.default_rng(0).permutation(len(X))
X, Y = X[ORDER], Y[ORDER]


def make(**params):
    return ActiveLearner(LogisticRegression(max_iter=1000), X_training=X[:10], y_training=Y[:10], **params)


def test_it_is_a_subclass_of_modals_learner():
    assert isinstance(make(), ModalActiveLearner)


def test_a_loop_learns():
    learner = make()
    before = learner.score(X, Y)
    for _ in range(5):
        indices, rows = learner.query(X[10:], n_instances=5)
        learner.teach(rows, Y[10:][indices])
    assert len(learner.X_training) == 35
    assert learner.score(X, Y) > before


@pytest.mark.parametrize("container", [list, np.array, pd.Series, lambda t: pd.DataFrame({"t": t})])
def test_texts_in_every_container_are_taken_by_position(container):
    texts = container(["good film", "bad film", "fine film", "poor film"])
    if hasattr(texts, "iloc"):
        texts.index = [3, 2, 1, 0]
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    if isinstance(texts, pd.DataFrame):
        from sklearn.preprocessing import FunctionTransformer

        model = make_pipeline(FunctionTransformer(lambda frame: frame["t"]), *(s for _, s in model.steps))
    learner = ActiveLearner(model, lambda learner, X, n_instances: np.array([2, 0]))
    learner.fit(texts[:2] if not hasattr(texts, "iloc") else texts.iloc[:2], [1, 0])
    _, rows = learner.query(texts, n_instances=2)
    assert np.ravel(rows).tolist() == ["fine film", "good film"]
    learner.teach(rows, [1, 1])
    assert np.ravel(learner.X_training).tolist() == ["good film", "bad film", "fine film", "good film"]
    assert list(learner.y_training) == [1, 0, 1, 1]


def test_a_failing_strategy_is_called_once_and_its_error_is_raised():
    calls = []

    def broken(learner, X, n_instances=1):
        calls.append(n_instances)
        raise RuntimeError("broken strategy")

    with pytest.raises(RuntimeError, match="broken strategy"):
        make(query_strategy=broken).query(X, n_instances=3)
    assert calls == [3]


def test_clone_repr_and_parameters():
    learner = make(query_strategy=LeastConfidence(random_state=0))
    assert "LogisticRegression" in repr(learner)
    again = clone(learner)
    assert (again.predict(X) == learner.predict(X)).all()
    assert again.estimator is not learner.estimator


def test_bootstrap_can_be_seeded():
    coefs = [make(bootstrap_init=True, random_state=seed).estimator.coef_.tolist() for seed in (0, 0, 1)]
    assert coefs[0] == coefs[1] != coefs[2]


def test_only_new_fits_the_new_rows_only():
    learner = make()
    learner.teach(X[20:60], Y[20:60], only_new=True)
    expected = LogisticRegression(max_iter=1000).fit(X[20:60], Y[20:60])
    assert (learner.predict(X) == expected.predict(X)).all()
    assert len(learner.X_training) == 10


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        (X[:3], Y[:2], "inconsistent numbers of samples"),
        (np.full((1, 4), np.nan), [0], "contains NaN"),
        (["a", None], [0, 1], r"X\[1\] is None"),
    ],
)
def test_bad_rows_are_refused_and_nothing_is_added(rows, labels, message):
    learner = make()
    with pytest.raises(ValueError, match=message):
        learner.teach(rows, labels)
    assert len(learner.X_training) == 10


def test_without_modal_the_error_tells_how_to_install_it():
    script = (
        "import sys; sys.modules['modAL'] = None; sys.modules['modAL.models'] = None; import skprune.modal"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "skprune.modal needs modAL: pip install --no-deps modAL-python" in run.stderr


def test_a_frame_of_texts_is_added_to_a_list():
    model = make_pipeline(TfidfVectorizer(), LogisticRegression())
    learner = ActiveLearner(model, LeastConfidence(random_state=0), ["good film", "bad film"], [1, 0])
    learner.teach(pd.DataFrame({"text": ["so good"]}), [1])
    assert learner.X_training == ["good film", "bad film", "so good"]
