"""ProxyClassifier: a small net that learns one epoch per call and repeats with the same seed."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.model_selection import cross_val_score

from skprune import ProxyClassifier

DATA = load_digits()
DIGITS, IMAGES, CLASSES = (part[:600] for part in (DATA.data, DATA.images, DATA.target))
TEST, TEST_IMAGES, TEST_CLASSES = (part[600:1000] for part in (DATA.data, DATA.images, DATA.target))


@pytest.mark.parametrize(
    ("module", "X", "X_test"),
    [("mlp", DIGITS, TEST), ("conv", IMAGES, TEST_IMAGES), ("auto", IMAGES, TEST_IMAGES)],
)
def test_it_learns_digits_from_rows_and_from_images(module, X, X_test):
    model = ProxyClassifier(module, max_epochs=12, lr=3e-3, random_state=0).fit(X, CLASSES)
    assert model.score(X_test, TEST_CLASSES) > 0.85
    proba = model.predict_proba(X_test)
    assert proba.shape == (400, 10)
    assert proba.dtype == np.float64
    np.testing.assert_allclose(proba.sum(axis=1), 1.0)
    assert model.n_epochs_ == 12
    has_convolution = any("Conv" in type(part).__name__ for part in model.module_)
    assert has_convolution == (module != "mlp")


def test_n_calls_of_partial_fit_equal_a_fit_of_n_epochs():
    whole = ProxyClassifier(max_epochs=4, random_state=0).fit(DIGITS, CLASSES)
    stepwise = ProxyClassifier(random_state=0)
    accuracy = [stepwise.partial_fit(DIGITS, CLASSES).score(DIGITS, CLASSES) for _ in range(4)]
    np.testing.assert_array_equal(stepwise.predict_proba(TEST), whole.predict_proba(TEST))
    assert accuracy == sorted(accuracy)
    assert stepwise.n_epochs_ == 4
    again = stepwise.set_params(max_epochs=4).fit(DIGITS, CLASSES)
    assert again.n_epochs_ == 4
    np.testing.assert_array_equal(again.predict_proba(TEST), whole.predict_proba(TEST)), "fit starts anew"


def test_seeds_decide_and_global_generators_do_not_change():
    import torch

    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first, same, other = (
        ProxyClassifier(max_epochs=2, random_state=seed).fit(DIGITS, CLASSES).predict_proba(TEST)
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, same)
    assert np.abs(first - other).max() > 0.01
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()  # noqa: NPY002


def test_training_continues_the_same_from_a_pickle():
    model = ProxyClassifier(random_state=0)
    for _ in range(2):
        model.partial_fit(DIGITS, CLASSES)
    again = pickle.loads(pickle.dumps(model))
    for copy in (model, again):
        copy.partial_fit(DIGITS, CLASSES)
    np.testing.assert_array_equal(model.predict_proba(TEST), again.predict_proba(TEST))
    assert not hasattr(clone(model), "module_")


def test_classes_without_rows_yet_have_their_columns_from_the_start():
    first = CLASSES < 5
    model = ProxyClassifier(lr=3e-3, random_state=0).partial_fit(
        DIGITS[first], CLASSES[first], classes=range(10)
    )
    assert model.predict_proba(TEST).shape == (400, 10)
    for _ in range(10):
        model.partial_fit(DIGITS, CLASSES)
    assert model.score(TEST, TEST_CLASSES) > 0.8
    names = np.array(list("abcdefghij"))
    named = ProxyClassifier(max_epochs=3, random_state=0).fit(DIGITS, names[CLASSES])
    numbered = ProxyClassifier(max_epochs=3, random_state=0).fit(DIGITS, CLASSES)
    assert (named.predict(TEST) == names[numbered.predict(TEST)]).all()


def test_sparse_rows_give_the_same_as_dense_rows():
    dense, sparse = (
        ProxyClassifier(max_epochs=2, random_state=0).fit(kind(DIGITS), CLASSES).predict_proba(kind(TEST))
        for kind in (np.asarray, sp.csr_array)
    )
    np.testing.assert_allclose(sparse, dense, atol=1e-4)


def test_the_unit_of_the_rows_does_not_matter():
    one, other = (
        ProxyClassifier(max_epochs=3, random_state=0).fit(DIGITS * unit, CLASSES).predict_proba(TEST * unit)
        for unit in (1.0, 1024.0)
    )
    np.testing.assert_allclose(one, other, atol=1e-5)


def test_a_custom_module_gets_the_row_shape_and_the_number_of_classes():
    from torch import nn

    def linear(row_shape, n_classes):
        return nn.Linear(row_shape[0], n_classes)

    model = ProxyClassifier(linear, max_epochs=10, lr=1e-2, random_state=0).fit(DIGITS, CLASSES)
    assert model.module_.weight.shape == (10, 64)
    assert model.score(TEST, TEST_CLASSES) > 0.8


def test_it_can_be_cross_validated():
    scores = cross_val_score(ProxyClassifier(max_epochs=6, lr=3e-3, random_state=0), DIGITS, CLASSES, cv=3)
    assert scores.min() > 0.75


def test_an_interrupt_by_the_user_is_raised():
    from torch import nn

    class Interrupted(nn.Linear):
        calls = 0

        def forward(self, rows):
            self.calls += 1
            if self.calls == 3:
                raise KeyboardInterrupt
            return super().forward(rows)

    model = ProxyClassifier(lambda shape, n: Interrupted(shape[0], n), max_epochs=5, random_state=0)
    with pytest.raises(KeyboardInterrupt):
        model.fit(DIGITS, CLASSES)


@pytest.mark.parametrize(
    ("settings", "X", "y", "message"),
    [
        ({}, DIGITS, CLASSES[:-1], "inconsistent numbers of samples"),
        ({}, DIGITS, np.zeros(600, int), r"at least two classes, got \[0\]"),
        ({}, DIGITS, np.linspace(0, 1, 600), "class labels, got continuous"),
        ({}, np.where(DIGITS > 15, np.nan, DIGITS), CLASSES, "NaN"),
        ({"module": "conv"}, DIGITS, CLASSES, r"module='conv' needs images, got rows of shape \(64,\)"),
        ({"module": "deep"}, DIGITS, CLASSES, "'module' parameter"),
        ({"lr": 0.0}, DIGITS, CLASSES, "'lr' parameter"),
        ({"max_epochs": 0}, DIGITS, CLASSES, "'max_epochs' parameter"),
        ({"device": "abacus"}, DIGITS, CLASSES, "abacus"),
    ],
)
def test_errors_name_the_bad_input(settings, X, y, message):
    with pytest.raises((ValueError, RuntimeError), match=message):
        ProxyClassifier(**settings).fit(X, y)


def test_rows_and_labels_unlike_those_of_an_earlier_call_are_refused():
    model = ProxyClassifier(random_state=0).partial_fit(DIGITS[CLASSES < 5], CLASSES[CLASSES < 5])
    with pytest.raises(ValueError, match=r"y\[3\] is 7, which is not in classes"):
        model.partial_fit(DIGITS[:5], [0, 1, 2, 7, 8])
    with pytest.raises(ValueError, match="63 features"):
        model.predict(TEST[:, :63])
