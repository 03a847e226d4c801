"""A filter that prunes a labeled set warns of the classes that it drops."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skprune import LostClassWarning, PerplexityFilter, PrunedClassifier, RandomFilter
from skprune.labels import lost_classes

TEXTS = [f"plain words number {i}" for i in range(40)] + ["quixotic zymurgy", "syzygy jukebox"]
Y = np.array(["plain"] * 20 + ["other"] * 20 + ["odd"] * 2)


def length(texts: list[str]) -> np.ndarray:
    """Score texts so that the rare class comes last."""
    return np.array([text in TEXTS[-2:] for text in texts], dtype=float)


PRUNER = PerplexityFilter(keep=0.5, perplexity=length, random_state=0)


@pytest.mark.parametrize(
    "choose",
    [
        lambda: PRUNER.fit(TEXTS, Y).select(TEXTS),
        lambda: PRUNER.fit(TEXTS, Y).transform(TEXTS),
        lambda: PRUNER.fit_transform(TEXTS, Y),
        lambda: PRUNER.fit(TEXTS, Y).get_support(),
    ],
    ids=["select", "transform", "fit_transform", "get_support"],
)
def test_every_way_to_prune_a_labeled_set_warns_with_the_remedy(choose) -> None:
    with pytest.warns(LostClassWarning, match=r"no row of class 'odd' \(2 rows\).*min_per_class=1"):
        choose()


@pytest.mark.parametrize("y", [None, np.where(np.arange(42) < 41, Y, None)], ids=["no labels", "one unknown"])
def test_a_pool_with_unlabeled_rows_does_not_warn(y: np.ndarray | None) -> None:
    PRUNER.fit(TEXTS, y).transform(TEXTS)  # warnings are errors


def test_rows_other_than_the_labeled_set_do_not_warn() -> None:
    PRUNER.fit(TEXTS, Y).select(TEXTS[:10])


def test_explanations_do_not_warn() -> None:
    assert not PRUNER.fit(TEXTS, Y).explain()["kept"][-2:].any()


def test_with_a_floor_per_class_nothing_is_lost_and_nothing_warns() -> None:
    X = np.arange(60.0)[:, None]
    y = np.repeat([0, 1, 2], [40, 19, 1])
    few = RandomFilter(keep=3, random_state=1)
    with pytest.warns(LostClassWarning):
        assert len(PrunedClassifier(LogisticRegression(), few).fit(X, y).classes_) < 3
    model = PrunedClassifier(LogisticRegression(), few, min_per_class=1).fit(X, y)
    assert model.classes_.tolist() == [0, 1, 2]


def test_one_pruning_warns_once() -> None:
    X, y = np.arange(60.0)[:, None], np.repeat([0, 1, 2], [40, 19, 1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        PrunedClassifier(LogisticRegression(), RandomFilter(keep=3, random_state=1)).fit(X, y)
    assert [warning.category for warning in caught] == [LostClassWarning]


@pytest.mark.parametrize(
    "labels",
    [np.linspace(0, 1, 20), np.arange(20), np.fromiter([(i % 2, 1) for i in range(20)], dtype=object)],
    ids=["fractions", "identifiers", "several outputs"],
)
def test_labels_that_are_not_classes_are_never_lost(labels: np.ndarray) -> None:
    assert lost_classes(labels, np.array([0])) == {}


def test_many_lost_classes_are_counted_rather_than_named() -> None:
    X, y = np.arange(100.0)[:, None], np.arange(100) % 25
    with pytest.warns(LostClassWarning, match="and 14 more"):
        RandomFilter(keep=1, random_state=0).fit(X, y).select(X)
