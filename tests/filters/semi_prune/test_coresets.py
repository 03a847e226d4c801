"""Coresets: exact sizes, and each method against a slow one written from its description."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta

from skprune.filters.semi_prune.coresets import (
    CORESETS,
    Candidates,
    budget,
    ccs,
    class_ccs,
    d2,
    dual_beta,
    top,
)


def candidates(n=200, seed=0, **settings):
    rng = np.random.default_rng(seed)
    given = {
        "difficulty": rng.gamma(2.0, 0.1, n),
        "mean_p": rng.beta(3, 1, n),
        "uniforms": np.sort(rng.random(n)),
        "classes": rng.integers(0, 4, n),
    }
    vectors = rng.normal(size=(n, 3))
    return Candidates(**(given | settings), vectors=lambda: vectors)


@given(
    st.sampled_from(sorted(CORESETS)),
    st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.integers(1, n))),
    st.sampled_from([0.0, 0.1, 0.5, 0.99]),
    st.sampled_from(["spread", "equal", "zero", "two values", "negative", "one far"]),
    st.integers(0, 1000),
)
def test_sizes_are_exact_for_all_kinds_of_scores(name, sizes, mis_ratio, kind, seed):
    n, k = sizes
    rng = np.random.default_rng(seed)
    difficulty = {
        "spread": rng.random(n),
        "equal": np.full(n, 0.1),
        "zero": np.zeros(n),
        "two values": rng.integers(0, 2, n) * 1.0,
        "negative": rng.normal(-5, 3, n),
        "one far": np.r_[np.full(n - 1, 0.5), 1e9],
    }[kind]
    rows = candidates(n, seed, difficulty=difficulty, mis_ratio=mis_ratio)
    kept = CORESETS[name](rows, k)
    assert len(kept) == len(set(kept.tolist())) == k
    assert 0 <= kept.min() <= kept.max() < n
    assert kept.tolist() == CORESETS[name](rows, k).tolist()


@pytest.mark.parametrize("name", sorted(CORESETS))
@pytest.mark.parametrize("mu", [0.0, 1.0])
def test_probabilities_of_0_and_1_are_handled(name, mu):
    rows = candidates(30, mean_p=np.full(30, mu), difficulty=np.zeros(30))
    for k in (1, 15, 30):
        assert len(set(CORESETS[name](rows, k).tolist())) == k


def test_top_and_budget_match_sorting():
    rows = candidates(100, mis_ratio=0.13)
    by_hand = sorted(range(100), key=lambda i: -rows.difficulty[i])
    assert top(rows, 20).tolist() == by_hand[:20]
    assert budget(rows, 20).tolist() == by_hand[13:33]
    assert budget(rows, 95).tolist() == by_hand[5:], "fewer than mis_ratio are dropped if they are needed"
    assert budget(rows, 100).tolist() == by_hand


def test_ties_go_to_the_row_with_the_lowest_random_number():
    rows = candidates(20, difficulty=np.r_[np.zeros(10), np.ones(10)])
    assert top(rows, 3).tolist() == [10, 11, 12]


@pytest.mark.parametrize(("mis_ratio", "k"), [(0.3, 20), (0.3, 100), (0.3, 160), (0.7, 150), (0.0, 30)])
def test_class_ccs_drops_the_same_share_of_each_class(mis_ratio, k):
    sizes = [100, 60, 30, 7, 3]
    rows = candidates(200, mis_ratio=mis_ratio, classes=np.repeat(np.arange(5), sizes))
    dropped = []
    for c, size in enumerate(sizes):
        members = sorted(np.flatnonzero(rows.classes == c), key=lambda i: -rows.difficulty[i])
        dropped += [((place + 1) / size, i) for place, i in enumerate(members[: int(mis_ratio * size)])]
    n_dropped = min(len(dropped), 200 - k)  # the least hard of their class come back if they are needed
    left = rows.without_mislabeled_by_class(k)
    gone = np.setdiff1d(np.arange(200), left)
    assert len(gone) == n_dropped
    assert set(gone) <= {i for _, i in dropped}
    assert max((share for share, i in dropped if i in gone), default=0) <= min(
        (share for share, i in dropped if i not in gone), default=1
    )
    assert (np.diff(rows.difficulty[left]) <= 0).all()
    kept = class_ccs(rows, k)
    assert set(kept) <= set(left)
    shares = k * np.bincount(rows.classes[left], minlength=5) / len(left)
    assert (np.abs(np.bincount(rows.classes[kept], minlength=5) - shares) < 1).all()
    if mis_ratio == 0.3:
        assert not set(gone) & set(np.flatnonzero(rows.classes == 4)), "0.3 of 3 rows are less than one row"


def test_class_ccs_is_ccs_within_each_class():
    rows = candidates(200, mis_ratio=0.2, classes=np.repeat([0, 1, 2], [100, 50, 50]))
    kept = class_ccs(rows, 40)
    for c, n in enumerate((20, 10, 10)):
        members = np.flatnonzero(rows.classes == c)
        alone = candidates(
            mis_ratio=0.2, difficulty=rows.difficulty[members], uniforms=rows.uniforms[members]
        )
        assert set(members[ccs(alone, n)]) == set(kept) & set(members)
    assert (np.diff(rows.difficulty[kept]) <= 0).all(), "hardest first"


def test_class_ccs_of_one_class_is_ccs():
    rows = candidates(200, mis_ratio=0.25, classes=np.zeros(200, dtype=int))
    assert class_ccs(rows, 50).tolist() == ccs(rows, 50).tolist()
    rows.classes = None
    assert class_ccs(rows, 50).tolist() == ccs(rows, 50).tolist()


@pytest.mark.parametrize("k", [1, 7, 49, 50, 51, 120, 170, 180])
def test_ccs_fills_each_stratum_as_the_algorithm_says(k):
    rows = candidates(200, mis_ratio=0.1)
    hardest = np.argsort(-rows.difficulty)
    left = hardest[20:].tolist()
    low, high = rows.difficulty[left].min(), rows.difficulty[left].max()
    strata = [[] for _ in range(50)]
    for i in left:
        strata[min(49, int((rows.difficulty[i] - low) / ((high - low) / 50)))].append(i)
    kept = set(ccs(rows, k).tolist())
    rest = k
    for n_left, stratum in zip(range(50, 0, -1), sorted(strata, key=len), strict=True):
        share = min(len(stratum), rest // n_left)
        rest -= share
        # Strata of equal size may be filled in either order; the sizes add up either way.
        assert abs(len(kept & set(stratum)) - share) <= 1
        drawn_first = sorted(stratum, key=lambda i: rows.uniforms[i])[: len(kept & set(stratum))]
        assert kept & set(stratum) == set(drawn_first)
    assert rest == 0
    assert kept <= set(left)


def test_ccs_covers_a_wider_range_than_budget():
    rows = candidates(1000)
    assert np.ptp(rows.difficulty[ccs(rows, 100)]) > 2 * np.ptp(rows.difficulty[budget(rows, 100)])


@pytest.mark.parametrize("k", [40, 100, 160])
def test_dual_beta_draws_by_density_times_score(k):
    """Every row is drawn first in proportion to its weight."""
    rows = candidates(200)
    anchor = np.mean([rows.mean_p[i] for i in np.argsort(-rows.difficulty)[:10]])
    b = 15 * (1 - anchor) * (1 - (1 - k / 200) ** 3)
    weight = beta.pdf(rows.mean_p, 16 - b, b) * rows.difficulty
    weight /= weight.sum()
    rng = np.random.default_rng(0)
    n_draws = 4000
    first = np.zeros(200)
    for _ in range(n_draws):
        first[dual_beta(candidates(200, uniforms=rng.random(200)), k)[0]] += 1
    spread = np.sqrt(weight * (1 - weight) / n_draws)
    assert (np.abs(first / n_draws - weight) <= 5 * spread + 1e-3).all()


def test_dual_beta_keeps_easier_rows_if_more_is_pruned():
    rows = candidates(5000)
    easy = [rows.mean_p[dual_beta(rows, k)].mean() for k in (2500, 1000, 250)]
    assert easy == sorted(easy)
    assert easy[-1] > rows.mean_p.mean()


def slow_d2(rows, k, n_neighbors):
    """Message passing on the full matrix of distances."""
    X = rows.vectors()
    distance = np.linalg.norm(X[:, None] - X[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    near = np.argsort(distance, axis=1)[:, :n_neighbors]
    mean = np.take_along_axis(distance, near, axis=1).mean()
    score = rows.difficulty.copy()
    for i, neighbors in enumerate(near):
        score[i] += sum(np.exp(-distance[i, j] / mean) * rows.difficulty[j] for j in neighbors)
    taken = []
    for _ in range(k):
        best = max((i for i in range(len(X)) if i not in taken), key=lambda i: score[i])
        taken.append(best)
        for j in near[best]:
            score[j] -= np.exp(-distance[best, j] / mean) * score[best]
    return taken


@pytest.mark.parametrize("n_neighbors", [1, 5, 100])
def test_d2_matches_message_passing_on_the_full_matrix(n_neighbors):
    rows = candidates(60, n_neighbors=n_neighbors)
    assert d2(rows, 40).tolist() == slow_d2(rows, 40, min(n_neighbors, 59))


def test_d2_takes_one_of_each_group_of_copies_first():
    X = np.repeat(np.random.default_rng(0).normal(size=(10, 3)), 8, axis=0)
    rows = Candidates(np.ones(80), np.full(80, 0.5), np.arange(1, 81) / 81, lambda: X)
    assert len({tuple(x) for x in X[d2(rows, 10)]}) == 10
    assert sorted(d2(rows, 80)) == list(range(80))


def test_d2_does_not_depend_on_the_unit_of_the_vectors():
    rows = candidates(100)
    X = rows.vectors()
    scaled = candidates(100)
    scaled.vectors = lambda: X * 4096.0
    assert d2(rows, 30).tolist() == d2(scaled, 30).tolist()
