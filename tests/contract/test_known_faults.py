"""Known faults of pool filters in other libraries, one test each."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.metrics.pairwise import cosine_similarity

from skprune import (
    ActivePruneFilter,
    AnchorFilter,
    AskLLMFilter,
    EntropyIntervalFilter,
    FilterChain,
    FilterUnion,
    KMeansFilter,
    PerplexityFilter,
    PlausibilityFilter,
    ProxyFilter,
    PrunedQuery,
    QuotaFilter,
    RandomFilter,
    SEALSFilter,
    SemiPruneFilter,
    UPSFilter,
)
from skprune.strategies import RandomSampling
from skprune.streams import seed_open_states

TEXTS = [f"the {color} {animal} sees {'the ' * (i % 4)}n{i}"
         for i in range(10) for color in ("red", "old", "blue")
         for animal in ("fox", "dog", "cat", "hen")]  # fmt: skip
DIGITS, CLASSES = (part[:400] for part in load_digits(return_X_y=True))
SIMILARITY = cosine_similarity(DIGITS)


def quality_of(texts):
    """Return an arbitrary quality per text."""
    return np.array([sum(map(ord, t)) % 97 / 97 for t in texts])


def length_of(row):
    """Return the group of a text."""
    return len(row) // 5


FILTERS = {
    "random": RandomFilter(),
    "anchor": AnchorFilter(3, 8, 30),
    "active prune": ActivePruneFilter(quality=quality_of),
    "k-means": KMeansFilter(),
    "perplexity": PerplexityFilter(perplexity=quality_of),
    "ask LLM": AskLLMFilter(quality=quality_of),
    "UPS": UPSFilter(),
    "proxy": ProxyFilter(0.25),
    "SEALS": SEALSFilter(4),
    "entropy interval": EntropyIntervalFilter(),
    "semi-prune": SemiPruneFilter(n_epochs=3, holdout=0.0),
    "plausibility": PlausibilityFilter(),
    "quota": QuotaFilter(AnchorFilter(3, 8, 30), groups=length_of, balance="equal"),
    "chain": FilterChain([("few", RandomFilter(0.5)), ("near", AnchorFilter(3, 8, 30))]),
    "union": FilterUnion([("far", KMeansFilter(0.1)), ("UPS", UPSFilter(0.1))], keep=0.25),
}
each_filter = pytest.mark.parametrize("name", FILTERS)


def seeded(name):
    pruner = clone(FILTERS[name])
    seed_open_states(pruner, lambda: 0)
    return pruner


@each_filter
def test_labeled_rows_are_removed_in_every_round(name):
    """The pool still holds the labeled rows in later rounds, so the filter must leave them out."""
    pruner, known = seeded(name).fit(TEXTS), set()
    for _ in range(6):
        kept = pruner.select(TEXTS)
        assert not known & set(kept)
        new = kept[:5]
        pruner.partial_fit([TEXTS[i] for i in new], np.arange(len(new)) % 2)
        known |= set(new)
    assert len(known) == 30


@pytest.mark.parametrize(
    "pruner", [AnchorFilter(3, 8, 30, aggregate="max", random_state=0), SEALSFilter(10, random_state=0)]
)
def test_explained_similarities_belong_to_the_right_rows(pruner):
    """In a shuffled pool without the labeled rows, explain shows each row its own similarity."""
    rng = np.random.default_rng(0)
    known = rng.choice(400, 12, replace=False)
    pruner.fit(DIGITS)
    for batch in np.split(known, 3):
        pruner.partial_fit(DIGITS[batch], CLASSES[batch])
    rest = rng.permutation(np.setdiff1d(np.arange(400), known))
    why = pruner.explain(DIGITS[rest])
    kept = np.flatnonzero(why["kept"])
    assert len(kept) >= 8
    shown = why["similarity"].to_numpy()[kept]
    own = SIMILARITY[np.ix_(rest[kept], known)]
    assert np.abs(own - shown[:, None]).min(axis=1).max() < 1e-6, (
        "explain shows a similarity to no labeled row"
    )


@each_filter
def test_rows_are_not_identified_by_position_after_the_pool_shrank(name):
    pruner = seeded(name).fit(TEXTS)
    for start in (0, 10, 20):
        pruner.partial_fit(TEXTS[start : start + 10], np.arange(10) % 2)
        whole = {TEXTS[i] for i in pruner.select(TEXTS)}
        rest = TEXTS[start + 10 :]
        assert {rest[i] for i in pruner.select(rest)} == whole
        assert {rest[::-1][i] for i in pruner.select(rest[::-1])} == whole


@each_filter
def test_the_global_random_state_is_not_read_or_changed(name):
    picks = []
    for seed in (1, 2):
        np.random.seed(seed)  # noqa: NPY002
        before = np.random.get_state()[1].copy()  # noqa: NPY002
        pruner = seeded(name).fit(TEXTS).partial_fit(TEXTS[:4], [0, 1, 0, 1])
        picks.append(pruner.select(TEXTS).tolist())
        assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert picks[0] == picks[1]


@each_filter
@pytest.mark.parametrize("n_instances", [1, 90, 116])
def test_a_query_gets_as_many_rows_as_it_asks_for(name, n_instances):
    query = PrunedQuery(seeded(name), RandomSampling(random_state=0)).fit(TEXTS)
    query.tell(TEXTS[:4], [0, 1, 0, 1])
    indices, _ = query(None, TEXTS, n_instances=n_instances)
    assert len(set(indices)) == n_instances
    assert min(indices) >= 4, "the four labeled rows must not be returned"
