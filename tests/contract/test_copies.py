"""Sizes count content: copies go with their first row in every form, and blank rows are not proposed."""

from itertools import product

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.utils._param_validation import InvalidParameterError

from skprune import (
    ActivePruneFilter,
    AnchorFilter,
    AskLLMFilter,
    DistilledScorer,
    EntropyIntervalFilter,
    FilterChain,
    FilterUnion,
    KMeansFilter,
    PerplexityFilter,
    PlausibilityFilter,
    PoolExhaustedError,
    ProxyFilter,
    PrunedQuery,
    QuotaFilter,
    RandomFilter,
    SEALSFilter,
    SemiPruneFilter,
    UPSFilter,
)
from skprune.strategies import RandomSampling

WORDS = ["red", "blue", "fox", "dog", "sea", "sky", "sun", "rain"]
RNG = np.random.default_rng(0)
TEXTS = [" ".join(RNG.choice(WORDS, size=6)) + f" {i}" for i in range(100)]
POOL = TEXTS * 5


def length(texts):
    return np.array([len(text) + sum(map(ord, text)) / 1e5 for text in texts])


def last_of(text):
    """Return the group of a text."""
    return text[-1:]


FILTERS = {
    "active prune": ActivePruneFilter(0.2, perplexity=length, quality=length, random_state=0),
    "anchors": AnchorFilter(2, 3, keep=0.2, random_state=0),
    "ask-llm": AskLLMFilter(0.2, quality=length),
    "ask-llm, distilled": AskLLMFilter(0.2, quality=DistilledScorer(length, n_calls=25, min_recall=0)),
    "entropy": EntropyIntervalFilter(0.2, combine="information", random_state=0),
    "k-means": KMeansFilter(0.2, random_state=0),
    "perplexity": PerplexityFilter(0.2, perplexity=length),
    "random": RandomFilter(0.2, random_state=0),
    "seals": SEALSFilter(3, keep=0.2, random_state=0),
    "semi-prune": SemiPruneFilter(0.2, n_epochs=2, random_state=0),
    "ups": UPSFilter(0.2, random_state=0),
    "proxy": ProxyFilter(0.2, random_state=0),
    "plausibility": PlausibilityFilter(0.2, random_state=0),
    "quota": QuotaFilter(PerplexityFilter(0.2, perplexity=length), groups=last_of, min_per_group=1),
    "chain": FilterChain(
        [("all", PerplexityFilter(1.0, perplexity=length)), ("few", RandomFilter(0.2, random_state=0))]
    ),
    "union": FilterUnion(
        [("short", PerplexityFilter(0.2, perplexity=length)), ("random", RandomFilter(0.2, random_state=0))],
        keep=0.2,
    ),
}


@pytest.fixture(params=FILTERS)
def pruner(request):
    return clone(FILTERS[request.param])


def with_keep(pruner, value):
    """Set the size of a filter; a chain has that of its last filter, quotas that of theirs."""
    name = {FilterChain: "few__keep", QuotaFilter: "filter__keep"}.get(type(pruner), "keep")
    return pruner.set_params(**{name: value})


def test_keep_counts_content_and_copies_go_with_their_first(pruner):
    kept = pruner.fit(POOL).select(POOL)
    texts = [POOL[row] for row in kept]
    assert len(texts) == 100
    assert len(set(texts)) == 20
    assert all(len(set(texts[i : i + 5])) == 1 for i in range(0, 100, 5)), "copies follow their first row"
    first = pruner.select(POOL, copies=False)
    assert [POOL[row] for row in first] == texts[::5]
    assert sorted(first) == sorted(kept[::5])
    table = pruner.explain()
    assert table["kept"].sum() == 100
    assert table.groupby(np.array(POOL))["reason"].nunique().max() == 1


def test_a_pool_with_copies_is_pruned_like_one_without(pruner):
    with_copies = clone(pruner).fit(POOL).select(POOL, copies=False)
    without = clone(pruner).fit(TEXTS).select(TEXTS)
    if not isinstance(
        pruner, AnchorFilter | SEALSFilter | KMeansFilter | SemiPruneFilter | EntropyIntervalFilter
    ):
        assert sorted(POOL[row] for row in with_copies) == sorted(TEXTS[row] for row in without)
    assert len(with_copies) == len(without)


def test_a_query_names_as_many_different_rows_as_it_asks_for(pruner):
    query = PrunedQuery(pruner, RandomSampling(random_state=0))
    indices, _ = query(None, POOL, n_instances=25)
    assert len({POOL[row] for row in indices}) == 25
    with pytest.raises(PoolExhaustedError, match="n_instances=101"):
        query(None, POOL, n_instances=101)


def test_numeric_copies_count_once_too():
    X = RNG.normal(size=(40, 3))
    pool = np.concatenate([X, X, X])
    for kind in (RandomFilter, KMeansFilter, ProxyFilter, UPSFilter):
        kept = kind(10, random_state=0).fit(pool).select(pool)
        assert (len(kept), len(np.unique(pool[kept], axis=0))) == (30, 10)


def test_a_size_beyond_the_different_rows_is_refused(pruner):
    with pytest.raises(ValueError, match="keep=101 exceeds the 100 different rows"):
        with_keep(pruner, 101).fit(POOL)


@pytest.mark.parametrize("value", [0, -3, 2.0, "x", True])
def test_keep_is_checked_when_rows_are_selected(pruner, value):
    pruner.fit(TEXTS)
    with pytest.raises(InvalidParameterError, match="'keep' parameter"):
        with_keep(pruner, value).select(TEXTS)


@pytest.mark.parametrize("value", [1.5, float("nan"), -1])
def test_min_rows_is_checked(pruner, value):
    with pytest.raises((TypeError, ValueError), match="min_rows"):
        pruner.fit(TEXTS).select(TEXTS, min_rows=value)


def test_blank_rows_are_proposed_only_if_nothing_else_is_left(pruner):
    pool = ["", " ", "\n\t"] * 10 + TEXTS[:30]
    kept = with_keep(pruner, 30).fit(pool).select(pool)
    assert sorted(kept) == list(range(30, 60))
    assert set(pruner.explain()["reason"][:30]) == {"empty"}
    blank = pool[:3]
    assert len(pruner.select(blank, min_rows=2)) >= 2


@pytest.mark.parametrize("dense_first", [True, False])
def test_a_row_is_the_same_row_dense_or_sparse(dense_first):
    X = np.eye(20) + np.arange(20)[:, None]
    y = np.where(np.arange(20) < 6, np.arange(20) % 2, -1)
    forms = (X, sp.csr_array(X)) if dense_first else (sp.csr_array(X), X)
    kept = RandomFilter(keep=1.0, random_state=0).fit(forms[0], y).select(forms[1])
    assert sorted(kept) == list(range(6, 20))


@pytest.mark.parametrize(
    "name", ["anchors", "k-means", "plausibility", "proxy", "random", "seals", "semi-prune", "ups"]
)
def test_containers_may_change_between_dense_and_sparse_in_any_order(name):
    X = RNG.normal(size=(120, 6)) * (RNG.random((120, 6)) < 0.6)
    y = np.where(np.arange(120) < 20, np.arange(120) % 2, -1)
    kept = []
    for forms in product((np.asarray, sp.csr_array), repeat=4):
        fitted, first, second, asked = (form(X) for form in forms)
        each = clone(FILTERS[name]).fit(fitted, y)
        each.partial_fit(first[20:23], [0, 1, 0]).partial_fit(second[23:26], [0, 1, 1])
        kept.append(each.select(asked).tolist())
        assert len(each.labeled_) == 26
    assert all(rows == kept[0] for rows in kept)


def test_minus_one_is_a_class_where_the_other_one_is_one():
    X = RNG.normal(size=(60, 3))
    y = np.where(X[:, 0] > 0, 1, -1)
    query = PrunedQuery(AnchorFilter(2, 5, random_state=0), RandomSampling(random_state=0))
    learner = type("Learner", (), {"X_training": X[:8], "y_training": y[:8]})()
    indices, _ = query(learner, X, n_instances=4)
    assert not set(indices.tolist()) & set(range(8))
    assert set(query.filter_.anchor_labels_.tolist()) == {-1, 1}
    with pytest.raises(ValueError, match=r"y\[1\] is -1, which means that the row has no label"):
        RandomFilter().fit(X).partial_fit(X[:2], [2, -1])


def test_a_filter_that_is_a_step_of_a_pipeline_says_what_to_use():
    X, y = RNG.normal(size=(40, 3)), np.arange(40) % 2
    steps = [
        make_pipeline(RandomFilter(), LogisticRegression()),
        FeatureUnion([("pruned", RandomFilter())]),
        ColumnTransformer([("pruned", RandomFilter(), [0, 1])]),
    ]
    for step in steps:
        for target in (y, None):
            with pytest.raises(TypeError, match=r"drops rows.*PrunedClassifier"):
                step.fit_transform(X, target) if not hasattr(step, "steps") else step.fit(X, y)


@pytest.mark.parametrize(
    "pruner",
    [
        AnchorFilter(),
        EntropyIntervalFilter(combine="information", interval="search"),
        PlausibilityFilter(),
        SemiPruneFilter(),
    ],
)
def test_several_labels_a_row_are_refused_where_classes_are_read(pruner):
    y = np.ones((len(TEXTS), 2), dtype=int)
    with pytest.raises(
        ValueError, match=r"y must hold one class per row, got several labels such as \(1, 1\)"
    ):
        pruner.fit(TEXTS, y)


def test_anchors_refuse_several_labels_a_row_between_rounds():
    anchors = AnchorFilter(2, 3).fit(TEXTS, np.arange(100) % 2)
    with pytest.raises(ValueError, match="y must hold one class per row"):
        anchors.partial_fit(["one", "two"], [[0, 1], [1, 1]])
    assert len(anchors.labeled_) == 100


def test_several_labels_a_row_are_fine_where_no_class_is_read():
    X = RNG.normal(size=(30, 3))
    y = (RNG.normal(size=(30, 4)) > 0).astype(int)
    y[20:] = -1
    for labels in (y, sp.csr_array(np.where(y == 1, 1, 0))):
        pruner = RandomFilter(keep=1.0, random_state=0).fit(X, labels)
        assert len(pruner.labeled_) == (20 if labels is y else 30)
    assert sorted(RandomFilter(keep=1.0).fit(X, y).select(X)) == list(range(20, 30))
