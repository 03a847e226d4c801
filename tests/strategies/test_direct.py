"""DIRECT, against a version that walks along each class one row at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.datasets import load_digits, make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skprune.modal import ActiveLearner
from skprune.strategies import DIRECT
from skprune.strategies.direct import _interval

DIGITS, Y = load_digits(return_X_y=True)
DIGITS = DIGITS + np.random.default_rng(0).normal(scale=0.1, size=DIGITS.shape)  # integers tie


def line_of(
    pool: np.ndarray, known: np.ndarray, is_class: np.ndarray, k: int
) -> list[tuple[int | None, int]]:
    """Return (row of the pool, 0) or (None, ±1) in the order of class k."""
    rows = [(p[k] - p.max(), p[k], (i, 0)) for i, p in enumerate(pool)]
    rows += [(p[k] - p.max(), p[k], (None, 1 if own else -1)) for p, own in zip(known, is_class, strict=True)]
    return [entry for *_, entry in sorted(rows, key=lambda row: (-row[0], -row[1]))]


def interval_of(line: list[tuple[int | None, int]]) -> set[int | None]:
    """Return the rows between the confident prefix and the confident suffix."""
    start, stop = 0, len(line)
    for position, (_, sign) in enumerate(line):
        if sign < 0:
            break
        if sign > 0:
            start = position + 1
    for position in reversed(range(len(line))):
        if line[position][1] > 0:
            break
        if line[position][1] < 0:
            stop = position
    return {row for row, sign in line[start:stop] if sign == 0}


def near_threshold(line: list[tuple[int | None, int]]) -> list[int | None]:
    """Return all rows of the pool, from the first best threshold outwards."""
    signs = [sign for _, sign in line]
    accuracy = [sum(signs[:t]) - sum(signs[t:]) for t in range(len(line) + 1)]
    threshold = accuracy.index(max(accuracy))
    left = [row for row, sign in reversed(line[:threshold]) if sign == 0]
    right = [row for row, sign in line[threshold:] if sign == 0]
    walked = []
    while left or right:
        walked += [side.pop(0) for side in (left, right) if side]
    return walked


@pytest.mark.parametrize("n_instances", [1, 2, 7, 30, 119, 120])
@pytest.mark.parametrize("model", [LogisticRegression(max_iter=5000), GaussianNB()])
@pytest.mark.parametrize("container", [np.asarray, np.float32], ids=["f64", "f32"])
def test_direct_follows_its_description(n_instances: int, model: Any, container: Any) -> None:
    labeled, y = container(DIGITS[304:344]), np.minimum(Y[304:344], 3)
    pool = container(DIGITS[:120])
    learner = ActiveLearner(model, DIRECT(), labeled, y)
    for seed in range(3):
        indices, metrics = DIRECT(random_state=seed)(learner, pool, n_instances=n_instances)
        proba, known = learner.predict_proba(pool), learner.predict_proba(labeled)
        lines = {k: line_of(proba, known, y == k, k) for k in range(4)}
        rare = sorted(range(4), key=lambda k: int((y == k).sum()))
        assert len({int((y == k).sum()) for k in range(4)}) == 4, "the oracle assumes distinct counts"
        remaining = indices.tolist()
        free = set(range(120))
        for place, k in enumerate(rare):
            share = n_instances // 2 // 4 + (place < n_instances // 2 % 4)
            inside = interval_of(lines[k]) & free
            taken, remaining = remaining[: min(share, len(inside))], remaining[min(share, len(inside)) :]
            assert set(taken) <= inside
            free -= set(taken)
        rest = len(remaining)
        for place, k in enumerate(rare):
            share = rest // 4 + (place < rest % 4)
            expected = [row for row in near_threshold(lines[k]) if row in free][:share]
            taken, remaining = remaining[:share], remaining[share:]
            assert sorted(proba[taken, k]) == pytest.approx(sorted(proba[expected, k]))
            free -= set(taken)
        assert not remaining
        assert (metrics <= 0).all()


@given(st.lists(st.sampled_from([-1, 0, 1]), max_size=12))
def test_the_interval_is_that_of_a_walk(signs: list[int]) -> None:
    line = [(i if sign == 0 else None, sign) for i, sign in enumerate(signs)]
    start, stop = _interval(np.array(signs))
    assert {i for i in range(start, stop) if signs[i] == 0} == interval_of(line)
    assert start <= stop


def test_rows_of_the_interval_are_drawn_uniformly() -> None:
    X, y = np.array([[-2.0], [2.0]]), [0, 1]
    pool = np.linspace(-1.9, 1.9, 12)[:, None]
    learner = ActiveLearner(LogisticRegression(), DIRECT(), X, y)
    firsts = [int(DIRECT(random_state=s)(learner, pool, n_instances=2)[0][0]) for s in range(600)]
    assert np.bincount(firsts, minlength=12).min() > 25


def test_direct_finds_more_of_a_rare_class_than_random_rows() -> None:
    X, y = make_blobs([3000, 60], centers=np.repeat([[0.0], [1.2]], 5, axis=1), random_state=0)
    rng = np.random.default_rng(0)
    first = np.concatenate([rng.choice(3000, 30, replace=False), [3000, 3001]])
    pool = np.setdiff1d(np.arange(3060), first)
    learner = ActiveLearner(LogisticRegression(), DIRECT(random_state=0), X[first], y[first])
    for _ in range(4):
        indices, rows = learner.query(X[pool], n_instances=20)
        learner.teach(rows, y[pool[indices]])
        pool = np.delete(pool, indices)
    assert (learner.y_training == 1).sum() - 2 > 5 * 80 * 60 / 3060


def test_a_class_without_labels_and_labels_of_any_kind() -> None:
    names = np.array(["common", "rare"])
    X = np.array([[-2.0], [2.0], [-1.0]])
    learner = ActiveLearner(LogisticRegression(), DIRECT(), X, names[[0, 1, 0]])
    learner.X_training, learner.y_training = X[[0, 2]], ["common", "common"]  # the learner knows more
    pool = np.linspace(-3, 3, 15)[:, None]
    assert len(set(DIRECT(random_state=0)(learner, pool, n_instances=15)[0].tolist())) == 15


def test_direct_needs_the_labels() -> None:
    fitted = LogisticRegression(max_iter=5000).fit(DIGITS[:50], Y[:50])
    with pytest.raises(TypeError, match="LogisticRegression has no X_training and y_training"):
        DIRECT()(fitted, DIGITS)
    learner = ActiveLearner(LogisticRegression(max_iter=5000), DIRECT(), DIGITS[:50], Y[:50])
    learner.y_training = Y[:49]
    with pytest.raises(ValueError, match=r"y_training has shape \(49,\)"):
        DIRECT()(learner, DIGITS)
