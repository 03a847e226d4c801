"""QuotaFilter and DRoPFilter against brute force."""

from collections import Counter
from zlib import crc32

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from datasets import Dataset
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit

from skprune import (
    AskLLMFilter,
    DRoPFilter,
    FilterChain,
    KMeansFilter,
    PerplexityFilter,
    PlausibilityFilter,
    PrunedClassifier,
    QuotaFilter,
    RandomFilter,
)
from skprune.filters.held_out import held_out
from skprune.filters.quota_filter import allot

RNG = np.random.default_rng(0)
TEXTS = [" ".join(RNG.choice(["red", "fox", "sea"], RNG.integers(2, 9))) + f" {i}" for i in range(90)]
GROUPS = np.array(["en"] * 60 + ["de"] * 25 + ["fr"] * 5)


def length(texts):
    return np.array([len(text) + crc32(text.encode()) / 2**33 for text in texts])


def language_of(text):
    number = int(text.split()[-1])
    return GROUPS[number] if number < 90 else "it"


RANK = np.argsort(length(TEXTS))


def shortest(keep=0.2):
    return PerplexityFilter(keep, perplexity=length)


def brute_floors(ranked, groups, floors, total):
    """Return the best rows of each group up to its floor, then the best of the others."""
    seats, kept = Counter(), []
    for row in ranked:
        if seats[groups[row]] < floors.get(groups[row], 0):
            seats[groups[row]] += 1
            kept.append(row)
    return set(kept + [row for row in ranked if row not in kept][: total - len(kept)])


@pytest.mark.parametrize("floors", [0, 1, 4, 6, {"fr": 4}, {"fr": 5, "de": 9}, {"en": 18}])
@pytest.mark.parametrize("reverse", [False, True])
def test_floors_equal_brute_force(floors, reverse):
    pruner = QuotaFilter(shortest(), groups=language_of, min_per_group=floors).fit(TEXTS)
    per_group = floors if isinstance(floors, dict) else dict.fromkeys(["en", "de", "fr"], floors)
    pool = TEXTS[::-1] if reverse else TEXTS
    kept = {pool[row] for row in pruner.select(pool)}
    assert kept == {TEXTS[row] for row in brute_floors(RANK, GROUPS, per_group, 18)}


def test_the_three_ways_to_name_the_groups_agree():
    codes = pd.Series(GROUPS).map({"en": 0, "de": 1, "fr": 2}).to_numpy()
    frame = pd.DataFrame({"text": TEXTS, "language": codes})
    quota = {"min_per_group": 3, "balance": None}
    given = QuotaFilter(shortest(), **quota).fit(TEXTS, groups=GROUPS).select(TEXTS).tolist()
    assert QuotaFilter(shortest(), groups=language_of, **quota).fit(TEXTS).select(TEXTS).tolist() == given
    of_frame = QuotaFilter(shortest(), groups="language", **quota).fit(frame)
    assert sorted(of_frame.select(frame)) == sorted(given)
    labels = QuotaFilter(shortest(), **quota).fit(TEXTS, GROUPS).select(TEXTS).tolist()
    assert labels == given


def test_groups_may_be_a_column_of_a_frame_of_any_library():
    columns = {"text": ["a", "bb", "ccc", "dddd"], "language": ["de", "en", "en", "fr"]}
    pruner = QuotaFilter(PerplexityFilter(3, perplexity=lambda texts: [len(t) for t in texts], text="text"))
    pruner.set_params(groups="language", min_per_group=1)
    for make in (pd.DataFrame, pl.DataFrame, pa.table, pa.RecordBatch.from_pydict, Dataset.from_dict):
        assert list(pruner.fit(make(columns)).explain()["group"]) == columns["language"]
        assert sorted(pruner.select(make(columns))) == [0, 1, 3]


@pytest.mark.parametrize("keep", [1, 4, 12, 18, 30, 60, 89, 90])
@pytest.mark.parametrize("floor", [0, 1])
def test_equal_places(keep, floor):
    if 3 * floor > keep:
        return
    pruner = QuotaFilter(shortest(keep), groups=language_of, min_per_group=floor, balance="equal").fit(TEXTS)
    kept = pruner.select(TEXTS)
    assert len(kept) == keep
    places, sizes = Counter(), Counter(GROUPS.tolist())
    for _ in range(keep):  # one place after another to the group that has fewest
        group = min((g for g in sizes if places[g] < sizes[g]), key=lambda g: places[g])
        places[group] += 1
    found = Counter(GROUPS[kept].tolist())
    assert sorted(found.values()) == sorted(places.values())
    for group, number in found.items():  # the best rows of each group
        assert set(kept[GROUPS[kept] == group]) == set([row for row in RANK if GROUPS[row] == group][:number])


@pytest.mark.parametrize("seed", range(30))
def test_places_are_exact_and_proportional(seed):
    rng = np.random.default_rng(seed)
    n = rng.integers(1, 9)
    sizes = rng.integers(1, 40, n)
    floors = np.minimum(rng.integers(0, 6, n), sizes)
    weights = np.exp(rng.normal(0, 2, n))
    total = int(rng.integers(floors.sum(), sizes.sum() + 1))
    places = allot(weights, floors, sizes, total)
    assert places.sum() == total
    assert ((floors <= places) & (places <= sizes)).all()
    free = (places > floors + 1) & (places < sizes - 1)  # neither bound decides
    scale = places[free] / weights[free]
    if free.sum() > 1:
        assert (
            np.abs(scale[:, None] * weights[free] - places[free])
            <= 1 + weights[free] / weights[free][:, None]
        ).all()


def test_a_clustering_filter_clusters_each_group():
    X = RNG.normal(size=(120, 4))
    groups = np.arange(120) % 3
    pruner = QuotaFilter(KMeansFilter(30, random_state=0), balance="equal").fit(X, groups=groups)
    kept = pruner.select(X)
    assert Counter(groups[kept].tolist()) == {0: 10, 1: 10, 2: 10}
    inner = pruner.filter_.set_params(keep=10)
    for group in range(3):
        rows = np.flatnonzero(groups == group)
        assert set(kept[groups[kept] == group]) == set(rows[inner.select(X[rows])])


def test_a_filter_without_keep_has_quotas_too():
    chain = FilterChain(
        [("short", shortest(0.5)), ("rich", AskLLMFilter(0.4, quality=length, random_state=0))]
    )
    kept = QuotaFilter(chain, groups=language_of, min_per_group=4).fit(TEXTS).select(TEXTS)
    assert len(kept) == 18
    assert min(Counter(GROUPS[kept].tolist()).values()) >= 4


def test_a_row_is_explained_by_the_floor_that_kept_it():
    pruner = QuotaFilter(shortest(), groups=language_of, min_per_group=4).fit(TEXTS)
    why, alone = pruner.explain(), set(RANK[:18].tolist())
    assert (why["group"] == GROUPS).all()
    for row, reason, kept in zip(range(90), why["reason"], why["kept"], strict=True):
        if kept and row not in alone:
            assert reason == f"kept: the floor of group {str(GROUPS[row])!r}"
        elif row in alone and not kept:
            assert reason == "makes room for the floor of another group"
    assert "makes room for the floor of another group" in set(why["reason"])
    assert np.allclose(why["log10_perplexity"], length(TEXTS))


def test_floors_are_lowered_when_the_pool_shrinks():
    pruner = QuotaFilter(shortest(0.2), groups=language_of, min_per_group=5).fit(TEXTS)
    small = TEXTS[50:90]
    kept = pruner.select(small)
    assert len(kept) == 8
    assert sorted(Counter(language_of(small[row]) for row in kept).values()) == [2, 3, 3]
    assert len(pruner.select(small, min_rows=30)) == 30


def test_rows_that_fit_has_not_seen_get_their_group():
    pool = [*TEXTS, "red fox sea red fox sea red fox sea 95"]
    pruner = QuotaFilter(shortest(), groups=language_of, min_per_group=1).fit(TEXTS)
    assert 90 in pruner.select(pool)
    pruner = QuotaFilter(shortest(), min_per_group=1).fit(TEXTS, groups=GROUPS)
    assert 90 not in pruner.select(pool), "without a group nothing is guaranteed"


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT])
def test_a_row_without_a_group_is_guaranteed_nothing(missing):
    groups = GROUPS.astype(object)
    groups[groups == "fr"] = missing
    kept = QuotaFilter(shortest(), min_per_group=3).fit(TEXTS, groups=groups)
    floors = {"en": 3, "de": 3}
    assert set(kept.select(TEXTS).tolist()) == brute_floors(RANK, GROUPS, floors, 18)
    assert set(kept.explain()["group"]) == {"en", "de", ""}
    equal = QuotaFilter(shortest(), balance="equal").fit(TEXTS, groups=groups).explain()
    assert equal["kept"][GROUPS == "fr"].sum() == 5
    says_kept = equal["reason"].str.startswith("kept: among the best of group")
    assert (says_kept == equal["kept"]).all()
    assert (equal["reason"][~equal["kept"]].str.startswith("better rows fill the places of group")).all()


@pytest.mark.parametrize(
    ("params", "fit", "message"),
    [
        ({"min_per_group": 7}, {"groups": GROUPS}, "asks for 19 rows of 3 groups, but the filter keeps 18"),
        ({"min_per_group": {"fr": 1, "xx": 2}}, {"groups": GROUPS}, "names 'xx', but no eligible row"),
        (
            {"min_per_group": {"fr": 1.5}},
            {"groups": GROUPS},
            r"min_per_group\['fr'\] must be a number of rows",
        ),
        ({"min_per_group": -1}, {"groups": GROUPS}, "'min_per_group' parameter"),
        ({"balance": "drop"}, {"groups": GROUPS}, "'balance' parameter"),
        ({}, {}, "does not know the groups"),
        ({}, {"y": [0] * 89 + [-1]}, "does not know the groups"),
        ({}, {"groups": GROUPS[:4]}, r"groups has the shape \(4,\), but X has 90 rows"),
        ({"groups": "language"}, {}, "groups='language' is not a column of X"),
    ],
)
def test_unknown_groups_and_floors_too_high_are_refused(params, fit, message):
    pruner = QuotaFilter(shortest(), **params)
    with pytest.raises(ValueError, match=message):
        pruner.fit(TEXTS, **fit)
    assert not {"pool_", "filter_", "_given_groups"} & set(vars(pruner))


def test_floors_of_a_filter_without_keep_are_checked():
    chain = FilterChain([("short", shortest(0.1))])
    with pytest.raises(ValueError, match="asks for 12 rows of 3 groups, but the filter keeps 9"):
        QuotaFilter(chain, groups=language_of, min_per_group=4).fit(TEXTS)


def test_a_search_over_floors_and_sizes():
    X, y = make_classification(300, weights=[0.9], random_state=0)
    model = PrunedClassifier(
        LogisticRegression(), QuotaFilter(RandomFilter(0.2, random_state=0), balance="equal")
    )
    grid = {"filter__min_per_group": [0, 5], "filter__filter__keep": [20, 0.3]}
    best = GridSearchCV(model, grid, cv=3).fit(X, y).best_estimator_
    assert Counter(y[best.support_].tolist())[1] >= 10


def test_groups_are_metadata():
    X, y = make_classification(90, random_state=0)
    with config_context(enable_metadata_routing=True):
        pruner = QuotaFilter(RandomFilter(12, random_state=0), balance="equal").set_fit_request(groups=True)
        model = PrunedClassifier(LogisticRegression(), pruner).fit(X, y, groups=GROUPS)
    assert Counter(GROUPS[model.support_].tolist()) == {"en": 4, "de": 4, "fr": 4}


# ---------------------------------------------------------------------- DRoP


def algorithm_1(sizes, recalls, density):
    """Return the densities of Algorithm 1 of the paper."""
    unsaturated, excess, d = set(range(len(sizes))), density * sizes.sum(), np.zeros(len(sizes))
    while excess > 1e-9:
        budget, excess = excess, 0.0
        z = sum(sizes[k] * (1 - recalls[k]) for k in unsaturated)
        for k in list(unsaturated):
            d[k] += budget * (1 - recalls[k]) / z
            if d[k] > 1:
                unsaturated.remove(k)
                excess += sizes[k] * (d[k] - 1)
                d[k] = 1
    return d


@pytest.mark.parametrize("keep", [0.1, 0.3, 0.6, 0.9])
def test_drop_keeps_the_shares_of_algorithm_1(keep):
    X, y = make_classification(
        600, n_informative=6, n_classes=4, weights=[0.55, 0.3, 0.1, 0.05], class_sep=0.8, random_state=1
    )
    pruner = DRoPFilter(RandomFilter(keep, random_state=0), random_state=0).fit(X, y)
    sizes = np.bincount(y)
    kept = np.bincount(y[pruner.select(X)], minlength=4)
    assert kept.sum() == 600 * keep
    assert pruner.recalls_.min() < 0.6 < pruner.recalls_.max()
    assert np.abs(kept - sizes * algorithm_1(sizes, pruner.recalls_, keep)).max() < 1
    order = np.random.default_rng(0).permutation(600)
    shuffled = clone(pruner).fit(X[order], y[order])
    assert np.array_equal(shuffled.recalls_, pruner.recalls_)
    assert set(order[shuffled.select(X[order])]) == set(pruner.select(X))


class Nearest(ClassifierMixin, BaseEstimator):
    """Probabilities by the distance to the mean of each class; remembers what it was trained on."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        self.means_ = np.array([X[y == c].mean(axis=0) for c in self.classes_])
        return self

    def predict_proba(self, X):
        weights = np.exp(-np.linalg.norm(X[:, None] - self.means_, axis=2))
        return weights / weights.sum(axis=1, keepdims=True)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def test_held_out_equals_brute_force():
    X = RNG.normal(size=(40, 3))
    labels = np.array(["a"] * 20 + ["b"] * 14 + ["c"] * 2 + ["d"] * 3 + ["alone"], dtype=object)
    draws = RNG.random(40)
    found = held_out(X, labels, draws, classifier=Nearest(), cv=5, seed=0)
    assert found.classes == ["a", "alone", "b", "c", "d"]
    dealt = [row for c in found.classes for row in sorted(np.flatnonzero(labels == c), key=draws.__getitem__)]
    dealt = np.array([row for row in dealt if labels[row] != "alone"])
    for train, test in PredefinedSplit(np.arange(39) % 5).split():
        model = Nearest().fit(X[dealt[train]], labels[dealt[train]].astype(str))
        assert set(model.classes_) == {"a", "b", "c", "d"}, "no training set lacks a class"
        proba = model.predict_proba(X[dealt[test]])
        for row, p in zip(dealt[test], proba, strict=True):
            assert found.plausibility[row] == pytest.approx(p[list(model.classes_).index(labels[row])])
            assert found.right[row] == (model.classes_[p.argmax()] == labels[row])
    assert np.isnan(found.plausibility[39])
    assert found.recalls[1] == 0
    assert np.isnan(
        held_out(X[:20], labels[:20], draws[:20], classifier=None, cv=5, seed=0).plausibility
    ).all()


def test_drop_needs_classes():
    X = RNG.normal(size=(30, 3))
    for y, message in ((None, "label for every row"), (RNG.normal(size=30), "must hold class labels")):
        with pytest.raises(ValueError, match=message):
            DRoPFilter(RandomFilter(0.5)).fit(X, y)


def test_drop_of_texts_keeps_rare_classes():
    y = np.array([0] * 70 + [1] * 15 + [2] * 4 + [3])
    pruner = DRoPFilter(RandomFilter(20, random_state=0), min_per_group=2, random_state=0).fit(TEXTS, y)
    kept = Counter(y[pruner.select(TEXTS)].tolist())
    assert sum(kept.values()) == 20
    assert kept[3] == 1
    assert min(kept[0], kept[1], kept[2]) >= 2


def test_drop_is_pruned_further_and_saved(tmp_path):
    X, y = make_classification(200, random_state=0)
    pruner = DRoPFilter(RandomFilter(0.4, random_state=0), min_per_group=3, random_state=0).fit(X, y)
    joblib.dump(pruner, tmp_path / "saved")
    again = joblib.load(tmp_path / "saved")
    for one in (pruner, again):
        one.partial_fit(X[:20], y[:20])
    assert again.select(X).tolist() == pruner.select(X).tolist()
    assert not set(pruner.select(X).tolist()) & set(range(20))
    assert len(pruner.select(np.vstack([X, X[:3] + 9.0]))) == 73
    assert pruner.set_params(filter__keep=10).get_support().sum() == 10


@pytest.mark.parametrize("as_column", [False, True])
def test_copies_in_several_groups_are_reported(as_column):
    texts = [f"text {i}" for i in range(30)] + [f"text {i}" for i in range(5)]
    groups = np.repeat([1, 2], [30, 5])
    quota = QuotaFilter(RandomFilter(10, random_state=0), min_per_group=1)
    pool, options = texts, {"groups": groups}
    if as_column:
        quota.set_params(groups="source")
        pool, options = pd.DataFrame({"text": texts, "source": groups}), {}
    with pytest.warns(UserWarning, match="5 different rows have copies in several groups"):
        quota.fit(pool, **options)


def test_rows_without_a_group_are_not_counted_as_one():
    groups = np.where(GROUPS == "fr", None, GROUPS)
    n_named = len(set(GROUPS)) - 1
    with pytest.raises(ValueError, match=f"asks for {10 * n_named} rows of {n_named} groups, but the filter"):
        QuotaFilter(shortest(), min_per_group=10).fit(TEXTS, groups=groups)


@pytest.mark.parametrize("kind", [int, float, object])
def test_classes_of_plus_and_minus_one_are_told_how_minus_one_is_read(kind):
    X = RNG.normal(size=(60, 3))
    y = np.where(X[:, 0] > 0, 1, -1).astype(kind)
    for pruner in (QuotaFilter(RandomFilter(0.5), min_per_group=2), DRoPFilter(RandomFilter(0.5))):
        with pytest.raises(ValueError, match="y holds −1, which means no label; if it is a class, rename it"):
            pruner.fit(X, y)
        with pytest.raises(ValueError, match=r"(every row|parameter groups)$"):
            pruner.fit(X, np.where(y == 1, 1.0, np.nan))
    with pytest.warns(
        UserWarning, match="only rows of class 1 have a label. y holds −1, which means no label"
    ):
        PlausibilityFilter(random_state=0).fit(X, y)
