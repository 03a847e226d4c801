"""Faults and interrupts leave filters, queries, learners and simulators as they were; a retry loses nothing.

:func:`every_fault` raises at each call of an encoder, a scorer, the store, a strategy or a learner in turn.

The file is long because one list of faults serves every verb of every kind of object.
"""

import itertools

import numpy as np
import pytest
from numpy.random import RandomState
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline

from skprune import (
    ActiveLearningSimulator,
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
    ProxyFilter,
    PrunedClassifier,
    PrunedQuery,
    QuotaFilter,
    RandomFilter,
    SEALSFilter,
    SemiPruneFilter,
    UPSFilter,
)
from skprune.modal import ActiveLearner, Committee
from skprune.pools import Pool
from skprune.store import clear_process_store
from skprune.store.memory import MemoryStore
from skprune.strategies import Margin, RandomSampling

TEXTS = [f"{mood} film number {i}, {'very ' * (i % 5)}long" for i in range(40) for mood in ("good", "bad")]
Y = np.array([i % 2 for i in range(80)])


class Interrupted(BaseException):
    """Like KeyboardInterrupt: not an Exception."""


class Faults:
    """Counts calls, and raises at the n-th."""

    n_calls = raise_at = 0

    def call(self):
        self.n_calls += 1
        if self.n_calls == self.raise_at:
            raise Interrupted

    def arm(self, n):
        self.n_calls, self.raise_at = 0, n

    def around(self, function):
        def counted(*args, **kwargs):
            self.call()
            result = function(*args, **kwargs)
            self.call()
            return result

        return counted


FAULTS = Faults()  # of the process: estimators with faults must be clonable


@pytest.fixture(autouse=True)
def _no_fault():
    FAULTS.arm(0)


def every_fault(make, act, state, outcome=None, *, most=12):
    """Raise at each call within an action, and check that a retry does what an undisturbed action does.

    Parameters
    ----------
    make : callable
        Returns the objects before the action, the same every time.
    act : callable
        Runs the action on them.
    state : callable
        Returns what must be the same after a fault as before the action, as values that can be compared.
    outcome : callable, default=None
        Returns what must be the same after a retry as after an undisturbed action, together with the return
        value of ``act``. ``state`` by default.
    most : int
        Maximum number of calls to raise at, spread over the action.
    """

    def done(things):
        result = act(things)
        n_calls = FAULTS.n_calls
        FAULTS.arm(0)
        return n_calls, (None if result is things else result, (outcome or state)(things))

    def fresh():
        clear_process_store()  # otherwise a second action would find values, and call less
        return make()

    things = fresh()
    FAULTS.arm(0)
    n_calls, undisturbed = done(things)
    assert n_calls, "the action calls nothing that could fail"
    for n in np.unique(np.linspace(1, n_calls, min(most, n_calls)).astype(int)):
        things = fresh()
        before = state(things)
        FAULTS.arm(int(n))
        with pytest.raises(Interrupted):
            act(things)
        FAULTS.arm(0)
        assert state(things) == before, f"call {n} of {n_calls}"
        assert done(things)[1] == undisturbed, f"call {n} of {n_calls}"


class Flaky:
    """A scorer or encoder that raises at its n-th call, once."""

    def __init__(self, compute):
        self.compute = compute
        self.calls = itertools.count(1)
        self.raise_at = 0

    def __deepcopy__(self, memo):
        return self  # the clones that a filter makes of its filters share it

    def __call__(self, texts):
        if next(self.calls) == self.raise_at:
            raise Interrupted
        return self.compute(texts)

    def arm(self, n):
        self.calls, self.raise_at = itertools.count(1), n


def lengths(texts):
    return [float(len(text)) for text in texts]


def vectors(texts):
    return np.array([[len(t), t.count("o"), t.count("a"), t.count("1") + 1.0] for t in texts])


FILTERS = {
    "random": lambda part: RandomFilter(0.3, random_state=0),
    "k-means": lambda part: KMeansFilter(0.3, encoder=part, random_state=0),
    "perplexity": lambda part: PerplexityFilter(0.3, perplexity=part, random_state=0),
    "ask-llm": lambda part: AskLLMFilter(0.3, quality=part, random_state=0),
    "distilled": lambda part: AskLLMFilter(
        0.3, quality=DistilledScorer(part, encoder=vectors, n_calls=30, min_recall=0), random_state=0
    ),
    "active prune": lambda part: ActivePruneFilter(0.3, perplexity=part, quality=lengths, random_state=0),
    "active prune, quality": lambda part: ActivePruneFilter(
        0.3, perplexity=lengths, quality=part, candidates="random", random_state=0
    ),
    "anchors": lambda part: AnchorFilter(2, 5, encoder=part, random_state=0),
    "seals": lambda part: SEALSFilter(5, encoder=part, random_state=0),
    "entropy": lambda part: EntropyIntervalFilter(
        0.3, information=part, combine="information", random_state=0
    ),
    "semi-prune": lambda part: SemiPruneFilter(0.3, encoder=part, n_epochs=2, random_state=0),
    "ups": lambda part: UPSFilter(0.3, random_state=0),
    "proxy": lambda part: ProxyFilter(0.3, encoder=part, random_state=0),
    "plausibility": lambda part: PlausibilityFilter(0.3, encoder=part, random_state=0),
    "quota": lambda part: QuotaFilter(
        SEALSFilter(9, encoder=part, keep=0.3, random_state=0), groups=len, balance="equal"
    ),
    "chain": lambda part: FilterChain(
        [
            ("near", SEALSFilter(9, encoder=part, random_state=0)),
            ("far", AnchorFilter(2, 5, encoder=part, random_state=0)),
        ]
    ),
    "union": lambda part: FilterUnion(
        [
            ("random", RandomFilter(0.1, random_state=0)),
            ("near", SEALSFilter(9, encoder=part, random_state=0)),
        ],
        keep=0.3,
    ),
    "union of chains": lambda part: FilterUnion(
        [
            ("proxy", FilterChain([("proxy", ProxyFilter(0.5, encoder=part, random_state=0))])),
            ("near", FilterChain([("near", SEALSFilter(9, encoder=part, random_state=0))])),
        ],
        keep=0.3,
    ),
}


#: The filters whose part is an encoder.
ON_VECTORS = (
    "k-means",
    "anchors",
    "seals",
    "semi-prune",
    "proxy",
    "plausibility",
    "chain",
    "union",
    "union of chains",
    "quota",
)


def part_of(name):
    return Flaky(vectors if name in ON_VECTORS else lengths)


def rounds(name, part, fail_at=None):
    """Fit, add two rounds of labels from outside the pool, and return what each round selects.

    ``fail_at`` is the number of a step: the part raises in it, and the step is tried again.
    """
    pruner = FILTERS[name](part)
    new = [(["good film that is new", "bad film that is new"], [1, 0]), (["a good one", "a bad one"], [1, 0])]
    steps = [lambda: pruner.fit(TEXTS, np.where(np.arange(80) < 4, Y, -1))]
    steps += [lambda X=X, y=y: pruner.partial_fit(X, y) for X, y in new]
    selected = []
    for number, step in enumerate(steps):
        if fail_at is not None and fail_at == number:
            before = dict(vars(pruner))
            n_labeled = len(pruner.labeled_) if number else 0
            part.arm(1)
            try:
                step()
            except Interrupted:
                assert vars(pruner).keys() == before.keys()
                assert not number or len(pruner.labeled_) == n_labeled
                assert getattr(pruner, "round_", None) == before.get("round_")
                part.arm(0)
                step()
            else:
                pytest.fail("the part was not called")
        else:
            step()
        selected.append(pruner.select(TEXTS).tolist())
    return selected


#: The filters that call their part when rows are labeled.
LEARNING = (
    "active prune",
    "active prune, quality",
    "anchors",
    "seals",
    "semi-prune",
    "proxy",
    "chain",
    "union",
    "union of chains",
    "quota",
)


@pytest.mark.parametrize(
    ("name", "step"),
    [(name, 0) for name in sorted(set(FILTERS) - {"random", "ups"})]
    + [(name, step) for name in LEARNING for step in (1, 2)],
)
def test_a_retry_gives_what_an_undisturbed_run_gives(name, step):
    assert rounds(name, part_of(name), step) == rounds(name, part_of(name))


@pytest.mark.parametrize("kind", [UPSFilter, ProxyFilter])
def test_a_learner_that_fails_leaves_the_filter_as_it_was(kind):
    X = vectors(TEXTS)
    fail = True

    class Learner(LogisticRegression):
        def predict_proba(self, X):
            if fail:
                raise Interrupted
            return super().predict_proba(X)

    learner = Learner().fit(X, Y)
    labels = np.where(np.arange(80) < 4, Y, -1)
    pruner, undisturbed = (kind(0.3, random_state=0).fit(X, labels) for _ in range(2))
    with pytest.raises(Interrupted):
        pruner.partial_fit(X[4:6], Y[4:6], learner=learner)
    assert (pruner.round_, len(pruner.labeled_)) == (0, len(Pool(X[:4]).table))
    fail = False
    for one in (pruner, undisturbed):
        one.partial_fit(X[4:6], Y[4:6], learner=learner)
    assert pruner.select(X).tolist() == undisturbed.select(X).tolist()


def test_a_failed_refit_keeps_the_earlier_fit():
    part = part_of("perplexity")
    pruner = PerplexityFilter(0.3, perplexity=part).fit(TEXTS)
    kept = pruner.select(TEXTS).tolist()
    part.arm(1)
    with pytest.raises(Interrupted):
        pruner.fit([text[::-1] for text in TEXTS])
    part.arm(0)
    assert pruner.select(TEXTS).tolist() == kept


def test_a_failed_fit_gives_a_random_state_its_numbers_back():
    part = part_of("perplexity")
    part.arm(1)
    pruner = PerplexityFilter(0.3, perplexity=part, random_state=RandomState(3))
    with pytest.raises(Interrupted):
        pruner.fit(TEXTS)
    part.arm(0)
    again = PerplexityFilter(0.3, perplexity=part_of("perplexity"), random_state=RandomState(3))
    assert pruner.fit(TEXTS).seed_ == again.fit(TEXTS).seed_


# ---------------------------------------------------------------------- every verb of every filter


@pytest.fixture
def flaky_store(monkeypatch):
    for method in ("get", "put"):
        monkeypatch.setattr(MemoryStore, method, FAULTS.around(getattr(MemoryStore, method)))


def state_of(pruner):
    ledger = getattr(pruner, "labeled_", None)
    known = None if ledger is None else (list(ledger.positions), ledger.y.tolist())
    parts = [state_of(part) for part in getattr(pruner, "_fitted_filters", {}).values()]
    return sorted(vars(pruner)), getattr(pruner, "round_", None), getattr(pruner, "seed_", None), known, parts


UNSEEN = [text.replace("film", "movie") for text in TEXTS[:10]]
VERBS = {
    "fit": lambda pruner: pruner.fit(TEXTS, np.where(np.arange(80) < 4, Y, -1)),
    "partial_fit": lambda pruner: pruner.partial_fit(UNSEEN[:2], [1, 0]),
    "select": lambda pruner: pruner.select(TEXTS + UNSEEN).tolist(),
    "transform": lambda pruner: pruner.transform(TEXTS + UNSEEN),
    "explain": lambda pruner: pruner.explain(TEXTS + UNSEEN).to_dict("list").__repr__(),
}


@pytest.mark.parametrize(
    ("name", "verb"),
    [
        (name, verb)
        for name in sorted(set(FILTERS) - {"random", "ups"})  # they call no encoder, scorer or store
        for verb in VERBS
        if (verb != "partial_fit" or name in LEARNING)
        and (verb == "fit" or name != "plausibility")  # later rows have no label to judge
    ],
)
def test_every_verb_of_a_filter(name, verb, flaky_store):
    if name == "semi-prune" and verb != "fit":
        pytest.skip("each case trains a net for seconds; its partial_fit is tested above")

    def make():
        part = FAULTS.around(vectors if name in ON_VECTORS else lengths)
        pruner = FILTERS[name](part)
        return pruner if verb == "fit" else VERBS["fit"](pruner)

    def outcome(pruner):
        return pruner.select(TEXTS).tolist(), pruner.round_

    every_fault(make, VERBS[verb], state_of, outcome, most=6)


# ---------------------------------------------------------------------- loops


class FlakyModel(ClassifierMixin, BaseEstimator):
    """A text classifier that counts its calls, before and after each is done."""

    def __init__(self, model=None):
        self.model = model

    def fit(self, X, y):
        FAULTS.call()
        model = make_pipeline(TfidfVectorizer(), self.model or LogisticRegression())
        self.fitted_ = model.fit(X, y)
        self.classes_ = model.classes_
        FAULTS.call()
        return self

    def predict_proba(self, X):
        FAULTS.call()
        return self.fitted_.predict_proba(X)

    def predict(self, X):
        return self.fitted_.predict(X)


def flaky_query(name):
    part = FAULTS.around(vectors if name in ON_VECTORS else lengths)
    return PrunedQuery(FILTERS[name](part), FAULTS.around(Margin(random_state=0)))


def query_state(query):
    pruner = getattr(query, "filter_", None)
    subpool = getattr(query, "subpool_", None)
    return pruner and state_of(pruner), None if subpool is None else subpool.tolist()


QUERY_FILTERS = [
    "active prune",
    "anchors",
    "k-means",
    "perplexity",
    "random",
    "seals",
    "chain",
    "union of chains",
]


@pytest.mark.parametrize("name", QUERY_FILTERS)
@pytest.mark.parametrize("n_rounds", [0, 1])
def test_a_query(name, n_rounds, flaky_store):
    """Without an earlier round, the query also fits the filter."""

    def make():
        learner = ActiveLearner(FlakyModel(), flaky_query(name), TEXTS[:4], Y[:4])
        for _ in range(n_rounds):
            learner.query(TEXTS, n_instances=3)
            learner.teach(TEXTS[4:7], Y[4:7])
        return learner

    def act(learner):
        return learner.query(TEXTS, n_instances=3)[0].tolist()

    every_fault(make, act, lambda learner: query_state(learner.query_strategy))


def test_catching_up_and_fitting_a_query(flaky_store):
    taught = [f"{text} again" for text in TEXTS[:4]]  # vectors of rows of the pool are known already
    learner = ActiveLearner(FlakyModel(), lambda *_: None, taught, Y[:4])

    def picks(query):
        return query.filter_.select(TEXTS).tolist()

    def fitted():
        return flaky_query("anchors").fit(TEXTS)

    every_fault(lambda: flaky_query("anchors"), lambda query: query.fit(TEXTS), query_state, picks)
    every_fault(fitted, lambda query: query.catch_up(learner), query_state, picks)
    every_fault(fitted, lambda query: query.tell(taught, Y[:4]), query_state, picks)


def test_a_strategy_draws_the_same_numbers_again():
    class Flakily(RandomSampling):
        def _pick(self, *args, **kwargs):
            result = super()._pick(*args, **kwargs)
            FAULTS.call()
            return result

    learner = FlakyModel().fit(TEXTS, Y)

    def make():
        return PrunedQuery(RandomFilter(0.5, random_state=0), Flakily(RandomState(0)))

    def act(query):
        return query(learner, TEXTS, n_instances=3)[0].tolist()

    every_fault(make, act, query_state, act)


def learner_state(learner):
    estimator = learner.estimator
    rows = None if learner.X_training is None else (list(learner.X_training), list(learner.y_training))
    return rows, estimator.predict(TEXTS).tolist() if learner.X_training else sorted(vars(estimator))


LEARNER_VERBS = {
    "teach": lambda learner: learner.teach(TEXTS[4:20], Y[4:20]),
    "teach, bootstrap": lambda learner: learner.teach(TEXTS[4:20], Y[4:20], bootstrap=True),
    "teach, only new": lambda learner: learner.teach(TEXTS[4:20], Y[4:20], only_new=True),
    "fit": lambda learner: learner.fit(TEXTS[4:20], Y[4:20]),
}


@pytest.mark.parametrize("taught", [0, 4])
@pytest.mark.parametrize("verb", LEARNER_VERBS)
def test_a_learner(verb, taught):
    def make():
        seeds = (TEXTS[:taught], Y[:taught]) if taught else (None, None)
        return ActiveLearner(FlakyModel(), Margin(), *seeds, random_state=RandomState(0))

    def outcome(learner):
        return learner_state(learner), learner.predict_proba(TEXTS).tolist()

    every_fault(make, LEARNER_VERBS[verb], learner_state, outcome)


@pytest.mark.parametrize("warm_start", [False, True])
def test_an_estimator_that_goes_on_from_its_weights(warm_start):
    """``SGDClassifier`` with ``warm_start`` changes its weights in place, and draws from its generator."""

    class Flakily(SGDClassifier):
        def fit(self, X, y):
            FAULTS.call()
            super().fit(X, y)
            FAULTS.call()
            return self

    X = vectors(TEXTS)

    def make():
        model = Flakily(warm_start=warm_start, random_state=RandomState(0), max_iter=5, tol=None)
        return ActiveLearner(model, Margin(), X[:10], Y[:10])

    def weights(learner):
        return learner.estimator.coef_.tolist(), learner.estimator.t_, len(learner.X_training)

    def outcome(learner):
        learner.teach(X[40:], Y[40:])
        return weights(learner)

    every_fault(make, lambda learner: learner.teach(X[10:40], Y[10:40]), weights, outcome)


def committee_state(committee):
    rows = None if committee.X_training is None else list(committee.X_training)
    return rows, list(committee.classes_), [learner_state(learner) for learner in committee.learner_list]


COMMITTEE_VERBS = {
    "teach": lambda committee: committee.teach(TEXTS[4:20], Y[4:20]),
    "fit": lambda committee: committee.fit(TEXTS[4:20], Y[4:20]),
    "rebag": lambda committee: committee.rebag(),
    "query": lambda committee: committee.query(TEXTS, n_instances=3)[0].tolist(),
}


@pytest.mark.parametrize("verb", COMMITTEE_VERBS)
def test_a_committee(verb):
    from modAL.disagreement import vote_entropy_sampling

    def make():
        learners = [
            ActiveLearner(FlakyModel(model), Margin(), TEXTS[:6], Y[:6], random_state=RandomState(i))
            for i, model in enumerate((LogisticRegression(), MultinomialNB(), None))
        ]
        pruner = FILTERS["anchors"](FAULTS.around(vectors))
        return Committee(learners, PrunedQuery(pruner, vote_entropy_sampling))

    def state(committee):
        return committee_state(committee), query_state(committee.query_strategy)

    def outcome(committee):
        return state(committee), committee.predict_proba(TEXTS).tolist()

    every_fault(make, COMMITTEE_VERBS[verb], state, outcome)


@pytest.mark.parametrize("keeps_rounds", [False, True])
@pytest.mark.parametrize("name", ["active prune", "anchors", "ups"])
def test_a_simulator(name, keeps_rounds, tmp_path, flaky_store):
    folders = (tmp_path / str(i) for i in itertools.count())

    def make():
        return ActiveLearningSimulator(
            FlakyModel(),
            FAULTS.around(Margin(random_state=0)),
            FILTERS[name](FAULTS.around(vectors if name == "anchors" else lengths)),
            n_instances=4,
            n_rounds=3,
            random_state=0,
            memory=next(folders) if keeps_rounds else None,
        )

    def outcome(run):
        curve = run.learning_curve_[["round", "labels", "pool", "subpool", "minority_found"]]
        return run.labeled_indices_.tolist(), curve.to_dict("list"), run.predict(TEXTS).tolist()

    every_fault(make, lambda run: run.fit(TEXTS, Y), lambda run: sorted(vars(run)), outcome, most=8)


def test_a_failed_refit_of_a_pruned_classifier_keeps_the_earlier_fit():
    model = PrunedClassifier(FlakyModel(), RandomFilter(0.5, random_state=0)).fit(TEXTS, Y)
    before = model.predict(TEXTS).tolist(), model.support_.tolist(), model.filter_
    FAULTS.arm(1)
    with pytest.raises(Interrupted):
        model.fit(TEXTS[:40], Y[:40])
    FAULTS.arm(0)
    with pytest.raises(ValueError, match="y holds -1"):
        model.fit(TEXTS, np.arange(80) % 3 - 1)
    assert (model.predict(TEXTS).tolist(), model.support_.tolist(), model.filter_) == before


@pytest.mark.parametrize("missing", [None, float("nan"), -1])
def test_a_missing_label_is_refused_by_its_row_before_anything_changes(missing):
    query = PrunedQuery(RandomFilter(0.5, random_state=0), Margin(random_state=0))
    learner = ActiveLearner(FlakyModel(), query, TEXTS[:4], [0, 1, 0, 1])
    committee = Committee([ActiveLearner(FlakyModel(), Margin(), TEXTS[:4], [0, 1, 0, 1])], query)
    for thing, state in ((learner, learner_state), (committee, committee_state)):
        before = state(thing)
        for verb in (thing.teach, thing.fit):
            with pytest.raises(ValueError, match=r"y\[1\] is .*, which means that the row has no label"):
                verb(UNSEEN[:2], [0, missing])
        assert state(thing) == before
        thing.query(TEXTS, n_instances=2)
        thing.teach(UNSEEN[:2], [1, 0])
        assert len(thing.X_training) == 6


def test_minus_one_is_a_class_where_the_filter_does_not_read_it_as_missing():
    three = ActiveLearner(FlakyModel(), Margin(random_state=0), TEXTS[:3], [0, 1, -1])  # no PrunedQuery
    three.teach(TEXTS[3:6], [0, -1, 1])
    assert set(three.estimator.classes_) == {-1, 0, 1}
    query = PrunedQuery(RandomFilter(0.5, random_state=0), Margin(random_state=0))
    signs = ActiveLearner(FlakyModel(), query, TEXTS[:4], [-1, 1, -1, 1])
    for start in (4, 6, 8):
        signs.query(TEXTS, n_instances=2)
        signs.teach(TEXTS[start : start + 2], [-1, -1])
    assert len(signs.X_training) == 10
    assert query.filter_.labeled_.y.tolist() == [-1, 1, -1, 1, -1, -1, -1, -1]  # of the last query
