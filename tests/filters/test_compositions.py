"""FilterChain and FilterUnion against brute force, and in searches, queries and simulations."""

from zlib import crc32

import numpy as np
import pytest
from numpy.random import RandomState
from sklearn.base import BaseEstimator, clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from skprune import (
    ActiveLearningSimulator,
    ActivePruneFilter,
    AnchorFilter,
    AskLLMFilter,
    FilterChain,
    FilterUnion,
    KMeansFilter,
    PerplexityFilter,
    ProxyFilter,
    PrunedClassifier,
    PrunedQuery,
    RandomFilter,
    UPSFilter,
    make_filter_chain,
)
from skprune.filters.filter_union import in_turn
from skprune.selections import size_of
from skprune.strategies import Margin, RandomSampling

RNG = np.random.default_rng(0)
TEXTS = [
    " ".join(RNG.choice(["red", "fox", "sea", "sky", "sun"], RNG.integers(2, 9))) + f" {i}" for i in range(90)
]
X = RNG.normal(size=(200, 6))
Y = (X[:, 0] > 0.4).astype(int)


def length(texts):
    return np.array([len(text) + crc32(text.encode()) / 2**33 for text in texts])


def vowels(texts):
    return np.array([sum(text.count(v) for v in "aeiou") + crc32(text.encode()) / 2**33 for text in texts])


class Counting(BaseEstimator):
    """A scorer that remembers which texts it was given."""

    seen: list = []  # noqa: RUF012

    def __call__(self, texts):
        self.seen.extend(texts)
        return vowels(texts)


def short():
    return PerplexityFilter(0.4, perplexity=length)


def rich():
    return AskLLMFilter(0.5, quality=vowels)


def best(values, size):
    return np.argsort(values, kind="stable")[:size]


@pytest.mark.parametrize(("first", "second"), [(0.4, 0.5), (0.01, 1.0), (50, 7), (0.33, 0.33), (90, 90)])
def test_a_chain_keeps_the_best_of_the_best(first, second):
    chain = FilterChain([("short", short()), ("rich", rich())])
    chain.set_params(short__keep=first, rich__keep=second).fit(TEXTS)
    for pool in (TEXTS, TEXTS[::-1], TEXTS[:70], [*TEXTS[20:], "a new one", "aeiou aeiou"]):
        reached = best(length(pool), size_of(first, len(pool)))
        kept = reached[best(-vowels([pool[i] for i in reached]), size_of(second, len(reached)))]
        assert chain.select(pool).tolist() == kept.tolist()


def test_the_steps_of_a_chain_are_explained():
    chain = FilterChain([("short", short()), ("rich", rich())]).fit(TEXTS)
    why = chain.explain()
    reached = mask(best(length(TEXTS), 36))
    assert (why["step"] == np.where(reached, "rich", "short")).all()
    assert np.allclose(why["short__log10_perplexity"], length(TEXTS))
    assert np.allclose(why["rich__quality"][reached], vowels(TEXTS)[reached])
    assert why["rich__quality"][~reached].isna().all()
    assert set(why["reason"][~reached]) == {"perplexity too high (step 'short')"}
    assert all(reason.endswith("(step 'rich')") for reason in why["reason"][reached])
    assert np.allclose(why["threshold"][~reached], np.sort(length(TEXTS))[35])
    assert (why["stage"] == np.where(why["kept"], "quality", "")).all()


def mask(rows):
    return np.isin(np.arange(len(TEXTS)), rows)


def test_a_later_filter_scores_only_what_reaches_it():
    Counting.seen.clear()
    chain = FilterChain([("short", short()), ("rich", AskLLMFilter(0.5, quality=Counting()))]).fit(TEXTS)
    assert sorted(Counting.seen) == sorted(TEXTS[i] for i in best(length(TEXTS), 36))
    assert chain.n_llm_calls_ == 36
    chain.partial_fit(TEXTS[:20], [0, 1] * 10).select(TEXTS)
    assert len(Counting.seen) == len(set(Counting.seen)), "a text was scored twice"


def brute_round_robin(rankings, size):
    waiting, order, taker = [list(r) for r in rankings], [], []
    while len(order) < size:
        for number, rows in enumerate(waiting):
            while rows and rows[0] in order:
                rows.pop(0)
            if rows and len(order) < size:
                order.append(rows.pop(0))
                taker.append(number)
    return order, taker


@pytest.mark.parametrize("seed", range(20))
def test_turns_equal_brute_force(seed):
    rng = np.random.default_rng(seed)
    rankings = [rng.permutation(12)[: rng.integers(0, 13)] for _ in range(rng.integers(1, 4))]
    n_different = len(set(np.concatenate(rankings).tolist()))
    for size in (0, n_different // 2, n_different):
        expected = brute_round_robin(rankings, size)
        assert tuple(part.tolist() for part in in_turn(rankings, size)) == expected
    assert in_turn(rankings, None)[0].tolist() == brute_round_robin(rankings, n_different)[0]


@pytest.mark.parametrize("keep", [None, 1, 0.3, 60, 1.0])
def test_a_union_takes_in_turn(keep):
    union = FilterUnion([("short", short()), ("rich", rich())], keep=keep).fit(TEXTS)
    rankings = [best(length(TEXTS), 36), best(-vowels(TEXTS), 45)]
    n_offered = len(np.union1d(*rankings))
    size = n_offered if keep is None else size_of(keep, 90)
    if size > n_offered:
        rankings = [best(length(TEXTS), max(36, size)), best(-vowels(TEXTS), max(45, size))]
    order, taker = brute_round_robin(rankings, size)
    assert union.select(TEXTS).tolist() == order
    why = union.explain()
    assert [why["step"].iloc[row] for row in order] == [("short", "rich")[number] for number in taker]
    assert why["short__rank"].to_numpy()[rankings[0]].tolist() == list(range(len(rankings[0])))


def test_a_union_without_keep_gives_a_query_as_many_rows_as_it_asks_for():
    union = FilterUnion([("a", short()), ("b", short())]).fit(TEXTS)
    assert len(union.select(TEXTS)) == 36
    assert len(union.select(TEXTS, min_rows=50)) == 50


# ---------------------------------------------------------------------- parameters, as in Pipeline


def test_filters_and_their_parameters_are_set_by_name():
    first = short()
    chain = FilterChain([("a", first), ("b", FilterUnion([("c", rich()), ("d", RandomFilter())], keep=0.5))])
    chain.set_params(a__keep=0.9, b__c__keep=7, b__keep=0.2, b__d=KMeansFilter(keep=3))
    params = chain.get_params()
    assert (params["a__keep"], params["b__c__keep"], params["b__keep"], params["b__d__keep"]) == (
        0.9,
        7,
        0.2,
        3,
    )
    assert first.keep == 0.9, "as in Pipeline, parameters are set on the filters that were passed"
    chain.set_params(a=RandomFilter(0.3))
    assert isinstance(chain.get_params()["a"], RandomFilter)
    assert make_filter_chain(RandomFilter(), RandomFilter()).get_params()["randomfilter-2__keep"] == 0.25
    with pytest.raises(ValueError, match="Invalid parameter 'e'"):
        chain.set_params(e__keep=1)


def test_keep_may_change_after_fit():
    chain = FilterChain([("a", short()), ("b", FilterUnion([("c", rich())], keep=0.5))]).fit(TEXTS)
    chain.set_params(a__keep=0.2, b__keep=5)
    assert len(chain.select(TEXTS)) == 5
    chain.set_params(b=RandomFilter(0.5))
    assert len(chain.select(TEXTS)) == 5, "a new filter waits for fit"
    chain.set_params(b__keep=1.0)
    assert len(chain.fit(TEXTS).select(TEXTS)) == 18


@pytest.mark.parametrize(
    ("filters", "error", "message"),
    [
        ([], ValueError, "list of .name, filter. pairs"),
        ([RandomFilter()], ValueError, "list of .name, filter. pairs"),
        ((("a", RandomFilter()),), ValueError, "'filters' parameter|list of"),
        ([("a", RandomFilter()), ("a", RandomFilter())], ValueError, "not unique"),
        ([("a__b", RandomFilter())], ValueError, "must not contain __"),
        ([("filters", RandomFilter())], ValueError, "conflict with constructor"),
        ([("a", RandomFilter)], TypeError, "made of filters, but 'a' is"),
        ([("a", LogisticRegression())], TypeError, "made of filters, but 'a' is"),
        ([("a", RandomFilter(keep=2.5))], ValueError, "'keep' parameter of RandomFilter"),
        ([("a", RandomFilter(keep=91))], ValueError, "filter 'a', which gets 90 rows: keep=91 exceeds"),
    ],
)
@pytest.mark.parametrize("kind", [FilterChain, FilterUnion])
def test_bad_filters_are_refused_before_any_work(kind, filters, error, message):
    with pytest.raises(error, match=message):
        kind(filters).fit(TEXTS)


def test_a_size_that_cannot_reach_a_later_filter_is_refused_before_any_work():
    Counting.seen.clear()
    first = PerplexityFilter(0.5, perplexity=Counting())
    with pytest.raises(ValueError, match="filter 'late', which gets 45 rows: keep=46 exceeds the 45"):
        FilterChain([("first", first), ("late", RandomFilter(46))]).fit(TEXTS)
    assert not Counting.seen


def test_given_filters_are_cloned():
    fitted = RandomFilter(0.5, random_state=0).fit(TEXTS[:10])
    chain = FilterChain([("a", fitted)]).fit(TEXTS)
    assert len(fitted.pool_) == 10
    assert len(chain.filters_["a"].pool_) == 90
    assert not hasattr(clone(chain).filters[0][1], "pool_")


# ---------------------------------------------------------------------- labels


def test_labels_and_learners_reach_every_filter():
    union = FilterUnion(
        [("near", AnchorFilter(2, 5, random_state=0)), ("unsure", UPSFilter(0.1, random_state=0))], keep=0.3
    )
    chain = FilterChain([("half", RandomFilter(0.5, random_state=0)), ("best", union)])
    y = np.full(200, -1)
    y[:10] = Y[:10]
    chain.fit(X, y)
    inner = chain.filters_["best"].filters_
    assert len(inner["near"].labeled_) == 10
    model = GaussianNB().fit(X[:20], Y[:20])
    chain.partial_fit(X[10:20], Y[10:20], learner=model)
    assert len(inner["near"].labeled_) == len(chain.filters_["half"].labeled_) == 20
    assert set(inner["near"].anchor_labels_) == {0, 1}
    assert inner["unsure"].n_scored_ > 0
    assert not set(chain.select(X).tolist()) & set(range(20))


def test_labels_of_several_outputs_reach_every_filter():
    y = np.column_stack([Y, 1 - Y])
    y[20:] = -1
    chain = make_filter_chain(RandomFilter(0.5, random_state=0), RandomFilter(1.0)).fit(X, y)
    assert [len(part.labeled_) for part in chain.filters_.values()] == [20, 20]


def test_each_filter_of_a_chain_prunes_a_labeled_set():
    chain = make_filter_chain(RandomFilter(0.5, random_state=0), AnchorFilter(3, 5, keep=30, random_state=0))
    kept = chain.fit(X, Y).select(X)
    assert len(kept) == 30
    assert len(chain.filters_["anchorfilter"].labeled_) == 100


def test_a_failed_query_restores_the_filters_inside():
    chain = FilterChain(
        [("half", RandomFilter(0.5, random_state=0)), ("near", AnchorFilter(2, 5, random_state=0))]
    )
    learner = type("Learner", (), {"X_training": X[:8], "y_training": Y[:8]})()

    def failing(learner, X, n_instances):
        raise OSError("no such strategy")

    query = PrunedQuery(chain, failing).fit(X)
    with pytest.raises(OSError, match="no such strategy"):
        query(learner, X, n_instances=3)
    assert [len(part.labeled_) for part in query.filter_.filters_.values()] == [0, 0]
    assert [part.round_ for part in query.filter_.filters_.values()] == [0, 0]


# ---------------------------------------------------------------------- where people use them

NESTED = FilterUnion(
    [
        ("good", FilterChain([("perplexity", PerplexityFilter(0.8)), ("far", KMeansFilter(0.3))])),
        ("any", RandomFilter(0.1)),
    ],
    keep=0.25,
)


def test_a_chain_in_a_union_in_a_query():
    query = PrunedQuery(NESTED, RandomSampling(random_state=0)).set_params(filter__good__far__random_state=0)
    indices, _ = query(None, TEXTS, n_instances=60)
    assert len(set(indices.tolist())) == 60


def test_a_search_over_nested_parameters():
    y = np.arange(90) % 2
    model = PrunedClassifier(
        make_pipeline(TfidfVectorizer(), LogisticRegression()),
        FilterChain(
            [
                ("perplexity", PerplexityFilter(perplexity=length)),
                ("random", RandomFilter(0.5, random_state=0)),
            ]
        ),
        min_per_class=1,
    )
    grid = {"filter__perplexity__keep": [0.25, 0.5], "filter__random": [RandomFilter(1.0), KMeansFilter(0.5)]}
    search = GridSearchCV(model, grid, cv=3).fit(TEXTS, y)
    assert len(search.cv_results_["params"]) == 4
    expected = size_of(
        search.best_params_["filter__random"].keep,
        size_of(search.best_params_["filter__perplexity__keep"], 90),
    )
    assert expected <= search.best_estimator_.support_.sum() <= expected + 1


def test_parameters_without_effect_are_named():
    chain = FilterChain([("prune", ActivePruneFilter(quality=None))])
    model = PrunedClassifier(LogisticRegression(), chain)
    with pytest.warns(UserWarning, match="filter__prune__beta has no effect here"):
        model.set_params(filter__prune__beta=0.2)


class Model(GaussianNB):
    """Counts how often models are trained."""

    n_fits = 0

    def fit(self, X, y):
        type(self).n_fits += 1
        return super().fit(X, y)


@pytest.mark.parametrize("part", [ProxyFilter(20, random_state=0), UPSFilter(0.3, random_state=0)])
def test_a_resumed_simulation_continues_in_the_same_way(part, tmp_path):
    chain = FilterChain([("half", RandomFilter(0.5, random_state=0)), ("part", part)])

    def run(folder, **params):
        settings = {"n_instances": 5, "n_rounds": 6, "random_state": 0, "memory": folder} | params
        return ActiveLearningSimulator(Model(), Margin(random_state=0), chain, **settings).fit(X, Y)

    class Stop(BaseException):
        pass

    def stop(row):
        if row["round"] == 4:
            raise Stop

    with pytest.raises(Stop):
        run(tmp_path / "a", callback=stop)
    Model.n_fits = 0
    resumed = run(tmp_path / "a")
    n_fits = Model.n_fits
    whole = run(tmp_path / "b")
    assert resumed.labeled_indices_.tolist() == whole.labeled_indices_.tolist()
    if isinstance(part, ProxyFilter):
        assert n_fits < 7, "the journal holds the student, so that old models need no training"


def test_a_generator_as_random_state():
    chain = make_filter_chain(
        RandomFilter(0.5, random_state=RandomState(0)), RandomFilter(0.5, random_state=1)
    )
    assert chain.fit(X).select(X).tolist() == chain.fit(X).select(X).tolist()
