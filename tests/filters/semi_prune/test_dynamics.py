"""Scores of training dynamics, against loops written from their formulas."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skprune.filters.semi_prune.dynamics import TrainingDynamics, aum, dual, dyn_unc, el2n, forgetting

N_ROWS, N_EPOCHS, N_CLASSES = 40, 25, 4
RNG = np.random.default_rng(0)
# A proxy that learns: noisy probabilities that drift to the label, of shape [epochs, rows, classes].
CODES = RNG.integers(N_CLASSES, size=N_ROWS)
LOGITS = RNG.normal(0, 1.5, (N_EPOCHS, N_ROWS, N_CLASSES))
LOGITS += np.linspace(0, 3, N_EPOCHS)[:, None, None] * np.eye(N_CLASSES)[CODES]
PROBA = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=2, keepdims=True)


def logged(proba, codes):
    log = TrainingDynamics(codes, len(proba))
    for epoch, p in enumerate(proba):
        log.record(epoch, p[: len(p) // 2], slice(0, len(p) // 2))
        log.record(epoch, p[len(p) // 2 :], np.arange(len(p) // 2, len(p)))
    return log


LOG = logged(PROBA, CODES)


def brute_force(score, i):
    """Return the score of one row, computed epoch by epoch from all probabilities."""
    p = PROBA[:, i]
    y = CODES[i]
    p_y = [p[t][y] for t in range(N_EPOCHS)]
    rival = [max(p[t][c] for c in range(N_CLASSES) if c != y) for t in range(N_EPOCHS)]
    if score == "aum":
        return sum(p_y[t] - rival[t] for t in range(N_EPOCHS))
    if score == "el2n":
        onehot = [float(c == y) for c in range(N_CLASSES)]
        return sum(np.linalg.norm(p[t] - onehot) for t in range(20))
    if score == "forgetting":
        right = [p[t].argmax() == y for t in range(N_EPOCHS)]
        return sum(right[t] and not right[t + 1] for t in range(N_EPOCHS - 1))
    windows = [p_y[k : k + 10] for k in range(N_EPOCHS - 9)]
    if score == "dyn_unc":
        return np.mean([np.std(w) for w in windows])
    return np.mean([np.std(w) * (1 - np.mean(w)) for w in windows])


@pytest.mark.parametrize("score", [aum, el2n, forgetting, dyn_unc, dual])
def test_scores_match_their_formulas(score):
    expected = [brute_force(score.__name__, i) for i in range(N_ROWS)]
    np.testing.assert_allclose(score(LOG), expected, rtol=1e-5, atol=1e-6)
    assert score(LOG).dtype == np.float64
    assert len(set(score(LOG).round(4))) > 3, "rows differ"


def test_dual_of_the_first_epochs_is_dual_of_a_shorter_run():
    short = logged(PROBA[:15], CODES)
    np.testing.assert_array_equal(dual(LOG, n_epochs=15), dual(short))
    assert not np.allclose(dual(LOG, n_epochs=15), dual(LOG))


def test_windows_shrink_to_the_length_of_a_short_run():
    short = logged(PROBA[:4], CODES)
    np.testing.assert_allclose(dyn_unc(short), short.p_label.std(axis=0, dtype=np.float64))
    np.testing.assert_array_equal(dual(logged(PROBA[:1], CODES)), 0.0)
    np.testing.assert_array_equal(forgetting(logged(PROBA[:1], CODES)), 0.0)
    np.testing.assert_allclose(el2n(short), short.error.sum(axis=0), rtol=1e-6)


def test_the_log_holds_no_array_of_epochs_rows_and_classes():
    log = TrainingDynamics(np.zeros(1000, dtype=int), 30)
    log.record(0, np.full((1000, 500), 1 / 500))
    assert sum(a.nbytes for a in vars(log).values()) < 30 * 1000 * 13 + 1000 * 8 + 1


@given(st.integers(2, 6), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_scores_stay_in_their_ranges(n_classes, n_epochs, seed):
    rng = np.random.default_rng(seed)
    proba = rng.dirichlet(np.full(n_classes, 0.3), (n_epochs, 30))
    log = logged(proba, rng.integers(n_classes, size=30))
    assert (np.abs(aum(log)) <= n_epochs + 1e-6).all()
    assert ((el2n(log) >= 0) & (el2n(log) <= np.sqrt(2) * n_epochs + 1e-6)).all()
    assert ((forgetting(log) >= 0) & (forgetting(log) <= n_epochs // 2)).all()
    for score in (dual, dyn_unc):
        assert ((score(log) >= 0) & (score(log) <= 0.5 + 1e-9)).all()


def test_a_probability_that_is_not_finite_is_refused_with_its_epoch():
    log = TrainingDynamics([0, 1], 3)
    with pytest.raises(ValueError, match=r"epoch 2: a probability is not finite.*learning rate"):
        log.record(2, [[0.5, 0.5], [np.nan, np.nan]])


def test_the_margin_of_a_single_class_is_its_probability():
    log = TrainingDynamics([0], 1)
    log.record(0, [[1.0]])
    assert aum(log) == [1.0]
    assert el2n(log) == [0.0]


def test_a_log_can_be_pickled():
    again = pickle.loads(pickle.dumps(LOG))
    np.testing.assert_array_equal(dual(again), dual(LOG))


def test_integer_probabilities_are_accepted():
    log = TrainingDynamics(np.array([0, 1]), 1)
    log.record(0, [[1, 0], [1, 0]])
    assert aum(log).tolist() == [1.0, -1.0]
