"""Faults and interrupts inside fit and partial_fit leave a filter as it was, and a retry loses nothing."""

import itertools

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skprune import (
    ActivePruneFilter,
    AnchorFilter,
    AskLLMFilter,
    EntropyIntervalFilter,
    KMeansFilter,
    PerplexityFilter,
    ProxyFilter,
    RandomFilter,
    SEALSFilter,
    SemiPruneFilter,
    UPSFilter,
)
from skprune.pools import Pool

TEXTS = [f"{mood} film number {i}, {'very ' * (i % 5)}long" for i in range(40) for mood in ("good", "bad")]
Y = np.array([i % 2 for i in range(80)])


class Interrupted(BaseException):
    """Like KeyboardInterrupt: not an Exception."""


class Flaky:
    """A scorer or encoder that raises at its n-th call, once."""

    def __init__(self, compute):
        self.compute = compute
        self.calls = itertools.count(1)
        self.raise_at = 0

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
}


def part_of(name):
    return Flaky(vectors if name in ("k-means", "anchors", "seals", "semi-prune", "proxy") else lengths)


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
LEARNING = ("active prune", "active prune, quality", "anchors", "seals", "semi-prune", "proxy")


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
    pruner = PerplexityFilter(0.3, perplexity=part, random_state=np.random.RandomState(3))
    with pytest.raises(Interrupted):
        pruner.fit(TEXTS)
    part.arm(0)
    again = PerplexityFilter(0.3, perplexity=part_of("perplexity"), random_state=np.random.RandomState(3))
    assert pruner.fit(TEXTS).seed_ == again.fit(TEXTS).seed_
