"""Faults that other libraries' pool filters are known for, each a test of ours."""

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
    KMeansFilter,
    PerplexityFilter,
    PrunedQuery,
    RandomFilter,
    SEALSFilter,
    SemiPruneFilter,
    UPSFilter,
)
from skprune.strategies import RandomSampling

TEXTS = [f"the {color} {animal} sees {'the ' * (i % 4)}n{i}"
         for i in range(10) for color in ("red", "old", "blue")
         for animal in ("fox", "dog", "cat", "hen")]  # fmt: skip
DIGITS, CLASSES = (part[:400] for part in load_digits(return_X_y=True))
SIMILARITY = cosine_similarity(DIGITS)


def shouting(texts):
    return np.array([sum(map(ord, t)) % 97 / 97 for t in texts])


FILTERS = {
    "random": RandomFilter(),
    "anchor": AnchorFilter(3, 8, 30),
    "active prune": ActivePruneFilter(quality=shouting),
    "k-means": KMeansFilter(),
    "perplexity": PerplexityFilter(perplexity=shouting),
    "ask LLM": AskLLMFilter(quality=shouting),
    "UPS": UPSFilter(),
    "SEALS": SEALSFilter(4),
    "entropy interval": EntropyIntervalFilter(),
    "semi-prune": SemiPruneFilter(n_epochs=3, holdout=0.0),
}
each_filter = pytest.mark.parametrize("name", FILTERS)


def seeded(name):
    return clone(FILTERS[name]).set_params(random_state=0)


@each_filter
def test_removal_of_labeled_rows_is_no_no_op_from_the_second_round_on(name):
    """The pool that comes back still holds them: the filter alone keeps them out."""
    pruner, known = seeded(name).fit(TEXTS), set()
    for _ in range(6):
        kept = pruner.select(TEXTS)
        assert not known & set(kept)
        fresh = kept[:5]
        pruner.partial_fit([TEXTS[i] for i in fresh], np.arange(len(fresh)) % 2)
        known |= set(fresh)
    assert len(known) == 30


@pytest.mark.parametrize(
    "pruner", [AnchorFilter(3, 8, 30, aggregate="max", random_state=0), SEALSFilter(10, random_state=0)]
)
def test_distances_are_not_filtered_by_the_ids_of_other_rows(pruner):
    """Of a shuffled pool without the labeled rows, each row is shown its own similarity."""
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
    assert np.abs(own - shown[:, None]).min(axis=1).max() < 1e-6, "no labeled row is as similar as shown"


@each_filter
def test_positions_are_not_taken_for_rows_after_the_pool_shrank(name):
    pruner = seeded(name).fit(TEXTS)
    for start in (0, 10, 20):
        pruner.partial_fit(TEXTS[start : start + 10], np.arange(10) % 2)
        whole = {TEXTS[i] for i in pruner.select(TEXTS)}
        rest = TEXTS[start + 10 :]
        assert {rest[i] for i in pruner.select(rest)} == whole
        assert {rest[::-1][i] for i in pruner.select(rest[::-1])} == whole


@each_filter
def test_the_global_random_state_is_neither_read_nor_moved(name):
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
def test_a_query_gets_no_fewer_rows_than_its_batch(name, n_instances):
    query = PrunedQuery(seeded(name), RandomSampling(random_state=0)).fit(TEXTS)
    query.tell(TEXTS[:4], [0, 1, 0, 1])
    indices, _ = query(None, TEXTS, n_instances=n_instances)
    assert len(set(indices)) == n_instances
    assert min(indices) >= 4, "all rows but the four with a label"
